package auspost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// The numbers of the examples.
const (
	article   = "ZZ91000634011427"
	shortID   = "ZZ91000"
	abroad    = "ET000000005AU"
	starTrack = "9ZZZ50000001"
)

func allowed(context.Context) error { return nil }

// track asks a carrier made of a function for numbers.
func track(t *testing.T, do func(n int, r *http.Request) (*http.Response, error), allow func(context.Context) error, numbers ...string) (carrier.TrackingReading, int) {
	t.Helper()
	rt := &roundTripper{do: do}
	c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	reading := c.Track(t.Context(), chargeAccount(asked), numbers, allow)
	if got, want := slices.Sorted(maps.Keys(reading)), slices.Sorted(slices.Values(numbers)); !slices.Equal(got, want) {
		t.Errorf("the reading is about %q, want %q", got, want)
	}
	return reading, rt.calls
}

// found says in a word what a number came to: the carrier's status, or the kind
// of its error with the code of the carrier's.
func found(r carrier.Tracked) string {
	if r.Err == nil {
		return r.Tracking.CarrierStatus
	}
	s := fault.KindOf(r.Err).String()
	if p := fault.Of(r.Err)[0]; p.Field != "" {
		s += " " + p.Field
	} else if p.Diagnosis != nil && p.Diagnosis.CarrierError != nil && p.Diagnosis.CarrierError.Code != "" {
		s += " " + p.Diagnosis.CarrierError.Code
	}
	return s
}

// results is a track answer with these results.
func results(all ...string) string {
	return `{"tracking_results":[` + strings.Join(all, ",") + `]}`
}

func good(id string) string { return `{"tracking_id":"` + id + `","status":"Good"}` }

func TestTrackAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   [2]string // of AAA and BBB
	}{
		{"unauthorized", 403, refusedBody, [2]string{"carrier refused", "carrier refused"}},
		{"throttled", 429, string(example(t, "error_rate_limited.json")), [2]string{"carrier limited API_002", "carrier limited API_002"}},
		{"throttled under 200", 200, string(example(t, "error_rate_limited.json")), [2]string{"carrier limited API_002", "carrier limited API_002"}},
		{"throttled, of one number", 200, results(`{"tracking_id":"AAA","errors":[{"error_code":"API_002"}]}`, good("BBB")), [2]string{"carrier limited API_002", "Good"}},
		{"the account is unknown", 400, string(example(t, "error_41001.json")), [2]string{"carrier refused account_number", "carrier refused account_number"}},
		{"the contract has ended", 400, string(example(t, "error_41003.json")), [2]string{"carrier contract 41003", "carrier contract 41003"}},
		{"none", 400, `{"errors":[{"code":"51100"}]}`, [2]string{"carrier down 51100", "carrier down 51100"}},
		{"too many of Australia Post", 400, string(example(t, "track_error_51101.json")), [2]string{"carrier down 51101", "carrier down 51101"}},
		{"too many of StarTrack", 400, `{"errors":[{"code":"51102"}]}`, [2]string{"carrier down 51102", "carrier down 51102"}},
		{"both brands", 400, string(example(t, "track_error_51103.json")), [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"one of them is unknown", 400, `{"errors":[{"code":"51104"}]}`, [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"one of them is unknown, under 200", 200, `{"errors":[{"code":"51104"}]}`, [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"HTML", 200, `<html>`, [2]string{"carrier down", "carrier down"}},
		{"empty", 200, ``, [2]string{"carrier down", "carrier down"}},
		{"a list", 200, `[]`, [2]string{"carrier down", "carrier down"}},
		{"another object", 200, `{}`, [2]string{"carrier down", "carrier down"}},
		{"results are no list", 200, `{"tracking_results":{}}`, [2]string{"carrier down", "carrier down"}},
		{"another success", 202, results(good("AAA"), good("BBB")), [2]string{"carrier down", "carrier down"}},
		{"a redirect", 302, results(good("AAA"), good("BBB")), [2]string{"carrier down", "carrier down"}},
		{"no results", 200, results(), [2]string{"carrier down", "carrier down"}},
		{"broken results", 200, results(`null`, `1`, `"AAA"`, `[]`, `{}`, `{"tracking_id":null,"status":"x"}`, `{"tracking_id":{},"status":"x"}`), [2]string{"carrier down", "carrier down"}},
		{"one is missing, another was not asked for", 200, results(good("BBB"), good("CCC")), [2]string{"carrier down", "Good"}},
		{"not found, not trackable", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001","name":"x"}]}`, `{"tracking_id":"BBB","errors":[{"code":"ESB-10002"}]}`), [2]string{"not found tracking_number", "invalid tracking_number"}},
		{"their system", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}]}`, `{"tracking_id":"BBB","errors":{"code":"ESB-20050"}}`), [2]string{"carrier down ESB-20010", "carrier down ESB-20050"}},
		{"an error nobody knows", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-666"}]}`, `{"tracking_id":"BBB","errors":["x",{}]}`), [2]string{"carrier down", "carrier down"}},
		{"the first error counts", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001"},{"code":"ESB-20010"}]}`, good("BBB")), [2]string{"not found tracking_number", "Good"}},
		{"an error beside a status", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}],"status":"Delivered"}`, good("BBB")), [2]string{"Delivered", "Good"}},
		{"twice, one is good", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}]}`, good("AAA"), good("BBB"), `{"tracking_id":"BBB","errors":[{"code":"ESB-20010"}]}`), [2]string{"Good", "Good"}},
		{"nothing is known", 200, results(`{"tracking_id":"AAA"}`, `{"tracking_id":"BBB","errors":[],"trackable_items":[]}`), [2]string{"", ""}},
		{"members of wrong types", 200, results(
			`{"tracking_id":"AAA","status":{},"errors":7,"consignment":"x","trackable_items":[1,null,[],{"events":{},"items":"x","status":[]}]}`,
			`{"tracking_id":"BBB","status":null,"trackable_items":[{"events":[null,1,{"date":{},"description":[]}]}]}`,
		), [2]string{"", ""}},
		{
			"another order, another letter case, unknown members, warnings", 200,
			`{"warnings":[{"code":"1"}],"x":{},"tracking_results":[{"y":[],"tracking_id":" bbb ","status":"Good"},` + good("AAA") + `]}`,
			[2]string{"Good", "Good"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, calls := track(t, func(int, *http.Request) (*http.Response, error) { return response(tt.status, tt.body), nil }, allowed, "AAA", "BBB")
			if d := cmp.Diff(tt.want, [2]string{found(got["AAA"]), found(got["BBB"])}); d != "" || calls != 1 {
				t.Errorf("after %d calls -want +got:\n%s", calls, d)
			}
		})
	}
}

// A whole call that fails for one number names it.
func TestTrackOneNumber(t *testing.T) {
	for code, want := range map[string]string{"51104": "not found tracking_number", "51103": "carrier down 51103"} {
		got, _ := track(t, func(int, *http.Request) (*http.Response, error) {
			return response(400, `{"errors":[{"code":"`+code+`"}]}`), nil
		}, allowed, "AAA")
		if found(got["AAA"]) != want {
			t.Errorf("%s = %s, want %s", code, found(got["AAA"]), want)
		}
	}
}

// Attempts and pauses are those of GetAccount; each attempt is asked leave for.
func TestTrackRetries(t *testing.T) {
	status := func(codes ...int) func(int, *http.Request) (*http.Response, error) {
		return func(n int, _ *http.Request) (*http.Response, error) {
			if codes[n-1] == 0 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
			}
			if codes[n-1] == 401 {
				return response(401, refusedBody), nil
			}
			return response(codes[n-1], results(good("AAA"))), nil
		}
	}
	errAllowance := fault.New(fault.RateLimited, "Enough.")
	tests := []struct {
		name   string
		do     func(n int, r *http.Request) (*http.Response, error)
		leaves int // how often a call is allowed
		want   string
		calls  int
	}{
		{"not allowed", status(), 0, "rate limited", 0},
		{"401, and again not allowed", status(401), 1, "carrier refused", 1},
		{"500, and again not allowed", status(500), 1, "carrier down", 1},
		{"an edge refuses us twice", status(403, 403), 2, "carrier down", 2},
		{"401 twice", status(401, 401), 2, "carrier refused", 2},
		{"503 twice", status(503, 503), 2, "carrier down", 2},
		{"429", status(429), 2, "carrier limited", 1},
		{"400", status(400), 2, "carrier down", 1},
		{"no answer", func(_ int, r *http.Request) (*http.Response, error) { return never(r) }, 2, "carrier timeout", 1},
		{"no connection, then fine", status(0, 200), 2, "Good", 2},
		{"401, then fine", status(401, 200), 2, "Good", 2},
		{"fine", status(200), 1, "Good", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := tt.leaves
				got, calls := track(t, tt.do, func(context.Context) error {
					if left--; left < 0 {
						return errAllowance
					}
					return nil
				}, "AAA")
				if found(got["AAA"]) != tt.want || calls != tt.calls {
					t.Errorf("%s after %d calls, want %s after %d", found(got["AAA"]), calls, tt.want, tt.calls)
				}
			})
		})
	}
}

// The brands go apart, ten numbers in a call, and one call's failure is not the
// other's.
func TestTrackCalls(t *testing.T) {
	var numbers []string
	for i := range 11 {
		numbers = append(numbers, fmt.Sprintf("ZZ910006340%05d", i))
	}
	numbers = append(numbers, starTrack, abroad, "12345678", "2fwz00000007", "123450000001", "&a=b,c#d")
	var asked []string
	got, _ := track(t, func(_ int, r *http.Request) (*http.Response, error) {
		if r.Header.Get("Account-Number") != "0009912345" || r.URL.Path != "/shipping/v1/track" || len(r.URL.Query()) != 1 {
			t.Errorf("request is %s with %v", r.URL, r.Header)
		}
		asked = append(asked, strings.TrimPrefix(r.URL.RawQuery, "tracking_ids="))
		if strings.Contains(r.URL.RawQuery, starTrack) {
			return response(403, refusedBody), nil
		}
		var all []string
		for id := range strings.SplitSeq(r.URL.Query().Get("tracking_ids"), ",") {
			all = append(all, good(id))
		}
		return response(200, results(all...)), nil
	}, allowed, numbers...)
	want := []string{strings.Join(numbers[:10], ","), numbers[10] + "," + abroad + ",12345678,2fwz00000007,123450000001,%26a%3Db%2Cc%23d", starTrack}
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("calls -want +got:\n%s", d)
	}
	if found(got[starTrack]) != "carrier refused" || found(got[abroad]) != "Good" {
		t.Errorf("the other brand's call counts: %v", got)
	}
}

// Nothing of what is asked for, nor of the credentials, gets into errors.
func TestTrackTellsNothing(t *testing.T) {
	const canary = "CANARYNUMBER0001"
	for name, do := range map[string]func(int, *http.Request) (*http.Response, error){
		"no connection": func(_ int, r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("Get %q: %w", r.URL, errors.New(canaryKey))
		},
		"no answer": func(_ int, r *http.Request) (*http.Response, error) { return never(r) },
		"an error": func(int, *http.Request) (*http.Response, error) {
			return response(400, `{"errors":[{"code":"`+canary+`"}]}`), nil
		},
		"not there": func(int, *http.Request) (*http.Response, error) {
			return response(200, results(`{"tracking_id":"`+canary+`","errors":[{"code":"ESB-10001","name":"`+canaryKey+`"}]}`)), nil
		},
		"absent": func(int, *http.Request) (*http.Response, error) { return response(200, results(good("X"))), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, _ := track(t, do, allowed, canary)
				var out bytes.Buffer
				slog.New(slog.NewJSONHandler(&out, nil)).Error("tracking", "error", got[canary].Err)
				for e := got[canary].Err; e != nil; e = errors.Unwrap(e) {
					fmt.Fprintf(&out, "%v %+v %#v", e, e, e)
				}
				for _, s := range []string{canary, canaryKey, "secret%9e7b", asked} {
					if got[canary].Err == nil || strings.Contains(out.String(), s) {
						t.Errorf("%q can be seen in: %s", s, out.String())
					}
				}
			})
		})
	}
}

// The order of the places where a status may stand (contract: "GET /shipping/v1/track").
func TestTrackStatus(t *testing.T) {
	tests := []struct{ name, result, want string }{
		{"nowhere", `"trackable_items":[{"items":[{}]}]`, ""},
		{"a later article", `"trackable_items":[{"items":[{"status":" "},{"status":"E"}]},{"status":"F"}]`, "E"},
		{"the article", `"trackable_items":[{"status":"D","items":[]},{"status":"F"}]`, "D"},
		{"the nested article", `"trackable_items":[{"status":"D","items":[{"status":"C"}]}]`, "C"},
		{"too deep", `"trackable_items":[{"items":[{"items":[{"status":"X"}]}]}]`, ""},
		{"the consignment in a list", `"trackable_items":[{"status":"D"}],"consignment":[{"events":[]},{"status":"B"}]`, "B"},
		{"the consignment", `"trackable_items":[{"status":"D"}],"consignment":{"status":"B"}`, "B"},
		{"the result", `"trackable_items":[{"status":"D"}],"consignment":{"status":"B"},"status":"A"`, "A"},
		{"blank", `"status":"  ","consignment":{"status":""},"trackable_items":[{"status":"D"}]`, "D"},
		{"a number", `"status":17`, "17"},
		{"very long", `"status":"` + strings.Repeat("é", 201) + `"`, strings.Repeat("é", 200)},
	}
	for _, tt := range tests {
		all, err := readTracking([]byte(results(`{"tracking_id":"A",` + tt.result + `}`)))
		if got := all["A"].Tracking.CarrierStatus; err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestTrackEvents(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 9, day, hour, 0, 0, 0, time.UTC) }
	event := func(date, rest string) string { return `{"date":"` + date + `"` + rest + `}` }
	value := `{"tracking_id":"A","consignment":[{"events":[` +
		event("2026-09-17T10:00:00+10:00", `,"description":"Second","location":" X NSW "`) + `]},{"events":` + event("2026-09-16T10:00:00+1000", "") + `}],` +
		`"trackable_items":[{"events":[` + event("2026-09-19T10:00:00+10:00", "") + `,` + event("2026-09-17T10:00:00+10:00", `,"description":"Second","location":"X NSW"`) + `,{}` +
		`],"items":[{"events":[` + event("2026-09-18T00:00:00Z", "") + `,` + event("2026-09-18T10:00:00", `,"description":"No offset"`) + `,` +
		event("9999-12-31T23:59:59-10:00", "") + `,` + event("0000-01-01T00:00:00+10:00", "") + `,` + event("soon", "") + `]}]}]}`
	_, got := readResult([]byte(value))
	want := []carrier.TrackingEvent{
		{At: at(19, 0), CarrierTime: "2026-09-19T10:00:00+10:00"},
		{At: at(18, 0), CarrierTime: "2026-09-18T00:00:00Z"},
		{At: at(17, 0), CarrierTime: "2026-09-17T10:00:00+10:00", Description: "Second", Location: "X NSW"},
		{At: at(16, 0), CarrierTime: "2026-09-16T10:00:00+1000"},
		{CarrierTime: "2026-09-18T10:00:00", Description: "No offset"},
		{CarrierTime: "9999-12-31T23:59:59-10:00"},
		{CarrierTime: "0000-01-01T00:00:00+10:00"},
		{CarrierTime: "soon"},
	}
	if d := cmp.Diff(want, got.Tracking.Events); d != "" {
		t.Errorf("events -want +got:\n%s", d)
	}
}

// TestTrackManyEvents: the newest are kept.
func TestTrackManyEvents(t *testing.T) {
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf(`{"date":"2026-09-18T14:%02d:%02d+10:00","description":"%d"}`, i/60%60, i%60, i))
	}
	_, got := readResult([]byte(`{"tracking_id":"A","trackable_items":[{"events":[` + strings.Join(all, ",") + `]}]}`))
	if n := len(got.Tracking.Events); n != maxEvents || got.Tracking.Events[0].Description != "999" || got.Tracking.Events[n-1].Description != "900" {
		t.Errorf("%d events from %v", n, got.Tracking.Events[0])
	}
}

// TestTrackExamples reads each example of a track answer.
func TestTrackExamples(t *testing.T) {
	delivered := carrier.Tracking{Number: article, CarrierStatus: "Delivered", Events: []carrier.TrackingEvent{
		{At: time.Date(2026, 9, 18, 4, 43, 9, 0, time.UTC), CarrierTime: "2026-09-18T14:43:09+10:00", Description: "Delivered - Left in a safe place", Location: "ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 20, 8, 51, 0, time.UTC), CarrierTime: "2026-09-18T06:08:51+10:00", Description: "Onboard for delivery", Location: "ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 9, 40, 19, 0, time.UTC), CarrierTime: "2026-09-17T19:40:19+10:00", Description: "In transit to next facility in ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 7, 2, 11, 0, time.UTC), CarrierTime: "2026-09-17T17:02:11+10:00", Description: "Item processed at facility", Location: "CHULLORA NSW"},
		{At: time.Date(2026, 9, 16, 4, 27, 15, 0, time.UTC), CarrierTime: "2026-09-16T14:27:15+10:00", Description: "Shipping information approved by Australia Post"},
	}}
	onItsWay := carrier.Tracking{Number: article, CarrierStatus: "In transit", Events: delivered.Events[3:4]}
	nested := carrier.Tracking{Number: abroad, CarrierStatus: "Unknown", Events: []carrier.TrackingEvent{
		{At: time.Date(2026, 2, 2, 21, 8, 0, 0, time.UTC), CarrierTime: "2026-02-03T08:08:00+11:00", Description: "Processed by air carrier"},
		{At: time.Date(2026, 1, 27, 14, 59, 11, 0, time.UTC), CarrierTime: "2026-01-28T01:59:11+11:00", Description: "Cleared and awaiting international departure", Location: "BRISBANE QLD"},
	}}
	consignment := carrier.Tracking{Number: starTrack, CarrierStatus: "In Transit", Events: []carrier.TrackingEvent{
		{At: time.Date(2026, 9, 16, 12, 10, 4, 0, time.UTC), CarrierTime: "2026-09-16T22:10:04+10:00", Description: "In Transit", Location: "TULLAMARINE VIC"},
		{At: time.Date(2026, 9, 16, 5, 51, 22, 0, time.UTC), CarrierTime: "2026-09-16T15:51:22+10:00", Description: "Picked Up", Location: "NEWTOWN VIC"},
	}}
	const unknown, together = "not found tracking_number", "invalid tracking_number"
	tests := map[string]map[string]any{ // by number: a tracking, or what found says
		"track_error.json":                 {shortID: unknown},
		"track_error_51101.json":           {article: "carrier down 51101"},
		"track_error_51103.json":           {article: together, shortID: together},
		"track_partial.json":               {shortID: unknown, article: onItsWay},
		"track_ok.json":                    {article: delivered},
		"track_ok_consignment_nested.json": {abroad: nested},
		"track_startrack_ok.json":          {starTrack: consignment},
	}
	for name, file := range exampleIndex(t) {
		want, ok := tests[name]
		if strings.HasPrefix(name, "track") != ok {
			t.Errorf("%s has no row", name)
		}
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got, _ := track(t, func(int, *http.Request) (*http.Response, error) {
				return response(file.Status, string(example(t, name))), nil
			}, allowed, slices.Sorted(maps.Keys(want))...)
			for number, w := range want {
				var d string
				if tracking, ok := w.(carrier.Tracking); ok {
					d = cmp.Diff(carrier.Tracked{Tracking: tracking}, got[number])
				} else {
					d = cmp.Diff(w, any(found(got[number])))
				}
				if d != "" {
					t.Errorf("%s -want +got:\n%s", number, d)
				}
			}
		})
	}
}

func FuzzTrackAnswer(f *testing.F) {
	for name, file := range exampleIndex(f) {
		f.Add(file.Status, example(f, name))
	}
	f.Add(200, []byte(results(`{"tracking_id":"ZZ91000","errors":[{"code":1},[],null]}`, `{"tracking_id":7,"consignment":[{}]}`)))
	f.Add(200, []byte(results(`{"tracking_id":"ZZ91000","trackable_items":{"items":{"events":{"date":"0001-01-01T00:00:00+23:59"}}}}`)))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c, err := New(Options{
			BaseURL: "https://carrier.example/shipping/v1", Sleep: func(context.Context, time.Duration) error { return nil },
			Transport: &roundTripper{do: func(int, *http.Request) (*http.Response, error) { return response(status, string(body)), nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		numbers := []string{article, shortID, abroad, starTrack}
		for number, r := range c.Track(t.Context(), chargeAccount(asked), numbers, allowed) {
			if !slices.Contains(numbers, number) || r.Tracking.Number != number {
				t.Errorf("%q was not asked for (%q)", r.Tracking.Number, number)
			}
			if r.Err != nil {
				if fault.KindOf(r.Err) == fault.Internal || len(r.Tracking.Events) > 0 || r.Tracking.CarrierStatus != "" {
					t.Errorf("%s: %v beside %+v", number, r.Err, r.Tracking)
				}
				continue
			}
			if status != 200 || len(r.Tracking.Events) > maxEvents {
				t.Errorf("%s: good under %d with %d events", number, status, len(r.Tracking.Events))
			}
			if !slices.IsSortedFunc(r.Tracking.Events, func(a, b carrier.TrackingEvent) int { return b.At.Compare(a.At) }) {
				t.Errorf("%s: events are not the newest first", number)
			}
			for _, e := range r.Tracking.Events {
				if _, err := e.At.MarshalJSON(); err != nil { // a time may be none that JSON has
					t.Errorf("%s: %v", number, err)
				}
			}
			if p := r.Tracking.Progress(); p.Status == "" {
				t.Errorf("%s: no status code", number)
			}
		}
	})
}
