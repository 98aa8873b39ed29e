package storetest

import (
	"context"
	"errors"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// today is the day of now.
var today = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC) // never changes

func keyTests() tests {
	return tests{
		"absent is unauthorized":                             keyAbsentIsUnauthorized,
		"a merchant's hash is no key of its partner":         keyAMerchantsHashIsNoKeyOfItsPartner,
		"expired is unauthorized, from the very millisecond": keyExpiredIsUnauthorizedFromTheVeryMillisecond,
		"an ended context is internal":                       keyAnEndedContextIsInternal,
		"over the limit, then a new minute":                  keyOverTheLimitThenANewMinute,
		"a lower limit counts what was used":                 keyALowerLimitCountsWhatWasUsed,
		"a clock behind counts in the minute that is open":   keyAClockBehindCountsInTheMinuteThatIsOpen,
		"a partner key":                                      keyAPartnerKey,
		"at once, never more than the limit":                 keyAtOnceNeverMoreThanTheLimit,
	}
}

func keyAbsentIsUnauthorized(s *suite) {
	a := s.account()
	for name, u := range map[string]account.KeyUse{
		"nobody's":           {AccountID: s.id(), Hash: s.hash(), Now: now, Limit: 5},
		"another hash":       {AccountID: a.ID, Hash: s.hash(), Now: now, Limit: 5},
		"partner of nothing": {PartnerID: s.id(), Hash: s.hash(), Now: now, Limit: 5},
	} {
		got, err := s.UseKey(s.Context(), u)
		s.fails(name, err, fault.Unauthorized)
		s.equal(name, got, account.KeyUsed{})
	}
}

func keyAMerchantsHashIsNoKeyOfItsPartner(s *suite) {
	n := s.newAccount()
	s.create(n)
	_, err := s.UseKey(s.Context(), account.KeyUse{PartnerID: n.Account.PartnerID, Hash: n.Key.Hash, Now: now, Limit: 5})
	s.fails("UseKey", err, fault.Unauthorized)
}

func keyExpiredIsUnauthorizedFromTheVeryMillisecond(s *suite) {
	n := s.newAccount()
	n.Key.ExpiresAt = milli(now)
	s.create(n)
	use := account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Limit: 5}
	for _, tc := range []struct {
		name string
		at   time.Time
		ok   bool
	}{
		{"long after, in a new minute", now.Add(time.Hour), false},
		{"at expiry", now, false},
		{"before", now.Add(-time.Millisecond), true},
		{"at expiry, in the minute of the last good call", now, false},
	} {
		use.Now = tc.at
		_, err := s.UseKey(s.Context(), use)
		if tc.ok {
			s.ok(err)
			continue
		}
		s.fails(tc.name, err, fault.Unauthorized)
	}
}

func keyAnEndedContextIsInternal(s *suite) {
	n := s.newAccount()
	s.create(n)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := s.UseKey(ctx, account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Now: now, Limit: 5})
	s.fails("UseKey", err, fault.Internal)
	if !errors.Is(err, context.Canceled) {
		s.Errorf("UseKey = %v, want a chain with context.Canceled", err)
	}
}

func keyOverTheLimitThenANewMinute(s *suite) {
	n := s.newAccount()
	n.Key.Description = "first key"
	s.create(n)
	n.Key.LastUsedOn = today
	use := account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Limit: 2, Now: now}
	left := time.Minute - now.Sub(now.Truncate(time.Minute))
	for used := 1; used <= 2; used++ {
		got, err := s.UseKey(s.Context(), use)
		s.ok(err)
		s.equal("within the limit", got, account.KeyUsed{Key: n.Key, Used: used, Reset: left})
	}
	for range 2 {
		got, err := s.UseKey(s.Context(), use)
		p := s.problem("over the limit", err, fault.RateLimited)
		s.equal("RetryAfter", p.RetryAfter, left)
		s.equal("over the limit", got, account.KeyUsed{Key: n.Key, Used: 2, Reset: left})
	}
	use.Now = now.Truncate(time.Minute).Add(time.Minute)
	got, err := s.UseKey(s.Context(), use)
	s.ok(err)
	s.equal("new minute", got, account.KeyUsed{Key: n.Key, Used: 1, Reset: time.Minute})
}

func keyALowerLimitCountsWhatWasUsed(s *suite) {
	n := s.newAccount()
	s.create(n)
	use := account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Limit: 10, Now: now}
	for range 3 {
		_, err := s.UseKey(s.Context(), use)
		s.ok(err)
	}
	use.Limit = 2
	got, err := s.UseKey(s.Context(), use)
	s.fails("UseKey", err, fault.RateLimited)
	s.equal("Used", got.Used, 2)
}

func keyAClockBehindCountsInTheMinuteThatIsOpen(s *suite) {
	n := s.newAccount()
	s.create(n)
	use := account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Limit: 3}
	ahead, behind := now.Truncate(time.Minute).Add(time.Second), now.Truncate(time.Minute).Add(-time.Second)
	for i, at := range []time.Time{ahead, behind, ahead} {
		use.Now = at
		got, err := s.UseKey(s.Context(), use)
		s.ok(err)
		s.equal("Used", got.Used, i+1)
	}
	use.Now = behind
	got, err := s.UseKey(s.Context(), use)
	s.fails("UseKey", err, fault.RateLimited)
	s.equal("Reset", got.Reset, 61*time.Second)
}

func keyAPartnerKey(s *suite) {
	p := account.Partner{ID: s.id(), Name: "Shop Ltd", Environment: carrier.Sandbox, DefaultCountryCode: "NZ", CreatedAt: milli(now)}
	k := s.newKey(p.ID, 0)
	k.Environment, k.DefaultCountryCode, k.Description, k.ExpiresAt = carrier.Sandbox, "NZ", "made by the operator", milli(now.Add(time.Hour))
	s.ok(s.CreatePartner(s.Context(), p, k, effects.Effects{}, now))
	got, err := s.UseKey(s.Context(), account.KeyUse{PartnerID: p.ID, Hash: k.Hash, Now: now, Limit: 1})
	s.ok(err)
	k.LastUsedOn = today
	s.equal("key", got.Key, k)
}

func keyAtOnceNeverMoreThanTheLimit(s *suite) {
	n := s.newAccount()
	s.create(n)
	const callers, limit = 24, 10
	for minute := range 2 {
		at := now.Add(time.Duration(minute) * time.Minute)
		seen := map[int]int{}
		for _, err := range race(callers, func(int) error {
			for {
				got, err := s.UseKey(s.Context(), account.KeyUse{AccountID: n.Account.ID, Hash: n.Key.Hash, Now: at, Limit: limit})
				if !fault.Is(err, fault.State) {
					if err == nil && (got.Used < 1 || got.Used > limit) {
						s.Errorf("Used = %d, want 1 to %d", got.Used, limit)
					}
					return err
				}
			}
		}) {
			if err == nil {
				seen[0]++
			} else {
				s.fails("over the limit", err, fault.RateLimited)
			}
		}
		s.equal("calls let through", seen[0], limit)
	}
}
