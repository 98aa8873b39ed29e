package main

import (
	"net/http"
	"testing"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// TestChangesNameTheCaller: the store is told which key makes each change.
func TestChangesNameTheCaller(t *testing.T) {
	d := newFront(t)
	key := d.AddPartner(account.Partner{ID: 7})
	d.AddAccount(account.Account{ID: 91, PartnerID: 7, OriginCountryCode: "AU", Active: true})
	by := functiontest.RecordAccounts(d.Accounts)
	want := effects.By{Actor: effects.Partner, KeyID: key.ID, PartnerID: 7}
	for _, tc := range []struct {
		name, method, suffix, body string
		headers                    []string
	}{
		{"change", http.MethodPatch, "", `{"first_name":"Eve"}`, nil},
		{"change under an Idempotency-Key", http.MethodPatch, "", `{"first_name":"Eva"}`, []string{"Idempotency-Key", "k"}},
		{"disable", http.MethodPut, "/disable", "", nil},
		{"enable under an Idempotency-Key", http.MethodPut, "/enable", "", []string{"Idempotency-Key", "k"}},
		{"delete", http.MethodDelete, "", "", nil},
		{"restore", http.MethodPut, "/restore", "", nil},
	} {
		resp := d.Do("partner 7", tc.method, allPath+"/91"+tc.suffix, tc.body, tc.headers...)
		by.Check(t, tc.name, resp, want)
	}
}
