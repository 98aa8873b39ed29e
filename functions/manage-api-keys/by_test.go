package main

import (
	"net/http"
	"strconv"
	"testing"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// TestChangesNameTheCaller: the store is told which key makes each change.
func TestChangesNameTheCaller(t *testing.T) {
	d := newFront(t)
	partner := d.AddPartner(account.Partner{ID: 7})
	first := d.AddAccount(account.Account{ID: 91, PartnerID: 7, Active: true})
	own := "/" + strconv.FormatInt(first.ID, 10)
	by := functiontest.RecordAccounts(d.Accounts)
	want := effects.By{Actor: effects.Partner, KeyID: partner.ID, PartnerID: 7}
	for _, tc := range []struct {
		name, method, rest, body string
		headers                  []string
	}{
		{"create", http.MethodPost, "", `{"description":"Till"}`, nil},
		{"create under an Idempotency-Key", http.MethodPost, "", `{"description":"Till"}`, []string{"Idempotency-Key", "k"}},
		{"rotate", http.MethodPost, own + "/rotate", "", []string{"Idempotency-Key", "k"}},
		{"delete", http.MethodDelete, own, "", nil},
	} {
		resp := d.ask("partner 7", tc.method, "91", tc.rest, tc.body, tc.headers...)
		by.Check(t, tc.name, resp, want)
	}
}
