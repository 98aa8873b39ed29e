package main

import (
	"testing"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/effects"
)

// TestChangesNameTheCaller: the store is told which key makes each change.
func TestChangesNameTheCaller(t *testing.T) {
	f := inMemory(t)
	keys, err := f.Accounts.Keys(t.Context(), functiontest.Account)
	if err != nil {
		t.Fatal(err)
	}
	caller := effects.By{Actor: effects.Merchant, KeyID: keys[0].ID, PartnerID: 5, AccountID: functiontest.Account}
	by := functiontest.RecordConnections(f.Connections)
	by.Check(t, "local change", f.change(`{"nickname":"Shop"}`), caller)
	by.Check(t, "local change under an Idempotency-Key", f.change(`{"nickname":"Till"}`, "Idempotency-Key", "k"), caller)
	by.Check(t, "change of credentials", f.change(bodyNew), caller)
	by.Check(t, "rollback", f.rollback(), caller)
	by.Check(t, "verify", f.verify(), caller)
	by.Check(t, "refresh", f.refresh("Idempotency-Key", "k"), caller)
	by.Check(t, "unlink", f.unlink(), caller)
}
