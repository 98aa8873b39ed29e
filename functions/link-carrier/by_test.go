package main

import (
	"testing"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// TestLinkNamesTheCaller: the store is told which key links, the account's own or its
// partner's.
func TestLinkNamesTheCaller(t *testing.T) {
	d := newFixture(t)
	partner := d.AddPartner(account.Partner{ID: 7})
	own := d.AddAccount(account.Account{ID: 91, PartnerID: 7, OriginCountryCode: "AU", Active: true})
	by := functiontest.RecordConnections(d.Connections)
	by.Check(t, "the account", post(d, "account 91", "australia_post", body("0000123400", "")),
		effects.By{Actor: effects.Merchant, KeyID: own.ID, PartnerID: 7, AccountID: 91})
	by.Check(t, "its partner", post(d, "partner 7", "australia_post", body("0000456700", ""), "On-Behalf-Of", "91", "Idempotency-Key", "k"),
		effects.By{Actor: effects.Partner, KeyID: partner.ID, PartnerID: 7, AccountID: 91})
}
