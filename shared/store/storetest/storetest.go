// Package storetest holds what the store must do: a conformance suite, run over
// the table of every engine and over the one in memory, and for unit tests of
// whoever uses a store one over the table in memory.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// Told is an event and who made the change that it tells of.
type Told struct {
	Event effects.Event
	By    effects.By
}

// Table is a store, and how the suite reads what no method of it does.
type Table struct {
	*store.Store
	// Events reads the events of an account, zero for a partner's, the oldest first.
	Events func(ctx context.Context, accountID int64) ([]Told, error)
}

// Caps bound what an account may have; the zero value bounds nothing.
type Caps struct {
	connection.Caps
	Keys int
}

// defaults are the caps of every test but those of caps.
var defaults = Caps{Keys: account.MaxKeys} // never changes

// Run holds the stores that open returns, with these caps, to the contract. The
// stores of several calls may share one table: each test makes ids of its own.
func Run(t *testing.T, open func(t *testing.T, caps Caps) Table) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests tests
	}{
		{"UseKey", keyTests()},
		{"Create", accountTests()},
		{"Idempotency", idempotencyTests()},
		{"Link", linkTests()},
		{"Caps", capTests()},
		{"Check", checkTests()},
		{"Row", rowTests()},
		{"Follow", followTests()},
		{"Due", dueTests()},
		{"History", historyTests()},
		{"Health", healthTests()},
		{"Calls", callTests()},
		{"Tracking", trackingTests()},
		{"Load", loadTests()},
		{"Change", changeTests()},
		{"Delete", deleteTests()},
		{"List", listTests()},
		{"Keys", accountKeyTests()},
		{"Effects", effectTests()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(&suite{T: t, folding: folding{open(t, defaults)}, open: open})
				})
			}
		})
	}
}

// tests are cases by name.
type tests map[string]func(*suite)

// folding gives accounts the key of their email, as whoever takes an address does.
type folding struct{ Table }

func (f folding) CreateAccount(ctx context.Context, n account.NewAccount, fx effects.Effects, now time.Time) error {
	n.Account.EmailKey = email.Key(n.Account.Email)
	return f.Store.CreateAccount(ctx, n, fx, now)
}

func (f folding) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	c.Old.EmailKey, c.New.EmailKey = email.Key(c.Old.Email), email.Key(c.New.Email)
	return f.Store.UpdateAccount(ctx, c, fx, now)
}

func (f folding) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	a.EmailKey = email.Key(a.Email)
	return f.Store.DeleteAccount(ctx, a, pinned, purgeAt, fx, now)
}

func (f folding) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	a.EmailKey = email.Key(a.Email)
	return f.Store.RestoreAccount(ctx, a, pinned, fx, now)
}

// suite is one test with its store, and shorthands.
type suite struct {
	*testing.T
	folding
	open func(t *testing.T, caps Caps) Table
}

// now is the clock of every test, with nanoseconds that a store does not keep.
var now = time.Date(2026, 3, 4, 5, 6, 30, 987_654_321, time.UTC) // never changes

func (s *suite) id() int64 {
	s.Helper()
	id, err := account.NewID(rand.Reader)
	s.ok(err)
	return id
}

func (s *suite) connectionID() string {
	s.Helper()
	id, err := connection.NewID(rand.Reader)
	s.ok(err)
	return id
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("unexpected error: %v", err)
	}
}

func (s *suite) equal(what string, got, want any) {
	s.Helper()
	// The key of an email follows from it, and lists do not have it.
	ignored := cmpopts.IgnoreFields(account.Account{}, "EmailKey")
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal), ignored); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// problem checks that err is one problem of this kind, fit for a caller.
func (s *suite) problem(what string, err error, kind fault.Kind) *fault.Error {
	s.Helper()
	list := fault.Of(err)
	if len(list) != 1 || list[0].Kind != kind || err == nil {
		s.Fatalf("%s = %v, want one problem of kind %v", what, err, kind)
	}
	if kind != fault.Internal && list[0].Message == "" {
		s.Errorf("%s: %v has no message for the caller", what, err)
	}
	return list[0]
}

// fails is problem, for those who need not look into it.
func (s *suite) fails(what string, err error, kind fault.Kind) {
	s.Helper()
	_ = s.problem(what, err, kind)
}

// newAccount is a valid account of a partner of its own, with neither email nor
// external id.
func (s *suite) newAccount() account.NewAccount {
	s.Helper()
	id, partner := s.id(), s.id()
	return account.NewAccount{
		Account: account.Account{
			ID: id, PartnerID: partner, Environment: carrier.Production, OriginCountryCode: "AU",
			Active: true, CreatedAt: milli(now), ModifiedAt: milli(now), Version: 1,
		},
		Key: s.newKey(partner, id),
	}
}

func (s *suite) newKey(partner, accountID int64) account.APIKey {
	s.Helper()
	return account.APIKey{
		ID: s.id(), PartnerID: partner, AccountID: accountID, Hash: s.hash(), Prefix: "cl_live_", LastFour: "wxyz",
		Environment: carrier.Production, CreatedAt: milli(now),
	}
}

func (s *suite) hash() string {
	sum := sha256.Sum256([]byte(rand.Text()))
	return hex.EncodeToString(sum[:])
}

// account stores a valid account.
func (s *suite) account() account.Account {
	s.Helper()
	n := s.newAccount()
	s.create(n)
	return n.Account
}

func (s *suite) create(n account.NewAccount) {
	s.Helper()
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{}, now))
}

func (s *suite) load(account int64, w store.Want) store.Loaded {
	s.Helper()
	l, err := s.Load(s.Context(), account, w)
	s.ok(err)
	return l
}

func (s *suite) newRecord() effects.Record {
	return effects.Record{
		Scope: "partner " + rand.Text() + " POST /v1/partners/accounts", Key: "order-17", PayloadMAC: []byte{0, 1, 255}, ClaimID: rand.Text(),
		LeaseUntil: milli(now.Add(28 * time.Second)), ExpiresAt: now.Add(24 * time.Hour).Truncate(time.Second),
	}
}

// newConnection is an intent of the account for a number that nobody holds.
func (s *suite) newConnection(accountID int64) connection.Connection {
	s.Helper()
	return connection.Connection{
		ID: s.connectionID(), AccountID: accountID, PartnerID: 7, Environment: carrier.Production, Carrier: carrier.AustraliaPost,
		AccountNumber: "0004085230", Standing: account.StandingActive, CredentialID: "00c0ffee00c0ffee",
		RefreshPolicy: connection.RefreshDaily, SecretVersion: "5f9c", LeaseUntil: milli(now.Add(28 * time.Second)),
		CreatedAt: milli(now), ModifiedAt: milli(now),
	}
}

// linked stores an active connection of a new account.
func (s *suite) linked() connection.Connection {
	s.Helper()
	c := s.newConnection(s.account().ID)
	s.link(&c, nil)
	return c
}

// link makes an active connection of a new one.
func (s *suite) link(c *connection.Connection, snap *connection.Snapshot) {
	s.Helper()
	s.ok(s.BeginLink(s.Context(), c, connection.LinkOptions{}))
	c.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), c, nil, snap, effects.Effects{}, now))
}

// row is a connection as it is now.
func (s *suite) row(c connection.Connection) connection.Connection {
	s.Helper()
	got, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	return got
}

// holders is who holds the connection's account number.
func (s *suite) holders(c connection.Connection) []string {
	s.Helper()
	return s.load(c.AccountID, store.Want{Number: s.number(c)}).LinkedAs
}

// won counts the results that are nil, and checks that the others are of a kind.
func (s *suite) won(errs []error, kind fault.Kind) int {
	s.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			s.fails("a loser", err, kind)
		}
	}
	return won
}

// race calls f n times at once and returns what each call came to.
func race[T any](n int, f func(i int) T) []T {
	results := make([]T, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return results
}
