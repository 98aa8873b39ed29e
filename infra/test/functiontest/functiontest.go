// Package functiontest is the fixture of the tests of the API's functions:
// partners and accounts with their keys, a table, a vault, a carrier and the
// services that use them, in memory or on the engines with every remote call
// traced.
package functiontest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/shared/account"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
	"carrierlink/shared/password"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// The accounts of partner 5. Partner 6 has none.
const (
	Account  int64 = 71
	Disabled int64 = 72
	Other    int64 = 73
)

// Credentials that the carrier accepts. Do fails if an answer or the log
// contains them.
const (
	APIKey    = "6fda3d2a-91a5-4f39-a3a7-1cf0ed9d9dd1"
	APISecret = "xA7pQ2mW9rT4vB6n-canary"
	canary    = "canary"
)

// Fixture holds everything that a function under test uses.
type Fixture struct {
	Store       *store.Store
	Table       *dynamotest.Table // behind Store, in memory
	Secrets     vault.API         // behind the vault; its calls are not traced
	Vault       *Vault
	Carrier     *Carrier
	Client      *auspost.Client // behind Carrier
	Connections *connection.Service
	Accounts    *account.Service
	SignIn      *signin.Service // its mails are in Mails; its hashes of passwords are cheap
	Mails       *Mails
	Transport   *calltrace.Transport // traces the calls of a fixture on the engines
	Clock       time.Time            // the time of Now
	URL         string               // of the API; may be empty
	Keys        map[string]string    // the API keys, by "account 71", "partner 5" and so on

	t       testing.TB
	mu      sync.Mutex
	engines Engines
	table   string // name of the table
	prefix  string // prefix of the secrets' names
	routes  []httpapi.Route
	last    struct{ answer, log, hashes atomic.Int64 } // of the last request: bytes, and passwords that it hashed or checked
}

// Account numbers of Australia Post for which the simulator answers well.
const (
	Number      = "0000123400"
	OtherNumber = "0000456700"
)

// InMemory returns a fixture without remote calls.
func InMemory(tb testing.TB) *Fixture {
	tb.Helper()
	d := EmptyInMemory(tb)
	d.addAccounts()
	return d
}

// EmptyInMemory is InMemory without partners and accounts.
func EmptyInMemory(tb testing.TB) *Fixture {
	tb.Helper()
	d := newFixture(tb)
	memory := storetest.NewMemory()
	d.Store, d.Table, d.Secrets = memory.Store, memory.Table, vaulttest.NewMemory()
	d.prefix = "test/carrier/"
	d.addServices(vault.New(d.Secrets, d.prefix), auspost.Options{
		BaseURL: simulator.BaseURL, Transport: hurried{simulator.NewTransport(d.Now)},
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	return d
}

// hurried times out at once for numbers that the simulator does not answer in
// time.
type hurried struct{ http.RoundTripper }

// RoundTrip sends a request.
func (h hurried) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "54") {
		return nil, context.DeadlineExceeded
	}
	return h.RoundTripper.RoundTrip(r)
}

// Engines are DynamoDB Local and MiniStack.
type Engines struct {
	// Tap wraps the DynamoDB client of a fixture's store; may be nil.
	Tap func(*dynamodb.Client) kit.API

	table, secrets string // URLs; without secrets the vault is in memory
}

// StartTable starts DynamoDB Local only; the vault of its fixtures is in memory.
func StartTable(tb testing.TB) Engines {
	tb.Helper()
	return Engines{table: calltrace.Emulator(tb, emulator.StartDynamoDBLocal)}
}

// StartEngines starts both until the test ends.
func StartEngines(tb testing.TB) Engines {
	tb.Helper()
	return Engines{table: calltrace.Emulator(tb, emulator.StartDynamoDBLocal), secrets: calltrace.Emulator(tb, emulator.StartMiniStack)}
}

// OnEngines returns a fixture with its own table of this name, which is also the
// prefix of its secrets' names.
func OnEngines(tb testing.TB, e Engines, name string) *Fixture {
	tb.Helper()
	d := EmptyOnEngines(tb, e, name)
	d.addAccounts()
	return d
}

// EmptyOnEngines is OnEngines without partners and accounts.
func EmptyOnEngines(tb testing.TB, e Engines, name string) *Fixture {
	tb.Helper()
	d := newFixture(tb)
	calltrace.Table(tb, emulator.Config(e.table), name)
	d.connect(e, name)
	return d
}

// Process returns a fixture of another process with the same table, secrets, keys
// and time. It shares nothing else, so that it can be killed with
// Process().Transport.DieAfter.
func (d *Fixture) Process() *Fixture {
	d.t.Helper()
	p := newFixture(d.t)
	p.Clock, p.Keys = d.Now(), maps.Clone(d.Keys)
	p.connect(d.engines, d.table)
	return p
}

// connect makes the clients and services of a process on the engines.
func (d *Fixture) connect(e Engines, name string) {
	d.t.Helper()
	d.engines, d.table, d.prefix = e, name, name+"/carrier/"
	d.Transport = &calltrace.Transport{Carrier: simulator.NewTransport(d.Now)}
	if a, ok := d.t.(*calltrace.Attempt); ok {
		a.Watch(d.Transport)
	}
	var secrets vault.API = vaulttest.NewMemory()
	d.Secrets = secrets
	if e.secrets != "" {
		d.Secrets, secrets = secretsmanager.NewFromConfig(emulator.Config(e.secrets)), secretsmanager.NewFromConfig(d.Transport.Config(e.secrets))
	}
	client := dynamodb.NewFromConfig(d.Transport.Config(e.table))
	var table kit.API = client
	if e.Tap != nil {
		table = e.Tap(client)
	}
	d.Store = store.New(table, name, kit.Options{})
	d.addServices(vault.New(secrets, d.prefix), auspost.Options{
		BaseURL: simulator.BaseURL, Transport: d.Transport, Sleep: func(context.Context, time.Duration) error { return nil },
	})
}

// Items reads all items of the table of a fixture on the engines, untraced.
func (d *Fixture) Items() []map[string]types.AttributeValue {
	d.t.Helper()
	client := dynamodb.NewFromConfig(emulator.Config(d.engines.table))
	out, err := client.Scan(context.Background(), &dynamodb.ScanInput{TableName: &d.table, ConsistentRead: aws.Bool(true)})
	d.ok(err)
	return out.Items
}

func newFixture(tb testing.TB) *Fixture {
	tb.Helper()
	return &Fixture{t: tb, Clock: time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC), Keys: map[string]string{}}
}

// Now returns the fixture's time.
func (d *Fixture) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Clock
}

// Pass advances the clock.
func (d *Fixture) Pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Clock = d.Clock.Add(by)
}

// addServices makes the vault, the carrier and the services.
func (d *Fixture) addServices(v *vault.Vault, carriers auspost.Options) {
	d.t.Helper()
	client, err := auspost.New(carriers)
	d.ok(err)
	d.Vault, d.Carrier, d.Client = &Vault{Vault: v}, &Carrier{Real: client}, client
	d.Connections = &connection.Service{
		Store: d.Store, Vault: d.Vault, Carriers: connection.Carriers{Production: d.Carrier, Sandbox: d.Carrier}, Compare: auspost.Changes, Contracts: auspost.ParseContract,
		Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, CallsPerMinute: 1_000_000, LinksPerMinute: 1_000_000, Now: d.Now, Random: rand.Reader,
	}
	d.Accounts = &account.Service{
		Store: d.Store, Connections: d.Connections, EmailKey: email.Key, HashPassword: password.Hash, Now: d.Now, Random: rand.Reader,
	}
	d.addSignIn()
}

// addAccounts adds the partners and accounts.
func (d *Fixture) addAccounts() {
	d.t.Helper()
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, id := range []int64{Account, Disabled, Other} {
		d.AddAccount(account.Account{ID: id, PartnerID: 5, OriginCountryCode: "AU", Active: id != Disabled})
	}
}

// AddPartner creates a partner, by default of production, and returns its key
// "partner <id>".
func (d *Fixture) AddPartner(p account.Partner) account.APIKey {
	d.t.Helper()
	p.Environment = cmp.Or(p.Environment, carrier.Production)
	return d.addKey("partner", p.ID, account.APIKey{PartnerID: p.ID, Environment: p.Environment, DefaultCountryCode: p.DefaultCountryCode}, func(k account.APIKey) error {
		return d.Store.CreatePartner(d.t.Context(), p, k, effects.Effects{}, d.Clock)
	})
}

// AddAccount creates an account, by default of production, and returns its key
// "account <id>".
func (d *Fixture) AddAccount(a account.Account) account.APIKey {
	d.t.Helper()
	a.Environment, a.EmailKey, a.CreatedAt, a.ModifiedAt = cmp.Or(a.Environment, carrier.Production), email.Key(a.Email), d.Now(), d.Now()
	key := account.APIKey{PartnerID: a.PartnerID, AccountID: a.ID, Environment: a.Environment, Description: "Created with the account"}
	return d.addKey("account", a.ID, key, func(k account.APIKey) error {
		return d.Store.CreateAccount(d.t.Context(), account.NewAccount{Account: a, Key: k}, effects.Effects{}, d.Now())
	})
}

// addKey makes a key, stores it with save, and remembers its text.
func (d *Fixture) addKey(owner string, id int64, k account.APIKey, save func(account.APIKey) error) account.APIKey {
	d.t.Helper()
	k.CreatedAt = d.Now()
	made, err := account.MakeKey(rand.Reader, k)
	d.ok(err)
	d.ok(save(made.APIKey))
	d.Keys[owner+" "+strconv.FormatInt(id, 10)] = made.Text.Reveal()
	return made.APIKey
}

func (d *Fixture) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// SecretName returns the name of the secret of a connection of Account.
func (d *Fixture) SecretName(id string) string {
	return d.prefix + strconv.FormatInt(Account, 10) + "/" + id
}

// Auth returns an authenticator with the fixture's keys.
func (d *Fixture) Auth() *auth.Auth {
	return &auth.Auth{Keys: d.Store, Now: d.Now, Limits: auth.Limits{Production: 1_000_000, Sandbox: 1_000_000}}
}

// Sealer returns a sealer with a fixed secret.
func (d *Fixture) Sealer() *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) {
		return secret.New("the service secret of the tests"), nil
	}, d.Now)
}

// Serve sets the routes of Do, which takes the first one that matches.
func (d *Fixture) Serve(routes ...httpapi.Route) { d.routes = routes }

// Do makes a request with the key of who, or without a key for "". The target is
// a percent-encoded path with its query; headers are names and values by turns.
func (d *Fixture) Do(who, method, target, body string, headers ...string) events.APIGatewayProxyResponse {
	d.t.Helper()
	return d.DoWithin(context.Background(), who, method, target, body, headers...)
}

// DoWithin is Do with a context, such as one with a deadline.
func (d *Fixture) DoWithin(ctx context.Context, who, method, target, body string, headers ...string) events.APIGatewayProxyResponse {
	d.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	event := events.APIGatewayProxyRequest{
		HTTPMethod: method, Path: path, Body: body, Headers: map[string]string{"API-Key": d.Keys[who]}, PathParameters: map[string]string{},
	}
	if body != "" {
		event.Headers["Content-Type"] = "application/json"
	}
	for i := 0; i < len(headers); i += 2 {
		event.Headers[headers[i]] = headers[i+1]
	}
	var err error
	event.MultiValueQueryStringParameters, err = url.ParseQuery(query)
	d.ok(err)
	for _, r := range d.routes {
		if r.Method == method && match(r.Resource, path, event.PathParameters) {
			event.Resource = r.Resource
			break
		}
	}
	if event.Resource == "" {
		d.t.Fatalf("no route for %s %s", method, path)
	}
	var log bytes.Buffer
	api := &httpapi.API{
		Log: invocation.NewLogger(&log, slog.LevelInfo), Now: d.Now, Routes: d.routes, URL: d.URL, Metrics: metrics.Recorder{Stage: "production", Now: d.Now},
	}
	d.last.hashes.Store(0)
	resp, err := api.Serve(invoked(ctx), event)
	d.ok(err)
	d.last.answer.Store(int64(len(resp.Body)))
	d.last.log.Store(int64(log.Len()))
	for what, text := range map[string]string{"answer": resp.Body, "log": log.String()} {
		if strings.Contains(text, canary) || strings.Contains(text, APIKey) {
			d.t.Errorf("the %s of %s %s shows credentials: %s", what, method, path, text)
		}
	}
	return resp
}

// match tells whether a path belongs to a resource, and fills in its parameters.
func match(resource, path string, params map[string]string) bool {
	want, got := strings.Split(resource, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	clear(params)
	for i, w := range want {
		name, isParam := strings.CutPrefix(w, "{")
		if isParam {
			params[strings.TrimSuffix(name, "}")] = got[i]
		} else if w != got[i] {
			return false
		}
	}
	return true
}

// Problems returns the status of an error answer, then a text for each problem:
// its code, field, existing account and the category of its diagnosis.
func Problems(tb testing.TB, resp events.APIGatewayProxyResponse) []string {
	tb.Helper()
	var e httpapi.Envelope
	if err := json.Unmarshal([]byte(resp.Body), &e); err != nil {
		tb.Fatalf("%d %s: %v", resp.StatusCode, resp.Body, err)
	}
	all := []string{strconv.Itoa(resp.StatusCode)}
	for _, p := range e.Errors {
		what := p.ErrorCode
		if p.FieldName != "" {
			what += " " + p.FieldName
		}
		if p.ExistingAccountID != 0 {
			what += " (" + strconv.FormatInt(p.ExistingAccountID, 10) + ")"
		}
		if p.Diagnosis != nil {
			what += ": " + p.Diagnosis.Category
		}
		all = append(all, what)
	}
	return all
}

// Read decodes an answer that must have this status.
func Read[T any](tb testing.TB, resp events.APIGatewayProxyResponse, status int) T {
	tb.Helper()
	var body T
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != status {
		tb.Fatalf("%d %s, %v, want %d", resp.StatusCode, resp.Body, err, status)
	}
	return body
}

// Link links an account number of Australia Post to Account, with the fixture's
// credentials.
func (d *Fixture) Link(number string) connection.Connection {
	d.t.Helper()
	account, err := d.Store.Account(d.t.Context(), Account, d.Clock)
	d.ok(err)
	conn, err := d.Connections.Link(d.t.Context(), connection.LinkRequest{
		Account: account, Nickname: "Main", RefreshPolicy: connection.RefreshDaily, VerifyLater: true,
		ChargeAccount: connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: number, Credentials: Credentials(APIKey, APISecret)},
	})
	d.ok(err)
	return *conn
}

// Credentials returns credentials with a key and a secret.
func Credentials(key, secretText string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New(key), APISecret: secret.New(secretText)}
}

// Row reads a connection of Account from the table.
func (d *Fixture) Row(id string) connection.Connection {
	d.t.Helper()
	conn, err := d.Store.Connection(d.t.Context(), Account, id)
	d.ok(err)
	return conn
}

// Holders reads the carrier_ids of Account that hold a number.
func (d *Fixture) Holders(number string) []string {
	d.t.Helper()
	l, err := d.Store.Load(d.t.Context(), Account, store.Want{Now: d.Clock, Number: &connection.Number{Carrier: carrier.AustraliaPost, Number: number}})
	d.ok(err)
	return l.LinkedAs
}

// History reads the history of a connection, newest first.
func (d *Fixture) History(id string) []connection.HistoryEntry {
	d.t.Helper()
	entries, _, err := d.Store.History(d.t.Context(), Account, id, nil, 0, 100, d.Clock)
	d.ok(err)
	return entries
}

// Vault is a vault with calls that can fail.
type Vault struct {
	*vault.Vault
	Fail func(method string) error // the error of a call; nil: none fails
}

func (v *Vault) fails(method string) error {
	if v.Fail == nil {
		return nil
	}
	return v.Fail(method)
}

// Create calls the vault, unless Fail returns an error. So do the others.
func (v *Vault) Create(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	if err := v.fails("Create"); err != nil {
		return "", err
	}
	return v.Vault.Create(ctx, account, id, token, c)
}

// Get calls the vault.
func (v *Vault) Get(ctx context.Context, account int64, id, version string) (connection.Credentials, error) {
	if err := v.fails("Get"); err != nil {
		return connection.Credentials{}, err
	}
	return v.Vault.Get(ctx, account, id, version)
}

// Stage calls the vault.
func (v *Vault) Stage(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	if err := v.fails("Stage"); err != nil {
		return "", err
	}
	return v.Vault.Stage(ctx, account, id, token, c)
}

// Align calls the vault.
func (v *Vault) Align(ctx context.Context, account int64, id, version, previous string) error {
	if err := v.fails("Align"); err != nil {
		return err
	}
	return v.Vault.Align(ctx, account, id, version, previous)
}

// Delete calls the vault.
func (v *Vault) Delete(ctx context.Context, account int64, id string, days int) error {
	if err := v.fails("Delete"); err != nil {
		return err
	}
	return v.Vault.Delete(ctx, account, id, days)
}

// Carrier is the simulator, or gives a fixed answer, and records its calls.
type Carrier struct {
	Real      connection.Carrier
	Reading   *connection.Reading // the answer; nil: the simulator's
	Meanwhile func()              // runs once, during the next call

	mu    sync.Mutex
	asked []Question
}

// Question is a call of the carrier.
type Question struct {
	Account connection.ChargeAccount
	Check   int
}

// GetAccount records the call and answers it.
func (c *Carrier) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	c.mu.Lock()
	asked := account
	asked.BeforeRetry = nil // a function cannot be compared
	c.asked = append(c.asked, Question{asked, check})
	meanwhile := c.Meanwhile
	c.Meanwhile = nil
	c.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	if c.Reading != nil {
		return *c.Reading
	}
	return c.Real.GetAccount(ctx, account, check)
}

// TakeAsked returns the calls since the last TakeAsked.
func (c *Carrier) TakeAsked() []Question {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}
