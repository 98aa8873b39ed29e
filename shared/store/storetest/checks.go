package storetest

import (
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

func checkTests() tests {
	return tests{
		"claiming what is gone": func(s *suite) {
			c := s.newConnection(s.account().ID)
			_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
			s.fails("ClaimCheck", err, fault.NotFound)
			_, err = s.Connection(s.Context(), c.AccountID, c.ID)
			s.fails("ClaimCheck made a row: Connection", err, fault.NotFound)
		},
		"claiming an intent": func(s *suite) {
			c := s.newConnection(s.account().ID)
			s.ok(s.BeginLink(s.Context(), &c, carrier.LinkOptions{}))
			_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Hour), now.Add(time.Minute))
			s.fails("ClaimCheck", err, fault.State)
		},
		"claiming what somebody is at": func(s *suite) {
			c := s.linked()
			until := milli(now.Add(time.Minute))
			claimed, err := s.ClaimCheck(s.Context(), c, until, now)
			s.ok(err)
			want := c
			want.LeaseUntil, want.Version = until, c.Version+1
			s.equal("claimed", claimed, want)

			for name, read := range map[string]carrier.Connection{"read before": c, "read after": claimed} {
				_, err = s.ClaimCheck(s.Context(), read, now.Add(time.Hour), until.Add(-3*time.Second))
				s.equal(name, s.problem(name, err, fault.State).RetryAfter, 3*time.Second)
			}
			_, err = s.ClaimCheck(s.Context(), c, now.Add(time.Hour), until)
			if p := s.problem("an old version, the lease over", err, fault.State); p.RetryAfter <= 0 {
				s.Error("no RetryAfter")
			}
			again, err := s.ClaimCheck(s.Context(), claimed, until.Add(time.Minute), until)
			s.ok(err)
			s.equal("version", again.Version, claimed.Version+1)
			s.fails("the one whose lease ended", s.RecordCheck(s.Context(), &claimed, nil, nil), fault.State)
			s.fails("the same with a snapshot", s.RecordCheck(s.Context(), &claimed, nil, s.snapshot(100, now)), fault.State)
			l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
			s.equal("row", l.Connection, &again)
			if l.Snapshot != nil {
				s.Error("the snapshot was written")
			}
		},
		"recording what is gone": func(s *suite) {
			c := s.newConnection(s.account().ID)
			c.Version = 4
			s.fails("without a snapshot", s.RecordCheck(s.Context(), &c, nil, nil), fault.NotFound)
			s.fails("with one", s.RecordCheck(s.Context(), &c, nil, s.snapshot(100, now)), fault.NotFound)
			s.equal("version", c.Version, int64(4))
		},
		"recording": func(s *suite) {
			c := s.linked()
			c, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
			s.ok(err)
			first := s.snapshot(200, milli(now))
			c.Status, c.Checks, c.ModifiedAt = carrier.Active, 2, milli(now.Add(time.Second))
			s.ok(s.RecordCheck(s.Context(), &c, nil, first))
			l := s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
			s.equal("row", l.Connection, &c)
			s.equal("lease", c.LeaseUntil, time.Time{})
			s.equal("snapshot", l.Snapshot, first)

			c, err = s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
			s.ok(err)
			c.Status, c.StatusReason = carrier.Degraded, "timeout"
			s.ok(s.RecordCheck(s.Context(), &c, nil, nil))
			l = s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true})
			s.equal("row", l.Connection, &c)
			s.equal("the old snapshot", l.Snapshot, first)

			c, err = s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
			s.ok(err)
			second := s.snapshot(300, milli(now.Add(time.Hour)))
			s.ok(s.RecordCheck(s.Context(), &c, nil, second))
			s.equal("the new snapshot", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true}).Snapshot, second)
		},
		"at once, one claims": func(s *suite) {
			c := s.linked()
			won := 0
			for _, err := range race(20, func(int) error {
				_, err := s.ClaimCheck(s.Context(), c, now.Add(time.Minute), now)
				return err
			}) {
				if err == nil {
					won++
				} else {
					s.fails("a loser", err, fault.State)
				}
			}
			s.equal("claims", won, 1)
		},
	}
}

func loadTests() tests {
	return tests{
		"nothing is there": func(s *suite) {
			c := s.newConnection(s.id())
			s.equal("loaded", s.load(c.AccountID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)}), store.Loaded{})
			_, err := s.Connection(s.Context(), c.AccountID, c.ID)
			s.fails("Connection", err, fault.NotFound)
		},
		"another account's connection is not there": func(s *suite) {
			c, other := s.linked(), s.account()
			l := s.load(other.ID, store.Want{ConnectionID: c.ID, Snapshot: true, Number: s.number(c)})
			s.equal("loaded", l, store.Loaded{Account: &other})
			_, err := s.Connection(s.Context(), other.ID, c.ID)
			s.fails("Connection", err, fault.NotFound)
		},
		"only what is asked for": func(s *suite) {
			c := s.newConnection(s.account().ID)
			s.ok(s.BeginLink(s.Context(), &c, carrier.LinkOptions{}))
			s.ok(s.FinishLink(s.Context(), &c, nil, s.snapshot(100, now), nil))
			for name, tc := range map[string]struct {
				want           store.Want
				conn, snapshot bool
			}{
				"the account":                       {},
				"a snapshot of no connection":       {want: store.Want{Snapshot: true}},
				"the connection":                    {want: store.Want{ConnectionID: c.ID}, conn: true},
				"the connection and what it stores": {want: store.Want{ConnectionID: c.ID, Snapshot: true}, conn: true, snapshot: true},
			} {
				l := s.load(c.AccountID, tc.want)
				if l.Account == nil || (l.Connection != nil) != tc.conn || (l.Snapshot != nil) != tc.snapshot || l.LinkedAs != nil {
					s.Errorf("%s: Load = %+v", name, l)
				}
			}
		},
	}
}
