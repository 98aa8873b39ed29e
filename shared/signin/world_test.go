package signin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
)

const (
	partnerID = 7
	merchant  = 41 // with address and password
	right     = "seven green kettles"
	address   = "jo@example.com"
	firefox   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	chrome    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
)

// world is a partner with accounts, in memory, and the service that lets people in.
type world struct {
	*testing.T
	memory *storetest.Memory
	s      *signin.Service
	mails  *mails
	mu     sync.Mutex
	clock  time.Time
	random io.Reader
}

type mails struct {
	mu   sync.Mutex
	all  []mail.Message
	fail error
}

func (m *mails) Queue(_ context.Context, message mail.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.all = append(m.all, message)
	return nil
}

// take returns the mails since the last call.
func (m *mails) take() []mail.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.all
	m.all = nil
	return taken
}

// cheapHash stands for argon2id, which takes most of a test's time.
func cheapHash(_ io.Reader, password secret.Text) (string, error) {
	sum := sha256.Sum256([]byte(password.Reveal()))
	return "strong " + hex.EncodeToString(sum[:]), nil
}

func cheapCheck(hash string, password secret.Text) error {
	if made, _ := cheapHash(nil, password); hash != "" && strings.TrimPrefix(hash, "weak ") == strings.TrimPrefix(made, "strong ") || hash == made {
		return nil
	}
	return fault.New(fault.Unauthorized, "The email or the password is wrong.")
}

// locked is a source of randomness that many may read.
type locked struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func (l *locked) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from.Read(b)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, memory: storetest.NewMemory(), mails: &mails{}, clock: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC), random: &locked{from: rand.NewChaCha8([32]byte{1})}}
	w.s = w.over(w.memory.Store)
	w.ok(w.memory.CreatePartner(t.Context(), account.Partner{ID: partnerID, Name: "Platform"}, account.APIKey{ID: 1, PartnerID: partnerID, Hash: "p"}, effects.Effects{}, w.clock))
	w.account(merchant, carrier.Production, address, right)
	return w
}

// over returns the service over another store, as another process has it.
func (w *world) over(s signin.Store) *signin.Service {
	return &signin.Service{
		Store: s, Mailer: w.mails, EmailKey: email.Key, Hash: cheapHash, Check: cheapCheck, Weaker: func(hash string) bool { return strings.HasPrefix(hash, "weak") },
		Idle: 2 * time.Hour, Longest: 12 * time.Hour, Now: w.now, Random: w.random,
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// account creates an account; the password may be empty.
func (w *world) account(id int64, env carrier.Environment, address, password string) {
	w.Helper()
	a := account.Account{ID: id, PartnerID: partnerID, Environment: env, Active: true, Email: address, EmailKey: email.Key(address), CreatedAt: w.clock, ModifiedAt: w.clock}
	if password != "" {
		a.PasswordHash, _ = cheapHash(nil, secret.New(password))
	}
	w.ok(w.memory.CreateAccount(w.Context(), account.NewAccount{
		Account: a, Key: account.APIKey{ID: id, PartnerID: partnerID, AccountID: id, Hash: fmt.Sprint("k", id)},
	}, effects.Effects{}, w.clock))
}

func (w *world) stored(id int64) account.Account {
	w.Helper()
	a, err := w.memory.Account(w.Context(), id, w.now())
	w.ok(err)
	return a
}

// from is the browser of a test.
func from(userAgent string) signin.Client {
	return signin.Client{IP: "203.0.113.7", UserAgent: userAgent, RequestID: "req"}
}

func (w *world) signIn(password string) (signin.Started, error) {
	return w.s.SignIn(w.Context(), address, secret.New(password), secret.Text{}, from(firefox))
}

// signedIn is signIn, which has to succeed.
func (w *world) signedIn() signin.Started {
	w.Helper()
	started, err := w.signIn(right)
	w.ok(err)
	return started
}

func (w *world) visit(cookie secret.Text) (*signin.Visit, error) {
	return w.s.Visit(w.Context(), cookie, "", from(firefox))
}

// visited is visit, which has to succeed.
func (w *world) visited(cookie secret.Text) *signin.Visit {
	w.Helper()
	v, err := w.visit(cookie)
	w.ok(err)
	return v
}

// is fails the test unless an error has a kind; Internal is for no error.
func (w *world) is(what string, err error, kind fault.Kind) {
	w.Helper()
	if (kind == fault.Internal) != (err == nil) || err != nil && !fault.Is(err, kind) {
		w.Errorf("%s = %v, want %v", what, err, kind)
	}
}

const good = fault.Internal // no error

// events returns the types of the events of an account since the last call, the oldest first.
func (w *world) events(id int64) []effects.EventType {
	w.Helper()
	found, _, err := w.memory.ListEvents(w.Context(), effects.Listing{PartnerID: partnerID, AccountID: id, Limit: 1000})
	w.ok(err)
	var types []effects.EventType
	for _, e := range slices.Backward(found) {
		if e.By.Actor == effects.Page && (e.By.AccountID != id || e.By.RequestID == "" || e.By.SourceIP == "") {
			w.Errorf("%s was made by %+v", e.Type, e.By)
		}
		types = append(types, e.Type)
	}
	return types
}

// link returns the text of the token in the mails of a kind, of which there has to be one
// for an account.
func (w *world) link(kind mail.Kind) string {
	w.Helper()
	var found []secret.Text
	for _, m := range w.mails.take() {
		if m.Kind == kind && m.AccountID != 0 {
			found = append(found, m.Token)
		}
	}
	if len(found) != 1 {
		w.Fatalf("%d mails of kind %s, want one", len(found), kind)
	}
	return found[0].Reveal()
}

// watched lists the calls of the table, and ends the process before one of them.
type watched struct {
	mu    sync.Mutex
	calls []string
	left  int // calls until the process dies; negative: never
}

// watch returns a service over the table of the world, in a process that dies after some calls.
func (w *world) watch(left int) (*signin.Service, *watched) {
	calls := &watched{left: left}
	w.memory.Table.Trouble = calls.note
	return w.over(store.New(w.memory.Table, dynamotest.Name, kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }})), calls
}

// note notes a call, unless the process dies before it.
func (c *watched) note(operation string, input any) dynamotest.Trouble {
	c.mu.Lock()
	last := c.left == 0
	if c.left--; !last {
		c.calls = append(c.calls, dynamotest.Summary(operation, input))
	}
	c.mu.Unlock()
	if last {
		runtime.Goexit()
	}
	return dynamotest.Trouble{}
}

func (c *watched) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// inProcess runs act in a goroutine that can die, and waits for it.
func inProcess(act func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	<-done
}
