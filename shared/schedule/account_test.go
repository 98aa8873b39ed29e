package schedule_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// accounts is a store of accounts.
type accounts interface {
	CreateAccount(ctx context.Context, n account.NewAccount, fx effects.Effects, now time.Time) error
}

// makeAccount creates an account with an unusable key.
func makeAccount(tb testing.TB, in accounts, a account.Account) {
	tb.Helper()
	key := account.APIKey{ID: a.ID, PartnerID: a.PartnerID, AccountID: a.ID, Hash: fmt.Sprintf("%064d", a.ID)}
	if err := in.CreateAccount(tb.Context(), account.NewAccount{Account: a, Key: key}, effects.Effects{}, at()); err != nil {
		tb.Fatal(err)
	}
}
