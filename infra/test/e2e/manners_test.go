package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	gen "carrierlink/infra/test/client"
)

// ifMatch returns values of If-Match that prevent a change, with the status of the answer. old is an earlier tag, now the
// current one.
func ifMatch(old, now string) map[string]int {
	return map[string]int{
		old: http.StatusPreconditionFailed, `"x", "y,z"`: http.StatusPreconditionFailed, `""`: http.StatusPreconditionFailed,
		"W/" + now:             http.StatusPreconditionFailed, // a weak tag never matches
		strings.Trim(now, `"`): http.StatusBadRequest, now + ", *": http.StatusBadRequest, ",": http.StatusBadRequest,
	}
}

// A current tag, and *, allow an unlink on both routes.
func TestUnlinkOfOneState(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path  func(id string) string
		value func(tag string) string
	}{
		"by its carrier, the tag": {func(id string) string { return connectionPath("australia_post", id) }, func(tag string) string { return `"x", ` + tag }},
		"by ShipEngine's path, *": {func(id string) string { return carrierPath(id) }, func(string) string { return "*" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, production)
			c := link(t, m, "australia_post", ausPostNumber("00"))
			shown := getCarrier(t, m, c.CarrierID)
			header := [][2]string{{"If-Match", test.value(shown.header.Get("ETag"))}}
			api.call(t, request{method: http.MethodDelete, path: test.path(c.CarrierID), key: m.Key, header: header}).expect(t, http.StatusNoContent)
			api.call(t, request{method: http.MethodDelete, path: test.path(c.CarrierID), key: m.Key, header: header}).expect(t, http.StatusNotFound, notFound)
		})
	}
}

// A request that changes nothing leaves modified_at and ETag as they are; its answer is stored all the same.
func TestChangesOfNothing(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	api.call(t, request{method: http.MethodPut, path: connectionPath("australia_post", c.CarrierID), key: m.Key, body: fields{"nickname": "Same", "metadata": fields{"a": "b"}}}).expect(t, http.StatusOK)
	for name, r := range map[string]request{
		"an account, nothing":         {method: http.MethodPatch, path: accountPath(m.ID), key: production.APIKey, body: fields{}},
		"an account, as it is":        {method: http.MethodPatch, path: accountPath(m.ID), key: production.APIKey, body: fields{"origin_country_code": "AU"}},
		"a connection, as it is":      {method: http.MethodPut, path: connectionPath("australia_post", c.CarrierID), key: m.Key, body: fields{"nickname": " Same", "metadata": fields{"a": "b"}}},
		"a connection, by its number": {method: http.MethodPut, path: connectionPath("australia_post", c.CarrierID), key: m.Key, body: fields{"account_number": c.AccountNumber}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := func() answer {
				if r.method == http.MethodPatch {
					return api.call(t, request{method: http.MethodGet, path: r.path, key: r.key})
				}
				return getCarrier(t, m, c.CarrierID)
			}
			before := read()
			r := r
			for _, header := range [][][2]string{nil, {{"Idempotency-Key", uuid.NewString()}}, {{"If-Match", before.header.Get("ETag")}}} {
				r.header = header
				a := api.call(t, r)
				a.expect(t, http.StatusOK)
				if tag := a.header.Get("ETag"); tag != before.header.Get("ETag") {
					t.Errorf("%v: ETag = %s, want %s", header, tag, before.header.Get("ETag"))
				}
				if after := read(); string(after.body) != string(before.body) {
					t.Errorf("%v: read again = %s, want %s", header, after.body, before.body)
				}
				if header != nil && header[0][0] == "Idempotency-Key" {
					if again := api.call(t, r); again.header.Get("Idempotent-Replayed") != "true" {
						t.Errorf("the repeat is not replayed: %d %s", again.status, again.body)
					}
				}
			}
		})
	}
}

// An Idempotency-Key that is repeated with another id in the path is a 422, on partner and merchant routes.
func TestIdempotencyKeyWithAnotherID(t *testing.T) {
	t.Parallel()
	one, two := newCaller(t, production), newCaller(t, production)
	mismatch := problem{"validation", "field_conflict", "Idempotency-Key", ""}
	for name, r := range map[string]struct {
		method string
		path   func(m caller) string
		body   any
	}{
		"change":  {http.MethodPatch, func(m caller) string { return accountPath(m.ID) }, fields{"first_name": "Mia"}},
		"new key": {http.MethodPost, func(m caller) string { return keysPath(m.ID) }, fields{}},
		"rotate":  {http.MethodPost, func(m caller) string { return keyPath(m.ID, m.key) + "/rotate" }, fields{}},
		"enable":  {http.MethodPut, func(m caller) string { return accountPath(m.ID) + "/enable" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := [][2]string{{"Idempotency-Key", uuid.NewString()}}
			call := func(m caller) answer {
				return api.call(t, request{method: r.method, path: r.path(m), key: production.APIKey, body: r.body, header: header})
			}
			if first := call(one); first.status >= http.StatusBadRequest {
				t.Fatalf("%d %s", first.status, first.body)
			}
			call(two).expect(t, http.StatusUnprocessableEntity, mismatch)
			if again := call(one); again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("the repeat: %d %s", again.status, again.body)
			}
		})
	}
}

// A form's mask is refused on every route that takes key and secret, even in the sandbox, which accepts any other text.
func TestMasks(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, p)
			c := link(t, m, "australia_post", ausPostNumber("00"))
			masked := problem{"validation", "invalid_field_value", "api_secret", "mask_instead_of_secret"}
			maskedKey := problem{"validation", "invalid_field_value", "api_key", "mask_instead_of_secret"}
			key, secret := newCredentials()
			for _, mask := range []string{"********", "••••", "********7c8d", "…7c8d", "xxxxxxxxxxxx7c8d"} {
				body := linkBody(ausPostNumber("00"))
				api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: body.with("api_secret", mask)}).expect(t, http.StatusBadRequest, masked)
				change(t, m, "australia_post", c.CarrierID, fields{"api_key": mask, "api_secret": secret}).expect(t, http.StatusBadRequest, maskedKey)
				change(t, m, "australia_post", c.CarrierID, fields{"api_key": key, "api_secret": mask}).expect(t, http.StatusBadRequest, masked)
				a := validate(t, m, "australia_post", body.with("api_key", mask))
				a.expect(t, http.StatusOK)
				if got := decode[gen.Validation](t, a); got.Valid || string(got.Diagnosis.Category) != "mask_instead_of_secret" {
					t.Errorf("%s: %s", mask, a.body)
				}
			}
		})
	}
}

// Credentials of another kind cause a warning, and the carrier is asked all the same; the diagnosis of a 401 names their kind.
func TestHints(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, sandbox)
	for name, test := range map[string]struct{ key, secret, says string }{
		"API v2":       {"aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD", "q1W2e3R4t5Y6u7I8o9P0-aSdFgHjKlZxCvBnM_q1W2e3R4t5Y6u7I8o9P0aSdFgHj", "API v2"},
		"SecurePay":    {"0oaxb9i8P9vQdXTsn3l5", "0aBsGU3x1bc-UIF_vDBA2JzjpCPHjoCP7oI6jisp", "SecurePay"},
		"PAC":          {"28744ed5982391881611cca6cf5c2409", "x93f21a9c77b0c12de5a", "Postage Assessment"},
		"bearer token": {"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "x93f21a9c77b0c12de5a", "access token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := validateBody(ausPostNumber("00")).with("api_key", test.key, "api_secret", test.secret)
			a := validate(t, m, "australia_post", body)
			a.expect(t, http.StatusOK)
			got, warned := decode[gen.Validation](t, a), 0
			for _, c := range got.Checks {
				if c.Warning {
					warned++
					if string(c.Name) != "credentials_of_another_kind" || !c.Passed || !strings.Contains(*c.Message, test.says) {
						t.Errorf("it warns with %+v", c)
					}
				}
			}
			if !got.Valid || warned != 1 {
				t.Errorf("answer = %s, want a good one with one warning", a.body)
			}
			for _, a := range []answer{
				validate(t, m, "australia_post", body.with("account_number", ausPostNumber("40"))),
				api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(ausPostNumber("40")).with("api_key", test.key, "api_secret", test.secret)}),
			} {
				if s := string(a.body); !strings.Contains(s, "credentials_refused") || !strings.Contains(s, test.says) || !strings.Contains(s, "Needed here are the API key") {
					t.Errorf("refused: %d %s", a.status, s)
				}
			}
		})
	}
}

// The message of a rollback's 409 says what a rollback can do, and no message calls a deleted account disabled.
func TestMessages(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	a := rollback(t, m, "australia_post", c.CarrierID)
	a.expect(t, http.StatusConflict, state)
	if !strings.Contains(string(a.body), "for 30 days") || a.header.Get("Retry-After") != "" {
		t.Errorf("rollback = %s", a.body)
	}
	api.call(t, request{method: http.MethodDelete, path: accountPath(m.ID), key: production.APIKey}).expect(t, http.StatusNoContent)
	a = api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: production.APIKey, header: [][2]string{{"On-Behalf-Of", text(m.ID)}}})
	if s := string(a.body); a.status != http.StatusForbidden || !strings.Contains(s, "is deleted") || strings.Contains(s, "disabled") {
		t.Errorf("a deleted account = %d %s", a.status, s)
	}
}
