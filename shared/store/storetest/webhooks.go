package storetest

import (
	"errors"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/webhook"
)

// webhookLists tests Webhooks, WebhooksOf, SaveWebhooks, RecordEffects and SealedBefore.
type webhookLists struct{ *suite }

// newWebhook is a webhook with every field.
func newWebhook(id string) webhook.Webhook {
	store := int32(0)
	return webhook.Webhook{
		ID: id, Name: "Links 漢", StoreID: &store, URL: "https://hooks.shop.example/x?y=1", Events: []effects.EventType{effects.AccountCreated, effects.CarrierConnected},
		Headers: []byte{0, 1, 255}, Secrets: []webhook.SigningSecret{{Sealed: []byte{2}}, {Sealed: []byte{3}, Until: milli(now)}},
		DisabledAt: milli(now), DisabledFor: webhook.Gone, CreatedAt: milli(now), ModifiedAt: milli(now.Add(time.Second)),
	}
}

// saved stores a list and returns it.
func (s webhookLists) saved(o webhook.Owner, webhooks ...webhook.Webhook) webhook.List {
	s.Helper()
	l := must(s.WebhooksOf(s.Context(), o, now))
	l.Webhooks, l.SealedAt = webhooks, milli(now)
	s.ok(s.SaveWebhooks(s.Context(), &l, effects.Effects{}, now))
	return l
}

func ownerOf(a account.Account) webhook.Owner {
	return webhook.Owner{PartnerID: a.PartnerID, AccountID: a.ID}
}

func (s webhookLists) stale(what string, err error) {
	s.Helper()
	s.fails(what, err, fault.State)
	if !errors.Is(err, webhook.ErrStale) {
		s.Errorf("%s = %v, want ErrStale", what, err)
	}
}

func (s webhookLists) TestNone() {
	o := webhook.Owner{PartnerID: s.id(), AccountID: s.id()}
	s.equal("WebhooksOf", must(s.WebhooksOf(s.Context(), o, now)), webhook.List{Owner: o})
	s.equal("Webhooks", must(s.Webhooks(s.Context(), []webhook.Owner{o, {PartnerID: o.PartnerID}}, now)), map[webhook.Owner]webhook.List{})
	s.equal("Webhooks of nobody", must(s.Webhooks(s.Context(), nil, now)), map[webhook.Owner]webhook.List{})
}

func (s webhookLists) TestFirstOfAccount() {
	absent, deleted := webhook.List{Owner: webhook.Owner{PartnerID: s.id(), AccountID: s.id()}}, webhook.List{Owner: ownerOf(s.deleted())}
	s.fails("an absent account", s.SaveWebhooks(s.Context(), &absent, effects.Effects{}, now), fault.NotFound)
	s.fails("a deleted account", s.SaveWebhooks(s.Context(), &deleted, effects.Effects{}, now), fault.State)
	for _, l := range []webhook.List{absent, deleted} {
		s.equal("nothing is written", must(s.WebhooksOf(s.Context(), l.Owner, now)), webhook.List{Owner: l.Owner})
	}
}

func (s webhookLists) TestEveryField() {
	a := s.account()
	for _, o := range []webhook.Owner{ownerOf(a), {PartnerID: a.PartnerID}} {
		l := s.saved(o, newWebhook("se-1"), webhook.Webhook{ID: "se-2", Events: []effects.EventType{webhook.AllEvents}})
		if l.Version != 1 {
			s.Errorf("Version = %d, want 1", l.Version)
		}
		s.equal("WebhooksOf", must(s.WebhooksOf(s.Context(), o, now)), l)
		l.Webhooks, l.SealedAt = nil, time.Time{}
		s.ok(s.SaveWebhooks(s.Context(), &l, effects.Effects{}, now))
		s.equal("emptied", must(s.WebhooksOf(s.Context(), o, now)), webhook.List{Owner: o, Version: 2})
	}
}

func (s webhookLists) TestManyOwners() {
	want := map[webhook.Owner]webhook.List{}
	var ask []webhook.Owner
	for i := range 130 {
		o := webhook.Owner{PartnerID: s.id()}
		if ask = append(ask, o, o, webhook.Owner{PartnerID: s.id(), AccountID: s.id()}); i%2 == 0 {
			want[o] = s.saved(o, newWebhook("se-1"))
		}
	}
	a := s.account()
	want[ownerOf(a)] = s.saved(ownerOf(a), newWebhook("se-2"))
	ask = append(ask, ownerOf(a), webhook.Owner{PartnerID: s.id(), AccountID: a.ID}) // another partner does not see it
	s.equal("Webhooks", must(s.Webhooks(s.Context(), ask, now)), want)
}

func (s webhookLists) TestOneChangeWins() {
	o := webhook.Owner{PartnerID: s.id()}
	for _, round := range []string{"first", "second"} {
		read := must(s.WebhooksOf(s.Context(), o, now))
		s.wins(1, race(5, func(int) error {
			l := read
			l.Webhooks = append(slices.Clone(l.Webhooks), newWebhook("se-"+round))
			return s.SaveWebhooks(s.Context(), &l, effects.Effects{}, now)
		}), fault.State)
		s.stale(round+", late", s.SaveWebhooks(s.Context(), &read, effects.Effects{}, now))
	}
	if l := must(s.WebhooksOf(s.Context(), o, now)); l.Version != 2 || len(l.Webhooks) != 2 {
		s.Errorf("list = %+v, want two webhooks, version 2", l)
	}
}

// TestLife: the list ends with its account, also if it is changed meanwhile, and a restore
// gives it back.
func (s webhookLists) TestLife() {
	a := s.account()
	o := ownerOf(a)
	before := s.saved(o, newWebhook("se-1"))
	purge := now.Add(7 * 24 * time.Hour).Truncate(time.Second)
	s.ok(s.DeleteAccount(s.Context(), a, false, purge, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	ends := must(s.WebhooksOf(s.Context(), o, now))
	s.equal("its end", ends.EndsAt, purge.UTC())
	s.stale("a change that was read before", s.SaveWebhooks(s.Context(), &before, effects.Effects{}, now))
	s.ok(s.SaveWebhooks(s.Context(), &ends, effects.Effects{}, now)) // a receiver has answered 410, say
	s.equal("changed", must(s.WebhooksOf(s.Context(), o, now)).EndsAt, purge.UTC())

	s.ok(s.RestoreAccount(s.Context(), s.stored(a.ID), false, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.stale("a change from before the restore", s.SaveWebhooks(s.Context(), &ends, effects.Effects{}, now))
	restored := must(s.WebhooksOf(s.Context(), o, now))
	if !restored.EndsAt.IsZero() || len(restored.Webhooks) != 1 {
		s.Errorf("restored: %+v", restored)
	}

	s.ok(s.DeleteAccount(s.Context(), s.stored(a.ID), false, purge, effects.Effects{}, now))
	s.ok(s.EndFollow(s.Context(), s.stored(a.ID)))
	s.equal("purged", must(s.WebhooksOf(s.Context(), o, purge)), webhook.List{Owner: o})
	s.equal("purged, among others", must(s.Webhooks(s.Context(), []webhook.Owner{o}, purge)), map[webhook.Owner]webhook.List{})
}

func (s webhookLists) TestReusedID() {
	old := s.account()
	s.saved(ownerOf(old), newWebhook("se-1"))
	other := webhook.Owner{PartnerID: s.id(), AccountID: old.ID}
	s.equal("another partner's", must(s.WebhooksOf(s.Context(), other, now)), webhook.List{Owner: other})
}

func (s webhookLists) TestEffectsAlone() {
	mine := s.id()
	fx := s.told(mine, 1)
	s.ok(s.RecordEffects(s.Context(), fx, now))
	s.tells("recorded", mine, fx)
	s.keeps("recorded", *fx.Answer, true)
	again := s.told(mine, 2)
	again.Answer = fx.Answer
	s.replays("repeated", s.RecordEffects(s.Context(), again, now), *fx.Answer)
	s.tells("repeated", mine, fx)
	s.ok(s.RecordEffects(s.Context(), effects.Effects{By: fx.By}, now))
}

func (s webhookLists) TestSealedBefore() {
	at := milli(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)) // before all other tests'
	var want []webhook.List
	for i := range 3 {
		l := webhook.List{Owner: webhook.Owner{PartnerID: s.id()}, Webhooks: []webhook.Webhook{newWebhook("se-1")}, SealedAt: at.Add(time.Duration(i) * time.Millisecond)}
		s.ok(s.SaveWebhooks(s.Context(), &l, effects.Effects{}, now))
		want = append(want, l)
	}
	sealed := func(before time.Time, limit int) []webhook.List {
		found, malformed, err := s.SealedBefore(s.Context(), before, limit, now)
		s.ok(err)
		s.equal("malformed", malformed, 0)
		return found
	}
	s.equal("none", sealed(at, 5), []webhook.List(nil))
	s.equal("two", sealed(at.Add(2*time.Millisecond), 5), want[:2])
	s.equal("the oldest", sealed(at.Add(time.Hour), 1), want[:1])
	want[0].SealedAt = milli(now)
	s.ok(s.SaveWebhooks(s.Context(), &want[0], effects.Effects{}, now))
	want[1].Webhooks, want[1].SealedAt = nil, time.Time{}
	s.ok(s.SaveWebhooks(s.Context(), &want[1], effects.Effects{}, now))
	s.equal("sealed again, and emptied", sealed(at.Add(time.Hour), 5), want[2:])
}
