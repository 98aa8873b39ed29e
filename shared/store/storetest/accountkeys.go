package storetest

import (
	"slices"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// withKeys stores an account with n keys, each changed by change (nil: not), and
// returns the keys, the oldest first.
func (s *suite) withKeys(n int, change func(i int, k *account.APIKey)) (account.Account, []account.APIKey) {
	s.Helper()
	in := s.newAccount()
	keys := make([]account.APIKey, n)
	for i := range keys {
		k := s.newKey(in.Account.PartnerID, in.Account.ID)
		k.CreatedAt = k.CreatedAt.Add(time.Duration(i) * time.Second)
		if change != nil {
			change(i, &k)
		}
		if in.Key = k; i == 0 {
			s.create(in)
		} else {
			s.ok(s.CreateKey(s.Context(), k, effects.Effects{}, now))
		}
		keys[i] = k
	}
	return in.Account, keys
}

func (s *suite) keys(account int64) []account.APIKey {
	s.Helper()
	return must(s.ListKeys(s.Context(), account))
}

// works tells whether a key is valid at a time.
func (s *suite) works(k account.APIKey, at time.Time) bool {
	s.Helper()
	u := use(k, 1000)
	u.Now = at
	err := errOf(s.UseKey(s.Context(), u))
	if err != nil {
		s.fails("UseKey", err, fault.Unauthorized)
	}
	return err == nil
}

// accountKeys tests the keys of an account: CreateKey, RotateKey, DeleteKey, ListKeys,
// ExpiringKeys and SaveKeyWarning.
type accountKeys struct{ *suite }

func (s accountKeys) TestAbsentAccount() {
	k := s.newKey(s.id(), s.id())
	for _, rec := range []*effects.Record{nil, s.answer()} {
		s.fails("CreateKey", s.CreateKey(s.Context(), k, effects.Effects{Answer: rec}, now), fault.NotFound)
		s.fails("RotateKey", s.RotateKey(s.Context(), s.newKey(k.PartnerID, k.AccountID), k, now, effects.Effects{Answer: rec}, now), fault.NotFound)
	}
	s.fails("DeleteKey", s.DeleteKey(s.Context(), k, effects.Effects{}, now), fault.NotFound)
	s.equal("works", s.works(k, now), false)
}

func (s accountKeys) TestAllFieldsOldestFirst() {
	a, keys := s.withKeys(4, func(i int, k *account.APIKey) {
		if i == 2 {
			k.Description, k.ExpiresAt = "for \u6f22", milli(now.Add(time.Hour))
			k.Scopes = []account.Scope{account.ScopeLink, account.ScopeRead}
		}
		k.CreatedAt = milli(now.Add(-time.Duration(i) * time.Hour))
	})
	slices.Reverse(keys)
	s.equal("keys", s.keys(a.ID), keys)
	s.equal("works", s.works(keys[0], now), true)
	keys[0].LastUsedOn = today
	s.equal("keys, one used", s.keys(a.ID), keys)
	used := must(s.UseKey(s.Context(), account.KeyUse{AccountID: a.ID, Hash: keys[1].Hash, Now: now, Limit: 5}))
	s.equal("scopes", used.Key.Scopes, keys[1].Scopes)
	s.account() // with a key of its own
	s.equal("version of the account", s.stored(a.ID).Version, int64(1))
}

func (s accountKeys) TestIdempotencyKey() {
	a, keys := s.withKeys(1, nil)
	rec := s.answer()
	s.ok(s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{Answer: rec}, now))
	s.replays("CreateKey", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{Answer: rec}, now), *rec)
	rec = s.answer()
	s.ok(s.RotateKey(s.Context(), keys[0], s.newKey(a.PartnerID, a.ID), now, effects.Effects{Answer: rec}, now))
	s.replays("RotateKey", s.RotateKey(s.Context(), keys[0], s.newKey(a.PartnerID, a.ID), now, effects.Effects{Answer: rec}, now), *rec)
	s.equal("keys", len(s.keys(a.ID)), 3)
}

func (s accountKeys) TestSameKeyTwiceIsErrIDTaken() {
	_, keys := s.withKeys(1, nil)
	s.wraps("CreateKey", s.CreateKey(s.Context(), keys[0], effects.Effects{}, now), account.ErrIDTaken)
}

func (s accountKeys) TestDeleteTakesEffectAtOnce() {
	a, keys := s.withKeys(2, nil)
	s.equal("before", s.works(keys[0], now), true)
	s.ok(s.DeleteKey(s.Context(), keys[0], effects.Effects{}, now))
	s.equal("after", s.works(keys[0], now), false)
	s.fails("again", s.DeleteKey(s.Context(), keys[0], effects.Effects{}, now), fault.NotFound)
	s.equal("keys", s.keys(a.ID), keys[1:])
	s.ok(s.DeleteKey(s.Context(), keys[1], effects.Effects{}, now))
	s.equal("none", len(s.keys(a.ID)), 0)
	s.ok(s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now))
}

func (s accountKeys) TestDeletePartnerKey() {
	p := account.Partner{ID: s.id(), Environment: carrier.Production, CreatedAt: milli(now)}
	k := s.newKey(p.ID, 0)
	s.ok(s.CreatePartner(s.Context(), p, k, effects.Effects{}, now))
	s.ok(s.DeleteKey(s.Context(), k, effects.Effects{}, now))
	s.fails("UseKey", errOf(s.UseKey(s.Context(), use(k, 5))), fault.Unauthorized)
	s.fails("again", s.DeleteKey(s.Context(), k, effects.Effects{}, now), fault.NotFound)
}

func (s accountKeys) TestRotate() {
	end := milli(now.Add(time.Hour))
	for name, tc := range map[string]struct {
		expires, until, want time.Time
	}{
		"with grace":                {until: end, want: end},
		"at once":                   {until: now, want: milli(now)},
		"lowers":                    {expires: end.Add(time.Minute), until: end, want: end},
		"never raises":              {expires: end.Add(-time.Minute), until: end, want: end.Add(-time.Minute)},
		"to the end that it has":    {expires: end, until: end, want: end},
		"at once, of what will end": {expires: end, until: now, want: milli(now)},
	} {
		a, keys := s.withKeys(1, func(_ int, k *account.APIKey) { k.ExpiresAt = tc.expires })
		k := s.newKey(a.PartnerID, a.ID)
		k.CreatedAt = k.CreatedAt.Add(time.Second)
		s.ok(s.RotateKey(s.Context(), keys[0], k, tc.until, effects.Effects{}, now))
		keys[0].ExpiresAt, keys[0].ReplacedBy = tc.want, k.ID
		s.equal(name, s.keys(a.ID), []account.APIKey{keys[0], k})
		s.equal(name+": the old one works", s.works(keys[0], now), tc.want.After(now))
		s.equal(name+": the old one works at its end", s.works(keys[0], tc.want), false)
		s.equal(name+": the new one works", s.works(k, end.Add(time.Hour)), true)
	}
}

func (s accountKeys) TestRotateAbsentExpiredOrChangedKey() {
	a, keys := s.withKeys(3, func(i int, k *account.APIKey) {
		if i == 1 {
			k.ExpiresAt = milli(now.Add(time.Minute))
		}
	})
	next := s.newKey(a.PartnerID, a.ID)
	s.fails("gone", s.RotateKey(s.Context(), s.newKey(a.PartnerID, a.ID), next, now.Add(time.Hour), effects.Effects{}, now), fault.NotFound)
	s.fails("expired", s.RotateKey(s.Context(), keys[1], next, now.Add(time.Hour), effects.Effects{}, now.Add(time.Minute)), fault.State)
	s.ok(s.RotateKey(s.Context(), keys[2], s.newKey(a.PartnerID, a.ID), now.Add(time.Hour), effects.Effects{}, now))
	s.fails("changed", s.RotateKey(s.Context(), keys[2], next, now.Add(2*time.Hour), effects.Effects{}, now), fault.State)
	again := s.keys(a.ID)[slices.IndexFunc(s.keys(a.ID), func(k account.APIKey) bool { return k.ID == keys[2].ID })]
	s.fails("rotated already", s.RotateKey(s.Context(), again, next, now.Add(2*time.Hour), effects.Effects{}, now), fault.State)
	s.equal("keys", len(s.keys(a.ID)), 4)
	s.equal("works", s.works(next, now), false)
}

func (s accountKeys) TestLimit() {
	a, keys := s.withKeys(account.MaxKeys, nil)
	next := s.newKey(a.PartnerID, a.ID)
	rec := s.answer()
	s.fails("CreateKey", s.CreateKey(s.Context(), next, effects.Effects{Answer: rec}, now), fault.State)
	s.fails("RotateKey with grace", s.RotateKey(s.Context(), keys[0], next, now.Add(time.Hour), effects.Effects{Answer: rec}, now), fault.State)
	s.equal("keys", s.keys(a.ID), keys)

	s.ok(s.RotateKey(s.Context(), keys[0], next, now, effects.Effects{Answer: rec}, now))
	s.equal("the old one works", s.works(keys[0], now), false)
	s.equal("the new one works", s.works(next, now), true)
	s.equal("keys", len(s.keys(a.ID)), account.MaxKeys)
	s.fails("CreateKey", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now), fault.State)
	s.replays("a repeat", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{Answer: rec}, now), *rec)
	s.ok(s.DeleteKey(s.Context(), keys[7], effects.Effects{}, now))
	s.ok(s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now))
}

func (s accountKeys) TestFirstExpiredKeyMakesRoom() {
	a, keys := s.withKeys(account.MaxKeys, func(i int, k *account.APIKey) {
		if i == 3 || i == 8 {
			k.ExpiresAt = milli(now.Add(time.Duration(i) * time.Minute))
		}
	})
	next := s.newKey(a.PartnerID, a.ID)
	next.CreatedAt = next.CreatedAt.Add(time.Hour)
	s.fails("none has expired", s.CreateKey(s.Context(), next, effects.Effects{}, now), fault.State)
	s.ok(s.CreateKey(s.Context(), next, effects.Effects{Answer: s.answer()}, now.Add(time.Hour)))
	s.equal("keys", s.keys(a.ID), append(slices.Delete(slices.Clone(keys), 3, 4), next))
	s.ok(s.RotateKey(s.Context(), keys[0], s.newKey(a.PartnerID, a.ID), now.Add(2*time.Hour), effects.Effects{}, now.Add(time.Hour)))
	s.fails("none has expired now", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now.Add(time.Hour)), fault.State)
	s.equal("keys", len(s.keys(a.ID)), account.MaxKeys)
}

func (s accountKeys) TestConcurrentCreatesKeepTheLimit() {
	const rivals = 6
	a, keys := s.withKeys(account.MaxKeys-2, func(i int, k *account.APIKey) {
		if i == 5 {
			k.ExpiresAt = milli(now.Add(time.Minute))
		}
	})
	s.wins(3, race(rivals, func(int) error { // two free places, and that of the expired key
		for {
			err := s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now.Add(time.Hour))
			if err == nil || fault.Of(err)[0].RetryAfter == 0 {
				return err
			}
		}
	}), fault.State)
	s.equal("keys", len(s.keys(a.ID)), account.MaxKeys)
	s.equal("the expired one is there", slices.ContainsFunc(s.keys(a.ID), func(k account.APIKey) bool { return k.Hash == keys[5].Hash }), false)
}

func (s accountKeys) TestConcurrentDeletesCountOnce() {
	a, keys := s.withKeys(account.MaxKeys, nil)
	s.wins(1, race(6, func(int) error { return s.DeleteKey(s.Context(), keys[0], effects.Effects{}, now) }), fault.NotFound, fault.State)
	s.ok(s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now))
	s.fails("one more", s.CreateKey(s.Context(), s.newKey(a.PartnerID, a.ID), effects.Effects{}, now), fault.State)
}

func (s accountKeys) TestConcurrentRotationsOneSucceeds() {
	a, keys := s.withKeys(1, nil)
	s.wins(1, race(6, func(i int) error {
		k := s.newKey(a.PartnerID, a.ID)
		k.Description = strconv.Itoa(i)
		return s.RotateKey(s.Context(), keys[0], k, now.Add(time.Hour), effects.Effects{}, now)
	}), fault.State)
	s.equal("keys", len(s.keys(a.ID)), 2)
}

// expiringOf returns which keys of an account are due to be reported, the earliest first.
func (s *suite) expiringOf(accountID int64, at time.Time) []int64 {
	s.Helper()
	found, _ := must2(s.ExpiringKeys(s.Context(), at, 10_000))
	ids := []int64{}
	for _, k := range found {
		if k.AccountID == accountID {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

func (s accountKeys) TestExpiring() {
	first := milli(long)
	a, keys := s.withKeys(5, func(i int, k *account.APIKey) {
		if i > 0 {
			k.ExpiresAt, k.WarnAt = milli(now.AddDate(1, 0, 0)), first.Add(time.Duration(5-i)*time.Second)
		}
	})
	s.equal("stored", s.keys(a.ID), keys)
	s.equal("before", s.expiringOf(a.ID, first.Add(time.Second-time.Nanosecond)), []int64{})
	s.equal("one", s.expiringOf(a.ID, first.Add(time.Second)), []int64{keys[4].ID})
	s.equal("all", s.expiringOf(a.ID, now), []int64{keys[4].ID, keys[3].ID, keys[2].ID, keys[1].ID})
	for limit := 1; limit <= 4; limit++ {
		found, _ := must2(s.ExpiringKeys(s.Context(), now, limit))
		s.equal("limit", len(found), limit)
	}
	// A key that was used is as it was.
	_ = must(s.UseKey(s.Context(), use(keys[1], 1000)))
	s.equal("used", s.expiringOf(a.ID, now), []int64{keys[4].ID, keys[3].ID, keys[2].ID, keys[1].ID})

	fx := s.told(a.ID, 1)
	next := milli(now.Add(time.Hour))
	s.ok(s.SaveKeyWarning(s.Context(), keys[4], next, fx, now))
	s.fails("SaveKeyWarning again", s.SaveKeyWarning(s.Context(), keys[4], next, effects.Effects{By: fx.By, Events: s.told(a.ID, 2).Events[1:]}, now), fault.State)
	s.equal("reported", s.expiringOf(a.ID, now), []int64{keys[3].ID, keys[2].ID, keys[1].ID})
	s.equal("due again", s.expiringOf(a.ID, next), []int64{keys[3].ID, keys[2].ID, keys[1].ID, keys[4].ID})
	keys[4].WarnAt = next
	s.ok(s.SaveKeyWarning(s.Context(), keys[4], time.Time{}, effects.Effects{}, next))
	s.equal("never again", s.expiringOf(a.ID, next), []int64{keys[3].ID, keys[2].ID, keys[1].ID})
	keys[4].WarnAt = time.Time{}
	s.fails("SaveKeyWarning without a report", s.SaveKeyWarning(s.Context(), keys[4], next, effects.Effects{}, next), fault.State)
	s.tells("SaveKeyWarning", a.ID, fx)

	rotated := s.newKey(a.PartnerID, a.ID)
	s.ok(s.RotateKey(s.Context(), keys[3], rotated, milli(now.Add(time.Hour)), effects.Effects{}, now))
	s.ok(s.DeleteKey(s.Context(), keys[2], effects.Effects{}, now))
	s.equal("rotated and deleted", s.expiringOf(a.ID, next), []int64{keys[1].ID})
	s.fails("SaveKeyWarning of a rotated key", s.SaveKeyWarning(s.Context(), keys[3], next, effects.Effects{}, now), fault.State)
	s.fails("SaveKeyWarning of a deleted key", s.SaveKeyWarning(s.Context(), keys[2], next, effects.Effects{}, now), fault.State)
	s.ok(s.DeleteKey(s.Context(), keys[1], effects.Effects{}, now))
	s.equal("none", s.expiringOf(a.ID, next), []int64{})
}
