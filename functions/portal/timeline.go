package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/pages"
	"carrierlink/shared/signin"
	"carrierlink/shared/web"
)

// timelineSize is how many entries a page of a timeline has.
const timelineSize = 50

// timelinePage shows what has happened to a connection, the latest first. Of checks and events,
// what cannot be read is said and logged; the page shows the rest.
func (h *handler) timelinePage(w http.ResponseWriter, r *http.Request, v *signin.Visit) error {
	f := h.frame(r, v, pages.NavCarriers).Titled("What has happened")
	query := r.URL.Query()
	q, problems := parseTimeline(query, account.ZoneOf(v.Account.OriginCountryCode))
	p := pages.TimelinePage{Frame: f, Connection: v.Connection, Kind: q.kind, From: query.Get("from"), To: query.Get("to")}
	if len(problems) > 0 {
		for _, wrong := range problems { // a field of dates holds no other text
			if wrong.Field == "from" {
				p.From = ""
			} else {
				p.To = ""
			}
		}
		p.Frame.Problems = problems
		return web.Render(w, r, http.StatusUnprocessableEntity, pages.Timeline(p))
	}
	found := h.readTimeline(r.Context(), v, q)
	p.NoChecks, p.NoEvents = found.noChecks, found.noEvents
	var next position
	if p.Entries, next = found.merge(f, v.Connection, q.after); !next.ends() {
		p.Older = url.Values{"kind": {string(q.kind)}, "from": {p.From}, "to": {p.To}, "after": {next.String()}}
	}
	return web.Render(w, r, http.StatusOK, pages.Timeline(p))
}

// position is where a page of a timeline ends, in each of its two lists.
type position struct {
	event       string // the event_id after which the next page goes on; empty: at the newest
	check       *connection.HistoryPosition
	eventsEnded bool
	checksEnded bool
}

func (p position) ends() bool { return p.eventsEnded && p.checksEnded }

// String returns a position as the query has it.
func (p position) String() string {
	event, check := p.event, ""
	if p.eventsEnded {
		event = "end"
	}
	switch {
	case p.checksEnded:
		check = "end"
	case p.check != nil:
		check = strconv.FormatInt(p.check.At.UnixMilli(), 10) + "-" + strconv.Itoa(p.check.Number)
	}
	return event + "." + check
}

// parsePosition reverses String; ok is false for another text. The lists are the account's
// own, so a position that was made up shows nothing that the page does not.
func parsePosition(text string) (p position, ok bool) {
	if text == "" {
		return p, true
	}
	event, check, ok := strings.Cut(text, ".")
	if p.eventsEnded = event == "end"; !p.eventsEnded {
		p.event = event
		ok = ok && (event == "" || effects.IsEventID(event))
	}
	switch check {
	case "end":
		p.checksEnded = true
	case "":
	default:
		at, number, both := strings.Cut(check, "-")
		milli, err := strconv.ParseInt(at, 10, 64)
		n, numberErr := strconv.Atoi(number)
		// The bounds are those of the keys.
		ok = ok && both && err == nil && numberErr == nil && milli > 0 && milli < maxMilli && n >= 0 && n < maxCheck
		p.check = &connection.HistoryPosition{At: time.UnixMilli(milli), Number: n}
	}
	return p, ok
}

const (
	maxMilli = 9_000_000_000_000
	maxCheck = 99_999_999
)

// timelineQuery says which entries of a timeline are wanted.
type timelineQuery struct {
	kind        pages.Kind
	from, until time.Time // both inclusive; zero: open
	after       position
}

// parseTimeline parses the query. Days are those of the zone.
func parseTimeline(query url.Values, zone *time.Location) (q timelineQuery, problems fault.List) {
	q.kind = pages.ParseKind(query.Get("kind"))
	day := func(field string) time.Time {
		text := query.Get(field)
		if text == "" {
			return time.Time{}
		}
		at, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil || at.Year() < 2000 || at.Year() > 2200 {
			problems = append(problems, pages.ErrNoDate(field))
		}
		return at
	}
	if q.from = day("from"); !q.from.IsZero() {
		q.from = q.from.UTC()
	}
	if q.until = day("to"); !q.until.IsZero() {
		q.until = q.until.AddDate(0, 0, 1).Add(-time.Millisecond).UTC()
	}
	var ok bool
	if q.after, ok = parsePosition(query.Get("after")); !ok {
		q.after = position{} // at the newest
	}
	return q, problems
}

// timelineFound is what was read for a page, each list the latest first.
type timelineFound struct {
	checks             []connection.HistoryEntry
	events             []effects.Recorded
	moreChecks         bool
	nextEvent          string // of Store.ListEvents
	noChecks, noEvents bool
}

// readTimeline reads a page of each list that the query wants.
func (h *handler) readTimeline(ctx context.Context, v *signin.Visit, q timelineQuery) (found timelineFound) {
	var all sync.WaitGroup
	if q.kind.Checks() && !q.after.checksEnded {
		all.Go(func() {
			var err error
			if found.checks, found.moreChecks, err = h.readChecks(ctx, v, q); err != nil {
				found.noChecks = true
				logMissing(ctx, "checks", err)
			}
		})
	}
	if types := q.kind.Events(); len(types) > 0 && !q.after.eventsEnded {
		all.Go(func() {
			var err error
			l := effects.Listing{
				PartnerID: v.Account.PartnerID, AccountID: v.Account.ID, Types: types, Subject: v.Connection.ID, Until: q.until,
				From: later(q.from, v.Account.CreatedAt, h.now().Add(-effects.AuditKept)), Before: q.after.event, Limit: timelineSize,
			}
			if found.events, found.nextEvent, err = h.store.ListEvents(ctx, l); err != nil {
				found.noEvents = true
				logMissing(ctx, "events", err)
			}
		})
	}
	all.Wait()
	return found
}

// readChecks reads a page of the history between the times of the query.
func (h *handler) readChecks(ctx context.Context, v *signin.Visit, q timelineQuery) (checks []connection.HistoryEntry, more bool, err error) {
	before := q.after.check
	if before == nil && !q.until.IsZero() {
		before = &connection.HistoryPosition{At: q.until, Number: maxCheck}
	}
	checks, next, err := h.store.History(ctx, v.Account.ID, v.Connection.ID, before, 0, timelineSize, h.now())
	if err != nil {
		return nil, false, err
	}
	n := len(checks)
	if checks = slices.DeleteFunc(checks, func(e connection.HistoryEntry) bool { return e.At.Before(q.from) }); len(checks) < n {
		return checks, false, nil // what follows is older
	}
	return checks, next != nil, nil
}

// later returns the latest of some times.
func later(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// merge returns the entries of the page, the latest first, and where the next page goes on.
func (t *timelineFound) merge(f pages.Frame, c *connection.Connection, after position) (entries []pages.TimelineEntry, next position) {
	next = after
	i, j := 0, 0
	for len(entries) < timelineSize && (i < len(t.checks) || j < len(t.events)) {
		if j == len(t.events) && t.nextEvent != "" && !t.checks[i].At.After(effects.TimeOfID(t.nextEvent)) {
			break // events that were not read come first
		}
		// Of one moment the event is what the check led to.
		if j == len(t.events) || i < len(t.checks) && t.checks[i].At.After(t.events[j].At) {
			e := t.checks[i]
			entries = append(entries, pages.EntryOfCheck(c.Carrier, e))
			next.check = &connection.HistoryPosition{At: e.At, Number: e.Number}
			i++
			continue
		}
		entries = append(entries, pages.EntryOfEvent(f, c.Carrier, t.events[j]))
		next.event = t.events[j].ID
		j++
	}
	if t.noChecks || t.noEvents {
		return entries, position{eventsEnded: true, checksEnded: true} // a page without gaps comes with a reload
	}
	next.checksEnded = after.checksEnded || i == len(t.checks) && !t.moreChecks
	next.eventsEnded = after.eventsEnded || j == len(t.events) && t.nextEvent == ""
	if j == len(t.events) && t.nextEvent != "" {
		next.event = t.nextEvent
	}
	return entries, next
}
