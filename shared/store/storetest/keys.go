package storetest

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// today is the day of now.
var today = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC) // never changes

// use is a call with a key.
func use(k account.APIKey, limit int) account.KeyUse {
	u := account.KeyUse{AccountID: k.AccountID, Hash: k.Hash, Now: now, Limit: limit}
	if k.AccountID == 0 {
		u.PartnerID = k.PartnerID
	}
	return u
}

// key stores an account and returns its key.
func (s *suite) key() account.APIKey {
	s.Helper()
	_, keys := s.withKeys(1, nil)
	return keys[0]
}

// keyUse tests UseKey.
type keyUse struct{ *suite }

func (s keyUse) TestAbsentKeyIsUnauthorized() {
	a := s.account()
	for name, u := range map[string]account.KeyUse{
		"absent account": {AccountID: s.id(), Hash: s.hash(), Now: now, Limit: 5},
		"another hash":   {AccountID: a.ID, Hash: s.hash(), Now: now, Limit: 5},
		"absent partner": {PartnerID: s.id(), Hash: s.hash(), Now: now, Limit: 5},
	} {
		got, err := s.UseKey(s.Context(), u)
		s.fails(name, err, fault.Unauthorized)
		s.equal(name, got, account.KeyUsed{})
	}
}

func (s keyUse) TestMerchantKeyIsNotAPartnerKey() {
	k := s.key()
	k.AccountID = 0
	s.fails("UseKey", errOf(s.UseKey(s.Context(), use(k, 5))), fault.Unauthorized)
}

func (s keyUse) TestExpiresToTheMillisecond() {
	_, keys := s.withKeys(1, func(_ int, k *account.APIKey) { k.ExpiresAt = milli(now) })
	use := use(keys[0], 5)
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
		if err := errOf(s.UseKey(s.Context(), use)); tc.ok {
			s.ok(err)
		} else {
			s.fails(tc.name, err, fault.Unauthorized)
		}
	}
}

func (s keyUse) TestLimitPerMinute() {
	_, keys := s.withKeys(1, func(_ int, k *account.APIKey) { k.Description = "first key" })
	use, k := use(keys[0], 2), keys[0]
	k.LastUsedOn = today
	left := time.Minute - now.Sub(now.Truncate(time.Minute))
	for used := 1; used <= 2; used++ {
		s.equal("within the limit", must(s.UseKey(s.Context(), use)), account.KeyUsed{Key: k, Used: used, Reset: left})
	}
	for range 2 {
		got, err := s.UseKey(s.Context(), use)
		s.equal("RetryAfter", s.problem("over the limit", err, fault.RateLimited).RetryAfter, left)
		s.equal("over the limit", got, account.KeyUsed{Key: k, Used: 2, Reset: left})
	}
	use.Now = now.Truncate(time.Minute).Add(time.Minute)
	s.equal("new minute", must(s.UseKey(s.Context(), use)), account.KeyUsed{Key: k, Used: 1, Reset: time.Minute})
}

func (s keyUse) TestLowerLimitCountsEarlierCalls() {
	use := use(s.key(), 10)
	for range 3 {
		s.ok(errOf(s.UseKey(s.Context(), use)))
	}
	use.Limit = 2
	got, err := s.UseKey(s.Context(), use)
	s.fails("UseKey", err, fault.RateLimited)
	s.equal("Used", got.Used, 2)
}

func (s keyUse) TestClockBehindCountsInTheOpenMinute() {
	use := use(s.key(), 3)
	ahead, behind := now.Truncate(time.Minute).Add(time.Second), now.Truncate(time.Minute).Add(-time.Second)
	for i, at := range []time.Time{ahead, behind, ahead} {
		use.Now = at
		s.equal("Used", must(s.UseKey(s.Context(), use)).Used, i+1)
	}
	use.Now = behind
	got, err := s.UseKey(s.Context(), use)
	s.fails("UseKey", err, fault.RateLimited)
	s.equal("Reset", got.Reset, 61*time.Second)
}

func (s keyUse) TestPartnerKey() {
	p := account.Partner{ID: s.id(), Name: "Shop Ltd", Environment: carrier.Sandbox, DefaultCountryCode: "NZ", CreatedAt: milli(now)}
	k := s.newKey(p.ID, 0)
	k.Environment, k.DefaultCountryCode, k.Description, k.ExpiresAt = carrier.Sandbox, "NZ", "made by the operator", milli(now.Add(time.Hour))
	s.ok(s.CreatePartner(s.Context(), p, k, effects.Effects{}, now))
	got := must(s.UseKey(s.Context(), use(k, 1)))
	k.LastUsedOn = today
	s.equal("key", got.Key, k)
}

func (s keyUse) TestConcurrentCallsKeepTheLimit() {
	const callers, limit = 24, 10
	use := use(s.key(), limit)
	for minute := range 2 {
		use.Now = now.Add(time.Duration(minute) * time.Minute)
		s.wins(limit, race(callers, func(int) error {
			for {
				got, err := s.UseKey(s.Context(), use)
				if !fault.Is(err, fault.State) {
					if err == nil && (got.Used < 1 || got.Used > limit) {
						s.Errorf("Used = %d, want 1 to %d", got.Used, limit)
					}
					return err
				}
			}
		}), fault.RateLimited)
	}
}
