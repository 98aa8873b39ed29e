package auspost

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/tracking"
)

// Bounds of what is kept of one number. An answer with more parts is not
// understood: what is left out could be what has not arrived.
const (
	maxParts      = 500
	maxPartEvents = 500 // of all parts together
)

// Track asks the carrier for tracking numbers, as tracking.CleanNumber
// leaves them (infra/docs/auspost.md, "Track: GET /shipping/v1/track"). Each
// comes back in the reading, by itself. Attempts, pauses and deadline are those
// of GetAccount.
//
// Numbers that seem to be Australia Post's and those that seem to be StarTrack's
// (tracking.BrandOf) go in calls of their own: together all of them
// would fail, and one key may serve both. Where the carrier finds both brands in
// one call nevertheless, its numbers are asked for again apart. allow is asked
// before each call, the second attempt of one included; what it returns becomes
// the error of the numbers.
func (c *Client) Track(ctx context.Context, account connection.ChargeAccount, numbers []string, allow func(ctx context.Context) error) tracking.Reading {
	t := trackingOf{Client: c, account: account, allow: allow, reading: make(tracking.Reading, len(numbers))}
	post, starTrack := divide(numbers, func(n string) bool { return tracking.BrandOf(account, n) == carrier.StarTrack })
	for _, brand := range [][]string{post, starTrack} {
		for batch := range slices.Chunk(brand, tracking.MaxNumbers) {
			t.call(ctx, batch)
		}
	}
	return t.reading
}

func divide(numbers []string, second func(string) bool) (first, rest []string) {
	for _, n := range numbers {
		if second(n) {
			rest = append(rest, n)
		} else {
			first = append(first, n)
		}
	}
	return first, rest
}

// trackingOf is one Track under way.
type trackingOf struct {
	*Client

	account connection.ChargeAccount
	allow   func(ctx context.Context) error
	reading tracking.Reading
}

// call asks for numbers in one call and puts what it comes to for each into the
// reading.
func (t *trackingOf) call(ctx context.Context, numbers []string) {
	a := t.ask(ctx, numbers)
	var missing []string
	for _, n := range numbers {
		r, ok := a.results[strings.ToUpper(n)]
		if !ok || a.failed != nil && r.Err == nil && r.Tracking.Silent() {
			missing = append(missing, n)
			continue
		}
		r.Tracking.Number = n
		t.reading[n] = r
	}
	if a.code == codeMixedNumbers && len(numbers) > 1 {
		for _, some := range apart(missing) {
			if len(some) > 0 {
				t.call(ctx, some)
			}
		}
		return
	}
	for _, n := range missing {
		r := a.withoutResult(len(missing))
		r.Tracking.Number = n
		t.reading[n] = r
	}
}

// trackAnswer is what one call came to.
type trackAnswer struct {
	results tracking.Reading // by number in capitals
	failed  error            // of the numbers without a result; nil if there is no such error
	code    string           // why the carrier refuses all of them for one; empty if it does not
}

// withoutResult is what becomes of each of so many numbers without a result. The
// carrier does not say which of them it does not find.
func (a trackAnswer) withoutResult(numbers int) tracking.Tracked {
	about := numberFaults[a.code]
	switch {
	case about != "" && numbers == 1:
		return tracking.Tracked{Err: about.Err(), Fault: about}
	case about != "":
		return tracking.Tracked{Err: fault.Field(fault.Invalid, "tracking_number", "The carrier refuses the numbers that were asked for together; ask for this one on its own.")}
	case a.failed != nil:
		return tracking.Tracked{Err: a.failed}
	}
	return tracking.Tracked{Err: connection.Reading{
		Outcome: carrier.OutcomeUnreadable, HTTPStatus: http.StatusOK, Cause: &failure{text: "a number that was asked for is not in the answer"},
	}.Err()}
}

// ask makes a call, if it is allowed.
func (t *trackingOf) ask(ctx context.Context, numbers []string) trackAnswer {
	if err := t.allow(ctx); err != nil {
		return trackAnswer{failed: err}
	}
	escaped := make([]string, len(numbers))
	for i, n := range numbers {
		escaped[i] = url.QueryEscape(n)
	}
	var results tracking.Reading
	var beside connection.Reading
	r := t.Client.ask(ctx, question{
		account: t.account, path: "/track?tracking_ids=" + strings.Join(escaped, ","), check: 1, again: t.allow,
		read: func(a answer, now time.Time) connection.Reading {
			r := interpret(a, now, func(r *connection.Reading, doc []byte) {
				if results, r.Cause = readTracking(doc); r.Cause != nil {
					r.Outcome = carrier.OutcomeUnreadable
					return
				}
				r.Outcome = carrier.OutcomeOK
			})
			if some := resultsBeside(a, r); len(some) > 0 {
				results, beside = some, r
				r = connection.Reading{Outcome: carrier.OutcomeOK, HTTPStatus: r.HTTPStatus}
			}
			return r
		},
	})
	if beside.Outcome != "" {
		r = beside
	}
	a := trackAnswer{results: results, failed: r.Err()}
	if r.Outcome == carrier.OutcomeMalformed {
		a.code = r.Code
	}
	return a
}

// resultsBeside are the results of a 200 that lists errors, too: they count, and
// the errors are those of the numbers that have none.
func resultsBeside(a answer, r connection.Reading) tracking.Reading {
	if a.status != http.StatusOK || r.Outcome == carrier.OutcomeOK {
		return nil
	}
	doc, err := parseObject(a.body)
	if err != nil {
		return nil
	}
	results, err := readTracking(doc)
	if err != nil {
		return nil
	}
	return results
}

// apart divides numbers of both brands: by their form, or where that tells
// nothing in halves.
func apart(numbers []string) [2][]string {
	post, starTrack := divide(numbers, tracking.IsStarTrackNumber)
	if len(post) == 0 || len(starTrack) == 0 {
		return [2][]string{numbers[:len(numbers)/2], numbers[len(numbers)/2:]}
	}
	return [2][]string{post, starTrack}
}

// numberFaults are the codes that are about a number (infra/docs/auspost.md,
// "Codes").
var numberFaults = map[string]tracking.NumberFault{
	codeInvalidNumber: tracking.NumberUnknown,
	"ESB-10001":       tracking.NumberUnknown,
	"ESB-10002":       tracking.NumberNotTracked,
}

// readError is what one error means for its number, under status 200.
func readError(value json.RawMessage) tracking.Tracked {
	r := connection.Reading{Outcome: carrier.OutcomeUnexpected, HTTPStatus: http.StatusOK}
	if i := rankOf(value); i < len(knownCodes) {
		r.Outcome, r.Code, r.Name = knownCodes[i].outcome, knownCodes[i].code, knownCodes[i].name
	}
	if about := numberFaults[r.Code]; about != "" {
		return tracking.Tracked{Err: about.Err(), Fault: about}
	}
	return tracking.Tracked{Err: r.Err()}
}

// readTracking takes the results out of a track answer, valid JSON, by number in
// capitals. A result of another form than an object, or without tracking_id, is
// passed over; of two with the same one, the one that says something counts.
func readTracking(doc []byte) (tracking.Reading, error) {
	var results tracking.Reading
	for m := range members(doc) {
		if m.name != "tracking_results" || m.value[0] != '[' {
			continue
		}
		results = tracking.Reading{}
		for value := range objects(m.value) {
			id, result := readResult(value)
			if had, ok := results[id]; id != "" && (!ok || had.Err != nil || had.Tracking.Silent()) {
				results[id] = result
			}
		}
	}
	if results == nil {
		return nil, &failure{text: "tracking_results is not a list"}
	}
	return results, nil
}

// readResult reads what was found for one number. Errors, its own or those of its
// parts, count where nothing else is said of it.
func readResult(value json.RawMessage) (id string, result tracking.Tracked) {
	p := partReader{articles: map[string]bool{}, siblings: map[string]bool{}}
	t := p.read(value)
	id, t.Number = strings.ToUpper(t.Number), ""
	switch {
	case p.parts > maxParts:
		return id, tracking.Tracked{Err: connection.Reading{
			Outcome: carrier.OutcomeUnreadable, HTTPStatus: http.StatusOK, Cause: &failure{text: "a shipment of too many parts"},
		}.Err()}
	case t.Silent() && p.failed.Err != nil:
		return id, p.failed
	}
	trim(&t, max(1, maxPartEvents/max(1, p.parts)))
	return id, tracking.Tracked{Tracking: t}
}

// trim bounds the events of a shipment and of each of its parts.
func trim(t *tracking.Tracking, limit int) {
	t.Events = tracking.NewestEvents(t.Events, min(limit, tracking.MaxEvents))
	for i := range t.Parts {
		trim(&t.Parts[i], limit)
	}
}

// partReader reads a result and its parts, at whatever depth they are.
type partReader struct {
	parts    int
	failed   tracking.Tracked // the first error
	articles map[string]bool  // numbers of articles, in capitals
	siblings map[string]bool  // of repeats
}

// read reads a result, a consignment or an article. All of them may have a
// status, events, and parts: trackable_items, items or, of StarTrack, consignment
// (infra/docs/auspost.md, "Track"). A consignment that is alone stands for the
// whole, and the items beside it are its parts; several are parts themselves.
// What is listed in several places is one part.
func (p *partReader) read(value json.RawMessage) tracking.Tracking {
	var t tracking.Tracking
	var article, consignment string
	var consignments, items []tracking.Tracking
	expected := 0
	for m := range members(value) {
		switch m.name {
		case "tracking_id", "article_id":
			article = clip(textOf(m.value))
		case "consignment_id":
			consignment = clip(textOf(m.value))
		case "status":
			t.CarrierStatus = clip(textOf(m.value))
		case "events":
			for e := range objects(m.value) {
				t.Events = append(t.Events, readEvent(e))
			}
		case "consignment":
			consignments = p.list(m.value)
		case "trackable_items", "items":
			items = append(items, p.list(m.value)...)
		case "number_of_items":
			expected = countOf(m.value)
		case "errors":
			for e := range objects(m.value) {
				if p.failed.Err == nil {
					p.failed = readError(e)
				}
			}
		}
	}
	p.articles[strings.ToUpper(article)] = true
	t.Number, t.Consignment = cmp.Or(article, consignment), len(consignments) > 0
	t.Parts = append(consignments, items...)
	home := &t
	if len(consignments) == 1 {
		t.Parts[0].Parts = append(t.Parts[0].Parts, items...)
		t.Parts = t.Parts[:1]
		home = &t.Parts[0]
	}
	(&repeats{siblings: p.siblings}).merge(&t)
	if len(items) > 0 && expected > articles(&t) {
		home.Parts = append(home.Parts, tracking.Tracking{}) // what is not listed is not delivered
	}
	return t
}

func (p *partReader) list(value json.RawMessage) []tracking.Tracking {
	var all []tracking.Tracking
	seen := map[string]bool{}
	for item := range objects(value) {
		if p.parts++; p.parts > maxParts {
			break
		}
		part := p.read(item)
		number := strings.ToUpper(part.Number)
		if seen[number] && !p.articles[number] {
			p.siblings[number] = true
		}
		seen[number] = true
		all = append(all, part)
	}
	return all
}

func readEvent(value json.RawMessage) tracking.Event {
	var e tracking.Event
	for m := range members(value) {
		switch m.name {
		case "date", "event_date_time":
			e.CarrierTime = clip(textOf(m.value))
			e.At = timeOf(e.CarrierTime)
		case "description":
			e.Description = clip(textOf(m.value))
		case "location":
			e.Location = clip(textOf(m.value))
		}
	}
	return e
}

// timeOf reads a time. Without an offset it is Melbourne's, as all of the
// carrier's times are (infra/docs/auspost.md, "Track"). Anything else, a year that
// no parcel was sent in included, is zero.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime} {
		t, err := time.Parse(layout, text)
		if err != nil || t.Year() <= 1900 || t.Year() >= 9999 {
			continue
		}
		if !strings.ContainsAny(layout, "Z") {
			t = t.Add(-melbourneOffset(t))
		}
		return t.UTC()
	}
	return time.Time{}
}

// melbourneOffset is how far Melbourne's clocks are ahead of UTC when they show
// the time of t. The zone's data is not linked: since 2008 daylight saving lasts
// from the first Sunday in October, 2:00, to the first one in April, 3:00.
func melbourneOffset(t time.Time) time.Duration {
	firstSunday := func(m time.Month, hour int) time.Time {
		first := time.Date(t.Year(), m, 1, hour, 0, 0, 0, time.UTC)
		return first.AddDate(0, 0, (7-int(first.Weekday()))%7)
	}
	if t.Before(firstSunday(time.April, 3)) || !t.Before(firstSunday(time.October, 2)) {
		return 11 * time.Hour
	}
	return 10 * time.Hour
}

// objects are those of a list; of an object, itself.
func objects(value json.RawMessage) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		switch value[0] {
		case '{':
			yield(value)
		case '[':
			for m := range members(value) {
				if m.value[0] == '{' && !yield(m.value) {
					return
				}
			}
		}
	}
}
