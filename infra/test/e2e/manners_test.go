package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// ifMatch is values of If-Match that let nothing be changed, and the status that each is answered with. old is a tag from before, now the
// current one.
func ifMatch(old, now string) map[string]int {
	return map[string]int{
		old: http.StatusPreconditionFailed, `"x", "y,z"`: http.StatusPreconditionFailed, `""`: http.StatusPreconditionFailed,
		"W/" + now:             http.StatusPreconditionFailed, // a weak tag never matches
		strings.Trim(now, `"`): http.StatusBadRequest, now + ", *": http.StatusBadRequest, ",": http.StatusBadRequest,
	}
}

// A tag of the current state lets a connection be unlinked, by both routes; so does *.
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

// A change that changes nothing leaves modified_at and ETag, and its answer is kept all the same.
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

// An Idempotency-Key that comes again with another id in the path is a 422, on partner routes as on merchant routes.
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
