package storetest

import (
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/webhook"
)

// deliveries tests what is pending for webhooks, their deliveries and their runs.
type deliveries struct{ *suite }

// ref returns a webhook that nobody has.
func (s *suite) ref() webhook.Ref {
	s.Helper()
	return webhook.Ref{Owner: webhook.Owner{PartnerID: s.id(), AccountID: s.id()}, ID: "se-1"}
}

// pendingOf returns n events that are pending for a webhook, a minute apart, the oldest
// first.
func pendingOf(ref webhook.Ref, n int) []webhook.Pending {
	all := make([]webhook.Pending, n)
	for i, at := range minutes(n) {
		all[i] = webhook.Pending{Ref: ref, EventID: eventID(at, i), EventOwner: ref.AccountID, Subject: "se-7", RequestedAt: at}
	}
	return all
}

// listed reads all that is pending for a webhook.
func (s *suite) listed(ref webhook.Ref) []webhook.Pending {
	s.Helper()
	found, more := must2(s.ListPending(s.Context(), ref, 1000, now))
	s.equal("more", more, false)
	return found
}

func (s deliveries) TestNothing() {
	ref := s.ref()
	s.equal("pending", s.listed(ref), []webhook.Pending(nil))
	found, next := must2(s.ListDeliveries(s.Context(), ref, webhook.DeliveryListing{Limit: 5}))
	s.equal("deliveries", len(found), 0)
	s.equal("next", next, "")
	s.fails("a delivery", errOf(s.Delivery(s.Context(), ref, eventID(now, 0))), fault.NotFound)
	s.equal("loaded", must(s.LoadPending(s.Context(), pendingOf(ref, 1)[0], now)), webhook.Loaded{})
	s.ok(s.AddPending(s.Context(), nil))
	s.ok(s.MarkDue(s.Context(), nil, now))
	s.ok(s.DropPending(s.Context()))
}

// TestPending: what is added twice is there once; a replay is there beside the event.
func (s deliveries) TestPending() {
	ref, other := s.ref(), s.ref()
	other.Owner = ref.Owner
	other.ID = "se-2"
	want := pendingOf(ref, 60) // three calls
	s.ok(s.AddPending(s.Context(), want))
	s.ok(s.AddPending(s.Context(), append(slices.Clone(want[50:]), pendingOf(other, 2)...)))
	s.equal("all", s.listed(ref), want)
	s.equal("the other webhook's", s.listed(other), pendingOf(other, 2))
	for _, limit := range []int{1, 59, 60, 61} {
		found, more := must2(s.ListPending(s.Context(), ref, limit, now))
		s.equal(fmt.Sprint("at most ", limit), found, want[:min(limit, 60)])
		s.equal(fmt.Sprint("more than ", limit), more, limit < 60)
	}
	replay := want[3]
	replay.RequestedAt = milli(now.Add(time.Hour))
	s.ok(s.AddPending(s.Context(), []webhook.Pending{replay}))
	want = slices.Insert(want, 4, replay)
	s.equal("with a replay", s.listed(ref), want)
	s.ok(s.DropPending(s.Context(), want[10:40]...))
	want = slices.Delete(want, 10, 40)
	s.equal("without those that were dropped", s.listed(ref), want)
	// The last ones were requested at the time of the test.
	later, _ := must2(s.ListPending(s.Context(), ref, 1000, now.Add(webhook.PendingKept+time.Minute)))
	s.equal("23 days later", later, []webhook.Pending{replay})
	held := want[0]
	held.HeldUntil = milli(now.Add(time.Minute))
	s.ok(s.AddPending(s.Context(), []webhook.Pending{held}))
	s.equal("held", s.listed(ref)[0], held)
}

// delivered returns a delivery of a pending event that has had n attempts.
func delivered(p webhook.Pending, status webhook.Status, n int) webhook.Delivery {
	d := webhook.Delivery{
		Ref: p.Ref, EventID: p.EventID, EventType: effects.CarrierUpdated, EventOwner: p.EventOwner, Status: status, RequestedAt: p.RequestedAt, Answer: "no <script>",
	}
	for i := range n {
		d.Attempts = append(d.Attempts, webhook.Attempt{At: p.RequestedAt.Add(time.Duration(i) * time.Second), HTTPStatus: 500 + i, Latency: 12 * time.Millisecond, Failure: "the status is not 2xx"})
	}
	last := d.Attempts[n-1].At
	if status == webhook.Retrying {
		d.NextAttemptAt = last.Add(time.Hour)
	} else {
		d.FinishedAt = last.Add(time.Second)
	}
	return d
}

// TestSaveDelivery: one that is retried leaves its times in what is pending, a final one
// nothing pending.
func (s deliveries) TestSaveDelivery() {
	ref := s.ref()
	all := pendingOf(ref, 2)
	replay := all[0]
	replay.RequestedAt = milli(now)
	s.ok(s.AddPending(s.Context(), append(slices.Clone(all), replay)))
	d := delivered(replay, webhook.Retrying, webhook.MaxAttempts)
	s.ok(s.SaveDelivery(s.Context(), d, all[0], replay))
	s.equal("retried", must(s.Delivery(s.Context(), ref, d.EventID)), d)
	noted := []webhook.Pending{all[0], replay, all[1]}
	for i := range 2 {
		noted[i].TriedAt, noted[i].NextAttemptAt = d.Attempts[webhook.MaxAttempts-1].At, d.NextAttemptAt
	}
	s.equal("pending", s.listed(ref), noted)
	s.equal("loaded", must(s.LoadPending(s.Context(), all[0], now)).Delivery, &d)
	s.ok(s.AddPending(s.Context(), all[:1]))
	s.equal("added again", s.listed(ref)[0], all[0])
	d = delivered(replay, webhook.Delivered, 1)
	s.ok(s.SaveDelivery(s.Context(), d, all[0], replay))
	s.equal("delivered", must(s.Delivery(s.Context(), ref, d.EventID)), d)
	s.equal("the other one", s.listed(ref), all[1:])
	s.equal("after 30 days", must(s.LoadPending(s.Context(), all[0], now.Add(webhook.DeliveriesKept+time.Minute))).Delivery, (*webhook.Delivery)(nil))
	// One that is retried later than it would be kept is kept.
	late := delivered(all[1], webhook.Retrying, 1)
	late.NextAttemptAt = milli(now.Add(webhook.PendingKept + 4*time.Hour))
	s.ok(s.SaveDelivery(s.Context(), late, all[1]))
	found, _ := must2(s.ListPending(s.Context(), ref, 10, late.NextAttemptAt))
	s.equal("when it is tried again", len(found), 1)
}

// TestLoadEvent: an account's event and a partner's own are found by their owner.
func (s deliveries) TestLoadEvent() {
	partner, mine := s.id(), s.id()
	for _, owner := range []int64{mine, 0} {
		e := s.recorded(partner, owner, minutes(1), nil)[0]
		p := webhook.Pending{Ref: webhook.Ref{Owner: webhook.Owner{PartnerID: partner}, ID: "se-1"}, EventID: e.ID, EventOwner: owner}
		s.equal(fmt.Sprint("the event of ", owner), must(s.LoadPending(s.Context(), p, now)), webhook.Loaded{Event: &e.Event})
		p.PartnerID = s.id()
		s.equal("another partner's", must(s.LoadPending(s.Context(), p, now)), webhook.Loaded{})
	}
}

// TestLoadExternalID: an event is loaded with the external id that its account has now, also
// while the account is deleted; with none once it is purged, or if another partner's account
// has its id.
func (s deliveries) TestLoadExternalID() {
	a := s.account(func(a *account.Account) { a.ExternalID = "shop" })
	p := webhook.Pending{Ref: webhook.Ref{Owner: webhook.Owner{PartnerID: a.PartnerID}, ID: "se-1"}, EventID: eventID(now, 0), EventOwner: a.ID}
	load := func(what string, at time.Time, want string) {
		s.Helper()
		s.equal(what, must(s.LoadPending(s.Context(), p, at)).ExternalID, want)
	}
	load("an account", now, "shop")
	s.ok(s.DeleteAccount(s.Context(), a, false, now.Add(time.Hour), effects.Effects{}, now))
	load("a deleted account", now, "shop")
	load("a purged account", now.Add(2*time.Hour), "")
	p.PartnerID = s.id()
	load("another partner's account", now, "")
	p.PartnerID, p.EventOwner = a.PartnerID, s.id()
	load("an account that never was", now, "")
	p.EventOwner = 0
	load("the partner itself", now, "")
}

func (s deliveries) TestList() {
	ref := s.ref()
	var want []webhook.Delivery
	for i, p := range pendingOf(ref, 25) {
		d := delivered(p, webhook.Statuses()[i%3], 1)
		s.ok(s.SaveDelivery(s.Context(), d))
		want = append(want, d)
	}
	slices.Reverse(want)
	walk := func(l webhook.DeliveryListing) (all []webhook.Delivery) {
		for {
			page, next := must2(s.ListDeliveries(s.Context(), ref, l))
			if len(page) > l.Limit {
				s.Errorf("a page of %d, at most %d were asked for", len(page), l.Limit)
			}
			if all = append(all, page...); next == "" {
				return all
			}
			if l.Before != "" && next >= l.Before {
				s.Fatalf("the page after %s ends at %s", l.Before, next)
			}
			l.Before = next
		}
	}
	for _, limit := range []int{1, 4, 24, 25, 26} {
		s.equal(fmt.Sprint("by ", limit), walk(webhook.DeliveryListing{Limit: limit}), want)
	}
	var some []webhook.Delivery
	for _, d := range want {
		if d.Status != webhook.Delivered {
			some = append(some, d)
		}
	}
	s.equal("two statuses", walk(webhook.DeliveryListing{Limit: 2, Statuses: []webhook.Status{webhook.Failed, webhook.Retrying}}), some)
	at := func(i int) time.Time { return want[i].RequestedAt } // of its event
	s.equal("a range", walk(webhook.DeliveryListing{Limit: 3, From: at(20), Until: at(5)}), want[5:21])
	s.equal("an empty range", walk(webhook.DeliveryListing{Limit: 3, From: at(5), Until: at(20)}), []webhook.Delivery(nil))
}

// isDue reports whether a webhook is due at a time.
func (s *suite) isDue(ref webhook.Ref, at time.Time) bool {
	s.Helper()
	found, _ := must2(s.DueWebhooks(s.Context(), at, 10_000))
	return slices.Contains(found, ref)
}

// claimed leases a webhook.
func (s *suite) claimed(ref webhook.Ref, until time.Time) webhook.Run {
	s.Helper()
	return must(s.ClaimRun(s.Context(), ref, until, now))
}

// TestRuns: a webhook has one run at a time, and what it remembers is for the next one.
func (s deliveries) TestRuns() {
	ref, lease := s.ref(), milli(now.Add(45*time.Second))
	run := s.claimed(ref, lease)
	s.equal("the first run", run, webhook.Run{Ref: ref, LeaseUntil: lease})
	s.fails("a second one", errOf(s.ClaimRun(s.Context(), ref, lease, now)), fault.State)
	s.equal("due at the end of the lease", [2]bool{s.isDue(ref, lease.Add(-time.Millisecond)), s.isDue(ref, lease)}, [2]bool{false, true})
	run.Health = webhook.Health{FailingSince: milli(now), FailedAt: milli(now.Add(1e9)), RecoveredAt: milli(now.Add(2e9)), Failures: 1, IdleRuns: 1, AnnouncedAt: milli(now.Add(3e9))}
	due := milli(now.Add(time.Hour))
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{DueAt: due, UnlessWoken: true}, now)), false)
	s.equal("due as the run says", [2]bool{s.isDue(ref, due.Add(-time.Millisecond)), s.isDue(ref, due)}, [2]bool{false, true})
	s.fails("another end", errOf(s.EndRun(s.Context(), &run, webhook.End{}, now)), fault.State)
	next := s.claimed(ref, lease.Add(time.Second))
	s.equal("what is remembered", next.Health, run.Health)
	next.Health = webhook.Health{Failures: 2}
	pause := milli(now.Add(time.Minute))
	s.equal("woken", must(s.EndRun(s.Context(), &next, webhook.End{DueAt: pause, PauseUntil: pause}, now)), false)
	s.fails("a run within the pause", errOf(s.ClaimRun(s.Context(), ref, lease, now.Add(59*time.Second))), fault.State)
	last := must(s.ClaimRun(s.Context(), ref, lease.Add(time.Hour), now.Add(time.Minute)))
	s.equal("what is forgotten", last.Health, next.Health)
	s.equal("woken", must(s.EndRun(s.Context(), &last, webhook.End{}, now)), false)
	s.equal("not due any more", s.isDue(ref, now.Add(1000*time.Hour)), false)
}

// TestLeaseIsOver: the run that takes over has the lease, and the one before cannot end it.
func (s deliveries) TestLeaseIsOver() {
	ref, lease := s.ref(), milli(now.Add(45*time.Second))
	dead := s.claimed(ref, lease)
	run := must(s.ClaimRun(s.Context(), ref, lease.Add(time.Minute), lease))
	s.fails("the end of the dead run", errOf(s.EndRun(s.Context(), &dead, webhook.End{}, lease)), fault.State)
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{UnlessWoken: true}, lease)), false)
}

// TestMarkDue: a webhook that nobody has is due at once; a run that has it is told.
func (s deliveries) TestMarkDue() {
	ref, lease := s.ref(), milli(now.Add(45*time.Second))
	refs := []webhook.Ref{ref}
	for range 12 {
		refs = append(refs, s.ref())
	}
	s.ok(s.MarkDue(s.Context(), refs, now))
	for i, r := range refs {
		s.equal(fmt.Sprint("due: ", i), [2]bool{s.isDue(r, milli(now).Add(-time.Millisecond)), s.isDue(r, now)}, [2]bool{false, true})
	}
	run := s.claimed(ref, lease)
	s.equal("wakes", run.Wakes, int64(1))
	s.ok(s.MarkDue(s.Context(), []webhook.Ref{ref}, now))
	s.equal("due within the lease", s.isDue(ref, lease.Add(-time.Millisecond)), false)
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{UnlessWoken: true}, now)), true)
	s.equal("wakes", run.Wakes, int64(2))
	s.equal("woken again", must(s.EndRun(s.Context(), &run, webhook.End{UnlessWoken: true}, now)), false)
	// A pause is not cut short.
	run = s.claimed(ref, lease)
	pause := milli(now.Add(time.Minute))
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{DueAt: pause, PauseUntil: pause}, now)), false)
	s.ok(s.MarkDue(s.Context(), []webhook.Ref{ref}, now))
	s.equal("due within the pause", [2]bool{s.isDue(ref, pause.Add(-time.Millisecond)), s.isDue(ref, pause)}, [2]bool{false, true})
	// One that waits for its next attempt is due at once.
	run = must(s.ClaimRun(s.Context(), ref, pause.Add(time.Minute), pause))
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{DueAt: pause.Add(time.Hour), UnlessWoken: true}, pause)), false)
	s.ok(s.MarkDue(s.Context(), []webhook.Ref{ref}, pause.Add(time.Minute)))
	s.equal("due before its next attempt", s.isDue(ref, pause.Add(time.Minute)), true)
}

// TestRestart: a webhook that is enabled or has another URL begins without a past and is due
// now, also if it pauses; a run that has it keeps it, and learns of it as it ends.
func (s deliveries) TestRestart() {
	ref, lease := s.ref(), milli(now.Add(45*time.Second))
	ref.AccountID = 0
	restart := func() {
		s.Helper()
		l := must(s.WebhooksOf(s.Context(), ref.Owner, now))
		s.ok(s.SaveWebhooks(s.Context(), &l, effects.Effects{}, now, ref.ID))
	}
	fresh := webhook.Health{RecoveredAt: milli(now)}
	bad := webhook.Health{FailingSince: milli(now), FailedAt: milli(now), RecoveredAt: milli(now), Failures: 9, IdleRuns: 9, AnnouncedAt: milli(now)}
	restart()
	s.equal("due before its first event", s.isDue(ref, now), true)
	run := s.claimed(ref, lease)
	run.Health = bad
	pause := milli(now.Add(10 * time.Minute))
	s.equal("woken", must(s.EndRun(s.Context(), &run, webhook.End{DueAt: pause, PauseUntil: pause}, now)), false)
	restart()
	s.equal("due within the pause", s.isDue(ref, now), true)
	run = s.claimed(ref, lease)
	s.equal("what is remembered", run.Health, fresh)
	restart()
	s.fails("another run", errOf(s.ClaimRun(s.Context(), ref, lease, now)), fault.State)
	run.Health = bad
	s.equal("told", must(s.EndRun(s.Context(), &run, webhook.End{DueAt: pause, PauseUntil: pause}, now)), true)
	s.equal("what it remembers", run.Health, fresh)
	s.equal("told again", must(s.EndRun(s.Context(), &run, webhook.End{}, now)), false)
	s.equal("what is remembered", s.claimed(ref, lease).Health, fresh)
}

// TestOneOfManyClaims: of runs that begin at once one has the webhook.
func (s deliveries) TestOneOfManyClaims() {
	ref := s.ref()
	s.ok(s.MarkDue(s.Context(), []webhook.Ref{ref}, now))
	s.wins(1, race(5, func(i int) error {
		return errOf(s.ClaimRun(s.Context(), ref, now.Add(45*time.Second+time.Duration(i)*time.Millisecond), now))
	}), fault.State)
}

// TestDueWebhooks: the longest overdue come first.
func (s deliveries) TestDueWebhooks() {
	var want []webhook.Ref
	long := time.UnixMilli(1_000_000) // before what other tests make due
	for i := range 20 {
		ref := s.ref()
		s.ok(s.MarkDue(s.Context(), []webhook.Ref{ref}, long.Add(time.Duration(i)*time.Second)))
		want = append(want, ref)
	}
	for _, limit := range []int{1, 7, 20} {
		found, malformed := must2(s.DueWebhooks(s.Context(), long.Add(time.Minute), limit))
		s.equal(fmt.Sprint("at most ", limit), found, want[:limit])
		s.equal("malformed", malformed, 0)
	}
	found, _ := must2(s.DueWebhooks(s.Context(), long.Add(4*time.Second), 100))
	s.equal("by a time", found, want[:5])
}
