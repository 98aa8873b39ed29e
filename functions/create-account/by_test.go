package main

import (
	"fmt"
	"testing"

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
		by.Check(t, fmt.Sprint("headers ", headers), resp, effects.By{Actor: effects.Partner, KeyID: key.ID, PartnerID: 7})
	}
}
