package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gen "carrierlink/infra/test/client"
)

// typed is the client that is generated from the contract. It sends its requests with the suite's own client, which checks
// the answers; the latest one is in last. Each goroutine needs its own.
type typed struct {
	*gen.ClientWithResponses

	t    *testing.T
	key  string
	last answer
}

// as returns the generated client of a caller with this key.
func as(t *testing.T, key string) *typed {
	t.Helper()
	c := &typed{t: t, key: key}
	var err error
	if c.ClientWithResponses, err = gen.NewClientWithResponses(service.APIURL, gen.WithHTTPClient(c)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Do sends a request of the generated client.
func (c *typed) Do(req *http.Request) (*http.Response, error) {
	r := request{method: req.Method, path: strings.TrimPrefix(req.URL.String(), service.APIURL), key: c.key}
	for name := range req.Header {
		r.header = append(r.header, [2]string{name, req.Header.Get(name)})
	}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.body = body
	}
	c.last = api.call(c.t, r)
	return &http.Response{StatusCode: c.last.status, Header: c.last.header, Body: io.NopCloser(bytes.NewReader(c.last.body)), Request: req}, nil
}

// ok returns the decoded body of an answer, which must be a 200.
func ok[T any](t *testing.T, c *typed, got *T, err error) *T {
	t.Helper()
	if err != nil {
		t.Fatalf("the generated client: %v", err)
	}
	if c.last.expect(t, http.StatusOK); got == nil {
		t.Fatalf("the generated client could not decode %s", c.last.body)
	}
	return got
}

// done checks that the answer is a 204.
func done(t *testing.T, c *typed, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("the generated client: %v", err)
	}
	c.last.expect(t, http.StatusNoContent)
}

// text returns an id as the generated client needs it in a path.
func text(id int64) string { return strconv.FormatInt(id, 10) }

func (c *typed) account(id int64) *gen.Account {
	c.t.Helper()
	got, err := c.GetAccountWithResponse(c.t.Context(), text(id), nil)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) accounts(params gen.ListAccountsParams) *gen.AccountList {
	c.t.Helper()
	got, err := c.ListAccountsWithResponse(c.t.Context(), &params)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) change(id int64, params gen.UpdateAccountParams, body gen.UpdateAccountRequest) *gen.Account {
	c.t.Helper()
	got, err := c.UpdateAccountWithResponse(c.t.Context(), text(id), &params, body)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) newKey(id int64, body gen.CreateAPIKeyRequest) *gen.NewAPIKey {
	c.t.Helper()
	got, err := c.CreateAPIKeyWithResponse(c.t.Context(), text(id), nil, body)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) keys(id int64) []gen.APIKey {
	c.t.Helper()
	got, err := c.ListAPIKeysWithResponse(c.t.Context(), text(id))
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err).ApiKeys
}

func (c *typed) rotate(id, keyID int64, grace *int) *gen.RotatedAPIKey {
	c.t.Helper()
	got, err := c.RotateAPIKeyWithResponse(c.t.Context(), text(id), text(keyID), nil, gen.RotateAPIKeyRequest{GracePeriodSeconds: grace})
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) carriers() []gen.Carrier {
	c.t.Helper()
	got, err := c.ListCarriersWithResponse(c.t.Context(), nil)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err).Carriers
}

func (c *typed) carrier(id string) *gen.Carrier {
	c.t.Helper()
	got, err := c.GetCarrierWithResponse(c.t.Context(), id, nil)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

func (c *typed) history(id string, params gen.GetCarrierHistoryParams) *gen.CheckList {
	c.t.Helper()
	got, err := c.GetCarrierHistoryWithResponse(c.t.Context(), id, &params)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	return ok(c.t, c, got.JSON200, err)
}

// checks reads the first page of a connection's history.
func (c *typed) checks(id string) []gen.HistoryEntry {
	c.t.Helper()
	return c.history(id, gen.GetCarrierHistoryParams{}).Checks
}

// status reads the state of a carrier.
func (c *typed) status(carrier gen.CarrierCode) gen.CarrierStatus {
	c.t.Helper()
	got, err := c.ListCarrierStatusWithResponse(c.t.Context(), nil)
	if err != nil {
		c.t.Fatalf("the generated client: %v", err)
	}
	for _, s := range ok(c.t, c, got.JSON200, err).Carriers {
		if s.CarrierCode == carrier {
			return s
		}
	}
	c.t.Fatalf("%s has no status: %s", carrier, c.last.body)
	return gen.CarrierStatus{}
}

// disable, enable, remove and restore answer 204.
func (c *typed) disable(id int64) {
	c.t.Helper()
	_, err := c.DisableAccountWithResponse(c.t.Context(), text(id), nil)
	done(c.t, c, err)
}

func (c *typed) enable(id int64) {
	c.t.Helper()
	_, err := c.EnableAccountWithResponse(c.t.Context(), text(id), nil)
	done(c.t, c, err)
}

func (c *typed) remove(id int64, days *int) {
	c.t.Helper()
	_, err := c.DeleteAccountWithResponse(c.t.Context(), text(id), &gen.DeleteAccountParams{PurgeAfterDays: days})
	done(c.t, c, err)
}

func (c *typed) restore(id int64) {
	c.t.Helper()
	_, err := c.RestoreAccountWithResponse(c.t.Context(), text(id), nil)
	done(c.t, c, err)
}

// newKeyBody returns a request for a key with an expiry (nil: never) and scopes (none: all).
func newKeyBody(expires *time.Time, scopes ...string) gen.CreateAPIKeyRequest {
	body := gen.CreateAPIKeyRequest{ExpiresAt: expires}
	if len(scopes) > 0 {
		body.Scopes = &[]gen.Scope{}
	}
	for _, s := range scopes {
		*body.Scopes = append(*body.Scopes, gen.Scope(s))
	}
	return body
}

// updateParams returns parameters with an If-Match; empty: none.
func updateParams(tag string) gen.UpdateAccountParams {
	if tag == "" {
		return gen.UpdateAccountParams{}
	}
	return gen.UpdateAccountParams{IfMatch: &tag}
}

// updateBody returns a request to change these fields of an account.
func updateBody(f fields) gen.UpdateAccountRequest {
	var body gen.UpdateAccountRequest
	b, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil {
		panic(err)
	}
	return body
}
