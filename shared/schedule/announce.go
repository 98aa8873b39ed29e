package schedule

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// announcePart is the part of a window that a pass has for an announcement of each carrier,
// so that the next pass is not late; pageReserve is the time that must be left to tell a page
// of partners.
const (
	announcePart = 8
	pageReserve  = time.Second
)

// saves is how often the progress of an announcement is saved if others change the breaker.
const saves = 4

// outageData is the data of an outage's events: see "webhooks" in infra/openapi.yaml.
type outageData struct {
	CarrierCode  carrier.Name `json:"carrier_code"`
	FriendlyName string       `json:"friendly_name"`
	Failure      string       `json:"failure"`
	BeganAt      string       `json:"began_at"`
	EndedAt      string       `json:"ended_at,omitempty"` // of carrier_outage_ended
}

// announce tells partners of the outages that they have to hear of next. A failure is logged
// and counted; the next pass goes on.
func (d *Dispatcher) announce(ctx context.Context, breakers map[carrier.Name]health.Breaker, report *Pass) {
	for _, name := range carrier.Names() {
		o, due := breakers[name].Announcement(d.Now())
		if !due {
			continue
		}
		err := d.announceOutage(ctx, name, breakers[name].Outage, o, report)
		if err == nil {
			continue
		}
		if !fault.Is(err, fault.Overloaded) { // which counts as Throttles
			metrics.Add(ctx, metrics.InternalErrors, "", 1)
		}
		slog.ErrorContext(ctx, "an outage was not announced to all partners", slog.String("carrier", string(name)), slog.String("error", err.Error()))
	}
}

// announceOutage makes the announcement of an outage, as far as there is time, and saves how
// far it is. known is the outage as it was read. After a crash the next pass repeats what was
// not saved: it writes the same events.
func (d *Dispatcher) announceOutage(ctx context.Context, name carrier.Name, known, o health.Outage, report *Pass) error {
	if saved, err := d.saveOutage(ctx, name, known, o); !saved {
		return err
	}
	done, err := d.tell(ctx, name, o, report)
	if done == o {
		return err
	}
	_, unsaved := d.saveOutage(ctx, name, o, done)
	return errors.Join(err, unsaved)
}

// tell writes the event for each partner that has to hear of an outage, page by page, and
// returns how far the announcement is.
func (d *Dispatcher) tell(ctx context.Context, name carrier.Name, o health.Outage, report *Pass) (health.Outage, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Window/announcePart)
	defer cancel()
	for !invocation.EndsWithin(ctx, pageReserve) {
		partners, next, err := d.Store.ListPartners(ctx, o.After, account.PartnerPage)
		if err != nil {
			return o, err
		}
		fx, err := outageEvents(name, o, partners)
		if err != nil {
			return o, err
		}
		if err := d.Store.InsertEvents(ctx, fx); err != nil {
			return o, err
		}
		report.Told += len(fx.Events)
		if next == 0 {
			return o.Announced(), nil
		}
		o.After = next
	}
	return o, nil
}

// saveOutage replaces the outage of a carrier's breaker. It reports false, and changes
// nothing, if another dispatcher has replaced it first.
func (d *Dispatcher) saveOutage(ctx context.Context, name carrier.Name, old, next health.Outage) (bool, error) {
	if old == next {
		return true, nil
	}
	for range saves {
		breakers, err := d.Store.Breakers(ctx)
		if err != nil {
			return false, fmt.Errorf("reading the breaker again: %w", err)
		}
		b := breakers[name]
		if b.Outage != old {
			return false, nil
		}
		b.Outage = next
		if saved, err := d.claim(ctx, &b); saved || err != nil {
			return saved, err
		}
	}
	return false, nil
}

// outageEvents makes the event of each partner in production that is not disabled. Nothing in
// it depends on who makes it: of two attempts the second finds the event of the first.
func outageEvents(name carrier.Name, o health.Outage, partners []account.Partner) (effects.Effects, error) {
	kind, data := effects.CarrierOutageBegan, outageData{CarrierCode: name, FriendlyName: name.FriendlyName(), Failure: o.Failure, BeganAt: effects.Time(o.BeganAt)}
	if !o.EndedAt.IsZero() {
		kind, data.EndedAt = effects.CarrierOutageEnded, effects.Time(o.EndedAt)
	}
	all := effects.Effects{By: effects.By{Actor: effects.Schedule}}
	for _, p := range partners {
		if p.Environment != carrier.Production || !p.DisabledAt.IsZero() {
			continue
		}
		digits := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", name, kind, p.ID)) // in place of random ones
		own, err := effects.Effects{}.With(bytes.NewReader(digits[:]), o.At, effects.Report{
			Type: kind, PartnerID: p.ID, Subject: "carrier " + string(name), Data: data,
		})
		if err != nil {
			return effects.Effects{}, err
		}
		all.Events = append(all.Events, own.Events...)
	}
	return all, nil
}
