package storetest

import (
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// partner stores a partner with its first key.
func (s *suite) partner() (account.Partner, account.APIKey) {
	s.Helper()
	p := account.Partner{ID: s.id(), Name: "Shop Ltd", Environment: carrier.Sandbox, DefaultCountryCode: "NZ", CreatedAt: milli(now)}
	k := s.newKey(p.ID, 0)
	s.ok(s.CreatePartner(s.Context(), p, k, effects.Effects{}, now))
	return p, k
}

// partnerChange is a change of a partner as it is stored.
func (s *suite) partnerChange(id int64, change func(c *account.PartnerChange)) account.PartnerChange {
	s.Helper()
	p, keys := must2(s.Partner(s.Context(), id))
	c := account.PartnerChange{Old: p, New: p, OldKeys: keys, NewKeys: slices.Clone(keys)}
	c.New.Version++
	change(&c)
	return c
}

func (s *suite) changePartner(c account.PartnerChange) error {
	return s.ChangePartner(s.Context(), c, effects.Effects{}, now)
}

// partners tests Partner, ListPartners and ChangePartner.
type partners struct{ *suite }

func (s partners) TestAbsentPartner() {
	_, _, err := s.Partner(s.Context(), s.id())
	s.fails("Partner", err, fault.NotFound)
	id := s.id()
	gone := account.PartnerChange{Old: account.Partner{ID: id}, New: account.Partner{ID: id, Version: 1}, NewKeys: []account.APIKey{s.newKey(id, 0)}}
	s.fails("ChangePartner", s.changePartner(gone), fault.NotFound)
	s.equal("its key works", s.works(gone.NewKeys[0], now), false)
}

func (s partners) TestEveryFieldAndKey() {
	p, first := s.partner()
	second := s.newKey(p.ID, 0)
	second.CreatedAt = milli(now.Add(-time.Hour))
	second.Description, second.Scopes, second.ExpiresAt = "Second", []account.Scope{account.ScopeRead}, milli(now.Add(time.Hour))
	p.DisabledAt, p.Version = milli(now), 1
	s.ok(s.changePartner(s.partnerChange(p.ID, func(c *account.PartnerChange) {
		c.New, c.NewKeys = p, append(c.NewKeys, second)
	})))
	got, keys := must2(s.Partner(s.Context(), p.ID))
	s.equal("partner", got, p)
	s.equal("keys, the oldest first", keys, []account.APIKey{second, first})
}

func (s partners) TestChangedKeysKeepTheirUse() {
	p, k := s.partner()
	s.equal("Used", must(s.UseKey(s.Context(), use(k, 2))).Used, 1)
	for _, disabled := range []bool{true, false} {
		s.ok(s.changePartner(s.partnerChange(p.ID, func(c *account.PartnerChange) { c.NewKeys[0].PartnerDisabled = disabled })))
		_, keys := must2(s.Partner(s.Context(), p.ID))
		s.equal("last use", keys[0].LastUsedOn, today)
		s.equal("disabled", keys[0].PartnerDisabled, disabled)
	}
	got := must(s.UseKey(s.Context(), use(k, 2)))
	s.equal("Used", got.Used, 2)
	s.equal("the partner's state comes with the key", got.Key.PartnerDisabled, false)
}

func (s partners) TestRotatedAndDeletedKeys() {
	p, old := s.partner()
	next := s.newKey(p.ID, 0)
	s.ok(s.changePartner(s.partnerChange(p.ID, func(c *account.PartnerChange) {
		c.NewKeys[0].ExpiresAt, c.NewKeys[0].ReplacedBy = milli(now.Add(time.Minute)), next.ID
		c.NewKeys = append(c.NewKeys, next)
	})))
	s.equal("the old one in time", s.works(old, now), true)
	s.equal("the old one afterwards", s.works(old, now.Add(time.Minute)), false)
	s.equal("the new one", s.works(next, now.Add(time.Minute)), true)
	s.ok(s.changePartner(s.partnerChange(p.ID, func(c *account.PartnerChange) { c.NewKeys = nil })))
	s.equal("deleted", s.works(next, now), false)
	_, keys := must2(s.Partner(s.Context(), p.ID))
	s.equal("keys", len(keys), 0)
}

func (s partners) TestOneOfTwoChangesOfAVersionWins() {
	p, k := s.partner()
	for range 2 { // the first change of a partner, and a later one
		disable := s.partnerChange(p.ID, func(c *account.PartnerChange) { c.NewKeys[0].PartnerDisabled = !c.NewKeys[0].PartnerDisabled })
		added := s.newKey(p.ID, 0)
		add := s.partnerChange(p.ID, func(c *account.PartnerChange) { c.NewKeys = append(c.NewKeys, added) })
		s.ok(s.changePartner(disable))
		s.fails("the second change", s.changePartner(add), fault.Precondition)
		s.equal("its key works", s.works(added, now), false)
	}
	s.equal("the first key works", s.works(k, now), true)
}

func (s partners) TestTakenKeyIsErrIDTaken() {
	_, taken := s.partner()
	p, _ := s.partner()
	taken.PartnerID = p.ID
	c := s.partnerChange(p.ID, func(c *account.PartnerChange) { c.NewKeys = append(c.NewKeys, taken) })
	s.ok(s.changePartner(c))
	c = s.partnerChange(p.ID, func(c *account.PartnerChange) { c.OldKeys = nil })
	s.wraps("ChangePartner", s.changePartner(c), account.ErrIDTaken)
}

func (s partners) TestListInPages() {
	mine := map[int64]bool{}
	for range 5 {
		p, _ := s.partner()
		mine[p.ID] = true
	}
	var after int64
	for found := 0; ; {
		page, next := must2(s.ListPartners(s.Context(), after, 2))
		if len(page) > 2 {
			s.Fatalf("a page of %d partners, at most 2 were asked for", len(page))
		}
		for _, p := range page {
			if p.ID <= after {
				s.Fatalf("partner %d is listed after %d", p.ID, after)
			}
			if after = p.ID; mine[p.ID] {
				found++
				s.equal("name", p.Name, "Shop Ltd")
			}
		}
		if next == 0 {
			s.equal("found", found, len(mine))
			return
		}
		s.equal("next", next, after)
	}
}
