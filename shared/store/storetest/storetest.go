// Package storetest holds what any store of carrierlink must do: a conformance
// suite, run on the table under every engine, and an in-memory store that
// passes it, for unit tests of whoever uses a store.
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

	"carrierlink/shared/carrier"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// Store is every method of store.Store.
type Store interface {
	UseKey(ctx context.Context, u carrier.KeyUse) (carrier.KeyUsed, error)
	Load(ctx context.Context, accountID int64, w store.Want) (store.Loaded, error)
	Account(ctx context.Context, accountID int64, now time.Time) (carrier.Account, error)
	Connection(ctx context.Context, accountID int64, connectionID string) (carrier.Connection, error)
	CreateAccount(ctx context.Context, n store.NewAccount, now time.Time) (*carrier.IdempotencyRecord, error)
	CreatePartner(ctx context.Context, p carrier.Partner, k carrier.APIKey) error
	ClaimIdempotency(ctx context.Context, rec carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	Idempotency(ctx context.Context, rec carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	ReleaseIdempotency(ctx context.Context, rec carrier.IdempotencyRecord) error
	BeginLink(ctx context.Context, conn *carrier.Connection, o carrier.LinkOptions) error
	FinishLink(ctx context.Context, conn *carrier.Connection, entry *carrier.HistoryEntry, snap *carrier.Snapshot, rec *carrier.IdempotencyRecord) error
	DropLink(ctx context.Context, conn carrier.Connection) error
	ClaimCheck(ctx context.Context, conn carrier.Connection, until, now time.Time) (carrier.Connection, error)
	ClaimDue(ctx context.Context, d carrier.DueConnection, until, now time.Time, t carrier.Timing) (carrier.Connection, error)
	RecordCheck(ctx context.Context, conn *carrier.Connection, entry *carrier.HistoryEntry, snap *carrier.Snapshot) error
	SaveConnection(ctx context.Context, conn *carrier.Connection) error
	ChangeConnection(ctx context.Context, conn *carrier.Connection, c carrier.ConnectionChange) error
	Unlink(ctx context.Context, conn *carrier.Connection) error
	FollowConnection(ctx context.Context, conn *carrier.Connection, account carrier.Account) error
	EndFollow(ctx context.Context, account carrier.Account) error

	AllConnections(ctx context.Context, accountID int64) ([]carrier.Connection, error)
	Snapshot(ctx context.Context, accountID int64, connectionID string) (*carrier.Snapshot, error)
	Due(ctx context.Context, lane carrier.Lane, now time.Time, limit int) (due []carrier.DueConnection, malformed int, err error)
	EndPurge(ctx context.Context, accountID int64, at time.Time) error
	Unfinished(ctx context.Context, now time.Time, limit int) (found []carrier.Unfinished, malformed int, err error)
	History(ctx context.Context, accountID int64, connectionID string, before *carrier.HistoryPosition, skip, limit int, now time.Time) ([]carrier.HistoryEntry, *carrier.HistoryPosition, error)

	CountChecks(ctx context.Context, name carrier.Name, checks []carrier.Counted, now time.Time) error
	Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]carrier.Tally, error)
	Breakers(ctx context.Context) (map[carrier.Name]carrier.Breaker, error)
	SaveBreaker(ctx context.Context, b *carrier.Breaker) error

	TakeCall(ctx context.Context, a carrier.Allowance, limit int, window time.Duration, now time.Time) (time.Duration, error)
	CachedTracking(ctx context.Context, accountID int64, connectionID string, numbers []string, now time.Time) (map[string]carrier.CachedTracking, error)
	CacheTracking(ctx context.Context, accountID int64, connectionID string, tracking []carrier.CachedTracking) error

	AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error)
	ListAccounts(ctx context.Context, partnerID int64, f carrier.AccountFilter, after *carrier.Position, skip, limit int, now time.Time) ([]carrier.Account, *carrier.Position, error)
	ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]carrier.Connection, map[string]carrier.Snapshot, error)
	UpdateAccount(ctx context.Context, c store.AccountChange, now time.Time) (*carrier.IdempotencyRecord, error)
	SetAccountActive(ctx context.Context, a carrier.Account, pinned, active bool, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	DeleteAccount(ctx context.Context, a carrier.Account, pinned bool, purgeAt time.Time, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	RestoreAccount(ctx context.Context, a carrier.Account, pinned bool, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)

	ListKeys(ctx context.Context, accountID int64) ([]carrier.APIKey, error)
	CreateKey(ctx context.Context, k carrier.APIKey, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	RotateKey(ctx context.Context, old, k carrier.APIKey, validUntil time.Time, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error)
	DeleteKey(ctx context.Context, k carrier.APIKey) error
}

var _ Store = (*store.Store)(nil)

// Caps are those of the suite's stores, but for the tests of caps.
var Caps = carrier.Caps{Keys: carrier.MaxKeys} // never changes

// Run holds the stores that open returns, with these caps, to the contract. The
// stores of several calls may share one table: each test makes ids of its own.
func Run(t *testing.T, open func(t *testing.T, caps carrier.Caps) Store) {
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
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(&suite{T: t, Store: folding{open(t, Caps)}, open: open})
				})
			}
		})
	}
}

// tests are cases by name.
type tests map[string]func(*suite)

// folding gives accounts the key of their email, as whoever takes an address does.
type folding struct{ Store }

func (f folding) CreateAccount(ctx context.Context, n store.NewAccount, now time.Time) (*carrier.IdempotencyRecord, error) {
	n.Account.EmailKey = email.Key(n.Account.Email)
	return f.Store.CreateAccount(ctx, n, now)
}

func (f folding) UpdateAccount(ctx context.Context, c store.AccountChange, now time.Time) (*carrier.IdempotencyRecord, error) {
	c.Old.EmailKey, c.New.EmailKey = email.Key(c.Old.Email), email.Key(c.New.Email)
	return f.Store.UpdateAccount(ctx, c, now)
}

func (f folding) DeleteAccount(ctx context.Context, a carrier.Account, pinned bool, purgeAt time.Time, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error) {
	a.EmailKey = email.Key(a.Email)
	return f.Store.DeleteAccount(ctx, a, pinned, purgeAt, rec, now)
}

func (f folding) RestoreAccount(ctx context.Context, a carrier.Account, pinned bool, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error) {
	a.EmailKey = email.Key(a.Email)
	return f.Store.RestoreAccount(ctx, a, pinned, rec, now)
}

// suite is one test with its store, and shorthands.
type suite struct {
	*testing.T
	Store
	open func(t *testing.T, caps carrier.Caps) Store
}

// now is the clock of every test, with nanoseconds that a store does not keep.
var now = time.Date(2026, 3, 4, 5, 6, 30, 987_654_321, time.UTC) // never changes

func (s *suite) id() int64 {
	s.Helper()
	id, err := carrier.NewID(rand.Reader)
	s.ok(err)
	return id
}

func (s *suite) connectionID() string {
	s.Helper()
	id, err := carrier.NewConnectionID(rand.Reader)
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
	ignored := cmpopts.IgnoreFields(carrier.Account{}, "EmailKey")
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
func (s *suite) newAccount() store.NewAccount {
	s.Helper()
	id, partner := s.id(), s.id()
	return store.NewAccount{
		Account: carrier.Account{
			ID: id, PartnerID: partner, Environment: carrier.Production, OriginCountryCode: "AU",
			Active: true, CreatedAt: milli(now), ModifiedAt: milli(now), Version: 1,
		},
		Key: s.newKey(partner, id),
	}
}

func (s *suite) newKey(partner, account int64) carrier.APIKey {
	s.Helper()
	return carrier.APIKey{
		ID: s.id(), PartnerID: partner, AccountID: account, Hash: s.hash(), Prefix: "cl_live_", LastFour: "wxyz",
		Environment: carrier.Production, CreatedAt: milli(now),
	}
}

func (s *suite) hash() string {
	sum := sha256.Sum256([]byte(rand.Text()))
	return hex.EncodeToString(sum[:])
}

// account stores a valid account.
func (s *suite) account() carrier.Account {
	s.Helper()
	n := s.newAccount()
	s.create(n)
	return n.Account
}

func (s *suite) create(n store.NewAccount) {
	s.Helper()
	existing, err := s.CreateAccount(s.Context(), n, now)
	s.ok(err)
	if existing != nil {
		s.Fatal("an idempotency record stands in the way")
	}
}

func (s *suite) load(account int64, w store.Want) store.Loaded {
	s.Helper()
	l, err := s.Load(s.Context(), account, w)
	s.ok(err)
	return l
}

func (s *suite) newRecord() carrier.IdempotencyRecord {
	return carrier.IdempotencyRecord{
		Scope: "partner " + rand.Text() + " POST /v1/partners/accounts", Key: "order-17", PayloadMAC: []byte{0, 1, 255}, ClaimID: rand.Text(),
		LeaseUntil: milli(now.Add(28 * time.Second)), ExpiresAt: now.Add(24 * time.Hour).Truncate(time.Second),
	}
}

// newConnection is an intent of the account for a number that nobody holds.
func (s *suite) newConnection(account int64) carrier.Connection {
	s.Helper()
	return carrier.Connection{
		ID: s.connectionID(), AccountID: account, PartnerID: 7, Environment: carrier.Production, Carrier: carrier.AustraliaPost,
		AccountNumber: "0004085230", Standing: carrier.StandingActive, CredentialID: "00c0ffee00c0ffee",
		RefreshPolicy: carrier.RefreshDaily, SecretVersion: "5f9c", LeaseUntil: milli(now.Add(28 * time.Second)),
		CreatedAt: milli(now), ModifiedAt: milli(now),
	}
}

// linked stores an active connection of a new account.
func (s *suite) linked() carrier.Connection {
	s.Helper()
	c := s.newConnection(s.account().ID)
	s.link(&c, nil)
	return c
}

// link makes an active connection of a new one.
func (s *suite) link(c *carrier.Connection, snap *carrier.Snapshot) {
	s.Helper()
	s.ok(s.BeginLink(s.Context(), c, carrier.LinkOptions{}))
	c.Status = carrier.Active
	s.ok(s.FinishLink(s.Context(), c, nil, snap, nil))
}

// row is a connection as it is now.
func (s *suite) row(c carrier.Connection) carrier.Connection {
	s.Helper()
	got, err := s.Connection(s.Context(), c.AccountID, c.ID)
	s.ok(err)
	return got
}

// holders is who holds the connection's account number.
func (s *suite) holders(c carrier.Connection) []string {
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
