package auspost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/tracking"
)

// The numbers of the examples.
const (
	article   = "ZZ91000634011427"
	shortID   = "ZZ91000"
	abroad    = "ET000000005AU"
	starTrack = "9ZZZ50000001"
)

func allowed(context.Context) error { return nil }

// trackAccount is an Australia Post account with a known merchant location.
func trackAccount() connection.ChargeAccount {
	account := chargeAccount(asked)
	account.MerchantLocationID = "36ZZ4"
	return account
}

// track tracks numbers with a carrier made of a function; it returns the reading and the
// number of calls.
func track(t *testing.T, do func(n int, r *http.Request) (*http.Response, error), allow func(context.Context) error, numbers ...string) (map[string]tracking.CarrierAnswer, int) {
	t.Helper()
	rt := &roundTripper{do: do}
	c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	reading := c.Track(t.Context(), trackAccount(), numbers, allow)
	if got, want := slices.Sorted(maps.Keys(reading)), slices.Sorted(slices.Values(numbers)); !slices.Equal(got, want) {
		t.Errorf("the reading is about %q, want %q", got, want)
	}
	return reading, rt.calls
}

// found summarizes the result of a number: the carrier's status, or the kind of the
// error with the field or the carrier's code.
func found(r tracking.CarrierAnswer) string {
	if r.Err == nil {
		return r.Tracking.CarrierText()
	}
	s := fault.KindOf(r.Err).String()
	if p := fault.Of(r.Err)[0]; p.Field != "" {
		s += " " + p.Field
	} else if p.Diagnosis != nil && p.Diagnosis.CarrierError != nil && p.Diagnosis.CarrierError.Code != "" {
		s += " " + p.Diagnosis.CarrierError.Code
	}
	return s
}

// results returns a Track answer with these results.
func results(all ...string) string {
	return `{"tracking_results":[` + strings.Join(all, ",") + `]}`
}

// beside returns a Track answer with an error beside the results.
func beside(code string, all ...string) string {
	return `{"errors":[{"code":"` + code + `"}],` + results(all...)[1:]
}

func good(id string) string { return `{"tracking_id":"` + id + `","status":"Good"}` }

// many is a result of n delivered articles.
func many(id string, n int) string {
	return `{"tracking_id":"` + id + `","trackable_items":[{"status":"Delivered"}` + strings.Repeat(`,{"status":"Delivered"}`, n-1) + `]}`
}

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
		{"no numbers", 400, `{"errors":[{"code":"51100"}]}`, [2]string{"carrier down 51100", "carrier down 51100"}},
		{"too many of Australia Post", 400, string(example(t, "track_error_51101.json")), [2]string{"carrier down 51101", "carrier down 51101"}},
		{"too many of StarTrack", 400, `{"errors":[{"code":"51102"}]}`, [2]string{"carrier down 51102", "carrier down 51102"}},
		{"one number is unknown", 400, `{"errors":[{"code":"51104"}]}`, [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"one number is unknown, under 200", 200, `{"errors":[{"code":"51104"}]}`, [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"one number is unknown, by the other code", 400, `{"errors":[{"code":"ESB-10001"}]}`, [2]string{"invalid tracking_number", "invalid tracking_number"}},
		{"an error beside results", 200, beside("ESB-20010", good("BBB")), [2]string{"carrier down ESB-20010", "Good"}},
		{"throttled beside results", 200, beside("API_002", good("BBB")), [2]string{"carrier limited API_002", "Good"}},
		{"refused beside results", 200, beside("API_001", good("BBB")), [2]string{"carrier refused API_001", "Good"}},
		{"an unknown error beside results", 200, beside("ESB-666", good("BBB")), [2]string{"carrier down", "Good"}},
		{"the number without a result is unknown", 200, beside("51104", good("BBB")), [2]string{"not found tracking_number", "Good"}},
		{"the number without a result is not tracked", 200, beside("ESB-10002", good("AAA")), [2]string{"Good", "invalid tracking_number"}},
		{"an error beside empty results", 200, beside("ESB-20050", `{"tracking_id":"AAA","trackable_items":[]}`, good("BBB")), [2]string{"carrier down ESB-20050", "Good"}},
		{"an error beside results with errors", 200, beside("ESB-20050", `{"tracking_id":"AAA","errors":[{"code":"ESB-10001"}]}`, good("BBB")), [2]string{"not found tracking_number", "Good"}},
		{"an error beside no results", 200, beside("41003"), [2]string{"carrier contract 41003", "carrier contract 41003"}},
		{"errors beside results under another status", 400, beside("41003", good("AAA")), [2]string{"carrier contract 41003", "carrier contract 41003"}},
		{"errors in the articles", 200, results(
			`{"tracking_id":"AAA","trackable_items":[{"article_id":"AAA","errors":[{"code":"ESB-10001"}]},{"article_id":"A2","errors":[{"code":"ESB-20010"}]}]}`,
			`{"tracking_id":"BBB","trackable_items":[{"consignment_id":"BBB","items":[{"article_id":"B1","errors":{"code":"ESB-10002"}}]}]}`,
		), [2]string{"not found tracking_number", "invalid tracking_number"}},
		{"an error in one of two articles, and in a consignment", 200, results(
			`{"tracking_id":"AAA","trackable_items":[{"errors":[{"code":"ESB-10001"}]},{"status":"Good"}]}`,
			`{"tracking_id":"BBB","consignment":{"errors":[{"code":"ESB-20050"}]}}`,
		), [2]string{"Good", "carrier down ESB-20050"}},
		{"two results with errors, the first in precedence first", 200, results(`{"tracking_id":"AAA","errors":[{"code":"API_002"}]}`, `{"tracking_id":"AAA","errors":[{"code":"ESB-10001"}]}`,
			`{"tracking_id":"BBB","errors":["x"]}`, `{"tracking_id":"BBB","errors":[{"code":"ESB-10002"}]}`), [2]string{"carrier limited API_002", "invalid tracking_number"}},
		{"two results with errors, the first in precedence last", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001"}]}`, `{"tracking_id":"AAA","errors":[{"code":"API_002"}]}`,
			`{"tracking_id":"BBB","errors":[{"code":"ESB-10002"}]}`, `{"tracking_id":"BBB","errors":["x"]}`), [2]string{"carrier limited API_002", "invalid tracking_number"}},
		{"too many articles of two results", 200, results(many("AAA", maxParts/2), many("aaa", maxParts/2), good("BBB")), [2]string{"carrier down", "Good"}},
		{"many articles, in two identical results", 200, results(many("AAA", maxParts), good("BBB"), many("AAA", maxParts)), [2]string{"Delivered", "Good"}},
		{"two results, one empty", 200, results(`{"tracking_id":"AAA"}`, good("AAA"), good("BBB"), `{"tracking_id":"BBB"}`), [2]string{"Good", "Good"}},
		{"too many articles", 200, results(
			`{"tracking_id":"AAA","status":"Delivered","trackable_items":[`+strings.Repeat(`{"status":"Delivered"},`, maxParts)+`{"status":"In transit"}]}`, good("BBB"),
		), [2]string{"carrier down", "Good"}},
		{"HTML", 200, `<html>`, [2]string{"carrier down", "carrier down"}},
		{"empty", 200, ``, [2]string{"carrier down", "carrier down"}},
		{"a list", 200, `[]`, [2]string{"carrier down", "carrier down"}},
		{"another object", 200, `{}`, [2]string{"carrier down", "carrier down"}},
		{"results are not a list", 200, `{"tracking_results":{}}`, [2]string{"carrier down", "carrier down"}},
		{"another success", 202, results(good("AAA"), good("BBB")), [2]string{"carrier down", "carrier down"}},
		{"a redirect", 302, results(good("AAA"), good("BBB")), [2]string{"carrier down", "carrier down"}},
		{"no results", 200, results(), [2]string{"carrier down", "carrier down"}},
		{"broken results", 200, results(`null`, `1`, `"AAA"`, `[]`, `{}`, `{"tracking_id":null,"status":"x"}`, `{"tracking_id":{},"status":"x"}`), [2]string{"carrier down", "carrier down"}},
		{"one result is missing, another was not requested", 200, results(good("BBB"), good("CCC")), [2]string{"carrier down", "Good"}},
		{"not found, not trackable", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001","name":"x"}]}`, `{"tracking_id":"BBB","errors":[{"code":"ESB-10002"}]}`), [2]string{"not found tracking_number", "invalid tracking_number"}},
		{"a failure of the carrier", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}]}`, `{"tracking_id":"BBB","errors":{"code":"ESB-20050"}}`), [2]string{"carrier down ESB-20010", "carrier down ESB-20050"}},
		{"unknown errors", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-666"}]}`, `{"tracking_id":"BBB","errors":["x",{}]}`), [2]string{"carrier down", "carrier down"}},
		{"empty errors", 200, results(`{"tracking_id":"AAA","errors":["x"]}`, `{"tracking_id":"BBB","errors":7}`), [2]string{"carrier down", "carrier down"}},
		{"empty errors in other forms", 200, results(`{"tracking_id":"AAA","errors":"x"}`, `{"tracking_id":"BBB","errors":[null,[],{"code":null,"message":""}]}`), [2]string{"carrier down", "carrier down"}},
		{"an empty error in an article", 200, results(`{"tracking_id":"AAA","trackable_items":[{"article_id":"AAA","errors":[true]}]}`, good("BBB")), [2]string{"carrier down", "Good"}},
		{"errors with null, and an empty object", 200, results(`{"tracking_id":"AAA","errors":[null]}`, `{"tracking_id":"BBB","errors":{}}`), [2]string{"carrier down", "carrier down"}},
		{"empty errors beside a status", 200, results(`{"tracking_id":"AAA","errors":["x"],"status":"Delivered"}`, good("BBB")), [2]string{"Delivered", "Good"}},
		{"the first error counts", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001"},{"code":"ESB-20010"}]}`, good("BBB")), [2]string{"not found tracking_number", "Good"}},
		{"an error beside a status", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}],"status":"Delivered"}`, good("BBB")), [2]string{"Delivered", "Good"}},
		{"two results, one good", 200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-20010"}]}`, good("AAA"), good("BBB"), `{"tracking_id":"BBB","errors":[{"code":"ESB-20010"}]}`), [2]string{"Good", "Good"}},
		{"results without data", 200, results(`{"tracking_id":"AAA"}`, `{"tracking_id":"BBB","errors":[],"trackable_items":[]}`), [2]string{"", ""}},
		{"members of wrong types", 200, results(
			`{"tracking_id":"AAA","status":{},"errors":null,"consignment":"x","trackable_items":[1,null,[],{"events":{},"items":"x","status":[]}]}`,
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

// TestTrackOneNumber: the error of a call about one number concerns that number.
func TestTrackOneNumber(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
		fault  tracking.NumberFault
	}{
		"unknown, 400":             {400, `{"errors":[{"code":"51104"}]}`, "not found tracking_number", tracking.NumberUnknown},
		"unknown, 200":             {200, `{"errors":[{"code":"51104"}]}`, "not found tracking_number", tracking.NumberUnknown},
		"unknown, 404":             {404, fieldCase(t, "f09b_404_tracking.json"), "not found tracking_number", tracking.NumberUnknown},
		"unknown, by its own code": {400, `{"errors":[{"code":"ESB-10001"}]}`, "not found tracking_number", tracking.NumberUnknown},
		"unknown, by its result":   {200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10001"}]}`), "not found tracking_number", tracking.NumberUnknown},
		"not tracked":              {200, results(`{"tracking_id":"AAA","errors":[{"code":"ESB-10002"}]}`), "invalid tracking_number", tracking.NumberNotTracked},
		"both brands":              {400, `{"errors":[{"code":"51103"}]}`, "carrier down 51103", ""},
		"another number's result":  {200, results(good("BBB")), "carrier down", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, calls := track(t, func(int, *http.Request) (*http.Response, error) { return response(tt.status, tt.body), nil }, allowed, "AAA")
			if found(got["AAA"]) != tt.want || got["AAA"].Fault != tt.fault || calls != 1 {
				t.Errorf("%s, fault %q after %d calls, want %s, %q after 1", found(got["AAA"]), got["AAA"].Fault, calls, tt.want, tt.fault)
			}
		})
	}
}

// mixed returns a carrier that refuses both brands in one call; StarTrack's numbers have a
// prefix.
func mixed(starTrack string, asked *[]string) func(int, *http.Request) (*http.Response, error) {
	return func(_ int, r *http.Request) (*http.Response, error) {
		ids := r.URL.Query().Get("tracking_ids")
		*asked = append(*asked, ids)
		var all []string
		second := 0
		for id := range strings.SplitSeq(ids, ",") {
			all = append(all, good(id))
			if strings.HasPrefix(id, starTrack) {
				second++
			}
		}
		if second > 0 && second < len(all) {
			return response(400, `{"errors":[{"code":"51103"}]}`), nil
		}
		return response(200, results(all...)), nil
	}
}

// TestTrackMixedBrands: a refused mixture of brands is divided by the form of the numbers,
// else in halves, and asked for again as far as allow permits.
func TestTrackMixedBrands(t *testing.T) {
	tests := []struct {
		name, starTrack string
		numbers         []string
		calls           int // that are allowed
		asked           []string
		limited         []string
	}{
		{"two of one form", "A2", []string{"A1", "A2"}, 10, []string{"A1,A2", "A1", "A2"}, nil},
		{"as far as allowed", "A2", []string{"A1", "A2"}, 2, []string{"A1,A2", "A1"}, []string{"A2"}},
		{"not allowed again", "A2", []string{"A1", "A2"}, 1, []string{"A1,A2"}, []string{"A1", "A2"}},
		{"of two forms", "36ZZ", []string{"A1", "36ZZ45000001", "A2", "36ZZ45000002"}, 10, []string{"A1,36ZZ45000001,A2,36ZZ45000002", "A1,A2", "36ZZ45000001,36ZZ45000002"}, nil},
		{"one of five", "A4", []string{"A1", "A2", "A3", "A4", "A5"}, 10, []string{"A1,A2,A3,A4,A5", "A1,A2", "A3,A4,A5", "A3", "A4,A5", "A4", "A5"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			left := tt.calls
			got, _ := track(t, mixed(tt.starTrack, &asked), func(context.Context) error {
				if left--; left < 0 {
					return fault.New(fault.RateLimited, "Enough.")
				}
				return nil
			}, tt.numbers...)
			if d := cmp.Diff(tt.asked, asked); d != "" {
				t.Errorf("calls -want +got:\n%s", d)
			}
			for _, n := range tt.numbers {
				want := "Good"
				if slices.Contains(tt.limited, n) {
					want = "rate limited"
				}
				if found(got[n]) != want {
					t.Errorf("%s = %s, want %s", n, found(got[n]), want)
				}
			}
		})
	}
	for name, tt := range map[string]struct {
		answers []string
		asked   []string
	}{
		"with some results":    {[]string{beside("51103", good("A1")), results(good("A2")), results(good("A3"))}, []string{"A1,A2,A3", "A2", "A3"}},
		"with all but one":     {[]string{beside("51103", good("A1"), good("A3")), results(good("A2"))}, []string{"A1,A2,A3", "A2"}},
		"with all the results": {[]string{beside("51103", good("A1"), good("A3"), good("A2"))}, []string{"A1,A2,A3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			got, _ := track(t, func(n int, r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Query().Get("tracking_ids"))
				return response(200, tt.answers[n-1]), nil
			}, allowed, "A1", "A2", "A3")
			if d := cmp.Diff(tt.asked, asked); d != "" || found(got["A1"]) != "Good" || found(got["A2"]) != "Good" || found(got["A3"]) != "Good" {
				t.Errorf("%v after calls (-want +got):\n%s", got, d)
			}
		})
	}
}

// TestTrackRetries: attempts and pauses are those of GetAccount, and allow is called before
// each attempt.
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
		leaves int // how many calls are allowed
		want   string
		calls  int
	}{
		{"not allowed", status(), 0, "rate limited", 0},
		{"401, and again not allowed", status(401), 1, "carrier refused", 1},
		{"500, and again not allowed", status(500), 1, "carrier down", 1},
		{"a 403 of an edge twice", status(403, 403), 2, "carrier down", 2},
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

// TestTrackCalls: each brand has its own calls, of ten numbers, which fail separately.
// Consignments of the account itself are Australia Post's, whatever their form.
func TestTrackCalls(t *testing.T) {
	var numbers []string
	for i := range 9 {
		numbers = append(numbers, fmt.Sprintf("ZZ910006340%05d", i))
	}
	const item = starTrack + "EXP00001"
	numbers = append(numbers, starTrack, "36ZZ45032230", abroad, item, "12345678", "2fwz00000007", "123450000001", "&a=b,c#d")
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
	want := []string{strings.Join(append(slices.Clone(numbers[:9]), "36ZZ45032230"), ","), abroad + ",12345678,2fwz00000007,123450000001,%26a%3Db%2Cc%23d", starTrack + "," + item}
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("calls -want +got:\n%s", d)
	}
	if found(got[starTrack]) != "carrier refused" || found(got[abroad]) != "Good" {
		t.Errorf("one brand's failure affects the other: %v", got)
	}
}

// TestTrackErrorsHoldNoSecrets: neither tracking numbers nor credentials get into errors.
func TestTrackErrorsHoldNoSecrets(t *testing.T) {
	const canary = "CANARYNUMBER0001"
	for name, do := range map[string]func(int, *http.Request) (*http.Response, error){
		"no connection": func(_ int, r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("Get %q: %w", r.URL, errors.New(canaryKey))
		},
		"no answer": func(_ int, r *http.Request) (*http.Response, error) { return never(r) },
		"an error": func(int, *http.Request) (*http.Response, error) {
			return response(400, `{"errors":[{"code":"`+canary+`"}]}`), nil
		},
		"not found": func(int, *http.Request) (*http.Response, error) {
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
						t.Errorf("%q appears in: %s", s, out.String())
					}
				}
			})
		})
	}
}

// fieldCase reads an answer that was once misread.
func fieldCase(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "tracking", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// summary summarizes a tracking: the whole shipment and each article.
type summary struct {
	Status, Detail, Words string
	DeliveredAt           string
	Articles              []string
}

func summarize(tracking tracking.Tracking) summary {
	s := tracking.Summary()
	w := summary{Status: string(s.Status), Detail: s.Detail, Words: tracking.CarrierText()}
	if at := tracking.DeliveredAt(); !at.IsZero() {
		w.DeliveredAt = at.Format(time.RFC3339)
	}
	for _, a := range tracking.Articles() {
		w.Articles = append(w.Articles, fmt.Sprintf("%s %s %q %d", a.Number, a.Status, a.Text, len(a.Events)))
	}
	return w
}

// TestTrackShipmentOfSeveralParts: the status of a shipment of several parts, wherever the carrier writes
// it.
func TestTrackShipmentOfSeveralParts(t *testing.T) {
	result := func(members string) string { return results(`{"tracking_id":"A",` + members + `}`) }
	const delivered, onItsWay, failed = `{"status":"Delivered"}`, `{"status":"In transit"}`, `{"status":"Cannot be delivered"}`
	tests := []struct {
		name, number, body string
		want               summary
	}{
		{"one delivered, one on its way", "ZZZ5033490", fieldCase(t, "f03a_first_article_delivered_second_not.json"), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{`ZZZ50334900100931006 DE "Delivered" 1`, `ZZZ50334900200931004 IT "In transit" 1`},
		}},
		{"nested, one cannot be delivered", "ZZZ5033491", fieldCase(t, "f03b_nested_first_delivered_second_undeliverable.json"), summary{
			"EX", "NOT_DELIVERED", "Cannot be delivered", "", []string{`ZZZ50334910100931006 DE "Delivered" 1`, `ZZZ50334910200931004 EX "Cannot be delivered" 0`},
		}},
		{"two consignments", "9ZZZ50000003", fieldCase(t, "f03c_two_consignments_second_in_transit.json"), summary{
			"IT", "DELIVERED_IN_PART", "In Transit", "", []string{` DE "Delivered in Full" 0`, ` IT "In Transit" 0`},
		}},
		{"the items differ", "ZZZ5033490", fieldCase(t, "f06_items_differ.json"), summary{
			"IT", "DELIVERED_IN_PART", "Track items for detailed delivery information", "",
			[]string{`ZZZ50334900100931006 DE "Delivered" 1`, `ZZZ50334900200931004 IT "In transit" 1`},
		}},
		{"StarTrack's", "9ZZZ50000001", fieldCase(t, "f07_startrack_testbed_event_words.json"), summary{
			"DE", "DELIVERED", "Delivered in Full", "2025-02-13T00:49:59Z", []string{`9ZZZ50000001EXP00002 DE "Item Delivered" 4`, `9ZZZ50000001EXP00001 DE "Item Delivered" 4`},
		}},
		{"results beside an error", article, fieldCase(t, "f10a_top_errors_beside_results.json"), summary{"IT", "IN_TRANSIT", "In transit", "", nil}},

		{"no status at all", "A", result(`"trackable_items":[{"items":[{}]}]`), summary{Status: "UN"}},
		{"an article with a number only", "A", result(`"trackable_items":[{"article_id":"A1"}]`), summary{Status: "UN", Articles: []string{`A1 UN "" 0`}}},
		{"nested deeper", "A", result(`"trackable_items":[{"items":[{"items":[` + delivered + `,{"items":[` + onItsWay + `]}]}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{` DE "Delivered" 0`, ` IT "In transit" 0`},
		}},
		{"a consignment with items of its own and beside it", "A", result(`"consignment":{"items":[` + delivered + `]},"trackable_items":[` + failed + `]`), summary{
			"EX", "NOT_DELIVERED", "Cannot be delivered", "", []string{` DE "Delivered" 0`, ` EX "Cannot be delivered" 0`},
		}},
		{"consignments with articles", "A", result(`"consignment":[{"consignment_id":"C1","items":[` + delivered + `,` + delivered + `]},{"consignment_id":"C2","items":[` + delivered + `]}]`), summary{
			"DE", "DELIVERED", "Delivered", "", []string{` DE "Delivered" 0`, ` DE "Delivered" 0`, ` DE "Delivered" 0`},
		}},
		{"the carrier's status contradicts its articles", "A", result(`"status":"Delivered","trackable_items":[` + delivered + `,` + onItsWay + `]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{` DE "Delivered" 0`, ` IT "In transit" 0`},
		}},
		{"the consignment's status contradicts its articles", "A", result(`"consignment":{"status":"Delivered in Full"},"trackable_items":[` + onItsWay + `]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered in Full", "", []string{` IT "In transit" 0`},
		}},
		{"the articles are ahead of the carrier's status", "A", result(`"status":"In transit","trackable_items":[` + delivered + `]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{` DE "Delivered" 0`},
		}},
		{"the carrier's status holds for articles without one", "A", result(`"status":"Delivered","trackable_items":[{"article_id":"A1"},{"article_id":"A2","status":"Brand new"}]`), summary{
			"DE", "DELIVERED", "Delivered", "", []string{`A1 DE "Delivered" 0`, `A2 DE "Brand new" 0`},
		}},
		{"the carrier's status is ahead of one article", "A", result(`"consignment":{"status":"In Transit"},"trackable_items":[{"status":"In Transit"},{"status":"Confirmed"}]`), summary{
			"IT", "IN_TRANSIT", "In Transit", "", []string{` IT "In Transit" 0`, ` AC "Confirmed" 0`},
		}},
		{"the least advanced article", "A", result(`"trackable_items":[{"status":"Awaiting collection"},{"status":"Initiated"},{"status":"In transit"}]`), summary{
			"AC", "ELEC_ADVICE_RECD_BY_CARRIER", "Initiated", "", []string{` SP "Awaiting collection" 0`, ` AC "Initiated" 0`, ` IT "In transit" 0`},
		}},
		{"an article that is not listed", "A", result(`"trackable_items":[{"consignment_id":"A","number_of_items":2,"items":[` + delivered + `]}]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{` DE "Delivered" 0`},
		}},
		{"an article that is not listed, counted in a text", "A", result(`"number_of_items":"2","trackable_items":[` + delivered + `]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{` DE "Delivered" 0`},
		}},
		{"an article under the consignment and beside it", "A", result(`"consignment":{"consignment_id":"C","number_of_items":2,"items":[{"article_id":"A1","status":"Delivered",` +
			`"events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]},{"article_id":"A2"}]},` +
			`"number_of_items":2,"trackable_items":[{"article_id":"a1","events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"},{"description":"Picked Up"}]},` +
			`{"article_id":"A2","status":"Item Delivered"}]`), summary{
			"DE", "DELIVERED", "Delivered", "2026-09-18T00:00:00Z", []string{`A1 DE "Delivered" 2`, `A2 DE "Item Delivered" 0`},
		}},
		{"repeats at any depth", "A", result(`"consignment":[{"consignment_id":"C1","items":[{"article_id":"A1"},{"article_id":"A2","status":"In transit"}]},{"consignment_id":"C2","items":[{"article_id":"A3"}]}],` +
			`"trackable_items":[{"consignment_id":"C2","status":"Delivered in Full","items":[{"items":[{"article_id":"A3"}]}]},{"items":[{"article_id":"A1","status":"Delivered"}]},{"article_id":"A4"}]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{`A1 DE "Delivered" 0`, `A2 IT "In transit" 0`, `A3 DE "Delivered in Full" 0`, `A4 UN "" 0`},
		}},
		{"listed without its items first", "A", result(`"items":[{"consignment_id":"C1"},{"article_id":"A1","status":"In transit"}],` +
			`"trackable_items":[{"consignment_id":"C1","status":"Delivered","items":[{"article_id":"A1"},{"article_id":"A2"}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{`A2 DE "Delivered" 0`, `A1 IT "In transit" 0`},
		}},
		{"an article nested in itself", "A", result(`"trackable_items":[{"article_id":"A1","status":"In transit","items":[{"article_id":"A1","events":[{"description":"Picked Up"}]}]}]`), summary{
			"IT", "IN_TRANSIT", "In transit", "", []string{`A1 IT "In transit" 1`},
		}},
		{"repeats that contradict each other", "A", result(`"items":[{"article_id":"A1","status":"Delivered"},{"article_id":"A2","status":"In transit","events":[{"date":"2026-09-17T10:00:00+10:00","description":"Onboard for delivery"}]},` +
			`{"article_id":"A3","status":"Delivered","events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]},{"article_id":"A4","status":"Brand new"},{"article_id":"A5","status":"Delivered"}],` +
			`"trackable_items":[{"article_id":"A1","status":"In transit"},{"article_id":"A2","status":"Delivered","events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]},` +
			`{"article_id":"A3","status":"In transit"},{"article_id":"A4","status":"Delivered"},{"article_id":"A5","status":"Brand new"}]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "",
			[]string{`A1 IT "In transit" 0`, `A2 DE "Delivered" 2`, `A3 DE "Delivered" 1`, `A4 DE "Delivered" 0`, `A5 DE "Delivered" 0`},
		}},
		{"items with only the number of their consignment are not repeats", "A", result(`"consignment":{"consignment_id":"C1","items":[{"consignment_id":"C1","status":"Delivered"},{"consignment_id":"C1","status":"In transit"}]}`), summary{
			"IT", "DELIVERED_IN_PART", "In transit", "", []string{`C1 DE "Delivered" 0`, `C1 IT "In transit" 0`},
		}},
		{"a repeat counts once of number_of_items", "A", result(`"number_of_items":2,"trackable_items":[{"article_id":"A1","status":"Delivered"},{"article_id":"A1","status":"Delivered"}]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{`A1 DE "Delivered" 0`},
		}},
		{"number_of_items counts what is nested", "A", result(`"number_of_items":2,"trackable_items":[{"consignment_id":"C1","items":[` + delivered + `,` + delivered + `]}]`), summary{
			"DE", "DELIVERED", "Delivered", "", []string{` DE "Delivered" 0`, ` DE "Delivered" 0`},
		}},
		{"a consignment whose articles are all listed before, with another status", "A", result(`"consignment":[{"status":"Delivered in Full","items":[{"article_id":"A1"}]},{"status":"In Transit","items":[{"article_id":"A1"}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "In Transit", "", []string{`A1 DE "Delivered in Full" 0`},
		}},
		{"a consignment whose articles are all listed before, and an unlisted article", "A", result(`"number_of_items":2,"items":[{"article_id":"A1","status":"Delivered"}],"trackable_items":[{"status":"Delivered","items":[{"article_id":"A1"}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{`A1 DE "Delivered" 0`},
		}},
		{"a consignment without new articles between others", "A", result(`"items":[{"article_id":"A1"}],"trackable_items":[{"consignment_id":"C1","items":[{"article_id":"A1"}]},{"article_id":"A2","status":"Delivered"},{"consignment_id":"C1","status":"In Transit"}]`), summary{
			"IT", "DELIVERED_IN_PART", "In Transit", "", []string{`A1 UN "" 0`, `A2 DE "Delivered" 0`, `C1 IT "In Transit" 0`},
		}},
		{"an article that is null", "A", result(`"trackable_items":[null,{"article_id":"A1","status":"Delivered","events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{`A1 DE "Delivered" 1`},
		}},
		{"an article that is only a number", "A", result(`"trackable_items":[{"article_id":"A1","status":"Delivered"},"a2"]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered", "", []string{`A1 DE "Delivered" 0`, `a2 UN "" 0`},
		}},
		{"an article that is its number here, and is summary of there", "A", result(`"consignment":{"items":["A1",2]},"trackable_items":[{"article_id":"A1","status":"Delivered"},{"article_id":"2","status":"Delivered"}]`), summary{
			"DE", "DELIVERED", "Delivered", "", []string{`A1 DE "Delivered" 0`, `2 DE "Delivered" 0`},
		}},
		{"a consignment that is a boolean", "A", result(`"consignment":[{"status":"Delivered in Full"},true]`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered in Full", "", []string{` DE "Delivered in Full" 0`},
		}},
		{"a consignment that is delivered, and a later scan of its article", "A", result(`"consignment":{"status":"Delivered in Full","items":[{"article_id":"A1","events":[` +
			`{"date":"2026-09-19T10:00:00+10:00","description":"In transit to next facility in SYDNEY"},{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]}]}`), summary{
			"IT", "DELIVERED_IN_PART", "Delivered in Full", "", []string{`A1 IT "In transit to next facility in SYDNEY" 2`},
		}},
		{"three, mixed", "A", result(`"trackable_items":[` + delivered + `,` + failed + `,` + onItsWay + `]`), summary{
			"EX", "NOT_DELIVERED", "Cannot be delivered", "", []string{` DE "Delivered" 0`, ` EX "Cannot be delivered" 0`, ` IT "In transit" 0`},
		}},
		{"any letter case and blanks", "A", result(`"trackable_items":[{"status":" DELIVERED "},{"status":"in  Transit\u00a0"}]`), summary{
			"IT", "DELIVERED_IN_PART", "in  Transit", "", []string{` DE "DELIVERED" 0`, ` IT "in  Transit" 0`},
		}},
		{"no status, but events", "A", result(`"trackable_items":[{"events":[{"description":"Picture taken"},{"description":"Delivered - Left in a safe place"}]},` +
			`{"events":[{"description":"In transit to next facility in SYDNEY"},{"description":"Picked Up"}]}]`), summary{
			"IT", "DELIVERED_IN_PART", "In transit to next facility in SYDNEY", "",
			[]string{` DE "Delivered - Left in a safe place" 2`, ` IT "In transit to next facility in SYDNEY" 2`},
		}},
		{"events of the consignment, no data of its articles", "A", result(`"consignment":{"events":[{"description":"Delivered"}]},"trackable_items":[{"article_id":"A1"},{"article_id":"A2"}]`), summary{
			"DE", "DELIVERED", "Delivered", "", []string{`A1 DE "Delivered" 0`, `A2 DE "Delivered" 0`},
		}},
		{"events of the consignment, statuses of its articles", "A", result(`"consignment":{"events":[{"description":"Onboard for delivery"}]},"trackable_items":[{"status":"Item Delivered"},{"status":"Item Delivered"}]`), summary{
			"DE", "DELIVERED", "Item Delivered", "", []string{` DE "Item Delivered" 0`, ` DE "Item Delivered" 0`},
		}},
		{"events on the result", "A", result(`"events":[{"event_date_time":"2026-09-18T10:00:00+10:00","description":"Delivered"}]`), summary{"DE", "DELIVERED", "Delivered", "2026-09-18T00:00:00Z", nil}},
		{"the latest delivery", "A", result(`"trackable_items":[{"status":"Delivered","events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]},` +
			`{"status":"Delivered","events":[{"date":"2026-09-20T10:00:00+10:00","description":"Picture taken"},{"date":"2026-09-19T10:00:00+10:00","description":"Delivered in KEW VIC"}]}]`), summary{
			"DE", "DELIVERED", "Delivered", "2026-09-19T00:00:00Z", []string{` DE "Delivered" 1`, ` DE "Delivered" 2`},
		}},
		{"a number for a status", "A", result(`"status":17`), summary{Status: "UN", Words: "17"}},
		{"blank", "A", result(`"status":"  ","consignment":{"status":""},"trackable_items":[{"status":"Created"}]`), summary{"NY", "SHIPMENT_CREATED", "Created", "", []string{` NY "Created" 0`}}},
		{"very long", "A", result(`"status":"` + strings.Repeat("é", 201) + `"`), summary{Status: "UN", Words: strings.Repeat("é", 200)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, calls := track(t, func(int, *http.Request) (*http.Response, error) { return response(200, tt.body), nil }, allowed, tt.number)
			if got[tt.number].Err != nil || calls != 1 {
				t.Fatalf("%v after %d calls", got[tt.number].Err, calls)
			}
			if d := cmp.Diff(tt.want, summarize(got[tt.number].Tracking)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	t.Run("errors in the only article", func(t *testing.T) {
		got, _ := track(t, func(int, *http.Request) (*http.Response, error) {
			return response(200, fieldCase(t, "f10b_errors_only_in_item.json")), nil
		}, allowed, article)
		if found(got[article]) != "not found tracking_number" || got[article].Fault != tracking.NumberUnknown {
			t.Errorf("%s, fault %q", found(got[article]), got[article].Fault)
		}
	})
}

// TestTrackSeveralResultsForOneNumber: everything that the carrier says of a number counts, in any
// number of results and in any order.
func TestTrackSeveralResultsForOneNumber(t *testing.T) {
	result := func(id, members string) string { return `{"tracking_id":"` + id + `",` + members + `}` }
	const number = "ABC5033470"
	const delivered, onItsWay, failed = `"status":"Delivered"`, `"status":"In transit"`, `"status":"Cannot be delivered"`
	const at = `,"events":[{"date":"2026-09-18T10:00:00+10:00","description":"Delivered"}]`
	const since = `,"events":[{"date":"2026-09-19T10:00:00+10:00","description":"In transit to next facility in SYDNEY"}]`
	items := func(all ...string) string { return `"trackable_items":[{` + strings.Join(all, `},{`) + `}]` }
	inPart := func(words string, articles ...string) summary {
		return summary{"IT", "DELIVERED_IN_PART", words, "", articles}
	}
	undelivered := func(articles ...string) summary {
		return summary{"EX", "NOT_DELIVERED", "Cannot be delivered", "", articles}
	}
	for _, tt := range []struct {
		name    string
		results []string
		want    summary
	}{
		{"delivered, on its way", []string{result(number, delivered), result(number, onItsWay)}, inPart("In transit")},
		{"delivered with an event", []string{result(number, delivered+at), result(number, onItsWay)}, inPart("In transit")},
		{"delivered, cannot be delivered", []string{result(number, delivered), result(number, failed)}, undelivered()},
		{"another letter case", []string{result(number, delivered), result("abc5033470", onItsWay)}, inPart("In transit")},
		{"with blanks", []string{result(number, delivered), result(" ABC 5033470", onItsWay)}, inPart("In transit")},
		{"by events alone", []string{result(number, at[1:]), result(number, since[1:])}, inPart("In transit to next facility in SYDNEY")},
		{"three", []string{result(number, delivered), result(number, onItsWay), result(number, failed)}, undelivered()},
		{
			"articles",
			[]string{result(number, items(`"article_id":"A1",`+delivered+at)), result(number, items(`"article_id":"A2",`+onItsWay))},
			inPart("In transit", `A2 IT "In transit" 0`, `A1 DE "Delivered" 1`),
		},
		{
			"articles, one failed",
			[]string{result(number, items(`"article_id":"A1",`+delivered+at)), result(number, items(`"article_id":"A2",`+failed))},
			undelivered(`A2 EX "Cannot be delivered" 0`, `A1 DE "Delivered" 1`),
		},
		{
			"articles without numbers",
			[]string{result(number, items(delivered+at)), result(number, items(onItsWay))},
			inPart("In transit", ` IT "In transit" 0`, ` DE "Delivered" 1`),
		},
		{
			"one article, summary of in two ways",
			[]string{result(number, items(`"article_id":"ABC5033470",`+delivered+at)), result(number, items(`"article_id":"abc5033470",`+onItsWay))},
			inPart("In transit", `abc5033470 IT "In transit" 1`),
		},
		{
			"one article, and a later event",
			[]string{result(number, items(`"article_id":"A1",`+delivered+at)), result(number, items(`"article_id":"A1",`+onItsWay+since))},
			inPart("In transit", `A1 IT "In transit" 2`),
		},
		{
			"one article, failed and delivered",
			[]string{result(number, items(`"article_id":"A1",`+delivered+at)), result(number, items(`"article_id":"A1",`+failed))},
			undelivered(`A1 EX "Cannot be delivered" 1`),
		},
		{
			"one article in two results with statuses",
			[]string{result(number, delivered+","+items(`"article_id":"A1"`)), result(number, onItsWay+","+items(`"article_id":"A1"`))},
			inPart("In transit", `A1 IT "In transit" 0`),
		},
		{
			"an article of a result without articles",
			[]string{result(number, delivered), result(number, items(`"article_id":"A1"`))},
			inPart("Delivered", `A1 UN "" 0`),
		},
		{
			"consignments",
			[]string{result(number, `"consignment":{"status":"Delivered in Full"}`), result(number, `"consignment":{"status":"In Transit"}`)},
			inPart("In Transit", ` IT "In Transit" 0`, ` DE "Delivered in Full" 0`),
		},
		{"an article that is null", []string{result(number, delivered), result(number, `"trackable_items":[null]`)}, inPart("Delivered")},
		{
			"all delivered",
			[]string{result(number, delivered+at+","+items(`"article_id":"A1",`+delivered)), result(number, delivered+","+items(`"article_id":"A1"`, `"article_id":"A2",`+delivered))},
			summary{"DE", "DELIVERED", "Delivered", "2026-09-18T00:00:00Z", []string{`A1 DE "Delivered" 0`, `A2 DE "Delivered" 0`}},
		},
		{
			"two equal results, an empty one and an error",
			[]string{result(number, delivered+at), result(number, delivered+at), result(number, `"trackable_items":[]`), result(number, `"errors":[{"code":"ESB-20010"}]`)},
			summary{"DE", "DELIVERED", "Delivered", "2026-09-18T00:00:00Z", nil},
		},
		{"both on their way", []string{result(number, onItsWay), result(number, `"status":"Initiated"`)}, summary{"AC", "ELEC_ADVICE_RECD_BY_CARRIER", "Initiated", "", nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inAnyOrder(tt.results, func(all []string) {
				got, _ := track(t, func(int, *http.Request) (*http.Response, error) { return response(200, results(all...)), nil }, allowed, number)
				if d := cmp.Diff(tt.want, summarize(got[number].Tracking)); d != "" || got[number].Err != nil {
					t.Errorf("%v, -want +got:\n%s", got[number].Err, d)
				}
			})
		})
	}
}

// inAnyOrder calls f with each order of all.
func inAnyOrder(all []string, f func([]string)) {
	if len(all) < 2 {
		f(all)
		return
	}
	for i := range all {
		rest := slices.Delete(slices.Clone(all), i, i+1)
		inAnyOrder(rest, func(after []string) { f(append([]string{all[i]}, after...)) })
	}
}

// TestTrackOrderOfResults: the order of a number's results does not matter, and the number
// is delivered only if each of them says so.
func TestTrackOrderOfResults(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 33))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	var item func(depth int) string
	members := func(depth int) string {
		all := []string{`"status":` + pick(`null`, `"Delivered"`, `"Delivered"`, `"In transit"`, `"Cannot be delivered"`, `"Brand new"`, `"Initiated"`)}
		if random.IntN(3) == 0 {
			all = append(all, fmt.Sprintf(`"events":[{"date":"2026-09-1%dT10:00:00+10:00","description":"%s"}]`, random.IntN(9), pick("Delivered", "Picked Up", "Onboard for delivery")))
		}
		if random.IntN(6) == 0 {
			all = append(all, `"errors":[`+pick(`"x"`, `{"code":"ESB-10001"}`, `{"code":"ESB-20010"}`, `{}`)+`]`)
		}
		for _, name := range []string{"consignment", "trackable_items", "items"} {
			if depth > 0 && random.IntN(2) == 0 {
				all = append(all, `"`+name+`":[`+item(depth-1)+`,`+item(depth-1)+`]`)
			}
		}
		return strings.Join(all, ",")
	}
	item = func(depth int) string {
		if random.IntN(8) == 0 {
			return pick(`null`, `"A1"`, `{}`)
		}
		return `{"` + pick("article_id", "article_id", "consignment_id") + `":"` + pick("A1", "A1", "a1", "A2", "A3", "") + `",` + members(depth) + `}`
	}
	for range 1_000 {
		var all []string
		for range 2 + random.IntN(2) {
			all = append(all, `{"tracking_id":"`+pick("AAA", "aaa")+`",`+members(random.IntN(3))+`}`)
		}
		var want *tracking.CarrierAnswer
		inAnyOrder(all, func(ordered []string) {
			reading, err := readTracking([]byte(results(ordered...)))
			if err != nil || len(reading) != 1 {
				t.Fatalf("%v of %s: %v", reading, ordered, err)
			}
			got := reading["AAA"]
			if want == nil {
				want = &got
			}
			if !reflect.DeepEqual(want.Tracking, got.Tracking) || found(*want) != found(got) {
				t.Fatalf("the order of %s changes the answer: %s, %s, %s", ordered, found(*want), found(got), cmp.Diff(want.Tracking, got.Tracking))
			}
		})
		if want.Err != nil {
			continue
		}
		delivered := want.Tracking.Summary().Status == tracking.Delivered
		for _, one := range all {
			reading, err := readTracking([]byte(results(one)))
			if err != nil {
				t.Fatal(err)
			}
			alone := reading["AAA"]
			s := alone.Tracking.Summary()
			if delivered && alone.Err == nil && s.Status != tracking.Delivered && s.Status != tracking.Unknown {
				t.Fatalf("%s is delivered, and one of them is %s", all, s.Status)
			}
		}
	}
}

// TestTrackEventWords: we understand each event of a recorded answer; an event without a
// location has no place.
func TestTrackEventWords(t *testing.T) {
	got, _ := track(t, func(int, *http.Request) (*http.Response, error) {
		return response(200, fieldCase(t, "f07_startrack_testbed_event_words.json")), nil
	}, allowed, starTrack)
	var lines []string
	tracking := got[starTrack].Tracking
	for _, e := range tracking.History() {
		lines = append(lines, fmt.Sprintf("%s %+v %+v", e.Description, e.Progress(), e.Place()))
	}
	want := []string{
		"Delivered {Status:DE Detail:DELIVERED} {City:LAKE EXAMPLE State:NSW PostalCode: Country:AU}",
		"Onboard for delivery {Status:IT Detail:OUT_FOR_DELIVERY} {City:WEST EXAMPLE State:NSW PostalCode: Country:AU}",
		"Item processed at sorting facility {Status:IT Detail:HUB_PROCESSING} {City:EAST EXAMPLE State:NSW PostalCode: Country:AU}",
		"Shipping information received by Australia Post {Status:AC Detail:ELEC_ADVICE_RECD_BY_CARRIER} {City: State: PostalCode: Country:}",
	}
	if d := cmp.Diff(want, lines); d != "" || !tracking.IsStarTrack {
		t.Errorf("events -want +got:\n%s", d)
	}
}

func TestTrackEvents(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 9, day, hour, 0, 0, 0, time.UTC) }
	event := func(date, rest string) string { return `{"date":"` + date + `"` + rest + `}` }
	value := `{"tracking_id":"A","consignment":[{"events":[` +
		event("2026-09-17T10:00:00+10:00", `,"description":"Second","location":" X NSW "`) + `]},{"events":` + event("2026-09-16T10:00:00+1000", "") + `}],` +
		`"trackable_items":[{"events":[` + event("2026-09-19T10:00:00+10:00", "") + `,` + event("2026-09-17T10:00:00+10:00", `,"description":"Second","location":"X NSW"`) + `,{}` +
		`],"items":[{"events":[` + event("2026-09-18T00:00:00Z", "") + `,` + event("2026-09-15T10:00:00", `,"description":"No offset"`) + `,` +
		event("9999-12-31T23:59:59-10:00", "") + `,` + event("0000-01-01T00:00:00+10:00", "") + `,` + event("soon", "") + `]}]}]}`
	got := answerFrom([]result{readResult([]byte(value))})
	want := []tracking.Event{
		{At: at(19, 0), CarrierTime: "2026-09-19T10:00:00+10:00"},
		{At: at(18, 0), CarrierTime: "2026-09-18T00:00:00Z"},
		{At: at(17, 0), CarrierTime: "2026-09-17T10:00:00+10:00", Description: "Second", Location: "X NSW"},
		{At: at(16, 0), CarrierTime: "2026-09-16T10:00:00+1000"},
		{At: at(15, 0), CarrierTime: "2026-09-15T10:00:00", Description: "No offset"},
		{CarrierTime: "9999-12-31T23:59:59-10:00"},
		{CarrierTime: "0000-01-01T00:00:00+10:00"},
		{CarrierTime: "soon"},
	}
	if d := cmp.Diff(want, got.Tracking.History()); d != "" {
		t.Errorf("events -want +got:\n%s", d)
	}
}

// TestTrackTimes: a time without an offset is Melbourne's, in summer and winter.
func TestTrackTimes(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "yesterday": "", "2026-09-18": "", "2026-02-31T10:00:00": "", "1900-01-01T00:00:00": "", "9999-01-01T00:00:00": "",
		"2026-09-18T14:43:09+10:00": "2026-09-18T04:43:09Z", "2026-09-18T14:43:09+0930": "2026-09-18T05:13:09Z", "2026-09-18T04:43:09Z": "2026-09-18T04:43:09Z",
		"2026-09-18T14:43:09": "2026-09-18T04:43:09Z", "2018-06-18 18:30:12": "2018-06-18T08:30:12Z", "2026-01-18T14:43:09": "2026-01-18T03:43:09Z",
		// Daylight saving begins on 4 October 2026 and ends on 5 April 2026.
		"2026-10-04T01:59:59": "2026-10-03T15:59:59Z", "2026-10-04T03:00:00": "2026-10-03T16:00:00Z",
		"2026-04-05T01:59:59": "2026-04-04T14:59:59Z", "2026-04-05T03:00:00": "2026-04-04T17:00:00Z",
		"2023-10-01T03:00:00": "2023-09-30T16:00:00Z", // the first of the month
	} {
		got := ""
		if at := timeOf(text); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("timeOf(%q) = %s, want %s", text, got, want)
		}
	}
}

// TestTrackManyEvents: the newest events are kept, of the whole and of each part.
func TestTrackManyEvents(t *testing.T) {
	var all []string
	for i := range 120 {
		all = append(all, fmt.Sprintf(`{"date":"2026-09-18T14:%02d:%02d+10:00","description":"%d"}`, i/60%60, i%60, i))
	}
	item := `{"events":[` + strings.Join(all, ",") + `]}`
	for parts, want := range map[int]int{1: 100, 5: 100, 20: 25, 500: 1} {
		got := answerFrom([]result{readResult([]byte(`{"tracking_id":"A","trackable_items":[` + strings.Repeat(item+",", parts-1) + item + `]}`))})
		events := got.Tracking.Parts[parts-1].Events
		if len(events) != want || events[0].Description != "119" || events[want-1].Description != strconv.Itoa(120-want) {
			t.Errorf("%d parts: %d events, the last %v, want %d", parts, len(events), events[len(events)-1], want)
		}
		if n := len(got.Tracking.History()); n != want {
			t.Errorf("%d parts: %d events of the whole, want %d", parts, n, want)
		}
	}
}

// TestTrackExamples reads each example of a Track answer.
func TestTrackExamples(t *testing.T) {
	delivered := tracking.Tracking{Number: article, CarrierStatus: "Delivered", Events: []tracking.Event{
		{At: time.Date(2026, 9, 18, 4, 43, 9, 0, time.UTC), CarrierTime: "2026-09-18T14:43:09+10:00", Description: "Delivered - Left in a safe place", Location: "ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 20, 8, 51, 0, time.UTC), CarrierTime: "2026-09-18T06:08:51+10:00", Description: "Onboard for delivery", Location: "ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 9, 40, 19, 0, time.UTC), CarrierTime: "2026-09-17T19:40:19+10:00", Description: "In transit to next facility in ALEXANDRIA NSW"},
		{At: time.Date(2026, 9, 17, 7, 2, 11, 0, time.UTC), CarrierTime: "2026-09-17T17:02:11+10:00", Description: "Item processed at facility", Location: "CHULLORA NSW"},
		{At: time.Date(2026, 9, 16, 4, 27, 15, 0, time.UTC), CarrierTime: "2026-09-16T14:27:15+10:00", Description: "Shipping information approved by Australia Post"},
	}}
	one := func(number string, part tracking.Tracking) tracking.Tracking {
		return tracking.Tracking{Number: number, CarrierStatus: part.CarrierStatus, Parts: []tracking.Tracking{part}}
	}
	onItsWay := tracking.Tracking{Number: article, CarrierStatus: "In transit", Events: delivered.Events[3:4]}
	nested := tracking.Tracking{Number: abroad, Parts: []tracking.Tracking{{Number: abroad, Parts: []tracking.Tracking{{Number: abroad, CarrierStatus: "Unknown", Events: []tracking.Event{
		{At: time.Date(2026, 2, 2, 21, 8, 0, 0, time.UTC), CarrierTime: "2026-02-03T08:08:00+11:00", Description: "Processed by air carrier"},
		{At: time.Date(2026, 1, 27, 14, 59, 11, 0, time.UTC), CarrierTime: "2026-01-28T01:59:11+11:00", Description: "Cleared and awaiting international departure", Location: "BRISBANE QLD"},
	}}}}}}
	consignment := tracking.Tracking{Number: starTrack, IsStarTrack: true, Parts: []tracking.Tracking{{
		CarrierStatus: "In Transit",
		Events: []tracking.Event{
			{At: time.Date(2026, 9, 16, 5, 51, 22, 0, time.UTC), CarrierTime: "2026-09-16T15:51:22+10:00", Description: "Picked Up", Location: "NEWTOWN VIC"},
		},
		Parts: []tracking.Tracking{
			{Number: starTrack + "FPP00001", CarrierStatus: "In Transit", Events: []tracking.Event{
				{At: time.Date(2026, 9, 16, 12, 10, 4, 0, time.UTC), CarrierTime: "2026-09-16T22:10:04+10:00", Description: "In Transit", Location: "TULLAMARINE VIC"},
			}},
			{Number: starTrack + "FPP00002", CarrierStatus: "Confirmed"},
		},
	}}}
	const unknown, together = "not found tracking_number", "carrier down 51103"
	tests := map[string]map[string]any{ // by number: a tracking, or what found says
		"track_error.json":                 {shortID: unknown},
		"track_error_51101.json":           {article: "carrier down 51101"},
		"track_error_51103.json":           {article: together, shortID: together},
		"track_partial.json":               {shortID: unknown, article: one(article, onItsWay)},
		"track_ok.json":                    {article: one(article, delivered)},
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
				if track, ok := w.(tracking.Tracking); ok {
					d = cmp.Diff(tracking.CarrierAnswer{Tracking: track}, got[number], cmpopts.EquateEmpty())
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

// FuzzTrackAnswer: whatever the carrier answers, each number has either a tracking or an
// error, and the tracking depends on its own result only.
func FuzzTrackAnswer(f *testing.F) {
	for name, file := range exampleIndex(f) {
		f.Add(file.Status, example(f, name))
	}
	cases, err := filepath.Glob(filepath.Join("testdata", "tracking", "*.json"))
	if err != nil || len(cases) == 0 {
		f.Fatal("no cases", err)
	}
	for _, name := range cases {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, id := range []string{"ZZZ5033490", "ZZZ5033491", "9ZZZ50000003"} {
			b = bytes.ReplaceAll(b, []byte(id), []byte(starTrack))
		}
		f.Add(200, b)
	}
	f.Add(200, []byte(results(`{"tracking_id":"ZZ91000","errors":[{"code":1},[],null]}`, `{"tracking_id":7,"consignment":[{}]}`)))
	f.Add(200, []byte(results(`{"tracking_id":"ZZ91000","trackable_items":{"items":{"events":{"date":"0001-01-01T00:00:00+23:59"}}}}`)))
	f.Add(200, []byte(results(`{"tracking_id":"ZZ91000","trackable_items":[{"status":"delivered","items":[{"items":[{"status":"X"}]}],"number_of_items":9}]}`)))
	statuses := map[tracking.Status]bool{}
	for _, s := range []tracking.Status{"UN", "AC", "IT", "DE", "EX", "AT", "NY", "SP"} {
		statuses[s] = true
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c, err := New(Options{
			BaseURL: "https://carrier.example/shipping/v1", Sleep: func(context.Context, time.Duration) error { return nil },
			Transport: &roundTripper{do: func(int, *http.Request) (*http.Response, error) { return response(status, string(body)), nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		numbers := []string{article, shortID, abroad, starTrack}
		reading := c.Track(t.Context(), trackAccount(), numbers, allowed)
		if got := slices.Sorted(maps.Keys(reading)); !slices.Equal(got, slices.Sorted(slices.Values(numbers))) {
			t.Fatalf("the reading is about %q", got)
		}
		for number, r := range reading {
			if r.Tracking.Number != number {
				t.Errorf("%s has the tracking of %q", number, r.Tracking.Number)
			}
			if r.Err != nil {
				if fault.KindOf(r.Err) == fault.Internal || !r.Tracking.Silent() {
					t.Errorf("%s: %v beside %+v", number, r.Err, r.Tracking)
				}
				continue
			}
			if status != 200 || r.Fault != "" {
				t.Errorf("%s: a tracking under %d, with the fault %q", number, status, r.Fault)
			}
			if own := ownResults(body, number); !cmp.Equal(answerFrom(own).Tracking, withoutNumber(r.Tracking)) {
				t.Errorf("%s: %+v is not what its %d results say", number, r.Tracking, len(own))
			}
			events := r.Tracking.History()
			if len(events) > tracking.MaxEvents || !slices.IsSortedFunc(events, func(a, b tracking.Event) int { return b.At.Compare(a.At) }) {
				t.Errorf("%s: %d events, want at most %d, the newest first", number, len(events), tracking.MaxEvents)
			}
			for _, e := range events {
				if _, err := e.At.MarshalJSON(); err != nil { // JSON cannot have every time
					t.Errorf("%s: %v", number, err)
				}
			}
			whole, all := r.Tracking.Summary(), true
			for _, a := range r.Tracking.Articles() {
				if !statuses[a.Status] {
					t.Errorf("%s: an article is %q", number, a.Status)
				}
				if len(a.Events) > tracking.MaxEvents || !slices.IsSortedFunc(a.Events, func(a, b tracking.Event) int { return b.At.Compare(a.At) }) {
					t.Errorf("%s: an article has %d events, or not the newest first", number, len(a.Events))
				}
				all = all && a.Status == tracking.Delivered
			}
			if !statuses[whole.Status] || whole.Status == tracking.Delivered && !all {
				t.Errorf("%s: is %q, all articles delivered: %v", number, whole.Status, all)
			}
			if got := allDelivered(&r.Tracking, false, time.Time{}); (whole.Status == tracking.Delivered) != got {
				t.Errorf("%s: is %q, all of it delivered: %v", number, whole.Status, got)
			}
			if !r.Tracking.DeliveredAt().IsZero() && whole.Status != tracking.Delivered {
				t.Errorf("%s: a time of delivery while %q", number, whole.Status)
			}
		}
	})
}

// allDelivered reports whether the carrier states the delivery of the whole, of what it is
// a part of (above, last at since) or of all parts, and nowhere the contrary.
func allDelivered(t *tracking.Tracking, above bool, since time.Time) bool {
	own := tracking.ProgressOf(t.CarrierStatus).Status
	if own != tracking.Unknown && own != tracking.Delivered {
		return false
	}
	var last time.Time
	for _, e := range t.History() {
		if e.Progress().Status == tracking.Delivered && e.At.After(last) {
			last = e.At
		}
	}
	if !last.IsZero() {
		since = last
	}
	stated := above || own == tracking.Delivered
	if own == tracking.Unknown && !slices.ContainsFunc(t.Parts, func(p tracking.Tracking) bool { return !p.Silent() }) {
		before := false
		for i, e := range slices.Backward(t.Events) {
			p := e.Progress().Status
			newest := i == 0 || t.CarrierStatus == "" && !slices.ContainsFunc(t.Events[:i], func(e tracking.Event) bool { return e.Progress().Status != tracking.Unknown })
			switch {
			case !newest || p == tracking.Unknown:
			case !above:
				return p == tracking.Delivered
			case p != tracking.Delivered && (before || !since.IsZero() && e.At.After(since)):
				return false
			}
			before = before || p == tracking.Delivered
		}
	}
	for i := range t.Parts {
		if !allDelivered(&t.Parts[i], stated, since) {
			return false
		}
	}
	return stated || len(t.Parts) > 0
}

// ownResults returns the results of a number, the last ones first.
func ownResults(body []byte, number string) []result {
	var all []result
	clean, err := parseObject(body)
	if err != nil {
		return nil
	}
	for m := range members(clean) {
		if m.name != "tracking_results" || m.value[0] != '[' {
			continue
		}
		all = nil
		for m := range members(m.value) {
			if m.value[0] != '{' {
				continue
			}
			r := readResult(m.value)
			if id, _ := tracking.CleanNumber("", r.whole.Number); id == number {
				all = append([]result{r}, all...)
			}
		}
	}
	return all
}

func withoutNumber(t tracking.Tracking) tracking.Tracking {
	t.Number = ""
	return t
}
