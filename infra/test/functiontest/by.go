package functiontest

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/signin"
)

// By lists who made the changes that a service handed to its store, in order.
type By []effects.By

// RecordAccounts puts a recorder between an account service and its store.
func RecordAccounts(s *account.Service) *By {
	by := new(By)
	s.Store = accounts{s.Store, by}
	return by
}

// RecordConnections puts a recorder between a connection service and its store.
func RecordConnections(s *connection.Service) *By {
	by := new(By)
	s.Store = connections{s.Store, by}
	return by
}

// RecordSignIn puts a recorder between a sign-in service and its store.
func RecordSignIn(s *signin.Service) *By {
	by := new(By)
	s.Store = logins{s.Store, by}
	return by
}

func (b *By) add(fx effects.Effects) { *b = append(*b, fx.By) }

// Take returns the list and empties it.
func (b *By) Take() []effects.By {
	taken := *b
	*b = nil
	return taken
}

// Check checks that a request succeeded and that its only change was made by want, with
// the id of the request.
func (b *By) Check(tb testing.TB, request string, resp events.APIGatewayProxyResponse, want effects.By) {
	tb.Helper()
	want.RequestID = resp.Headers["X-Request-Id"]
	if diff := cmp.Diff([]effects.By{want}, b.Take()); diff != "" || resp.StatusCode >= 300 {
		tb.Errorf("%s: %d %s (-want +got):\n%s", request, resp.StatusCode, resp.Body, diff)
	}
}

type accounts struct {
	account.Store
	by *By
}

func (r accounts) CreateAccount(ctx context.Context, in account.NewAccount, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.CreateAccount(ctx, in, fx, now)
}

func (r accounts) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.UpdateAccount(ctx, c, fx, now)
}

func (r accounts) SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.SetAccountActive(ctx, a, pinned, active, fx, now)
}

func (r accounts) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.DeleteAccount(ctx, a, pinned, purgeAt, fx, now)
}

func (r accounts) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.RestoreAccount(ctx, a, pinned, fx, now)
}

func (r accounts) CreateKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.CreateKey(ctx, k, fx, now)
}

func (r accounts) RotateKey(ctx context.Context, old, next account.APIKey, validUntil time.Time, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.RotateKey(ctx, old, next, validUntil, fx, now)
}

func (r accounts) DeleteKey(ctx context.Context, k account.APIKey, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.DeleteKey(ctx, k, fx, now)
}

func (r accounts) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.CreatePartner(ctx, p, k, fx, now)
}

func (r accounts) ChangePartner(ctx context.Context, c account.PartnerChange, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.ChangePartner(ctx, c, fx, now)
}

type logins struct {
	signin.Store
	by *By
}

func (r logins) ChangeLogin(ctx context.Context, c signin.Change, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.ChangeLogin(ctx, c, fx, now)
}

func (r logins) RecordEffects(ctx context.Context, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.RecordEffects(ctx, fx, now)
}

type connections struct {
	connection.Store
	by *By
}

func (r connections) FinishLink(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.FinishLink(ctx, conn, entry, snap, fx, now)
}

func (r connections) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.RecordCheck(ctx, conn, entry, snap, fx, now)
}

func (r connections) ChangeConnection(ctx context.Context, conn *connection.Connection, c connection.Update, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.ChangeConnection(ctx, conn, c, fx, now)
}

func (r connections) Unlink(ctx context.Context, conn *connection.Connection, fx effects.Effects, now time.Time) error {
	r.by.add(fx)
	return r.Store.Unlink(ctx, conn, fx, now)
}
