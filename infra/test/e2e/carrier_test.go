package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/stack"
	"carrierlink/shared/auspost/simulator"
)

// australiaPost is the carrier: the simulator, except for the account numbers for which a test plays the carrier.
type australiaPost struct {
	simulator http.Handler

	mu    sync.Mutex
	plays map[string]http.HandlerFunc
	calls map[string]int // by account number, or by path without one
	keys  map[string]string
}

func newAustraliaPost() *australiaPost {
	return &australiaPost{simulator: simulator.NewHandler(time.Now), plays: map[string]http.HandlerFunc{}, calls: map[string]int{}, keys: map[string]string{}}
}

// ServeHTTP answers one request of the service.
func (p *australiaPost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	key, _, _ := r.BasicAuth()
	if number == "track" {
		number = tracked(key)
	}
	p.mu.Lock()
	p.calls[number]++
	p.keys[number] = key
	play := p.plays[number]
	p.mu.Unlock()
	if play == nil {
		play = p.simulator.ServeHTTP
	}
	play(w, r)
}

// play sets the handler of a number; nil gives the number back to the simulator.
func (p *australiaPost) play(number string, play http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plays[number] = play
}

// count returns how often a number, or the last segment of another path, was requested.
func (p *australiaPost) count(number string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[number]
}

// tracked stands for a number in counts of the tracking calls of a key.
func tracked(apiKey string) string { return "track " + apiKey }

// lastKey returns the API key of the latest request for a number.
func (p *australiaPost) lastKey(number string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[number]
}

// account returns the simulator's account of a number.
func (p *australiaPost) account(r *http.Request) []byte {
	recorder := httptest.NewRecorder()
	p.simulator.ServeHTTP(recorder, r)
	return recorder.Body.Bytes()
}

// Carriers that behave worse than any case of the simulator.

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// hangUpHalfWay closes the connection within the body.
func hangUpHalfWay(w http.ResponseWriter, r *http.Request) {
	body := post.account(r)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// drip sends a good answer byte by byte.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	out := http.NewResponseController(w)
	for _, b := range post.account(r) {
		_, _ = w.Write([]byte{b})
		_ = out.Flush()
	}
}

// flood sends up to 1 GB.
type flood struct {
	mu   sync.Mutex
	sent int64
}

func (f *flood) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	zeros := bytes.NewReader(make([]byte, 1<<20))
	var sent int64
	for range 1 << 10 {
		_, _ = zeros.Seek(0, io.SeekStart)
		n, err := io.Copy(w, zeros)
		if sent += n; err != nil {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = max(f.sent, sent)
}

func (f *flood) taken() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
}

func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// slowly answers like the simulator, after a delay.
func slowly(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		post.simulator.ServeHTTP(w, r)
	}
}

// refusal is the answer of the service to an outcome.
type refusal struct {
	status  int
	problem problem
	who     string
	carrier int    // the carrier's HTTP status
	code    string // the carrier's error code
}

func (r refusal) expect(t *testing.T, a answer) {
	t.Helper()
	a.expect(t, r.status, r.problem)
	e := a.errors()[0]
	if e.Diagnosis == nil || e.Diagnosis.CarrierError == nil {
		t.Fatalf("there is no diagnosis with the carrier's error\n%s", a.body)
	}
	retryable := r.who == "carrier"
	want := [5]any{r.who, retryable, retryable, r.carrier, r.code}
	got := [5]any{e.Diagnosis.WhoMustAct, e.Diagnosis.Retryable, e.Retryable, e.Diagnosis.CarrierError.HTTPStatus, e.Diagnosis.CarrierError.Code}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who must act, retryable (twice), carrier's status and code (-want +got):\n%s\n%s", diff, a.body)
	}
	if got := a.header.Get("Retry-After"); (got != "") != (r.status == http.StatusServiceUnavailable) {
		t.Errorf("Retry-After is %q with status %d", got, a.status)
	}
}

func refused(code, field, category string, carrier int, carrierCode string) refusal {
	return refusal{http.StatusBadRequest, problem{"business_rules", code, field, category}, "merchant", carrier, carrierCode}
}

func contractRefused(category, carrierCode string) refusal {
	return refusal{
		http.StatusBadRequest, problem{"account_status", "verification_failure", "", category}, "merchant", http.StatusBadRequest, carrierCode,
	}
}

func outage(status int, category string, carrier int) refusal {
	return refusal{status, problem{"system", "unspecified", "", category}, "carrier", carrier, ""}
}

// The cases in which the carrier refuses, by the last two digits.
var refusals = map[string]refusal{
	"01": refused("verification_failure", "account_number", "account_not_found", 400, "41001"),
	"02": refused("verification_failure", "account_number", "account_not_found", 400, "41002"),
	"03": contractRefused("contract_not_valid", "41003"),
	"07": contractRefused("contract_not_set_up", "41007"),
	"40": refused("verification_failure", "", "credentials_refused", 401, "API_001"),
	"43": refused("verification_failure", "", "key_not_entitled", 403, ""),
	"49": {http.StatusServiceUnavailable, problem{"system", "rate_limit_exceeded", "", "carrier_rate_limited"}, "carrier", 429, "API_002"},
	"50": outage(http.StatusBadGateway, "carrier_unavailable", 500),
	"51": outage(http.StatusBadGateway, "carrier_unavailable", 503),
	"54": outage(http.StatusGatewayTimeout, "carrier_timeout", 0),
	"55": outage(http.StatusBadGateway, "carrier_unreadable", 200),
	"56": refused("verification_failure", "account_number", "account_not_found", 200, "41001"),
	"70": {http.StatusBadRequest, problem{"validation", "identifiers_must_match", "account_number", "number_mismatch"}, "merchant", 200, ""},
}

// The cases in which the link is kept.
var kept = map[string]struct {
	status, reason string
	days           any // expires_in_days
}{
	"00": {"active", "", nil},
	"10": {"restricted", "contract_expired", "past"},
	"11": {"active", "", 7},
	"12": {"restricted", "credit_blocked", nil},
	"13": {"active", "", nil},
	"14": {"restricted", "all_products_expired", nil},
	"41": {"active", "", nil},
	"60": {"active", "", nil},
	"61": {"active", "", nil},
}

func TestEveryStoryAtLink(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		m := newMerchant(t, p)
		for story, want := range refusals {
			for carrier, number := range storyNumbers(p, story) {
				t.Run(p.Environment+" "+carrier+" "+story, func(t *testing.T) {
					t.Parallel()
					a := api.call(t, request{method: http.MethodPost, path: linkPath(carrier), key: m.Key, body: linkBody(number)})
					want.expect(t, a)
					nothingLinked(t, m, carrier, number)
				})
			}
		}
		t.Run(p.Environment+" wrong in the secret", func(t *testing.T) {
			t.Parallel()
			number := ausPostNumber("00")
			key, secret := newCredentials()
			a := api.call(t, request{
				method: http.MethodPost, path: linkPath("australia_post"), key: m.Key,
				body: linkBody(number).with("api_key", key, "api_secret", secret+"wrong"),
			})
			refusals["40"].expect(t, a)
			nothingLinked(t, m, "australia_post", number)
		})
		for story, want := range kept {
			for carrier, number := range storyNumbers(p, story) {
				t.Run(p.Environment+" "+carrier+" "+story, func(t *testing.T) {
					t.Parallel()
					c := link(t, m, carrier, number)
					reason := ""
					if c.StatusReason != nil {
						reason = *c.StatusReason
					}
					if c.Status != want.status || reason != want.reason || !c.Verified || c.Contract == nil {
						t.Fatalf("connection = %s %q verified %t, want %s %q", c.Status, reason, c.Verified, want.status, want.reason)
					}
					days := c.Contract.ExpiresInDays
					switch {
					case want.days == nil && days != nil, want.days != nil && days == nil,
						want.days == "past" && *days >= 0, want.days == 7 && *days != 7:
						t.Errorf("expires_in_days = %v, want %v", days, want.days)
					}
					if c.Contract.Expired != (story == "10") || c.Contract.CreditBlocked != (story == "12") {
						t.Errorf("contract = %+v", *c.Contract)
					}
				})
			}
		}
	}
}

// storyNumbers returns a number for a case of the simulator, by carrier.
func storyNumbers(p stack.Partner, story string) map[string]string {
	numbers := map[string]string{"australia_post": ausPostNumber(story)}
	if p.Environment == "production" || !differs("is slow") {
		numbers["startrack"] = starTrackNumber(story)
	}
	return numbers
}

// A read of a connection that never had a good answer gets the carrier's failure.
func TestReadWithoutACopy(t *testing.T) {
	t.Parallel()
	m := troubled(t, production)
	for story, want := range refusals {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			number := ausPostNumber("50")
			c := link(t, m, "australia_post", number, "verify", "later")
			defer unlink(t, m, c.CarrierID) // otherwise the schedule would keep asking
			post.play(number, func(w http.ResponseWriter, r *http.Request) { tell(w, r, story) })
			want.expect(t, api.call(t, request{method: http.MethodGet, path: readPath(c.CarrierID), key: m.Key}))
		})
	}
}

// tell answers with the case of another number, under the requested number.
func tell(w http.ResponseWriter, r *http.Request, story string) {
	number := r.Header.Get("Account-Number")
	other := number[:len(number)-2] + story
	r = r.Clone(r.Context())
	r.URL.Path = strings.Replace(r.URL.Path, number, other, 1)
	r.Header.Set("Account-Number", other)
	post.simulator.ServeHTTP(w, r)
}

// "verify": "later" accepts an outage, but not a refusal.
func TestVerifyLater(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		m := troubled(t, p)
		for _, story := range []string{"40", "70", "03"} {
			t.Run(p.Environment+" refused "+story, func(t *testing.T) {
				t.Parallel()
				number := ausPostNumber(story)
				a := api.call(t, request{
					method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(number).with("verify", "later"),
				})
				refusals[story].expect(t, a)
				nothingLinked(t, m, "australia_post", number)
			})
		}
		for story, outcome := range map[string]string{
			"49": "rate_limited", "50": "unavailable", "51": "unavailable", "54": "timeout", "55": "unreadable", "00": "",
		} {
			t.Run(p.Environment+" kept "+story, func(t *testing.T) {
				t.Parallel()
				a := api.call(t, request{
					method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(ausPostNumber(story)).with("verify", "later"),
				})
				if outcome == "" {
					a.expect(t, http.StatusOK)
					return
				}
				a.expect(t, http.StatusAccepted)
				c := decode[connectionBody](t, a)
				defer unlink(t, m, c.CarrierID)
				if c.Status != "pending_verification" || c.Verified || c.Contract != nil || c.LastCheck == nil || c.LastCheck.Outcome != outcome {
					t.Fatalf("connection = %s, want a pending one with the check %s", a.body, outcome)
				}
				// Its first good answer, or the carrier's failure where there is none yet.
				a = api.call(t, request{method: http.MethodGet, path: readPath(c.CarrierID), key: m.Key})
				if story == "49" && p.Environment == "production" {
					// The carrier has asked for a minute's pause.
					a.expect(t, http.StatusServiceUnavailable, problem{"system", "rate_limit_exceeded", "", "carrier_rate_limited"})
					if a.header.Get("Retry-After") == "" {
						t.Errorf("headers %v", a.header)
					}
					return
				}
				if story == "49" {
					a.expect(t, http.StatusOK)
					if got := decode[carrierAccount](t, a); got.Source != "live" || got.Stale {
						t.Errorf("answer = %s, want a live one", a.body)
					}
					return
				}
				refusals[story].expect(t, a)
			})
		}
	}
}

func TestHostileCarrier(t *testing.T) {
	t.Parallel()
	giant := &flood{}
	tooLarge := outage(502, "carrier_unreadable", 200)
	tooLarge.who = "us"
	refusing := []struct {
		name  string
		play  http.HandlerFunc
		want  refusal
		calls int // that the carrier may get
		most  time.Duration
	}{
		{"closes the connection", hangUp, outage(502, "carrier_unavailable", 0), 2, 5 * time.Second},
		{"closes it within the body", hangUpHalfWay, outage(502, "carrier_unavailable", 200), 2, 5 * time.Second},
		{"sends 1 GB", giant.serve, tooLarge, 1, 5 * time.Second},
		{"redirects to a link-local address", redirect("http://169.254.169.254/latest/meta-data/"), outage(502, "carrier_unreadable", 307), 1, 5 * time.Second},
		{"redirects to itself", redirect("/shipping/v1/accounts/elsewhere"), outage(502, "carrier_unreadable", 307), 1, 5 * time.Second},
		{"answers 503 in HTML", answering(503, "text/html", "<html><b>Unavailable</b></html>"), outage(502, "carrier_unavailable", 503), 2, 5 * time.Second},
		{"answers 200 in HTML", answering(200, "text/html", "<html>Welcome</html>"), outage(502, "carrier_unreadable", 200), 1, 5 * time.Second},
		{"answers nothing", answering(200, "application/json", ""), outage(502, "carrier_unreadable", 200), 1, 5 * time.Second},
		{"answers a list", answering(200, "application/json", "[]"), outage(502, "carrier_unreadable", 200), 1, 5 * time.Second},
		{"answers deep nesting", answering(200, "application/json", strings.Repeat(`{"a":`, 100_000)), outage(502, "carrier_unreadable", 200), 1, 5 * time.Second},
		{"quotes the secret in its error", quote, refused("verification_failure", "account_number", "account_not_found", 400, "41002"), 1, 5 * time.Second},
	}
	m := troubled(t, production)
	for _, test := range refusing {
		t.Run("link "+test.name, func(t *testing.T) {
			t.Parallel()
			number := ausPostNumber("00")
			post.play(number, test.play)
			a := api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(number)})
			test.want.expect(t, a)
			asked(t, post.count(number), test.calls, test.name)
			if a.took > test.most {
				t.Errorf("the answer took %s, want %s at most", a.took, test.most)
			}
			nothingLinked(t, m, "australia_post", number)
		})
		t.Run("read "+test.name, func(t *testing.T) {
			t.Parallel()
			number := ausPostNumber("00")
			c := link(t, m, "australia_post", number)
			post.play(number, test.play)
			before := post.count(number)
			a := api.call(t, request{method: http.MethodGet, path: readPath(c.CarrierID) + "?refresh=true", key: m.Key})
			a.expect(t, http.StatusOK)
			got := decode[carrierAccount](t, a)
			if !got.Stale || got.Source != "stored" || got.Diagnosis == nil || got.Diagnosis.Category != test.want.problem.Category {
				t.Errorf("answer = %s, want the stored account with a diagnosis of %s", a.body, test.want.problem.Category)
			}
			asked(t, post.count(number)-before, test.calls, test.name)
		})
	}
	t.Run("link in chunks of one byte", func(t *testing.T) {
		t.Parallel()
		number := ausPostNumber("00")
		post.play(number, drip)
		c := link(t, m, "australia_post", number)
		if c.Status != "active" {
			t.Errorf("status = %s, want active", c.Status)
		}
		a := api.call(t, request{method: http.MethodGet, path: readPath(c.CarrierID) + "?refresh=true", key: m.Key})
		if got := decode[carrierAccount](t, a); got.Source != "live" {
			t.Errorf("answer = %s, want a live one", a.body)
		}
	})
	t.Run("link slowly", func(t *testing.T) {
		t.Parallel()
		number := ausPostNumber("00")
		post.play(number, slowly(3*time.Second))
		if c := link(t, m, "australia_post", number); c.Status != "active" {
			t.Errorf("status = %s, want active", c.Status)
		}
	})
	t.Cleanup(func() {
		if post.count("elsewhere") > 0 || post.count("") > 0 {
			t.Error("a redirect was followed")
		}
		if taken := giant.taken(); taken > 16<<20 {
			t.Errorf("%d bytes of the giant answer were taken", taken)
		}
	})
}

// asked fails the test unless the carrier was asked n times. Go's transport silently repeats a request if a kept
// connection ends before the first byte of the answer.
func asked(t *testing.T, got, want int, story string) {
	t.Helper()
	most := want
	if story == "closes the connection" {
		most += 2
	}
	if got < want || got > most {
		t.Errorf("the carrier was asked %d times, want %d", got, want)
	}
}

// quote answers with a refusal that repeats the request.
func quote(w http.ResponseWriter, r *http.Request) {
	key, secret, _ := r.BasicAuth()
	body := fmt.Sprintf(`{"errors":[{"code":"41002","name":%q,"message":%q,"field":%q,"context":{"%s":%q}}]}`,
		key, r.URL.Path+" "+secret, r.Header.Get("Authorization"), key, secret)
	answering(http.StatusBadRequest, "application/json", body)(w, r)
}

// Undocumented members of the carrier's answer are passed on unchanged.
func TestUnknownMembersArePassedOn(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	number := ausPostNumber("00")
	post.play(number, func(w http.ResponseWriter, r *http.Request) {
		answering(http.StatusOK, "application/json", odd(number))(w, r)
	})
	c := link(t, m, "australia_post", number)
	for _, query := range []string{"", "?refresh=true"} {
		a := api.call(t, request{method: http.MethodGet, path: readPath(c.CarrierID) + query, key: m.Key})
		a.expect(t, http.StatusOK)
		if got := string(decode[carrierAccount](t, a).Account); got != odd(number) {
			t.Errorf("account%s =\n%s\nwant\n%s", query, got, odd(number))
		}
	}
}

func odd(number string) string {
	return `{"account_number":"` + number + `","name":"Smith & Sons <P/L> \u0041é\u2028","1":1.50,"big":123456789012345678901234567890.10,"e":1E400,` +
		`"twice":1,"twice":2,"":null,"nested":{"a":[[],{}],"\"q\"":"\/"},"expired":"false"}`
}
