// Package storetest is the conformance suite of the store, for the table of every engine
// and the table in memory. For the unit tests of other packages it has Memory, a store
// over the table in memory.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
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

// Caps limit what an account may have; the zero value sets no limit.
type Caps struct {
	connection.Caps
	Keys int
}

// defaults are the caps of all tests except those of caps.
var defaults = Caps{Keys: account.MaxKeys} // never changes

// opener returns a store with these caps.
type opener func(t *testing.T, caps Caps) *store.Store

// Run runs the suite over the stores that open returns. They may share one table:
// each test makes ids of its own. The groups run one after another, because some
// look at all that is due or unfinished; the tests of a group run in parallel.
func Run(t *testing.T, open opener) {
	t.Helper()
	for _, group := range []func(*suite) any{
		of[keyUse], of[creation], of[partners], of[claims], of[links], of[caps], of[checks], of[rows], of[follows], of[schedule], of[histories],
		of[carrierHealth], of[allowances], of[trackingCache], of[loads], of[changes], of[deletions], of[lists], of[accountKeys], of[writtenEffects], of[eventLists], of[registeredParcels], of[rounds],
		of[webhookLists], of[deliveries], of[sentMails], of[accountLogins], of[attempts], of[partnerSettings],
	} {
		kind := reflect.TypeOf(group(nil))
		t.Run(kind.Elem().Name(), func(t *testing.T) {
			for method := range kind.Methods() {
				if name, ok := strings.CutPrefix(method.Name, "Test"); ok {
					open.run(t, name, func(s *suite) { method.Func.Call([]reflect.Value{reflect.ValueOf(group(s))}) })
				}
			}
		})
	}
}

// of returns a group of tests: a type whose methods TestX are its tests.
func of[G ~struct{ *suite }](s *suite) any {
	g := G(struct{ *suite }{s})
	return &g
}

// run runs a test in parallel with its siblings.
func (open opener) run(t *testing.T, name string, test func(*suite)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		defer func() {
			switch failed := recover().(type) {
			case nil:
			case unexpected:
				t.Fatal(failed)
			default:
				panic(failed)
			}
		}()
		test(&suite{T: t, folding: folding{open(t, defaults)}, open: open})
	})
}

// unexpected is the error with which must ends a test.
type unexpected string

// must returns what a call returned, and ends the test if it returned an error. It
// is not for other goroutines than the test's own.
func must[T any](v T, err error) T {
	check(err)
	return v
}

// must2 is must for a call that returns two values.
func must2[A, B any](a A, b B, err error) (A, B) {
	check(err)
	return a, b
}

func check(err error) {
	if err != nil {
		_, file, line, _ := runtime.Caller(2)
		panic(unexpected(fmt.Sprintf("%s:%d: unexpected error: %v", filepath.Base(file), line, err)))
	}
}

// errOf is the error of a call whose value does not matter.
func errOf[T any](_ T, err error) error { return err }

// folding gives accounts the key of their email, as the functions do.
type folding struct{ *store.Store }

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

// suite is one test with its store, and helpers.
type suite struct {
	*testing.T
	folding
	open opener
}

// now is the time of every test, with nanoseconds, which the store does not keep.
var now = time.Date(2026, 3, 4, 5, 6, 30, 987_654_321, time.UTC) // never changes

func (s *suite) id() int64 {
	s.Helper()
	return must(account.NewID(rand.Reader))
}

func (s *suite) connectionID() string {
	s.Helper()
	return must(connection.NewID(rand.Reader))
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("unexpected error: %v", err)
	}
}

func (s *suite) equal(what string, got, want any) {
	s.Helper()
	// The key of an email is derived from it, and lists do not have it.
	ignored := cmpopts.IgnoreFields(account.Account{}, "EmailKey")
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal), ignored); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// problem checks that err is a single problem of this kind, with a message for the caller.
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

// fails checks that err is a single problem of this kind.
func (s *suite) fails(what string, err error, kind fault.Kind) {
	s.Helper()
	_ = s.problem(what, err, kind)
}

// wraps checks that err is fault.Internal and wraps a cause.
func (s *suite) wraps(what string, err, cause error) {
	s.Helper()
	s.fails(what, err, fault.Internal)
	if !errors.Is(err, cause) {
		s.Errorf("%s = %v, want a chain with %v", what, err, cause)
	}
}

// retryIn checks that err is fault.State with this RetryAfter.
func (s *suite) retryIn(what string, err error, want time.Duration) {
	s.Helper()
	s.equal(what+": RetryAfter", s.problem(what, err, fault.State).RetryAfter, want)
}

// newAccount is a valid account of a partner of its own, with neither email nor
// external id, changed by change.
func (s *suite) newAccount(change ...func(*account.Account)) account.NewAccount {
	s.Helper()
	a := account.Account{
		ID: s.id(), PartnerID: s.id(), Environment: carrier.Production, OriginCountryCode: "AU",
		Active: true, CreatedAt: milli(now), ModifiedAt: milli(now), Version: 1,
	}
	k := s.newKey(a.PartnerID, a.ID)
	for _, f := range change {
		f(&a)
	}
	return account.NewAccount{Account: a, Key: k}
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

// email is an address that nobody has.
func (s *suite) email() string { return s.hash()[:20] + "@example.com" }

// account stores a valid account, changed by change.
func (s *suite) account(change ...func(*account.Account)) account.Account {
	s.Helper()
	n := s.newAccount(change...)
	s.create(n)
	return n.Account
}

func (s *suite) create(n account.NewAccount) {
	s.Helper()
	s.ok(s.CreateAccount(s.Context(), n, effects.Effects{}, now))
}

func (s *suite) load(account int64, w store.Want) store.Loaded {
	s.Helper()
	return must(s.Load(s.Context(), account, w))
}

// newRecord is the claim of an idempotency key.
func (s *suite) newRecord() effects.Record {
	return effects.Record{
		Scope: "partner " + rand.Text() + " POST /v1/partners/accounts", Key: "order-17", PayloadMAC: []byte{0, 1, 255}, ClaimID: rand.Text(),
		LeaseUntil: milli(now.Add(28 * time.Second)), ExpiresAt: now.Add(24 * time.Hour).Truncate(time.Second),
	}
}

// newConnection is a connection of an account that is about to be linked.
func (s *suite) newConnection(accountID int64) connection.Connection {
	s.Helper()
	return connection.Connection{
		ID: s.connectionID(), AccountID: accountID, PartnerID: 7, Environment: carrier.Production, Carrier: carrier.AustraliaPost,
		AccountNumber: "0004085230", Standing: account.StandingActive, CredentialID: "00c0ffee00c0ffee",
		RefreshPolicy: connection.RefreshDaily, SecretVersion: "5f9c", LeaseUntil: milli(now.Add(28 * time.Second)),
		CreatedAt: milli(now), ModifiedAt: milli(now),
	}
}

// numbered gives a connection another account number.
func numbered(number string) func(*connection.Connection) {
	return func(c *connection.Connection) { c.AccountNumber = number }
}

// intent begins to link a new connection, changed by change.
func (s *suite) intent(accountID int64, change ...func(*connection.Connection)) connection.Connection {
	s.Helper()
	c := s.newConnection(accountID)
	for _, f := range change {
		f(&c)
	}
	s.ok(s.BeginLink(s.Context(), &c, connection.LinkOptions{}))
	return c
}

// linkedTo links a new connection, changed by change, and stores its snapshot
// (nil: none).
func (s *suite) linkedTo(accountID int64, snap *connection.Snapshot, change ...func(*connection.Connection)) connection.Connection {
	s.Helper()
	c := s.intent(accountID, change...)
	c.Status = connection.Active
	s.ok(s.FinishLink(s.Context(), &c, nil, snap, effects.Effects{}, now))
	return c
}

// linked stores an active connection of a new account.
func (s *suite) linked() connection.Connection {
	s.Helper()
	return s.linkedTo(s.account().ID, nil)
}

// row reads a connection.
func (s *suite) row(c connection.Connection) connection.Connection {
	s.Helper()
	return must(s.Connection(s.Context(), c.AccountID, c.ID))
}

// saved changes a connection and stores it.
func (s *suite) saved(c connection.Connection, change func(*connection.Connection)) connection.Connection {
	s.Helper()
	change(&c)
	s.ok(s.SaveConnection(s.Context(), &c))
	return c
}

// holds checks what is stored of a connection: its row, its snapshot (nil: none) and
// its history, the newest entry first.
func (s *suite) holds(what string, c connection.Connection, snap *connection.Snapshot, history ...connection.HistoryEntry) {
	s.Helper()
	s.equal(what+": row", s.row(c), c)
	s.equal(what+": snapshot", must(s.Snapshot(s.Context(), c.AccountID, c.ID)), snap)
	s.equal(what+": history", s.historyOf(c), history)
}

// heldBy checks which connections hold the account number of c.
func (s *suite) heldBy(what string, c connection.Connection, want ...string) {
	s.Helper()
	slices.Sort(want)
	s.equal(what+": holders", s.load(c.AccountID, store.Want{Number: s.number(c)}).LinkedAs, want)
}

// wins checks how many results of a race are nil, and that the others are of one of
// these kinds.
func (s *suite) wins(want int, errs []error, kinds ...fault.Kind) {
	s.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if kind := fault.KindOf(err); slices.Contains(kinds, kind) {
			s.fails("a loser", err, kind)
		} else {
			s.Errorf("a loser: %v, want one of the kinds %v", err, kinds)
		}
	}
	s.equal("winners", won, want)
}

// race calls f n times at once and returns the result of each call.
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
