package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/httpapi"
)

// request is one call of the API.
type request struct {
	method string
	path   string // with query, escaped; or a complete URL of this API, as in links
	key    string // API-Key; empty: none
	header [][2]string
	more   [][2]string // added to the headers of the same name
	body   any         // nil: none; string and []byte: unchanged; otherwise JSON
	// loose: the answer may be a success although the request does not conform to the contract.
	loose bool
	// as is the path to look up in the contract; empty: path.
	as string
}

// answer is an answer that was checked against the contract.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// problem is a problem of an error answer, without its message.
type problem struct {
	Type, Code, Field, Category string
}

// Problems that many tests expect.
func required(field string) problem { return problem{"validation", "field_value_required", field, ""} }

func length(field string) problem { return problem{"validation", "invalid_string_length", field, ""} }

func invalid(field string) problem { return problem{"validation", "invalid_field_value", field, ""} }

func identifier(field string) problem {
	return problem{"validation", "invalid_identifier", field, ""}
}

func preflight(field, category string) problem {
	return problem{"validation", "invalid_field_value", field, category}
}

var (
	bodyRequired = problem{"validation", "request_body_required", "", ""}
	unauthorized = problem{"security", "unauthorized", "", ""}
	notFound     = problem{"security", "not_found", "", ""}
	inactive     = problem{"account_status", "subscription_inactive", "", ""}
)

// envelope is the body of an error.
type envelope struct {
	RequestID string       `json:"request_id"`
	Errors    []errorEntry `json:"errors"`
}

type errorEntry struct {
	ErrorSource       string     `json:"error_source"`
	ErrorType         string     `json:"error_type"`
	ErrorCode         string     `json:"error_code"`
	Message           string     `json:"message"`
	FieldName         string     `json:"field_name"`
	Retryable         bool       `json:"retryable"`
	ExistingAccountID int64      `json:"existing_account_id"`
	ExistingCarrierID string     `json:"existing_carrier_id"`
	Diagnosis         *diagnosis `json:"diagnosis"`
}

type diagnosis struct {
	Category     string `json:"category"`
	WhoMustAct   string `json:"who_must_act"`
	Retryable    bool   `json:"retryable"`
	CarrierError *struct {
		HTTPStatus int    `json:"http_status"`
		Code       string `json:"code"`
	} `json:"carrier_error"`
}

// row is a row of the error tables: a status with the type and code of its first error.
type row struct {
	status     int
	kind, code string
}

// rows are the rows of the error tables of infra/docs/errors.md that a route can reach.
var rows = []row{
	{400, "validation", "request_body_required"},
	{400, "validation", "field_value_required"},
	{400, "validation", "invalid_string_length"},
	{400, "validation", "invalid_field_value"},
	{400, "validation", "invalid_identifier"},
	{400, "validation", "carrier_not_supported"},
	{400, "validation", "identifiers_must_match"},
	{400, "business_rules", "verification_failure"},
	{400, "account_status", "verification_failure"},
	{401, "security", "unauthorized"},
	{403, "security", "forbidden"},
	{403, "account_status", "subscription_inactive"},
	{404, "security", "not_found"},
	{409, "business_rules", "identifier_conflict"},
	{409, "business_rules", "carrier_conflict"},
	{409, "business_rules", "webhook_event_type_conflict"},
	{409, "business_rules", "invalid_status"},
	{412, "validation", "invalid_field_value"},
	{413, "validation", "invalid_field_value"},
	{415, "validation", "invalid_field_value"},
	{422, "validation", "field_conflict"},
	{429, "system", "rate_limit_exceeded"},
	{500, "system", "unspecified"},
	{502, "system", "unspecified"},
	{503, "system", "rate_limit_exceeded"},
	{504, "system", "unspecified"},
}

// client makes all requests of this suite.
type client struct {
	url     string
	http    *http.Client
	doc     *openapi3.T
	secrets *secrets

	mu       sync.Mutex
	calls    int
	seen     map[string]map[int]int // answers by operation and status
	rows     map[row]int
	ids      map[string]bool // request ids; true if a first answer had it
	failures [][]byte        // bodies of the errors
}

func newClient(url string) (*client, error) {
	text, err := emulator.File("infra/openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	return &client{
		url: url, doc: doc, secrets: newSecrets(),
		http: &http.Client{
			Timeout:       45 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		},
		seen: map[string]map[int]int{}, rows: map[row]int{}, ids: map[string]bool{},
	}, nil
}

// call makes a request and checks everything that holds for every answer. It is safe for concurrent use.
func (c *client) call(t *testing.T, r request) answer {
	t.Helper()
	r.path = strings.TrimPrefix(r.path, c.url)
	var body []byte
	switch b := r.body.(type) {
	case nil:
	case string:
		body = []byte(b)
	case []byte:
		body = b
	default:
		var err error
		if body, err = json.Marshal(b); err != nil {
			t.Errorf("encoding the body: %v", err)
		}
	}
	c.secrets.learn(r.key, body)
	a, err := c.send(t.Context(), r, body)
	if err != nil {
		t.Errorf("%s %s: %v", r.method, r.path, err) // not Fatal: this may not be the test's goroutine
		return answer{header: http.Header{}}
	}
	c.secrets.learn("", a.body)
	if err := c.check(t.Context(), r, body, a); err != nil {
		t.Errorf("%s %s %s: %v\nanswer: %d %s", r.method, r.path, show(body), err, a.status, a.body)
	}
	return a
}

func show(body []byte) string {
	if len(body) > 300 {
		return fmt.Sprintf("%q… (%d bytes)", body[:300], len(body))
	}
	return string(body)
}

func (c *client) send(ctx context.Context, r request, body []byte) (answer, error) {
	req, err := c.request(ctx, r, body)
	if err != nil {
		return answer{}, err
	}
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: text, took: time.Since(start)}, err
}

func (c *client) request(ctx context.Context, r request, body []byte) (*http.Request, error) {
	var reader io.Reader
	if r.body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.url+r.path, reader)
	if err != nil {
		return nil, err
	}
	if r.key != "" {
		req.Header.Set("API-Key", r.key)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range r.header {
		if req.Header.Set(h[0], h[1]); h[1] == "" {
			req.Header.Del(h[0])
		}
	}
	for _, h := range r.more {
		req.Header.Add(h[0], h[1])
	}
	return req, nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// check compares an answer with the contract, checks what holds for every answer, and counts it for the coverage.
func (c *client) check(ctx context.Context, r request, body []byte, a answer) error {
	if r.as == "" {
		r.as = r.path
	}
	route, params, name := c.route(r.method, r.as)
	c.note(name, a)
	head := r.method == http.MethodHead
	id := a.header.Get("X-Request-Id")
	switch {
	case !uuidForm.MatchString(id):
		return fmt.Errorf("X-Request-Id is %q", id)
	case a.header.Get("Api-Version") != httpapi.Version:
		return fmt.Errorf("Api-Version is %q", a.header.Get("Api-Version"))
	case a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Strict-Transport-Security") == "":
		return fmt.Errorf("an answer without nosniff or HSTS: %v", a.header)
	case len(a.body) > 0 && a.header.Get("Content-Type") != "application/json":
		return fmt.Errorf("Content-Type is %q", a.header.Get("Content-Type"))
	case head && len(a.body) > 0:
		return errors.New("the answer to HEAD has a body")
	case !head && (len(a.body) == 0) != bodyless(a.status):
		return fmt.Errorf("the body of a %d has %d bytes", a.status, len(a.body))
	}
	if want := cacheControl(a); a.header.Get("Cache-Control") != want {
		return fmt.Errorf("Cache-Control is %q, want %q", a.header.Get("Cache-Control"), want)
	}
	if err := c.unique(id, a); err != nil {
		return err
	}
	if a.status >= http.StatusBadRequest && !head {
		if err := c.checkError(a, id); err != nil {
			return err
		}
	}
	// A 401 has them if the key is right but its account is gone; a 500 if the failure came after the key was proven.
	// Two keys are refused without reading either.
	twoKeys := slices.ContainsFunc(r.more, func(h [2]string) bool { return strings.EqualFold(h[0], "API-Key") })
	known := route.Operation.OperationID != "" && r.key != "" && !twoKeys
	limited := a.header.Get("RateLimit-Remaining") != ""
	if limited != known && a.status != http.StatusUnauthorized && a.status != http.StatusInternalServerError && !head {
		return fmt.Errorf("RateLimit headers: %t, want %t", limited, known)
	}
	return c.validate(ctx, r, body, a, route, params)
}

func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

func cacheControl(a answer) string {
	if a.header.Get("ETag") != "" {
		return "private, no-cache"
	}
	return "no-store"
}

// unique checks that no two requests have the same id. A replay has the id of the first request.
func (c *client) unique(id string, a answer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.header.Get("Idempotent-Replayed") == "true" {
		if _, known := c.ids[id]; !known { // the replay may be seen before the first answer
			c.ids[id] = false
		}
		return nil
	}
	if c.ids[id] {
		return fmt.Errorf("X-Request-Id %s belongs to an earlier request", id)
	}
	c.ids[id] = true
	return nil
}

func (c *client) checkError(a answer, id string) error {
	var e envelope
	if err := json.Unmarshal(a.body, &e); err != nil {
		return fmt.Errorf("the error is not an envelope: %w", err)
	}
	if e.RequestID != id {
		return fmt.Errorf("request_id is %q, X-Request-Id %q", e.RequestID, id)
	}
	if len(e.Errors) == 0 {
		return errors.New("the error lists no problem")
	}
	first := row{a.status, e.Errors[0].ErrorType, e.Errors[0].ErrorCode}
	if !slices.Contains(rows, first) {
		return fmt.Errorf("%v is not a row of the error tables", first)
	}
	source := "shipengine"
	if a.status > http.StatusInternalServerError {
		source = "carrier"
	}
	for _, p := range e.Errors {
		if p.ErrorSource != source {
			return fmt.Errorf("error_source is %q, want %q", p.ErrorSource, source)
		}
	}
	if leaked := c.secrets.in(string(a.body), true); leaked != "" {
		return fmt.Errorf("the error holds %s", leaked)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows[first]++
	c.failures = append(c.failures, a.body)
	return nil
}

// route finds the contract's operation for a path. Other paths and methods get the response RouteNotFound of its
// components. As at the gateway, a literal segment comes before a parameter, which is also the alphabetical order of "{".
func (c *client) route(method, path string) (*routers.Route, map[string]string, string) {
	escaped, _, _ := strings.Cut(path, "?")
	segments := strings.Split(escaped, "/")
	items := c.doc.Paths.Map()
	for _, name := range slices.Sorted(maps.Keys(items)) {
		item := items[name]
		params, ok := match(strings.Split(name, "/"), segments)
		if !ok {
			continue
		}
		if op := item.GetOperation(method); op != nil {
			return &routers.Route{Spec: c.doc, Path: name, PathItem: item, Method: method, Operation: op}, params, op.OperationID
		}
		break
	}
	return c.notFound(), nil, "(no route)"
}

func (c *client) notFound() *routers.Route {
	responses := openapi3.NewResponses()
	responses.Set("404", c.doc.Components.Responses["RouteNotFound"])
	responses.Delete("default")
	return &routers.Route{Spec: c.doc, Operation: &openapi3.Operation{Responses: responses}}
}

func match(template, segments []string) (map[string]string, bool) {
	params := map[string]string{}
	ok := slices.EqualFunc(template, segments, func(want, got string) bool {
		if name, found := strings.CutPrefix(want, "{"); found && got != "" {
			value, err := url.PathUnescape(got)
			params[strings.TrimSuffix(name, "}")] = value
			return err == nil
		}
		return want == got
	})
	return params, ok
}

// validate compares the answer with the contract, and the request too if the answer says that it was well-formed.
func (c *client) validate(ctx context.Context, r request, body []byte, a answer, route *routers.Route, params map[string]string) error {
	req, err := c.request(ctx, r, body)
	if err != nil {
		return err
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
	}
	in := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, QueryParams: req.URL.Query(), Route: route, Options: options,
	}
	if wellFormed(a) && !r.loose && route.Operation.OperationID != "" {
		if err := openapi3filter.ValidateRequest(ctx, in); err != nil {
			return fmt.Errorf("the contract forbids the request: %w", err)
		}
	}
	if a.status == http.StatusNotModified {
		if route.Operation.Responses.Status(a.status) == nil {
			return errors.New("the contract has no 304 here")
		}
		return nil
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.status, Header: a.header, Options: options, Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	if err := openapi3filter.ValidateResponse(ctx, out); err != nil {
		return fmt.Errorf("the contract forbids the answer: %w", err)
	}
	return nil
}

// wellFormed tells whether the answer reports no problem with the form of its request.
func wellFormed(a answer) bool {
	switch a.status {
	case http.StatusBadRequest:
		for _, e := range a.errors() {
			if e.Diagnosis == nil || e.Diagnosis.CarrierError == nil {
				return false
			}
		}
		return true
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType:
		return false
	}
	return true
}

func (c *client) note(operation string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.seen[operation] == nil {
		c.seen[operation] = map[int]int{}
	}
	c.seen[operation][a.status]++
}

// unseen are answers of the contract that this suite cannot cause, each with the reason. The tests of the packages cover
// them: store_test.go for the store, errors_test.go for the API.
var unseen = map[string]string{
	"listCountries 400":        "it takes nothing but a key, which is a 400 where two come, and MiniStack joins them: TestHeadersTwice has it",
	"getSettings 400":          "as listCountries",
	"createEphemeralToken 409": "the account is disabled between its two reads: the tests of signin have it",
	"replaceSettings 409":      "other requests replace the settings first, on every attempt: the tests of account have it",
	"registerShipments 409":    "another transaction has the account's count at that moment, on every attempt: only the real DynamoDB refuses so",
	"deleteAPIKey 409":         "another transaction has the key or its account at that moment, on every attempt: only the real DynamoDB refuses so",
}

// overloaded is the answer of every route while AWS throttles us, which no emulator does. TestThrottled of the store and
// errors_test.go of the API cover it.
const overloaded = "#/components/responses/Overloaded"

// mostUnseen is how many unseen answers there may be.
const mostUnseen = 6

// coverage reports how many of the contract's answers the suite has seen. It is an error if another answer than those in
// unseen is missing, or if an answer in unseen was seen.
func (c *client) coverage() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, all := 0, 0
	var missing []string
	var errs []error
	for _, item := range c.doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status, described := range op.Responses.Map() {
				if described.Ref == overloaded {
					continue
				}
				all++
				code, err := strconv.Atoi(status)
				errs = append(errs, err)
				name := op.OperationID + " " + status
				if c.seen[op.OperationID][code] > 0 {
					have++
				} else if unseen[name] == "" {
					missing = append(missing, name)
				}
			}
		}
	}
	slices.Sort(missing)
	for _, row := range rows {
		if c.rows[row] == 0 {
			missing = append(missing, fmt.Sprint("row ", row))
		}
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("answers that the contract names and the suite has not seen: %s", strings.Join(missing, ", ")))
	}
	if len(unseen) > mostUnseen {
		errs = append(errs, fmt.Errorf("%d answers are excused, at most %d may be", len(unseen), mostUnseen))
	}
	percent := float64(have+len(unseen)) / float64(all) * 100
	return fmt.Sprintf("%d requests, %d of %d answers that the contract names and %d excused (%.1f %%), %d of %d rows of the error tables",
		c.calls, have, all, len(unseen), percent, len(c.rows), len(rows)), errors.Join(errs...)
}

// expect fails the test unless the answer has this status and, if it is an error, exactly these problems in this order.
func (a answer) expect(t *testing.T, status int, problems ...problem) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status = %d, want %d\n%s", a.status, status, a.body)
	}
	var got []problem
	for _, e := range a.errors() {
		p := problem{Type: e.ErrorType, Code: e.ErrorCode, Field: e.FieldName}
		if e.Diagnosis != nil {
			p.Category = e.Diagnosis.Category
		}
		got = append(got, p)
	}
	if diff := cmp.Diff(problems, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s\n%s", diff, a.body)
	}
}

func (a answer) errors() []errorEntry {
	var e envelope
	if a.status < http.StatusBadRequest || json.Unmarshal(a.body, &e) != nil {
		return nil
	}
	return e.Errors
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("decoding the answer: %v\n%s", err, a.body)
	}
	return v
}

type createdAccount struct {
	AccountID         int64             `json:"account_id"`
	ExternalAccountID *string           `json:"external_account_id"`
	Active            bool              `json:"active"`
	Email             *string           `json:"email"`
	CompanyName       *string           `json:"company_name"`
	FirstName         *string           `json:"first_name"`
	LastName          *string           `json:"last_name"`
	OriginCountryCode string            `json:"origin_country_code"`
	Environment       string            `json:"environment"`
	Metadata          map[string]string `json:"metadata"`
	CarriersCount     int               `json:"carriers_count"`
	APIKey            *struct {
		EncryptedAPIKey string `json:"encrypted_api_key"`
		APIKeyID        int64  `json:"api_key_id"`
		AccountID       int64  `json:"account_id"`
	} `json:"api_key"`
}

type connectionBody struct {
	CarrierID           string  `json:"carrier_id"`
	CarrierName         string  `json:"carrier_name"`
	AccountNumber       string  `json:"account_number"`
	AccountNumberMasked string  `json:"account_number_masked"`
	Nickname            string  `json:"nickname"`
	Status              string  `json:"status"`
	StatusReason        *string `json:"status_reason"`
	Verified            bool    `json:"verified"`
	LastCheck           *struct {
		Outcome string `json:"outcome"`
		Trigger string `json:"trigger"`
	} `json:"last_check"`
	ConsecutiveFailures int     `json:"consecutive_failures"`
	NextRefreshAt       *string `json:"next_refresh_at"`
	RefreshPolicy       string  `json:"refresh_policy"`
	Credentials         struct {
		APIKeyLastFour         *string `json:"api_key_last_four"`
		PreviousAvailableUntil *string `json:"previous_available_until"`
	} `json:"credentials"`
	Contract *struct {
		Expired       bool    `json:"expired"`
		ValidTo       *string `json:"valid_to"`
		ExpiresInDays *int    `json:"expires_in_days"`
		CreditBlocked bool    `json:"credit_blocked"`
	} `json:"contract"`
	ExternalCarrierID *string           `json:"external_carrier_id"`
	Metadata          map[string]string `json:"metadata"`
}

type carrierAccount struct {
	CarrierID   string          `json:"carrier_id"`
	CarrierCode string          `json:"carrier_code"`
	Account     json.RawMessage `json:"account"`
	Summary     struct {
		AccountNumber    string `json:"account_number"`
		Name             string `json:"name"`
		Expired          bool   `json:"expired"`
		ExpiresInDays    *int   `json:"expires_in_days"`
		CreditBlocked    bool   `json:"credit_blocked"`
		RestrictedReason *string
		Products         []struct {
			ProductID string `json:"product_id"`
		} `json:"products"`
	} `json:"summary"`
	RefreshedAt string     `json:"refreshed_at"`
	AgeSeconds  int        `json:"age_seconds"`
	Source      string     `json:"source"`
	Stale       bool       `json:"stale"`
	StaleReason *string    `json:"stale_reason"`
	Diagnosis   *diagnosis `json:"diagnosis"`
}

// secrets are the texts that must not appear anywhere: the api_key, api_secret and password of requests, the API keys of
// the service, the signing secrets of webhooks, and, except in the caller's own good answers, account numbers.
type secrets struct {
	mu      sync.Mutex
	texts   map[string]bool
	starts  map[string][]form // the forms in which texts may have been written, by their first shortest bytes
	numbers map[string]bool
}

// form is a form of a text of some length.
type form struct {
	text   string
	length int
}

func newSecrets() *secrets {
	return &secrets{numbers: map[string]bool{}, texts: map[string]bool{}, starts: map[string][]form{}}
}

// shortest is the least length of a text whose appearance proves a leak; shortestKey is that of an API key.
const (
	shortest    = 6
	shortestKey = 16
)

var member = regexp.MustCompile(`"(api_key|api_secret|password|account_number|encrypted_api_key|secret)"\s*:\s*("(?:[^"\\]|\\.)*")`)

// learn adds the secrets of a key and a body, which need not be valid JSON.
func (s *secrets) learn(key string, body []byte) {
	if len(key) >= shortestKey {
		s.add(key)
	}
	values := map[string]string{}
	for _, m := range member.FindAllSubmatch(body, -1) {
		var text string
		if json.Unmarshal(m[2], &text) != nil {
			continue
		}
		name := string(m[1])
		switch values[name] = text; {
		case len(text) < shortest:
		case name == "account_number":
			if digits(text) {
				s.addNumber(text)
			}
		default:
			s.add(text)
		}
	}
	if k, x := values["api_key"], values["api_secret"]; k != "" && x != "" {
		s.add(k + ":" + x)
	}
}

func digits(s string) bool {
	return len(s) >= 8 && strings.Trim(s, "0123456789") == ""
}

func (s *secrets) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[text] {
		return
	}
	s.texts[text] = true
	for _, f := range forms(text) {
		start := f[:min(len(f), shortest)]
		s.starts[start] = append(s.starts[start], form{f, len(text)})
	}
}

func (s *secrets) addNumber(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers[text] = true
}

func (s *secrets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.texts)
}

// forms returns the forms in which a text may have been written.
func forms(text string) []string {
	quoted, err := json.Marshal(text)
	if err != nil {
		quoted = nil // never fails: broken UTF-8 is repaired
	}
	b64 := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "=")
	all := []string{
		text, strings.Trim(string(quoted), `"`), b64, strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(text)), "="),
		url.QueryEscape(text), url.PathEscape(text),
	}
	// The last character of an unpadded form depends on what follows.
	if len(text)%3 != 0 && len(b64) > shortest {
		all = append(all, b64[:len(b64)-1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// in describes a secret that appears in text, without showing it; empty if there is none.
func (s *secrets) in(text string, withNumbers bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+shortest <= len(text); i++ {
		for _, f := range s.starts[text[i:i+shortest]] {
			if strings.HasPrefix(text[i:], f.text) {
				return fmt.Sprintf("a secret of %d characters, near %q", f.length, text[max(0, i-80):i])
			}
		}
	}
	if !withNumbers {
		return ""
	}
	for _, n := range numberForm.FindAllString(text, -1) {
		if s.numbers[n] {
			return "account number " + n
		}
	}
	return ""
}

var numberForm = regexp.MustCompile(`[0-9]{8,}`)

// The client refuses answers that do not conform to the contract.
func TestClientRefuses(t *testing.T) {
	t.Parallel()
	c, err := newClient(service.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	r := request{method: http.MethodPost, path: accountsPath, key: "k", body: "{}"}
	good := func(n int) answer {
		id := fmt.Sprintf("8f1f4e7a-2c0b-4f55-9d5e-%012d", n)
		h := http.Header{}
		for name, value := range map[string]string{
			"X-Request-Id": id, "Api-Version": httpapi.Version, "Cache-Control": "no-store", "Content-Type": "application/json",
			"RateLimit-Limit": "200", "RateLimit-Remaining": "199", "RateLimit-Reset": "42",
			"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
		} {
			h.Set(name, value)
		}
		body := `{"request_id":"` + id + `","errors":[{"error_source":"shipengine","error_type":"validation","error_code":"invalid_field_value","message":"No."}]}`
		return answer{status: 400, header: h, body: []byte(body)}
	}
	if err := c.check(t.Context(), r, []byte("{}"), good(0)); err != nil {
		t.Errorf("a good answer: %v", err)
	}
	replace := func(what, by string) func(a *answer) {
		return func(a *answer) { a.body = bytes.Replace(a.body, []byte(what), []byte(by), 1) }
	}
	set := func(name, value string) func(a *answer) {
		return func(a *answer) { a.header.Set(name, value) }
	}
	for i, bad := range []func(a *answer){
		set("X-Request-Id", "1"), set("Api-Version", ""), set("Cache-Control", "public"), set("Content-Type", "text/html"), set("RateLimit-Remaining", ""),
		set("RateLimit-Limit", "many"), set("X-Content-Type-Options", ""), set("Strict-Transport-Security", ""), replace(`"request_id":"8`, `"request_id":"9`), replace(`[{`, `[],"x":[{`), replace(`"message":"No."`, `"hint":"No."`),
		replace("shipengine", "carrier"), replace("invalid_field_value", "teapot"), func(a *answer) { a.status = 418 }, func(a *answer) { a.status = 404 },
		func(a *answer) { a.body = nil }, func(a *answer) { a.status = 200 },
		func(a *answer) { a.header.Set("X-Request-Id", good(0).header.Get("X-Request-Id")) },
	} {
		a := good(i + 1)
		if bad(&a); c.check(t.Context(), r, []byte("{}"), a) == nil {
			t.Errorf("bad answer %d was accepted: %d %v %s", i, a.status, a.header, a.body)
		}
	}
}
