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
	"carrierlink/shared/fault"
)

// maxEvents bounds the events that are kept of one number, the newest ones.
const maxEvents = 100

// trackingField is what a fault about one number names.
const trackingField = "tracking_number"

// Track asks the carrier for tracking numbers, as carrier.CleanTrackingNumber
// leaves them (infra/docs/auspost.md, "Track: GET /shipping/v1/track"). Each
// comes back in the reading, by itself. Attempts, pauses and deadline are those
// of GetAccount.
//
// The numbers of Australia Post and those of StarTrack go in calls of their own,
// whatever the account is: together all of them would fail, and one key may
// serve both. allow is asked before each call, the second attempt of one
// included; what it returns becomes the error of the numbers.
func (c *Client) Track(ctx context.Context, account carrier.ChargeAccount, numbers []string, allow func(ctx context.Context) error) carrier.TrackingReading {
	byBrand := [2][]string{}
	for _, n := range numbers {
		brand := 0
		if carrier.IsStarTrackNumber(n) {
			brand = 1
		}
		byBrand[brand] = append(byBrand[brand], n)
	}
	reading := make(carrier.TrackingReading, len(numbers))
	for _, all := range byBrand {
		for batch := range slices.Chunk(all, carrier.MaxTrackingNumbers) {
			c.track(ctx, account, batch, allow, reading)
		}
	}
	return reading
}

// track makes one call and puts what it comes to for each number into reading.
func (c *Client) track(ctx context.Context, account carrier.ChargeAccount, numbers []string, allow func(ctx context.Context) error, reading carrier.TrackingReading) {
	err := allow(ctx)
	var results carrier.TrackingReading
	if err == nil {
		escaped := make([]string, len(numbers))
		for i, n := range numbers {
			escaped[i] = url.QueryEscape(n)
		}
		r := c.ask(ctx, question{
			account: account, path: "/track?tracking_ids=" + strings.Join(escaped, ","), check: 1, again: allow,
			read: func(a answer, now time.Time) carrier.Reading {
				return interpret(a, now, func(r *carrier.Reading, doc []byte) {
					if results, r.Cause = readTracking(doc); r.Cause != nil {
						r.Outcome = carrier.OutcomeUnreadable
						return
					}
					r.Outcome = carrier.OutcomeOK
				})
			},
		})
		err = batchErr(r, len(numbers))
	}
	for _, n := range numbers {
		result, ok := results[strings.ToUpper(n)]
		switch {
		case err != nil:
			result = carrier.Tracked{Err: err}
		case !ok:
			result = carrier.Tracked{Err: carrier.Reading{
				Outcome: carrier.OutcomeUnreadable, HTTPStatus: http.StatusOK, Cause: &failure{text: "a number that was asked for is not in the answer"},
			}.Err()}
		}
		result.Tracking.Number = n
		reading[n] = result
	}
}

// batchErr is the error of all numbers of a call. The carrier refuses all for
// one that it does not find, or that is another brand's than its form says, and
// does not tell which.
func batchErr(r carrier.Reading, numbers int) error {
	if r.Outcome == carrier.OutcomeMalformed && (r.Code == codeInvalidNumber || r.Code == codeMixedNumbers) {
		switch {
		case numbers > 1:
			return fault.Field(fault.Invalid, trackingField, "The carrier refuses the numbers that were asked for together; ask for this one on its own.")
		case r.Code == codeInvalidNumber:
			return unknownNumber()
		}
	}
	return r.Err()
}

func unknownNumber() error {
	return fault.Field(fault.NotFound, trackingField, "The carrier does not know this tracking number.")
}

// numberErr is the error of one number under status 200 (infra/docs/auspost.md,
// "Codes").
func numberErr(code string) error {
	r := carrier.Reading{Outcome: carrier.OutcomeUnexpected, HTTPStatus: http.StatusOK}
	switch code {
	case "ESB-10001", codeInvalidNumber:
		return unknownNumber()
	case "ESB-10002":
		return fault.Field(fault.Invalid, trackingField, "The carrier does not track the product that was bought for this number.")
	case "ESB-20010", "ESB-20050":
		r.Outcome, r.Code, r.Name = carrier.OutcomeUnavailable, code, "System Error"
	case codeRateLimited:
		r.Outcome, r.Code, r.Name = carrier.OutcomeRateLimited, code, "Too many requests"
	}
	return r.Err()
}

// readTracking takes the results out of a track answer, valid JSON, by number in
// capitals. A result of another form than an object, or without tracking_id, is
// passed over; of two with the same one, one that is good counts.
func readTracking(doc []byte) (carrier.TrackingReading, error) {
	var results carrier.TrackingReading
	for m := range members(doc) {
		if m.name != "tracking_results" || m.value[0] != '[' {
			continue
		}
		results = carrier.TrackingReading{}
		for value := range objects(m.value) {
			id, result := readResult(value)
			if had, ok := results[id]; id != "" && (!ok || had.Err != nil) {
				results[id] = result
			}
		}
	}
	if results == nil {
		return nil, &failure{text: "tracking_results is not a list"}
	}
	return results, nil
}

// readResult reads what was found for one number. Its status is the first there
// is of status, consignment.status, trackable_items[0].items[0].status and
// trackable_items[0].status (infra/docs/auspost.md, "Track"); its events are
// those of the consignment and of all its articles. Errors count where there is
// neither.
func readResult(value json.RawMessage) (id string, result carrier.Tracked) {
	var own, consignment, item string
	var events []carrier.TrackingEvent
	for m := range members(value) {
		switch m.name {
		case "tracking_id":
			id = strings.ToUpper(textOf(m.value))
		case "status":
			own = clip(textOf(m.value))
		case "consignment":
			consignment = readItems(m.value, false, &events)
		case "trackable_items":
			item = readItems(m.value, true, &events)
		case "errors":
			for e := range objects(m.value) {
				if result.Err == nil {
					result.Err = numberErr(codeOf(e))
				}
			}
		}
	}
	t := carrier.Tracking{CarrierStatus: cmp.Or(own, consignment, item), Events: newest(events)}
	if t.CarrierStatus != "" || len(t.Events) > 0 {
		return id, carrier.Tracked{Tracking: t}
	}
	return id, result
}

// readItems reads articles or consignments, one or a list, and where they may be
// nested their items too: it adds their events and returns the first one's
// status.
func readItems(value json.RawMessage, nested bool, events *[]carrier.TrackingEvent) string {
	first := ""
	for item := range objects(value) {
		var own, inner string
		for m := range members(item) {
			switch m.name {
			case "status":
				own = clip(textOf(m.value))
			case "items":
				if nested {
					inner = readItems(m.value, false, events)
				}
			case "events":
				for e := range objects(m.value) {
					*events = append(*events, readEvent(e))
				}
			}
		}
		first = cmp.Or(first, inner, own)
	}
	return first
}

func readEvent(value json.RawMessage) carrier.TrackingEvent {
	var e carrier.TrackingEvent
	for m := range members(value) {
		switch m.name {
		case "date":
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

// timeOf reads a time with its offset. Anything else, a year that no parcel was
// sent in included, is zero.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1900 && t.Year() < 9999 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// newest sorts events, takes out those that say nothing or the same as another
// (articles of one consignment are scanned together), and keeps the newest.
// Those without a time come last; else the carrier's order stays.
func newest(events []carrier.TrackingEvent) []carrier.TrackingEvent {
	slices.SortStableFunc(events, func(a, b carrier.TrackingEvent) int { return b.At.Compare(a.At) })
	seen := map[carrier.TrackingEvent]bool{{}: true}
	kept := events[:0]
	for _, e := range events {
		if !seen[e] && len(kept) < maxEvents {
			seen[e] = true
			kept = append(kept, e)
		}
	}
	return kept
}

// codeOf is the code of an error object.
func codeOf(value json.RawMessage) string {
	code := ""
	for m := range members(value) {
		if m.name == "code" || m.name == "error_code" {
			code = cmp.Or(code, textOf(m.value))
		}
	}
	return code
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
