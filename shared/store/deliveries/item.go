package deliveries

import (
	"strings"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// retryKept is how long a pending event stays after its next attempt at least.
const retryKept = 24 * time.Hour

func pendingItem(p webhook.Pending) kit.Item {
	it := kit.PendingKey(p).Item()
	it.Int("event_owner", p.EventOwner)
	it.Text("subject", p.Subject)
	it.Time("requested_at", p.RequestedAt)
	it.Time("tried_at", p.TriedAt)
	it.Time("next_attempt_at", p.NextAttemptAt)
	it.Time("held_until", p.HeldUntil)
	end := p.RequestedAt.Add(webhook.PendingKept)
	if later := p.NextAttemptAt.Add(retryKept); later.After(end) {
		end = later
	}
	it.Seconds(kit.AttrTTL, end)
	return it
}

func pendingFromItem(ref webhook.Ref, it kit.Item) (webhook.Pending, error) {
	r := kit.Reader{It: it}
	id, _, _ := strings.Cut(strings.TrimPrefix(r.Text(kit.AttrSK), kit.SkPending), "#")
	return webhook.Pending{
		Ref: ref, EventID: id, EventOwner: r.Int("event_owner"), Subject: r.Text("subject"),
		RequestedAt: r.Time("requested_at"), TriedAt: r.Time("tried_at"), NextAttemptAt: r.Time("next_attempt_at"), HeldUntil: r.Time("held_until"),
	}, r.Done("pending event")
}

func deliveryItem(d webhook.Delivery) kit.Item {
	it := kit.DeliveryKey(d.Ref, d.EventID).Item()
	fields(kit.Store(it), &d)
	it.Seconds(kit.AttrTTL, d.RequestedAt.Add(webhook.DeliveriesKept))
	return it
}

func deliveryFromItem(ref webhook.Ref, it kit.Item) (webhook.Delivery, error) {
	f := kit.Load(it)
	d := webhook.Delivery{Ref: ref, EventID: strings.TrimPrefix(f.Reader.Text(kit.AttrSK), kit.SkDelivery)}
	fields(f, &d)
	return d, f.Reader.Done("delivery")
}

func fields(f *kit.Fields, d *webhook.Delivery) {
	f.Text(kit.AttrEventType, (*string)(&d.EventType))
	f.Int("event_owner", &d.EventOwner)
	f.Text(kit.AttrStatus, (*string)(&d.Status))
	f.Time("requested_at", &d.RequestedAt)
	f.Time("next_attempt_at", &d.NextAttemptAt)
	f.Time("finished_at", &d.FinishedAt)
	kit.List(f, "attempts", &d.Attempts, func(f *kit.Fields, a *webhook.Attempt) {
		f.Time("at", &a.At)
		f.Count("http_status", &a.HTTPStatus)
		latency := a.Latency.Milliseconds()
		f.Int("latency_ms", &latency)
		a.Latency = time.Duration(latency) * time.Millisecond
		f.Text("failure", &a.Failure)
	})
	f.Text("answer", &d.Answer)
}

// health pairs what is remembered of a receiver with its attributes, kit.HealthAttributes.
func health(f *kit.Fields, h *webhook.Health) {
	f.Time("failing_since", &h.FailingSince)
	f.Time("failed_at", &h.FailedAt)
	f.Time(kit.AttrRecovered, &h.RecoveredAt)
	f.Count("failures", &h.Failures)
	f.Count("idle_runs", &h.IdleRuns)
	f.Time("announced_at", &h.AnnouncedAt)
}

// runFromItem reads what a claim has returned. What cannot be read counts as not there: it
// must not stop the webhook.
func runFromItem(ref webhook.Ref, it kit.Item) (webhook.Run, error) {
	f := kit.Load(it)
	run := webhook.Run{Ref: ref, LeaseUntil: f.Reader.Time(kit.AttrLease), Wakes: f.Reader.Int(kit.AttrWakes), Restarts: f.Reader.Int(kit.AttrRestarts)}
	health(f, &run.Health)
	return run, f.Reader.Done("runs of a webhook")
}

// eventFromItem reads an event for a delivery: nil if there is none.
func eventFromItem(it kit.Item) (*effects.Event, error) {
	if len(it) == 0 {
		return nil, nil
	}
	e, err := kit.EventFromItem(it)
	return &e.Event, err
}
