package httpapi

import (
	"net/http"
	"slices"
	"testing"

	"carrierlink/shared/fault"
)

// TestEveryKindHasARow: every kind of fault needs a row of valid values.
func TestEveryKindHasARow(t *testing.T) {
	types := []string{"account_status", "business_rules", "validation", "security", "system", "integrations"}
	codes := []string{
		// The part of ShipEngine's enumeration that this service uses, and not_found.
		"unspecified", "request_body_required", "field_value_required", "invalid_string_length", "invalid_field_value", "invalid_identifier",
		"carrier_not_supported", "unauthorized", "forbidden", "subscription_inactive", "not_found", "identifier_conflict", "carrier_conflict", "webhook_event_type_conflict",
		"invalid_status", "field_conflict", "rate_limit_exceeded", "identifiers_must_match", "verification_failure",
	}
	for _, k := range fault.Kinds() {
		r, ok := rows[k]
		if !ok {
			t.Errorf("kind %q has no row", k)
			continue
		}
		if r.status < 400 || r.status > 599 || !slices.Contains(types, r.errorType) || !slices.Contains(codes, r.code) {
			t.Errorf("row of %q: %+v", k, r)
		}
		if r.carrier != (r.status >= http.StatusBadGateway && k != fault.Overloaded) {
			t.Errorf("row of %q: source is the carrier: %t, status %d", k, r.carrier, r.status)
		}
		if r.status == http.StatusUnauthorized && k != fault.Unauthorized {
			t.Errorf("kind %q has status 401, which means a wrong API-Key", k)
		}
	}
	if len(rows) != len(fault.Kinds()) {
		t.Errorf("%d rows for %d kinds", len(rows), len(fault.Kinds()))
	}
}
