package simulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
)

var now = time.Date(2026, 11, 3, 1, 2, 3, 0, time.UTC)

func fixed() time.Time { return now }

func chargeAccount(number string) connection.ChargeAccount {
	return connection.ChargeAccount{Number: number, Credentials: connection.Credentials{
		APIKey: secret.New("key-of-the-test"), APISecret: secret.New("x123"),
	}}
}

func noPause(context.Context, time.Duration) error { return nil }

func newClient(tb testing.TB, o auspost.Options) *auspost.Client {
	tb.Helper()
	if o.BaseURL == "" {
		o.BaseURL = simulator.BaseURL
	}
	if o.Sleep == nil {
		o.Sleep = noPause
	}
	c, err := auspost.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// inProcess returns a client over Transport.
func inProcess(tb testing.TB) *auspost.Client {
	tb.Helper()
	return newClient(tb, auspost.Options{Transport: simulator.NewTransport(fixed)})
}

func serve(tb testing.TB, h http.Handler) string {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	return server.URL + "/shipping/v1"
}

func numbers(ending string) []string { return []string{"00099123" + ending, "099123" + ending} }

// summary summarizes a reading.
func summary(r connection.Reading) string {
	s := string(r.Outcome)
	if r.Code != "" {
		s += " " + r.Code
	}
	if reason := r.Contract.Restriction(); reason != "" {
		s += " " + reason
	}
	if n := len(r.Contract.Products); r.Outcome == carrier.OutcomeOK && n != 3 {
		s += fmt.Sprintf(" %d products", n)
	}
	if days, ok := connection.DaysUntil(r.Contract.ValidTo, now); ok && days >= 0 {
		s += fmt.Sprintf(" %d days", days)
	}
	return s
}

// stories has a row for each ending of the package comment; the checks are numbered from 1.
var stories = map[string][]string{
	"01": {"unknown_account 41001", "unknown_account 41001"},
	"02": {"unknown_account 41002", "unknown_account 41002"},
	"03": {"contract_not_valid 41003", "contract_not_valid 41003"},
	"07": {"contract_not_set_up 41007", "contract_not_set_up 41007"},
	"10": {"ok contract_expired", "ok contract_expired"},
	"11": {"ok 7 days", "ok 7 days"},
	"12": {"ok credit_blocked", "ok credit_blocked"},
	"13": {"ok", "ok 2 products", "ok 2 products"},
	"14": {"ok all_products_expired", "ok all_products_expired"},
	"40": {"unauthorized API_001", "unauthorized API_001"},
	"41": {"ok", "ok"},
	"43": {"forbidden", "forbidden"},
	"49": {"rate_limited API_002", "ok", "ok"},
	"50": {"unavailable", "unavailable"},
	"51": {"unavailable", "unavailable"},
	"55": {"unreadable", "unreadable"},
	"56": {"unknown_account 41001", "unknown_account 41001"},
	"60": {"ok", "unauthorized API_001", "unauthorized API_001"},
	"61": {"ok", "unavailable", "unavailable", "unavailable", "ok", "ok"},
	"70": {"number_mismatch", "number_mismatch"},
	"00": {"ok", "ok"},
	"99": {"ok", "ok"},
}

func TestStories(t *testing.T) {
	local := inProcess(t)
	remote := newClient(t, auspost.Options{BaseURL: serve(t, simulator.NewHandler(fixed))})
	for ending, want := range stories {
		for _, number := range numbers(ending) {
			t.Run(number, func(t *testing.T) {
				for i := range want {
					if got := summary(local.GetAccount(t.Context(), chargeAccount(number), i+1)); got != want[i] {
						t.Errorf("in process, check %d = %q, want %q", i+1, got, want[i])
					}
					if got := summary(remote.GetAccount(t.Context(), chargeAccount(number), 1)); got != want[i] {
						t.Errorf("over HTTP, check %d = %q, want %q", i+1, got, want[i])
					}
				}
			})
		}
	}
}

func TestNoAnswerInTime(t *testing.T) {
	for _, number := range numbers("54") {
		synctest.Test(t, func(t *testing.T) {
			r := inProcess(t).GetAccount(t.Context(), chargeAccount(number), 1)
			if r.Outcome != carrier.OutcomeTimeout || r.Latency != 8*time.Second {
				t.Errorf("in process: %s after %v, want a timeout after 8 s", r.Outcome, r.Latency)
			}
		})
		remote := newClient(t, auspost.Options{BaseURL: serve(t, simulator.NewHandler(time.Now)), AttemptTimeout: 100 * time.Millisecond})
		if r := remote.GetAccount(t.Context(), chargeAccount(number), 1); r.Outcome != carrier.OutcomeTimeout {
			t.Errorf("over HTTP: %s, want a timeout", r.Outcome)
		}
	}
}

// TestConformance: for every ending and both brands, the first check has the same reading
// in process and over HTTP.
func TestConformance(t *testing.T) {
	local := inProcess(t)
	remote := newClient(t, auspost.Options{BaseURL: serve(t, simulator.NewHandler(fixed))})
	for i := range 100 {
		ending := fmt.Sprintf("%02d", i)
		if ending == "54" {
			continue // TestNoAnswerInTime
		}
		for _, number := range numbers(ending) {
			a, b := local.GetAccount(t.Context(), chargeAccount(number), 1), remote.GetAccount(t.Context(), chargeAccount(number), 1)
			a.Latency, b.Latency = 0, 0
			if (a.Cause == nil) != (b.Cause == nil) {
				t.Errorf("%s: cause %v in process, %v over HTTP", number, a.Cause, b.Cause)
			}
			a.Cause, b.Cause = nil, nil
			if d := cmp.Diff(a, b); d != "" {
				t.Errorf("%s, -in process +over HTTP:\n%s", number, d)
			}
		}
	}
}

// exchange makes one request without the client.
func exchange(rt http.RoundTripper, number string, check, attempt int, edit func(*http.Request)) (int, http.Header, string, error) {
	ctx := auspost.WithStep(context.Background(), check, attempt)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, simulator.BaseURL+"/accounts/"+url.PathEscape(number), http.NoBody)
	if err != nil {
		return 0, nil, "", err
	}
	r.SetBasicAuth("key", "secret")
	r.Header.Set("Account-Number", number)
	if edit != nil {
		edit(r)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body), err
}

// TestStoryIsPure: in process a story depends on number, check, attempt and clock only, not
// on earlier requests.
func TestStoryIsPure(t *testing.T) {
	type question struct {
		number         string
		check, attempt int
		day            int
	}
	var clock time.Time
	rng := rand.New(rand.NewPCG(1, 2))
	ask := func(q question) string {
		clock = now.AddDate(0, 0, q.day)
		status, _, body, err := exchange(simulator.NewTransport(func() time.Time { return clock }), q.number, q.check, q.attempt, nil)
		return fmt.Sprint(status, body, err)
	}
	shared := simulator.NewTransport(func() time.Time { return clock })
	for range 1000 {
		q := question{fmt.Sprintf("%0*d", 8+2*rng.IntN(2), rng.IntN(100_000_000)), 1 + rng.IntN(6), 1 + rng.IntN(2), rng.IntN(1000)}
		if strings.HasSuffix(q.number, "54") {
			continue
		}
		first, second := ask(q), ask(q)
		clock = now.AddDate(0, 0, q.day)
		status, _, body, err := exchange(shared, q.number, q.check, q.attempt, nil)
		if third := fmt.Sprint(status, body, err); first != second || first != third {
			t.Fatalf("%+v has more than one answer", q)
		}
		if !strings.HasSuffix(q.number, "55") && !strings.HasSuffix(q.number, "51") && !json.Valid([]byte(body)) {
			t.Errorf("%+v: broken JSON: %s", q, body)
		}
	}
}

// TestDatesFollowTheClock: on every seventh day of some years, the contract that ends in 7
// days does so, and the others are neither expired nor about to expire.
func TestDatesFollowTheClock(t *testing.T) {
	for i := range 200 {
		day := 7 * i
		at := time.Date(2026, 1, 1, 13, 59, 0, 0, time.UTC).AddDate(0, 0, day).Add(time.Duration(i%3) * time.Minute)
		client := newClient(t, auspost.Options{Transport: simulator.NewTransport(func() time.Time { return at })})
		for _, number := range numbers("11") {
			c := client.GetAccount(t.Context(), chargeAccount(number), 1).Contract
			if got, ok := connection.DaysUntil(c.ValidTo, at); !ok || got != 7 {
				t.Fatalf("at %v the contract of %s ends in %d days", at, number, got)
			}
		}
		for _, number := range numbers("14") {
			for _, p := range client.GetAccount(t.Context(), chargeAccount(number), 1).Contract.Products {
				if got, ok := connection.DaysUntil(p.ValidTo, at); !p.Expired || !ok || got >= -180 {
					t.Fatalf("at %v product %s of %s: expired %v, ends in %d days", at, p.ID, number, p.Expired, got)
				}
			}
		}
		for _, number := range numbers("00") {
			for _, p := range client.GetAccount(t.Context(), chargeAccount(number), 1).Contract.Products {
				if got, ok := connection.DaysUntil(p.ValidTo, at); ok && (got < 0) != p.Expired || ok && got >= 0 && got < 180 {
					t.Fatalf("at %v product %s of %s: expired %v, ends in %d days", at, p.ID, number, p.Expired, got)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	rt := simulator.NewTransport(fixed)
	const number = "0009912300"
	tests := []struct {
		name   string
		number string
		edit   func(*http.Request)
		status int
		holds  string
	}{
		{"no credentials", number, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "API_001"},
		{"bearer token", number, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "API_001"},
		{"broken credentials", number, func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, 401, "API_001"},
		{"no key", number, func(r *http.Request) { r.SetBasicAuth("", "secret") }, 401, "API_001"},
		{"no secret", number, func(r *http.Request) { r.SetBasicAuth("key", "") }, 401, "API_001"},
		{"wrong in the secret", number, func(r *http.Request) { r.SetBasicAuth("key", "x-wrong-1") }, 401, "API_001"},
		{"no Account-Number", number, func(r *http.Request) { r.Header.Del("Account-Number") }, 400, "40001"},
		{"other Account-Number", number, func(r *http.Request) { r.Header.Set("Account-Number", "0009912399") }, 400, "41001"},
		{"9 digits", "000991230", nil, 400, "41002"},
		{"letters", "Invalid\"", nil, 400, `Invalid\"`},
		{"no number", "", nil, 404, "errorMessage"},
		{"longer path", number, func(r *http.Request) { r.URL.Path += "/orders" }, 404, "errorMessage"},
		{"other path", number, func(r *http.Request) { r.URL.Path = "/shipping/v1/labels" }, 404, "errorMessage"},
		{"other version", number, func(r *http.Request) { r.URL.Path = "/shipping/v2/accounts/" + number }, 404, "errorMessage"},
		{"root", number, func(r *http.Request) { r.URL.Path = "/" }, 404, "errorMessage"},
		{"other method", number, func(r *http.Request) { r.Method = http.MethodPost }, 405, "errorMessage"},
		{"test bed path", number, func(r *http.Request) { r.URL.Path = "/test" + r.URL.Path }, 200, number},
		{"wrong in the key", number, func(r *http.Request) { r.SetBasicAuth("wrong", "secret") }, 200, number},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body, err := exchange(rt, tt.number, 1, 1, tt.edit)
			if err != nil {
				t.Fatal(err)
			}
			if status != tt.status || !strings.Contains(body, tt.holds) || !json.Valid([]byte(body)) {
				t.Errorf("%d %s, want %d and JSON with %q", status, body, tt.status, tt.holds)
			}
			if status == 405 && header.Get("Allow") != "GET" {
				t.Errorf("Allow = %q, want GET", header.Get("Allow"))
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	rt := simulator.NewTransport(fixed)
	for ending, want := range map[string]string{"00": "application/json", "01": "application/json", "40": "application/json", "51": "text/html", "55": "application/json"} {
		_, header, body, err := exchange(rt, "00099123"+ending, 1, 1, nil)
		if err != nil || header.Get("Content-Type") != want || header.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s: header %v, %d bytes, error %v, want %s", ending, header, len(body), err, want)
		}
	}
}

// caller makes requests to a handler, on its own clock.
type caller struct {
	t     testing.TB
	h     http.Handler
	clock time.Time
}

func newCaller(tb testing.TB) *caller {
	tb.Helper()
	c := &caller{t: tb, clock: now}
	c.h = simulator.NewHandler(func() time.Time { return c.clock })
	return c
}

func (c *caller) get(path, key, secret, number string) (int, string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), http.MethodGet, path, http.NoBody)
	r.SetBasicAuth(key, secret)
	if number != "" {
		r.Header.Set("Account-Number", number)
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (c *caller) account(number, key string) int {
	c.t.Helper()
	status, _ := c.get("/shipping/v1/accounts/"+number, key, "secret", number)
	return status
}

func TestHandlerCounts(t *testing.T) {
	const soon, late = time.Second, time.Minute
	tests := []struct {
		name, ending string
		gap          time.Duration
		want         []int
	}{
		{"41 repeated at once", "41", soon, []int{401, 200, 200, 200}},
		{"41 repeated later", "41", late, []int{401, 200, 200}},
		{"49 repeated at once", "49", soon, []int{429, 200, 200}},
		{"49 repeated later", "49", late, []int{429, 200, 200}},
		{"60 repeated at once: two attempts are one check", "60", soon, []int{200, 401, 401, 401, 401}},
		{"61 repeated at once: two attempts are one check", "61", soon, []int{200, 500, 500, 500, 500, 500, 500, 200}},
		{"61 repeated later: each attempt is a check", "61", late, []int{200, 500, 500, 500, 200}},
		{"40 repeated later", "40", late, []int{401, 401, 401}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCaller(t)
			number := "00099123" + tt.ending
			var got []int
			for range tt.want {
				got = append(got, c.account(number, "key"))
				c.clock = c.clock.Add(tt.gap)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if first := c.account(number, "another key"); first != tt.want[0] {
				t.Errorf("another key begins with %d, want %d", first, tt.want[0])
			}
		})
	}
}

// TestHandlerCountsOnlyChecks: requests with refused credentials do not count as checks.
func TestHandlerCountsOnlyChecks(t *testing.T) {
	c := newCaller(t)
	const number = "0009912360"
	for range 3 {
		if status, _ := c.get("/shipping/v1/accounts/"+number, "key", "wrong", number); status != 401 {
			t.Errorf("wrong secret = %d, want 401", status)
		}
	}
	if status := c.account(number, "key"); status != 200 {
		t.Errorf("first check = %d, want 200", status)
	}
	if status := c.account(number, "key"); status != 401 {
		t.Errorf("second check = %d, want 401", status)
	}
}

// TestHandlerMemoryIsBounded: the handler forgets the oldest callers, not those that still
// call.
func TestHandlerMemoryIsBounded(t *testing.T) {
	c := newCaller(t)
	const number = "0009912360"
	c.account(number, "forgotten")
	c.account(number, "faithful")
	for i := range 11_000 {
		c.account(number, fmt.Sprint("key ", i))
		if i%1000 == 0 {
			if status := c.account(number, "faithful"); status != 401 {
				t.Fatalf("after %d other callers a regular caller got %d, want 401", i, status)
			}
		}
	}
	if status := c.account(number, "forgotten"); status != 200 {
		t.Errorf("a forgotten caller got %d, want 200", status)
	}
}

func TestHandlerConcurrency(t *testing.T) {
	c := newCaller(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 50 {
		wg.Go(func() {
			status := c.account("0009912349", "key")
			mu.Lock()
			defer mu.Unlock()
			seen[status]++
		})
	}
	wg.Wait()
	if d := cmp.Diff(map[int]int{429: 1, 200: 49}, seen); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestTrack(t *testing.T) {
	repeat := func(format string, n int) string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(ids, ",")
	}
	tests := []struct {
		name, ids string
		status    int
		holds     []string
	}{
		{"no ids", "", 400, []string{"51100"}},
		{"only commas", " , ,", 400, []string{"51100"}},
		{"mixed brands", "9ZZZ50000001,ZZ91000634011427", 400, []string{"51103"}},
		{"mixed brands of one form", "9ZZZ50000001,36ZZ45032230", 400, []string{"51103"}},
		{"11 of Australia Post", repeat("ZZ910006340%05d", 11), 400, []string{"51101"}},
		{"11 of StarTrack", repeat("9ZZZ%08d", 11), 400, []string{"51102"}},
		{"an unknown id beside a known one", "ZZ91000,ZZ91000634011999", 200, []string{"ESB-10001", `"tracking_id": "ZZ91000"`, `"article_id": "ZZ91000634011999"`}},
		{"too long", strings.Repeat("Z", 51), 200, []string{"ESB-10001"}},
		{"quotes", `"<é>"`, 200, []string{"ESB-10001"}},
		{"10 of Australia Post", repeat("ZZ910006340%05d", 10), 200, []string{"ZZ91000634000000", "ZZ91000634000009"}},
		{"StarTrack", "2FWZ00000007", 200, []string{`"consignment": {`, "2FWZ00000007FPP00001"}},
		{"a freight item of StarTrack", "2FWZ00000007EXP00070", 200, []string{`"article_id": "2FWZ00000007EXP00070"`, `"In Transit"`}},
		{"StarTrack, delivered", "2FWZ00000070", 200, []string{`"Delivered in Full"`, `"2FWZ00000070EXP00002"`}},
		{"StarTrack, in part", "2FWZ00000071", 200, []string{`"Partial Delivery"`, `"Item Delivered"`, `"In Transit"`}},
		{"StarTrack, failed", "2FWZ00000072", 200, []string{`"Final Shortage"`, `"Item Delivered"`}},
		{"a consignment, delivered", "ABC0000070", 200, []string{`"consignment_id": "ABC0000070"`, `"status": "Delivered"`, `"ABC00000700200931004"`}},
		{"a consignment, in part", "ABC0000071", 200, []string{`"Track items for detailed delivery information"`, `"In transit"`}},
		{"a consignment, failed", "36ZZ40000072", 200, []string{`"consignment_id": "36ZZ40000072"`, `"Cannot be delivered"`}},
		{"a consignment without a story", "36ZZ45032230", 200, []string{`"article_id": "36ZZ45032230"`}},
		{"international", "ET123456789AU", 200, []string{`"consignment_id": "ET123456789AU"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := newCaller(t).get("/shipping/v1/track?tracking_ids="+url.QueryEscape(tt.ids), "key", "secret", "")
			if status != tt.status || !json.Valid([]byte(body)) {
				t.Fatalf("%d %s, want %d and JSON", status, body, tt.status)
			}
			for _, s := range tt.holds {
				if !strings.Contains(body, s) {
					t.Errorf("%q is not in %s", s, body)
				}
			}
			if tt.status != 200 {
				return
			}
			var answer struct {
				Results []struct {
					ID string `json:"tracking_id"`
				} `json:"tracking_results"`
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range answer.Results {
				got = append(got, r.ID)
			}
			if d := cmp.Diff(strings.Split(tt.ids, ","), got); d != "" {
				t.Errorf("tracking ids -want +got:\n%s", d)
			}
		})
	}
}

// TestTrackMoves: a parcel whose id has the time of its posting goes on with the clock.
func TestTrackMoves(t *testing.T) {
	posted := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct {
		after time.Duration
		holds []string
	}{
		{-time.Second, []string{"ESB-10001", "ZZ80180000000042"}},
		{0, []string{`"status": "In transit"`, `"Arrived at facility"`, `"article_id": "ZZ80180000000042"`}},
		{60 * time.Second, []string{`"status": "In transit"`, `"Onboard for delivery"`}},
		{120 * time.Second, []string{`"status": "Delivered"`, `"Delivered - Left in a safe place"`}},
	} {
		transport := simulator.NewTransport(func() time.Time { return posted.Add(tc.after) })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, simulator.BaseURL+"/track?tracking_ids=ZZ80180000000042", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("key", "secret")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range tc.holds {
			if !strings.Contains(string(body), text) {
				t.Errorf("%v after its posting it has no %s: %s", tc.after, text, body)
			}
		}
	}
}

func TestTrackIsLimited(t *testing.T) {
	c := newCaller(t)
	track := func(key, secret string) int {
		status, body := c.get("/shipping/v1/track?tracking_ids=ZZ91000634011427", key, secret, "")
		if status == 429 && !strings.Contains(body, "API_002") {
			t.Errorf("429 with %s", body)
		}
		return status
	}
	track("key", "wrong") // refused, so not counted
	for i := range 12 {
		want := 200
		if i >= 10 {
			want = 429
		}
		if got := track("key", "secret"); got != want {
			t.Errorf("call %d = %d, want %d", i+1, got, want)
		}
	}
	if got := track("another key", "secret"); got != 200 {
		t.Errorf("another key = %d, want 200", got)
	}
	if got := c.account("0009912300", "key"); got != 200 {
		t.Errorf("Get Accounts = %d, want 200: it is not limited", got)
	}
	c.clock = c.clock.Add(time.Minute)
	if got := track("key", "secret"); got != 200 {
		t.Errorf("a minute later = %d, want 200", got)
	}
}

func TestAddress(t *testing.T) {
	tests := []struct {
		name, query string
		status      int
		holds       string
	}{
		{"no suburb", "", 400, "suburb: null"},
		{"unknown", "suburb=Nowhere%22", 400, `suburb: Nowhere\"`},
		{"known", "suburb=greensborough&state=VIC&postcode=3088", 200, `"found": true`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := newCaller(t).get("/shipping/v1/address?"+tt.query, "key", "secret", "")
			if status != tt.status || !strings.Contains(body, tt.holds) || !json.Valid([]byte(body)) {
				t.Errorf("%d %s, want %d and JSON with %q", status, body, tt.status, tt.holds)
			}
		})
	}
}
