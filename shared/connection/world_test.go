package connection_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/secret"
	"carrierlink/shared/store"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

const (
	accountID = 71
	number    = "0009912345"
	number2   = "0009912346"
	number3   = "0009912347"
	prefix    = "test/carrier/"
)

// TestMain suppresses the warnings about intended failures.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// askedOf is a fake carrier. Without a reading it gives a good answer for the number
// that it is asked about.
type askedOf struct {
	reading   *connection.Reading
	meanwhile func() // while the carrier is asked
	twice     *int   // counts second attempts, as many as are allowed; nil: none is made
	asked     []connection.ChargeAccount
	checks    []int
}

func (c *askedOf) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	if c.twice != nil && (account.BeforeRetry == nil || account.BeforeRetry(ctx) == nil) {
		*c.twice++
	}
	account.BeforeRetry = nil // of no interest
	c.asked, c.checks = append(c.asked, account), append(c.checks, check)
	if f := c.meanwhile; f != nil {
		c.meanwhile = nil
		f()
	}
	if c.reading != nil {
		return *c.reading
	}
	return good(account.Number)
}

// answers makes the carrier answer so from now on.
func (c *askedOf) answers(r connection.Reading) { c.reading = &r }

func good(n string) connection.Reading {
	return connection.Reading{
		Outcome: carrier.OutcomeOK, HTTPStatus: 200, Latency: 120 * time.Millisecond, Raw: []byte(`{"account_number":"` + n + `"}`),
		Contract: connection.Contract{AccountNumber: n, ValidTo: "2027-06-30"},
	}
}

func bad(o carrier.Outcome) connection.Reading {
	return connection.Reading{Outcome: o, HTTPStatus: 418}
}

// hook is called in place of every call of the store and the vault; do makes the call.
type hook func(ctx context.Context, name string, do func() error) error

// hookedStore and hookedVault pass every call to a hook.
type hookedStore struct {
	memory *storetest.Memory
	on     *hook
}

type hookedVault struct {
	vault *vault.Vault
	on    *hook
	made  map[string]bool // the connections that may have a secret
}

func through(ctx context.Context, on *hook, name string, do func() error) error {
	if *on == nil {
		return do()
	}
	return (*on)(ctx, name, do)
}

// read returns the result of a call, unless the hook has withheld it.
func read[T any](ctx context.Context, on *hook, name string, do func() (T, error)) (T, error) {
	var got, none T
	err := through(ctx, on, name, func() (err error) { got, err = do(); return err })
	if err != nil {
		return none, err
	}
	return got, nil
}

func (s hookedStore) Connection(ctx context.Context, account int64, id string) (connection.Connection, error) {
	return read(ctx, s.on, "Connection", func() (connection.Connection, error) { return s.memory.Connection(ctx, account, id) })
}

func (s hookedStore) TakeCall(ctx context.Context, c connection.Call, window time.Duration, now time.Time) (time.Duration, error) {
	return read(ctx, s.on, "TakeCall", func() (time.Duration, error) { return s.memory.TakeCall(ctx, c, window, now) })
}

func (s hookedStore) Snapshot(ctx context.Context, account int64, id string) (*connection.Snapshot, error) {
	return read(ctx, s.on, "Snapshot", func() (*connection.Snapshot, error) { return s.memory.Snapshot(ctx, account, id) })
}

// write returns the stored row only if the call got an answer: otherwise the caller has
// not seen it.
func (s hookedStore) write(ctx context.Context, name string, conn *connection.Connection, do func(*connection.Connection) error) error {
	row := *conn
	err := through(ctx, s.on, name, func() error { return do(&row) })
	if err == nil {
		*conn = row
	}
	return err
}

func (s hookedStore) BeginLink(ctx context.Context, conn *connection.Connection, o connection.LinkOptions) error {
	return s.write(ctx, "BeginLink", conn, func(conn *connection.Connection) error { return s.memory.BeginLink(ctx, conn, o) })
}

func (s hookedStore) FinishLink(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	return s.write(ctx, "FinishLink", conn, func(conn *connection.Connection) error { return s.memory.FinishLink(ctx, conn, entry, snap, fx, now) })
}

func (s hookedStore) DropLink(ctx context.Context, conn connection.Connection) error {
	return through(ctx, s.on, "DropLink", func() error { return s.memory.DropLink(ctx, conn) })
}

func (s hookedStore) ClaimCheck(ctx context.Context, conn connection.Connection, call *connection.Call, until, now time.Time) (connection.Connection, error) {
	return read(ctx, s.on, "ClaimCheck", func() (connection.Connection, error) { return s.memory.ClaimCheck(ctx, conn, call, until, now) })
}

func (s hookedStore) ClaimDue(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (connection.Connection, error) {
	return read(ctx, s.on, "ClaimDue", func() (connection.Connection, error) { return s.memory.ClaimDue(ctx, d, until, now, t) })
}

func (s hookedStore) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	return s.write(ctx, "RecordCheck", conn, func(conn *connection.Connection) error { return s.memory.RecordCheck(ctx, conn, entry, snap, fx, now) })
}

func (s hookedStore) SaveConnection(ctx context.Context, conn *connection.Connection) error {
	return s.write(ctx, "SaveConnection", conn, func(conn *connection.Connection) error { return s.memory.SaveConnection(ctx, conn) })
}

func (s hookedStore) ChangeConnection(ctx context.Context, conn *connection.Connection, c connection.Update, fx effects.Effects, now time.Time) error {
	return s.write(ctx, "ChangeConnection", conn, func(conn *connection.Connection) error { return s.memory.ChangeConnection(ctx, conn, c, fx, now) })
}

func (s hookedStore) Unlink(ctx context.Context, conn *connection.Connection, fx effects.Effects, now time.Time) error {
	return s.write(ctx, "Unlink", conn, func(conn *connection.Connection) error { return s.memory.Unlink(ctx, conn, fx, now) })
}

func (s hookedStore) Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error) {
	return read(ctx, s.on, "Account", func() (account.Account, error) { return s.memory.Account(ctx, accountID, now) })
}

func (s hookedStore) AllConnections(ctx context.Context, account int64) ([]connection.Connection, error) {
	return read(ctx, s.on, "AllConnections", func() ([]connection.Connection, error) { return s.memory.AllConnections(ctx, account) })
}

func (s hookedStore) FollowConnection(ctx context.Context, conn *connection.Connection, a account.Account, fx effects.Effects, now time.Time) error {
	return s.write(ctx, "FollowConnection", conn, func(conn *connection.Connection) error { return s.memory.FollowConnection(ctx, conn, a, fx, now) })
}

func (s hookedStore) EndFollow(ctx context.Context, a account.Account) error {
	return through(ctx, s.on, "EndFollow", func() error { return s.memory.EndFollow(ctx, a) })
}

func (s hookedStore) EndPurge(ctx context.Context, account int64, at time.Time) error {
	return through(ctx, s.on, "EndPurge", func() error { return s.memory.EndPurge(ctx, account, at) })
}

func (s hookedStore) Unfinished(ctx context.Context, now time.Time, limit int) (found []connection.Unfinished, malformed int, err error) {
	found, err = read(ctx, s.on, "Unfinished", func() (found []connection.Unfinished, err error) {
		found, malformed, err = s.memory.Unfinished(ctx, now, limit)
		return found, err
	})
	return found, malformed, err
}

func (s hookedStore) CountChecks(ctx context.Context, name carrier.Name, checks []health.Check, now time.Time) error {
	return through(ctx, s.on, "CountChecks", func() error { return s.memory.CountChecks(ctx, name, checks, now) })
}

func (s hookedStore) Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error) {
	return read(ctx, s.on, "Tallies", func() ([]health.Tally, error) { return s.memory.Tallies(ctx, name, now) })
}

func (s hookedStore) Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error) {
	return read(ctx, s.on, "Breakers", func() (map[carrier.Name]health.Breaker, error) { return s.memory.Breakers(ctx) })
}

func (s hookedStore) SaveBreaker(ctx context.Context, b *health.Breaker) error {
	return through(ctx, s.on, "SaveBreaker", func() error { return s.memory.SaveBreaker(ctx, b) })
}

func (v hookedVault) Create(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	return read(ctx, v.on, "Create", func() (string, error) {
		v.made[id] = true
		return v.vault.Create(ctx, account, id, token, c)
	})
}

func (v hookedVault) Get(ctx context.Context, account int64, id, version string) (connection.Credentials, error) {
	return read(ctx, v.on, "Get", func() (connection.Credentials, error) { return v.vault.Get(ctx, account, id, version) })
}

func (v hookedVault) Stage(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	return read(ctx, v.on, "Stage", func() (string, error) {
		v.made[id] = true
		return v.vault.Stage(ctx, account, id, token, c)
	})
}

func (v hookedVault) Align(ctx context.Context, account int64, id, version, previous string) error {
	return through(ctx, v.on, "Align", func() error { return v.vault.Align(ctx, account, id, version, previous) })
}

func (v hookedVault) DropPrevious(ctx context.Context, account int64, id, version string) error {
	return through(ctx, v.on, "DropPrevious", func() error { return v.vault.DropPrevious(ctx, account, id, version) })
}

func (v hookedVault) Delete(ctx context.Context, account int64, id string, days int) error {
	return through(ctx, v.on, "Delete", func() error { return v.vault.Delete(ctx, account, id, days) })
}

func (v hookedVault) Restore(ctx context.Context, account int64, id string) error {
	return through(ctx, v.on, "Restore", func() error { return v.vault.Restore(ctx, account, id) })
}

// world is a Service and everything that it works on.
type world struct {
	*connection.Service
	on         hook // before each call of the Service; nil lets all through
	memory     *storetest.Memory
	secrets    *vaulttest.Memory
	vault      *vault.Vault
	made       map[string]bool
	production *askedOf
	sandbox    *askedOf
	clock      time.Time
	compared   int               // answers
	again      map[string]string // which connection held a number at the first request; nil: not kept
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOver(t, vaulttest.NewMemory())
}

func newWorldOver(t *testing.T, secrets *vaulttest.Memory) *world {
	t.Helper()
	w := &world{
		memory: storetest.NewMemory(), secrets: secrets, vault: vault.New(secrets, prefix), made: map[string]bool{},
		production: &askedOf{}, sandbox: &askedOf{}, clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	w.Service = w.process(&w.on)
	w.newAccount(t, merchant(accountID))
	return w
}

// process returns another Service of the same world.
func (w *world) process(on *hook) *connection.Service {
	return &connection.Service{
		CallsPerMinute: 1_000_000, LinksPerMinute: 1_000_000,
		Store: hookedStore{w.memory, on}, Vault: hookedVault{w.vault, on, w.made},
		Carriers: connection.Carriers{Production: w.production, Sandbox: w.sandbox},
		Compare: func(before, after []byte) ([]connection.Difference, error) {
			w.compared++
			if string(before) == "damaged" {
				return nil, errors.New("no account")
			}
			return []connection.Difference{{Type: connection.ChangedField, From: string(before), To: string(after)}}, nil
		},
		Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1},
		Now:    func() time.Time { return w.clock }, Random: rand.Reader,
	}
}

// failing makes every call of that name fail as if it had never been sent.
func (w *world) failing(name string, err error) {
	w.on = func(_ context.Context, called string, do func() error) error {
		if called == name {
			return err
		}
		return do()
	}
}

// counting counts the calls by name.
func (w *world) counting() map[string]int {
	calls := map[string]int{}
	w.on = func(_ context.Context, name string, do func() error) error {
		calls[name]++
		return do()
	}
	return calls
}

func merchant(id int64) account.Account {
	return account.Account{ID: id, PartnerID: 5, Environment: carrier.Production, OriginCountryCode: "AU", Active: true}
}

func (w *world) newAccount(t *testing.T, a account.Account) {
	t.Helper()
	n := account.NewAccount{Account: a, Key: account.APIKey{ID: a.ID, PartnerID: 5, AccountID: a.ID, Hash: strconv.FormatInt(a.ID, 10)}}
	if err := w.memory.CreateAccount(context.Background(), n, effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
}

func (w *world) account(t *testing.T) account.Account {
	t.Helper()
	a, err := w.memory.Account(context.Background(), accountID, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func credentials(s string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New("key " + s + " 1234"), APISecret: secret.New("secret " + s)}
}

func chargeAccount(n, which string) connection.ChargeAccount {
	return connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: n, Credentials: credentials(which)}
}

// request is a link of the account and number, with the current Holders.
func (w *world) request(t *testing.T) connection.LinkRequest {
	t.Helper()
	return connection.LinkRequest{
		Account: merchant(accountID), Nickname: "Main", RefreshPolicy: connection.RefreshDaily, Holders: w.linked(t, number), ExternalID: "ext",
		Metadata: map[string]string{"a": "b"}, ChargeAccount: chargeAccount(number, "one"),
	}
}

func (w *world) linked(t *testing.T, n string) []string {
	t.Helper()
	l, err := w.memory.Load(context.Background(), accountID, store.Want{Number: &connection.Number{Carrier: carrier.AustraliaPost, Number: n}, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	return l.LinkedAs
}

func (w *world) stored(t *testing.T, id string) (connection.Connection, *connection.Snapshot) {
	t.Helper()
	l, err := w.memory.Load(context.Background(), accountID, store.Want{ConnectionID: id, Snapshot: true, Now: w.clock})
	if err != nil || l.Connection == nil {
		t.Fatalf("connection %s: %v, %v", id, l.Connection, err)
	}
	return *l.Connection, l.Snapshot
}

func (w *world) row(t *testing.T, id string) connection.Connection {
	t.Helper()
	row, _ := w.stored(t, id)
	return row
}

// history returns the entries of a connection's history, latest first.
func (w *world) history(t *testing.T, id string) []connection.HistoryEntry {
	t.Helper()
	entries, _, err := w.memory.History(context.Background(), accountID, id, nil, 0, 100, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// keeps checks that the version of the secret that the row names has these credentials.
func (w *world) keeps(t *testing.T, id string, want connection.Credentials) {
	t.Helper()
	if got, err := w.vault.Get(context.Background(), accountID, id, w.row(t, id).SecretVersion); err != nil || !got.Equal(want) {
		t.Errorf("the vault has others for %s, or none: %v", id, err)
	}
}

// loses deletes a secret by hand.
func (w *world) loses(t *testing.T, id string) {
	t.Helper()
	if err := w.vault.Delete(context.Background(), accountID, id, 0); err != nil {
		t.Fatal(err)
	}
}

// link links the number with the credentials "one".
func (w *world) link(t *testing.T) connection.Connection {
	t.Helper()
	conn, err := w.Link(t.Context(), w.request(t))
	if err != nil {
		t.Fatal(err)
	}
	return w.row(t, conn.ID)
}

// linkAs links another number with the named credentials.
func (w *world) linkAs(t *testing.T, n, which string) connection.Connection {
	t.Helper()
	req := w.request(t)
	req.ChargeAccount, req.Holders = chargeAccount(n, which), w.linked(t, n)
	conn, err := w.Link(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return w.row(t, conn.ID)
}

func noEdit(*connection.Connection) {}

// change is a change of credentials, number or both; "" keeps the stored ones.
func change(conn connection.Connection, n, which string) connection.ChangeRequest {
	req := connection.ChangeRequest{Connection: conn, Number: n, Edit: noEdit}
	if which != "" {
		c := credentials(which)
		req.Credentials = &c
	}
	return req
}

// changed makes such a change.
func (w *world) changed(t *testing.T, conn connection.Connection, n, which string) connection.Connection {
	t.Helper()
	if _, err := w.Change(t.Context(), change(conn, n, which)); err != nil {
		t.Fatal(err)
	}
	return w.row(t, conn.ID)
}

// The changes of the account's state, without its connections.
func (w *world) enabled(t *testing.T, active bool) {
	t.Helper()
	if err := w.memory.SetAccountActive(context.Background(), w.account(t), false, active, effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
}

func (w *world) deleted(t *testing.T, days int) {
	t.Helper()
	if err := w.memory.DeleteAccount(context.Background(), w.account(t), false, w.clock.AddDate(0, 0, days), effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
}

func (w *world) restored(t *testing.T) {
	t.Helper()
	if err := w.memory.RestoreAccount(context.Background(), w.account(t), false, effects.Effects{}, w.clock); err != nil {
		t.Fatal(err)
	}
}

// dies lets the process die after its n-th call has taken effect, and waits. It reports
// whether there were that many calls.
func (w *world) dies(n int, act func()) bool {
	calls := 0
	on := w.on
	w.on = func(_ context.Context, _ string, do func() error) error {
		calls++
		err := do()
		if calls == n {
			goexit()
		}
		return err
	}
	inProcess(act)
	w.on = on
	return calls >= n
}

// broken lists every inconsistency when no process is working any more.
func (w *world) broken(t *testing.T) []string {
	t.Helper()
	ctx := context.Background()
	var found []string
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	rows, err := w.memory.AllConnections(ctx, accountID)
	if err != nil {
		t.Fatal(err)
	}
	a := w.account(t)
	if a.Following {
		wrong("the account is marked")
	}
	visible := 0
	holders := map[string][]string{}
	named := map[string]bool{}
	for _, c := range rows {
		named[c.ID] = true
		if c.Work != connection.NoWork || c.Status == connection.Linking {
			wrong("%s is %s, at work on %q", c.ID, c.Status, c.Work)
		}
		secret, missing := w.describe(t, c.ID)
		if c.Status == connection.Disconnected {
			if !missing && secret.DeletedDate == nil {
				wrong("%s is disconnected, and its secret stays", c.ID)
			}
			continue
		}
		visible++
		holders[c.AccountNumber] = append(holders[c.AccountNumber], c.ID)
		if c.Standing != a.Standing() || !c.PurgeAt.Equal(a.PurgeAt) {
			wrong("%s stands as %s until %v, its account as %s until %v", c.ID, c.Standing, c.PurgeAt, a.Standing(), a.PurgeAt)
		}
		if c.Standing == account.StandingDeleted {
			if missing || secret.DeletedDate == nil {
				wrong("%s is deleted, its secret is not: missing %t", c.ID, missing)
			} else if days, want := int(secret.DeletedDate.Sub(time.Unix(0, 0))/(24*time.Hour)), int((c.PurgeAt.Sub(w.clock)+24*time.Hour-1)/(24*time.Hour)); days < want || days > want+2 && days > 7 {
				wrong("%s: its secret goes in %d days, the row in %d", c.ID, days, want)
			}
			continue
		}
		got, err := w.vault.Get(ctx, accountID, c.ID, c.SecretVersion)
		if err != nil {
			wrong("%s, %s: the credentials are not there: %v", c.ID, c.Status, err)
			continue
		}
		if connection.CredentialID(got.APIKey) != c.CredentialID || got.APIKey.LastFour() != c.APIKeyLastFour {
			wrong("%s: the row is about other credentials", c.ID)
		}
		for version, labels := range secret.VersionIdsToStages {
			if slices.Contains(labels, "AWSPENDING") || slices.Contains(labels, "AWSCURRENT") != (version == c.SecretVersion) {
				wrong("%s: version %s has %v, the row names %s", c.ID, version, labels, c.SecretVersion)
			}
			if _, err := w.vault.Get(ctx, accountID, c.ID, c.Previous.SecretVersion); err == nil && slices.Contains(labels, "AWSPREVIOUS") && version != c.Previous.SecretVersion {
				wrong("%s: version %s has %v, the row's previous one is %s", c.ID, version, labels, c.Previous.SecretVersion)
			}
		}
		snap, err := w.memory.Snapshot(ctx, accountID, c.ID)
		switch {
		case err != nil:
			t.Fatal(err)
		case snap == nil && c.ContractHash != "":
			wrong("%s: the snapshot is gone", c.ID)
		case snap != nil:
			if raw, err := snap.Raw(); err != nil || connection.SnapshotHash(raw) != c.ContractHash {
				wrong("%s: the row is about another snapshot than %s, %v", c.ID, raw, err)
			}
		}
	}
	if a.CarriersCount != visible {
		wrong("carriers_count is %d, of %d", a.CarriersCount, visible)
	}
	for _, n := range []string{number, number2} {
		slices.Sort(holders[n])
		if held := w.linked(t, n); !slices.Equal(held, holders[n]) {
			wrong("%s is held by %v, and linked as %v", n, held, holders[n])
		}
	}
	for id := range w.made {
		if secret, missing := w.describe(t, id); !missing && !named[id] {
			wrong("no row names the secret of %s, to be deleted %v", id, secret.DeletedDate)
		}
	}
	if left, _, err := w.memory.Unfinished(ctx, w.clock.Add(time.Hour), 100); err != nil || len(left) > 0 {
		wrong("unfinished: %v, %v", left, err)
	}
	return found
}

func (w *world) whole(t *testing.T) {
	t.Helper()
	for _, wrong := range w.broken(t) {
		t.Error(wrong)
	}
}

// describe returns the state of a secret in the vault.
func (w *world) describe(t *testing.T, id string) (secret *secretsmanager.DescribeSecretOutput, missing bool) {
	t.Helper()
	secret, err := w.secrets.DescribeSecret(context.Background(), &secretsmanager.DescribeSecretInput{
		SecretId: aws.String(prefix + strconv.Itoa(accountID) + "/" + id),
	})
	return secret, err != nil
}

// labels returns the version that has each label.
func (w *world) labels(t *testing.T, id string) map[string]string {
	t.Helper()
	secret, _ := w.describe(t, id)
	labels := map[string]string{}
	if secret != nil {
		for version, all := range secret.VersionIdsToStages {
			for _, label := range all {
				labels[label] = version
			}
		}
	}
	return labels
}

// reconciled runs the reconciler.
func (w *world) reconciled(t *testing.T) connection.Report {
	t.Helper()
	report, err := w.Reconcile(t.Context(), 100)
	if err != nil {
		t.Error(err)
	}
	return report
}

// isState checks for fault.State with or without RetryAfter.
func isState(t *testing.T, err error, retry bool) {
	t.Helper()
	if !fault.Is(err, fault.State) || (fault.Of(err)[0].RetryAfter > 0) != retry {
		t.Errorf("error %v, want state, with a time to come back after: %t", err, retry)
	}
}
