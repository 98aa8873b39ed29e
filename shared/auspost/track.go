package auspost

import (
	"bytes"
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

// Bounds of one number's answer. One with more parts is unreadable: the parts beyond
// could be those that have not arrived.
const (
	maxParts      = 500
	maxPartEvents = 500 // of all parts together
)

// Track asks the carrier about tracking numbers in the form of tracking.CleanNumber
// (infra/docs/auspost.md, "Track: GET /shipping/v1/track"). The result has each of
// them. Attempts, pauses and deadline are those of GetAccount.
//
// Numbers of Australia Post's and of StarTrack's (tracking.BrandOf) go in separate
// calls: the carrier refuses a mixture, and one key may serve both. Where it finds
// both brands in one call after all, the numbers are divided and asked for again.
// allow is called before each call, second attempts included; its error becomes the
// error of the numbers.
func (c *Client) Track(ctx context.Context, account connection.ChargeAccount, numbers []string, allow func(ctx context.Context) error) map[string]tracking.CarrierAnswer {
	t := tracker{client: c, account: account, allow: allow, answers: make(map[string]tracking.CarrierAnswer, len(numbers))}
	post, starTrack := partition(numbers, func(n string) bool { return tracking.BrandOf(account, n) == carrier.StarTrack })
	for _, brand := range [][]string{post, starTrack} {
		for batch := range slices.Chunk(brand, tracking.MaxNumbers) {
			t.readNumbers(ctx, batch)
		}
	}
	return t.answers
}

// partition divides a list by a condition.
func partition(list []string, condition func(string) bool) (without, with []string) {
	for _, s := range list {
		if condition(s) {
			with = append(with, s)
		} else {
			without = append(without, s)
		}
	}
	return without, with
}

// tracker is the state of one Track.
type tracker struct {
	client  *Client
	account connection.ChargeAccount
	allow   func(ctx context.Context) error
	answers map[string]tracking.CarrierAnswer
}

// readNumbers asks about numbers in one call and adds what it learns to the answers;
// in several where the carrier refuses a mixture of brands.
func (t *tracker) readNumbers(ctx context.Context, numbers []string) {
	a := t.ask(ctx, numbers)
	var missing []string
	for _, n := range numbers {
		r, ok := a.results[strings.ToUpper(n)]
		if !ok || a.err != nil && r.Err == nil && r.Tracking.Silent() {
			missing = append(missing, n)
			continue
		}
		r.Tracking.Number = n
		t.answers[n] = r
	}
	if a.code == codeMixedNumbers && len(numbers) > 1 {
		for _, some := range divide(missing) {
			if len(some) > 0 {
				t.readNumbers(ctx, some)
			}
		}
		return
	}
	for _, n := range missing {
		r := a.withoutResult(len(missing))
		r.Tracking.Number = n
		t.answers[n] = r
	}
}

// trackAnswer is the result of one call.
type trackAnswer struct {
	results map[string]tracking.CarrierAnswer // by number in capitals
	err     error                             // of the numbers without a result
	code    string                            // why the carrier refuses the whole call for one number; else empty
}

// withoutResult is what a number without a result gets, where so many have none: the
// carrier does not say which of them it does not find.
func (a trackAnswer) withoutResult(numbers int) tracking.CarrierAnswer {
	about := numberFaults[a.code]
	switch {
	case about != "" && numbers == 1:
		return tracking.CarrierAnswer{Err: about.Err(), Fault: about}
	case about != "":
		refused := fault.Field(fault.Invalid, "tracking_number", "The carrier refuses the numbers that were asked for together; ask for this one on its own.")
		refused.Cause = tracking.ErrAskAlone
		return tracking.CarrierAnswer{Err: refused}
	case a.err != nil:
		return tracking.CarrierAnswer{Err: a.err}
	}
	return unreadable("a number that was asked for is not in the answer", nil)
}

// unreadable is a number whose part of a 200 cannot be read.
func unreadable(why string, kind error) tracking.CarrierAnswer {
	r := connection.Reading{Outcome: carrier.OutcomeUnreadable, HTTPStatus: http.StatusOK, Cause: &failure{why, kind}}
	return tracking.CarrierAnswer{Err: r.Err()}
}

// ask makes one call, if it is allowed. The results of a 200 count even if it lists
// errors beside them, which are those of the numbers without a result.
func (t *tracker) ask(ctx context.Context, numbers []string) trackAnswer {
	if err := t.allow(ctx); err != nil {
		return trackAnswer{err: err}
	}
	escaped := make([]string, len(numbers))
	for i, n := range numbers {
		escaped[i] = url.QueryEscape(n)
	}
	var results map[string]tracking.CarrierAnswer
	var beside connection.Reading // the reading of errors beside results
	r := t.client.ask(ctx, question{
		account: t.account, path: "/track?tracking_ids=" + strings.Join(escaped, ","), check: 1, allowRetry: t.allow,
		read: func(a answer, now time.Time) connection.Reading {
			r := interpret(a, now, func(r *connection.Reading, doc []byte) {
				if results, r.Cause = readTracking(doc); r.Cause != nil {
					r.Outcome = carrier.OutcomeUnreadable
					return
				}
				r.Outcome = carrier.OutcomeOK
			})
			if r.Outcome == carrier.OutcomeOK || a.status != http.StatusOK {
				return r
			}
			if doc, err := parseObject(a.body); err == nil {
				results, _ = readTracking(doc) // none with an error
			}
			if len(results) == 0 {
				return r
			}
			beside = r
			return connection.Reading{Outcome: carrier.OutcomeOK, HTTPStatus: r.HTTPStatus} // no second attempt
		},
	})
	if beside.Outcome != "" {
		r = beside
	}
	a := trackAnswer{results: results, err: r.Err()}
	if r.Outcome == carrier.OutcomeMalformed {
		a.code = r.Code
	}
	return a
}

// divide divides numbers of both brands by their form, or in halves where that tells
// nothing.
func divide(numbers []string) [2][]string {
	post, starTrack := partition(numbers, tracking.IsStarTrackNumber)
	if len(post) == 0 || len(starTrack) == 0 {
		return [2][]string{numbers[:len(numbers)/2], numbers[len(numbers)/2:]}
	}
	return [2][]string{post, starTrack}
}

// numberFaults are the codes that concern a number (infra/docs/auspost.md, "Codes").
var numberFaults = map[string]tracking.NumberFault{
	codeInvalidNumber: tracking.NumberUnknown,
	"ESB-10001":       tracking.NumberUnknown,
	"ESB-10002":       tracking.NumberNotTracked,
}

// errorOf is what an error under status 200 means for its number. One without code and
// message says nothing: unreadable.
func errorOf(value json.RawMessage) tracking.CarrierAnswer {
	i, says := rankOf(value)
	for m := range members(value) {
		says = says || m.name == "message" && textOf(m.value) != ""
	}
	if !says {
		return unreadable("an error without code and message", nil)
	}
	r := connection.Reading{Outcome: carrier.OutcomeUnexpected, HTTPStatus: http.StatusOK}
	if i < len(knownCodes) {
		r.Outcome, r.Code, r.Name = knownCodes[i].outcome, knownCodes[i].code, knownCodes[i].name
	}
	if about := numberFaults[r.Code]; about != "" {
		return tracking.CarrierAnswer{Err: about.Err(), Fault: about}
	}
	return tracking.CarrierAnswer{Err: r.Err()}
}

// readTracking reads the results of a Track answer, valid JSON, by number in capitals.
// It skips results that are not objects or have no number.
func readTracking(doc []byte) (map[string]tracking.CarrierAnswer, error) {
	var results map[string][]result
	for m := range members(doc) {
		if m.name != "tracking_results" || m.value[0] != '[' {
			continue
		}
		results = map[string][]result{}
		for value := range elements(m.value) {
			if value[0] != '{' {
				continue
			}
			r := readResult(value)
			if id, _ := tracking.CleanNumber("", r.whole.Number); id != "" {
				results[id] = append(results[id], r)
			}
		}
	}
	if results == nil {
		return nil, &failure{text: "tracking_results is not a list"}
	}
	answers := make(map[string]tracking.CarrierAnswer, len(results))
	for id, of := range results {
		answers[id] = answerFrom(of)
	}
	return answers, nil
}

// result is an entry of tracking_results.
type result struct {
	partReader

	raw   json.RawMessage
	whole tracking.Tracking
}

func readResult(raw json.RawMessage) result {
	r := result{partReader: partReader{articles: map[string]bool{}, shared: map[string]bool{}}, raw: raw}
	r.whole = r.read(raw)
	return r
}

// answerFrom returns what the results of one number say together, in whatever order they
// come. Errors, of a result or of its parts, count only where nothing else is said: the
// first of one result, the most telling of several.
func answerFrom(results []result) tracking.CarrierAnswer {
	slices.SortFunc(results, func(a, b result) int { return bytes.Compare(a.raw, b.raw) })
	results = slices.CompactFunc(results, func(a, b result) bool { return bytes.Equal(a.raw, b.raw) })
	var wholes []tracking.Tracking
	var failed tracking.CarrierAnswer
	parts, rank := 0, len(knownCodes)+1
	for _, r := range results {
		parts += r.parts
		for _, e := range r.errors {
			if i, _ := rankOf(e); failed.Err == nil || len(results) > 1 && i < rank {
				failed, rank = errorOf(e), i
			}
		}
		if r.whole.Number = ""; len(r.whole.Parts) > 0 || !r.whole.Silent() {
			wholes = append(wholes, r.whole)
		}
	}
	if len(wholes) > 1 {
		parts += len(wholes)
	}
	if parts > maxParts {
		return unreadable("a shipment of too many parts", connection.ErrTooLarge)
	}
	for i := range wholes {
		trim(&wholes[i], max(1, maxPartEvents/max(1, parts)))
	}
	t := mergeResults(wholes)
	if t.Silent() && failed.Err != nil {
		return failed
	}
	return tracking.CarrierAnswer{Tracking: t}
}

// trim keeps the newest events of a shipment and of each of its parts.
func trim(t *tracking.Tracking, limit int) {
	t.Events = tracking.NewestEvents(t.Events, min(limit, tracking.MaxEvents))
	for i := range t.Parts {
		trim(&t.Parts[i], limit)
	}
}

// partReader reads a result and its parts, at any depth.
type partReader struct {
	parts    int
	errors   []json.RawMessage
	articles map[string]bool // the numbers of articles, in capitals
	shared   map[string]bool // see merger
}

// read reads a result, a consignment or an article. Each may have a status, events,
// and parts: trackable_items, items or, of StarTrack, consignment
// (infra/docs/auspost.md, "Track: GET /shipping/v1/track"). A single consignment
// stands for the whole, and the items beside it are its parts; several consignments
// are parts themselves. A part that is listed in several places is one part. Of
// a value that is not an object nothing is known, except its number if it is a text.
func (p *partReader) read(value json.RawMessage) tracking.Tracking {
	var t tracking.Tracking
	var consignment string
	article := clip(textOf(value))
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
			for e := range elements(m.value) {
				t.Events = append(t.Events, readEvent(e))
			}
		case "consignment":
			consignments = p.readList(m.value)
		case "trackable_items", "items":
			items = append(items, p.readList(m.value)...)
		case "number_of_items":
			expected = countOf(m.value)
		case "errors":
			p.errors = slices.AppendSeq(p.errors, elements(m.value))
		}
	}
	p.articles[strings.ToUpper(article)] = true
	t.Number, t.IsStarTrack = cmp.Or(article, consignment), len(consignments) > 0
	t.Parts = append(consignments, items...)
	owner := &t // of the items
	if len(consignments) == 1 {
		t.Parts[0].Parts = append(t.Parts[0].Parts, items...)
		t.Parts = t.Parts[:1]
		owner = &t.Parts[0]
	}
	m := merger{shared: p.shared, first: map[string]*tracking.Tracking{}}
	m.mergeParts(&t)
	if len(items) > 0 && expected > countArticles(&t) {
		owner.Parts = append(owner.Parts, tracking.Tracking{}) // an article that is not listed is not delivered
	}
	return t
}

func (p *partReader) readList(value json.RawMessage) []tracking.Tracking {
	var parts []tracking.Tracking
	seen := map[string]bool{}
	for item := range elements(value) {
		if p.parts++; p.parts > maxParts {
			break
		}
		part := p.read(item)
		number := strings.ToUpper(part.Number)
		if seen[number] && !p.articles[number] {
			p.shared[number] = true
		}
		seen[number] = true
		parts = append(parts, part)
	}
	return parts
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

// timeOf parses a time. One without an offset is Melbourne's (infra/docs/auspost.md,
// "Track: GET /shipping/v1/track"). Any other text is zero, and so is an impossible
// year.
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

// melbourneOffset returns how far Melbourne's clocks are ahead of UTC when they show
// the time of t. We do not link the time zone database: since 2008 daylight saving
// lasts from the first Sunday in October, 2:00, to the first in April, 3:00.
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

// elements iterates over the elements of a list; over any other value but null, itself.
func elements(value json.RawMessage) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		switch value[0] {
		case 'n':
		case '[':
			for m := range members(value) {
				if !yield(m.value) {
					return
				}
			}
		default:
			yield(value)
		}
	}
}
