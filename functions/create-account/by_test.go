package main

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// TestCreationNamesTheCaller: the store is told which key creates an account.
func TestCreationNamesTheCaller(t *testing.T) {
	d := newFront(t)
	key := d.AddPartner(account.Partner{ID: 7, DefaultCountryCode: "AU"})
	by := functiontest.RecordAccounts(d.Accounts)
	for _, headers := range [][]string{nil, {"Idempotency-Key", "k"}} {
		resp := post(d.Fixture, "partner 7", `{}`, headers...)
		if diff := cmp.Diff([]effects.By{{KeyID: key.ID, PartnerID: 7}}, by.Take()); diff != "" || resp.StatusCode != http.StatusOK {
			t.Errorf("headers %q: %d %s (-want +got):\n%s", headers, resp.StatusCode, resp.Body, diff)
		}
	}
}
