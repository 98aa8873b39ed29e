package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/events"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store.
type accounts interface {
	ExternalIDs(ctx context.Context, accountIDs []int64, now time.Time) (map[account.Owned]string, error)
}

// eventBus is what this function needs of the bus.
type eventBus interface {
	Put(ctx context.Context, entries []entry) (refused []error, err error)
}

type handler struct {
	accounts accounts
	bus      eventBus
	url      string // of the API, without a trailing slash
	now      func() time.Time
	sleep    func(ctx context.Context, d time.Duration) error
	metrics  metrics.Recorder
}

// batch is what Lambda passes on of the table's stream: new events, filtered by the
// mapping. Each record is decoded by itself, so that one that cannot be read stops no other.
type batch struct {
	Records []json.RawMessage `json:"Records"`
}

// detail is what an event on the bus has as its detail: the body of its webhook, and the
// partner, so that rules can filter by it.
type detail struct {
	views.Event
	PartnerID int64 `json:"partner_id"`
}

// publish puts the events of a batch on the bus, those of each owner (an account, or a partner
// itself) in their order. An event that can never be published is counted, logged and left
// out. If others were not accepted, publish returns an error, and Lambda passes the batch on
// again: so events are published at least once.
func (h *handler) publish(ctx context.Context, b batch) error {
	ctx, points := h.metrics.Start(ctx)
	found := h.read(ctx, b)
	published := 0
	entries, err := h.entries(ctx, found)
	if err == nil {
		published, err = h.putAll(ctx, entries)
	}
	points.Log(ctx, slog.Default(), slog.LevelInfo, "published", slog.Int("records", len(b.Records)), slog.Int("events", len(found)), slog.Int("published", published))
	return err
}

// read returns the events of a batch that are published, by their ids: records of one
// transaction may be in any order (DynamoDB Developer Guide, "Amazon DynamoDB Transactions:
// How it works").
func (h *handler) read(ctx context.Context, b batch) []effects.Event {
	var found []effects.Event
	for _, record := range b.Records {
		e, err := events.FromStream(record)
		if err != nil {
			reportUnpublishable(ctx, e.ID, err)
			continue
		}
		if isPublished(e.Event) {
			found = append(found, e.Event)
		}
	}
	slices.SortStableFunc(found, func(a, b effects.Event) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// isPublished reports whether an event is published. A partner's own is only if its type is
// known: of a later version's, some may be for the audit log only.
func isPublished(e effects.Event) bool {
	return slices.Contains(effects.EventTypes(), e.Type) || e.AccountID != 0 && !e.Type.AuditOnly()
}

// reportUnpublishable records that an event is never published.
func reportUnpublishable(ctx context.Context, id string, err error) {
	metrics.Add(ctx, metrics.Malformed, "", 1)
	slog.ErrorContext(ctx, "an event cannot be published", slog.String("event_id", id), slog.String("error", err.Error()))
}

// entries returns what the bus gets of events, with the external ids that their accounts have
// now.
func (h *handler) entries(ctx context.Context, found []effects.Event) ([]entry, error) {
	ids := make([]int64, len(found))
	for i, e := range found {
		ids[i] = e.AccountID
	}
	names, err := h.accounts.ExternalIDs(ctx, ids, h.now())
	if err != nil {
		return nil, fmt.Errorf("reading the external ids of accounts: %w", err)
	}
	address := func(path string) string { return h.url + path }
	var all []entry
	for _, e := range found {
		owner := account.Owned{PartnerID: e.PartnerID, AccountID: e.AccountID}
		text, err := json.Marshal(detail{views.NewEvent(e, names[owner], address), e.PartnerID})
		if err != nil {
			reportUnpublishable(ctx, e.ID, err)
			continue
		}
		one := entry{e.ID, owner, string(e.Type), e.At, text}
		if one.size() > maxBytes {
			reportUnpublishable(ctx, e.ID, fmt.Errorf("it has %d bytes, the bus takes %d", one.size(), maxBytes))
			continue
		}
		all = append(all, one)
	}
	return all, nil
}

// attempts is how many calls in a row may bring no event onto the bus before a run fails.
const attempts = 5

// firstPause is the pause after a call that did not bring all of its events onto the bus. It
// doubles with each call in a row that brought none.
const firstPause = 100 * time.Millisecond

// putAll puts events on the bus, and returns how many it accepted. A call has one event of an
// owner at most, and one that was refused is tried again before the later ones of its owner:
// so its events arrive in order. The error is of the last call.
func (h *handler) putAll(ctx context.Context, waiting []entry) (published int, err error) {
	for idle := 0; len(waiting) > 0; {
		next := nextOfEach(waiting)
		done := map[string]bool{}
		refused, err := h.bus.Put(ctx, next)
		for i := range refused {
			switch {
			case refused[i] == nil:
				published++
			case errors.Is(refused[i], errNever):
				reportUnpublishable(ctx, next[i].id, refused[i])
			default:
				err = fmt.Errorf("the event %s was not published: %w", next[i].id, refused[i])
				continue
			}
			done[next[i].id] = true
		}
		waiting = slices.DeleteFunc(waiting, func(e entry) bool { return done[e.id] })
		if err == nil {
			idle = 0
			continue
		}
		if idle++; len(done) > 0 {
			idle = 1
		}
		if idle == attempts || h.sleep(ctx, firstPause<<(idle-1)) != nil {
			return published, err
		}
	}
	return published, nil
}

// nextOfEach returns the next event of each owner, maxEntries at most.
func nextOfEach(waiting []entry) []entry {
	var next []entry
	seen := map[account.Owned]bool{}
	for _, e := range waiting {
		if !seen[e.owner] && len(next) < maxEntries {
			next = append(next, e)
		}
		seen[e.owner] = true
	}
	return next
}
