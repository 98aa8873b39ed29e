package store_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

// TestRemoteCallsOfLogins is TestRemoteCalls for logins. It does not run in parallel either.
func TestRemoteCallsOfLogins(t *testing.T) {
	onEngine(t, engines[0], func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		spy := &calls{api: api}
		s := store.New(spy, table, kit.Options{})
		ctx, now := t.Context(), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
		a := account.Account{ID: 51, PartnerID: 52, Active: true, Email: "calls@example.com", EmailKey: "calls@example.com", Environment: "production", Version: 1}
		expect := func(what string, err error, want ...string) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if diff := cmp.Diff(want, spy.taken()); diff != "" {
				t.Errorf("%s: calls (-want +got):\n%s", what, diff)
			}
		}
		err := s.CreateAccount(ctx, account.NewAccount{Account: a, Key: account.APIKey{ID: 1, PartnerID: 52, AccountID: 51, Hash: "l"}}, effects.Effects{}, now)
		expect("CreateAccount", err, "TransactWriteItems")
		ref := signin.Ref{AccountID: a.ID, Hash: "h"}
		session := signin.Session{Hash: "h", AccountID: a.ID, PartnerID: 52, LastSeenAt: now, EndsAt: now.Add(time.Hour)}
		c := signin.Change{Account: account.Update{Old: a, New: a}, Login: &signin.Login{}, Start: &session, Browser: "Edge on Windows"}
		expect("ChangeLogin", s.ChangeLogin(ctx, c, effects.Effects{Events: []effects.Event{{ID: "se-l", At: now}}}, now), "TransactWriteItems")
		_, err = s.Visit(ctx, ref, 52, "se-1", now)
		expect("Visit", err, "BatchGetItem")
		_, err = s.Seen(ctx, ref, now.Add(time.Minute))
		expect("Seen", err, "UpdateItem")
		_, err = s.SessionsOf(ctx, a.ID)
		expect("SessionsOf", err, "Query")
		expect("EndSession", s.EndSession(ctx, ref), "TransactWriteItems")
		for _, key := range []string{a.EmailKey, "nobody@example.com"} {
			_, err = s.FindByEmail(ctx, key, now)
			expect("FindByEmail "+key, err, "BatchGetItem", "BatchGetItem")
		}
		_, err = s.LoginOf(ctx, a.ID, now)
		expect("LoginOf", err, "BatchGetItem")
		expect("IssueTokens", s.IssueTokens(ctx, signin.Token{Hash: "1", ExpiresAt: now}, signin.Token{Hash: "2", ExpiresAt: now}), "TransactWriteItems")
		_, _, err = s.Token(ctx, "1", a.ID, now)
		expect("Token", err, "BatchGetItem")
		throttle := signin.Throttle{Use: signin.UseMail, Whom: "x"}
		for range 4 { // the last one is refused
			_, err = s.TakeAttempt(ctx, throttle, now)
			expect("TakeAttempt", err, "UpdateItem")
		}
		expect("ReturnAttempt", s.ReturnAttempt(ctx, throttle, now), "UpdateItem")
		expect("ForgetAttempts", s.ForgetAttempts(ctx, throttle, now), "UpdateItem")
	})
}
