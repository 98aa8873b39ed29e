// Package functiontest has the fixture of the tests of the API's functions:
// partners and accounts with their keys, a table, a vault, a carrier and the
// connection service over them, in memory or on the real engines with every
// remote call traced.
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
	"carrierlink/shared/password"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// The accounts: two of partner 5's, of which one is disabled; partner 6 has
// none.
const (
	Account  int64 = 71
	Disabled int64 = 72
	Other    int64 = 73
)

// Credentials that a carrier would accept. No answer may show them: they hold
// the text that Do looks for.
const (
	APIKey    = "6fda3d2a-91a5-4f39-a3a7-1cf0ed9d9dd1"
	APISecret = "xA7pQ2mW9rT4vB6n-canary"
	canary    = "canary"
)

// Fixture has all that a function under test works with.
type Fixture struct {
	Store       *store.Store
	Secrets     vault.API // what the vault is kept in; not over the wire
	Vault       *Vault
	Carrier     *Carrier
	Client      *auspost.Client // what Carrier asks
	Connections *connection.Service
	Accounts    *account.Service
	Transport   *calltrace.Transport // of a fixture on the engines
	Clock       time.Time            // what Now tells; it moves by Pass
	URL         string               // of the API, where it is set
	Keys        map[string]string    // the API keys, by "account 71" and "partner 5"

	t       testing.TB
	mu      sync.Mutex
	engines Engines
	table   string // its name
	prefix  string // of the secrets' names
	routes  []httpapi.Route
}

// Charge accounts of Australia Post's for which all goes well.
const (
	Number      = "0000123400"
	OtherNumber = "0000456700"
)

// InMemory makes a fixture that calls nobody.
func InMemory(tb testing.TB) *Fixture {
	tb.Helper()
	d := EmptyInMemory(tb)
	d.open()
	return d
}

// EmptyInMemory is InMemory without a partner or an account.
func EmptyInMemory(tb testing.TB) *Fixture {
	tb.Helper()
	d := newFixture(tb)
	d.Store, d.Secrets = storetest.NewMemory().Store, vaulttest.NewMemory()
	d.prefix = "test/carrier/"
	d.furnish(vault.New(d.Secrets, d.prefix), auspost.Options{
		BaseURL: simulator.BaseURL, Transport: hurried{simulator.NewTransport(simulator.WithClock(d.Now))},
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	return d
}

// hurried times out at once where the simulator would not answer.
type hurried struct{ http.RoundTripper }

// RoundTrip answers a request.
func (h hurried) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "54") {
		return nil, context.DeadlineExceeded
	}
	return h.RoundTripper.RoundTrip(r)
}

// Engines are DynamoDB Local and MiniStack.
type Engines struct {
	// Tap, if it is there, stands between a fixture's store and its client.
	Tap func(*dynamodb.Client) kit.API

	table, secrets string // their addresses; without secrets the vault is in memory
}

// StartTable starts DynamoDB Local alone: the vault of its desks is in memory.
func StartTable(tb testing.TB) Engines {
	tb.Helper()
	return Engines{table: calltrace.Emulator(tb, emulator.StartDynamoDBLocal)}
}

// StartEngines starts them for the length of a test.
func StartEngines(tb testing.TB) Engines {
	tb.Helper()
	return Engines{table: calltrace.Emulator(tb, emulator.StartDynamoDBLocal), secrets: calltrace.Emulator(tb, emulator.StartMiniStack)}
}

// OnEngines makes a fixture with a table of its own, of this name, and secrets
// under it.
func OnEngines(tb testing.TB, e Engines, name string) *Fixture {
	tb.Helper()
	d := EmptyOnEngines(tb, e, name)
	d.open()
	return d
}

// EmptyOnEngines is OnEngines without a partner or an account.
func EmptyOnEngines(tb testing.TB, e Engines, name string) *Fixture {
	tb.Helper()
	d := newFixture(tb)
	calltrace.Table(tb, emulator.Config(e.table), name)
	d.connect(e, name)
	return d
}

// Process is another process of the function, over the same table and secrets,
// with the time of now. It shares nothing else with the fixture, so that it can be
// killed: Process().Wire.DieAfter.
func (d *Fixture) Process() *Fixture {
	d.t.Helper()
	p := newFixture(d.t)
	p.Clock, p.Keys = d.Now(), maps.Clone(d.Keys)
	p.connect(d.engines, d.table)
	return p
}

// connect makes what a process on the engines works with.
func (d *Fixture) connect(e Engines, name string) {
	d.t.Helper()
	d.engines, d.table, d.prefix = e, name, name+"/carrier/"
	d.Transport = &calltrace.Transport{Carrier: simulator.NewTransport(simulator.WithClock(d.Now))}
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
	d.furnish(vault.New(secrets, d.prefix), auspost.Options{
		BaseURL: simulator.BaseURL, Transport: d.Transport, Sleep: func(context.Context, time.Duration) error { return nil },
	})
}

// Items are all that the table of a fixture on the engines holds, read past the wire.
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

// Now is the fixture's clock.
func (d *Fixture) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Clock
}

// Pass lets time pass.
func (d *Fixture) Pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Clock = d.Clock.Add(by)
}

// furnish makes the vault, the carrier and the connection service.
func (d *Fixture) furnish(v *vault.Vault, carriers auspost.Options) {
	d.t.Helper()
	client, err := auspost.New(carriers)
	d.ok(err)
	d.Vault, d.Carrier, d.Client = &Vault{Vault: v}, &Carrier{Real: client}, client
	d.Connections = &connection.Service{
		Store: d.Store, Vault: d.Vault, Carriers: connection.Carriers{Production: d.Carrier, Sandbox: d.Carrier}, Changes: auspost.Changes, Contracts: auspost.ParseContract,
		Timing: health.Timing{RefusalGap: health.RefusalGap, Speed: 1}, CallsPerMinute: 1_000_000, LinksPerMinute: 1_000_000, Now: d.Now, Random: rand.Reader,
	}
	d.Accounts = &account.Service{
		Store: d.Store, Connections: d.Connections, EmailKey: email.Key, HashPassword: password.Hash, Now: d.Now, Random: rand.Reader,
	}
}

// open makes partners and accounts.
func (d *Fixture) open() {
	d.t.Helper()
	for _, id := range []int64{5, 6} {
		d.AddPartner(account.Partner{ID: id})
	}
	for _, id := range []int64{Account, Disabled, Other} {
		d.AddAccount(account.Account{ID: id, PartnerID: 5, OriginCountryCode: "AU", Active: id != Disabled})
	}
}

// AddPartner makes a partner now, of production unless it says otherwise, whose key
// is "partner <id>".
func (d *Fixture) AddPartner(p account.Partner) {
	d.t.Helper()
	p.Environment = cmp.Or(p.Environment, carrier.Production)
	d.key("partner", p.ID, account.APIKey{PartnerID: p.ID, Environment: p.Environment, DefaultCountryCode: p.DefaultCountryCode}, func(k account.APIKey) error {
		return d.Store.CreatePartner(d.t.Context(), p, k, effects.Effects{}, d.Clock)
	})
}

// AddAccount makes an account now, of production unless it says otherwise, and
// returns its key, which is "account <id>".
func (d *Fixture) AddAccount(a account.Account) account.APIKey {
	d.t.Helper()
	a.Environment, a.EmailKey, a.CreatedAt, a.ModifiedAt = cmp.Or(a.Environment, carrier.Production), email.Key(a.Email), d.Now(), d.Now()
	key := account.APIKey{PartnerID: a.PartnerID, AccountID: a.ID, Environment: a.Environment, Description: "Created with the account"}
	return d.key("account", a.ID, key, func(k account.APIKey) error {
		return d.Store.CreateAccount(d.t.Context(), account.NewAccount{Account: a, Key: k}, effects.Effects{}, d.Now())
	})
}

// key makes a key, keeps it as keep does, and notes its text.
func (d *Fixture) key(whose string, id int64, k account.APIKey, keep func(account.APIKey) error) account.APIKey {
	d.t.Helper()
	k.CreatedAt = d.Now()
	made, err := account.MakeKey(rand.Reader, k)
	d.ok(err)
	d.ok(keep(made.APIKey))
	d.Keys[whose+" "+strconv.FormatInt(id, 10)] = made.Text.Reveal()
	return made.APIKey
}

func (d *Fixture) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// SecretName is that of a connection of the account.
func (d *Fixture) SecretName(id string) string {
	return d.prefix + strconv.FormatInt(Account, 10) + "/" + id
}

// Auth authenticates by the fixture's keys.
func (d *Fixture) Auth() *auth.Auth {
	return &auth.Auth{Keys: d.Store, Now: d.Now, Limits: auth.Limits{Production: 1_000_000, Sandbox: 1_000_000}}
}

// Sealer seals under a secret of its own.
func (d *Fixture) Sealer() *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) {
		return secret.New("the service secret of the tests"), nil
	})
}

// Serve makes these the routes of Do, which takes the first one that matches.
func (d *Fixture) Serve(routes ...httpapi.Route) { d.routes = routes }

// Do makes a request with one of the keys, "" for none; headers are pairs. The
// target is a path, percent-encoded, and its query.
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
	api := &httpapi.API{Log: slog.New(slog.NewJSONHandler(&log, nil)), Now: d.Now, Routes: d.routes, URL: d.URL}
	resp, err := api.Serve(ctx, event)
	d.ok(err)
	for what, text := range map[string]string{"answer": resp.Body, "log": log.String()} {
		if strings.Contains(text, canary) || strings.Contains(text, APIKey) {
			d.t.Errorf("the %s of %s %s shows credentials: %s", what, method, path, text)
		}
	}
	return resp
}

// match tells whether a path is of a resource, and fills in its parameters.
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

// Problems is an error answer as a test names it: the status, then of each
// problem its code, its field, the account that exists, and the category of its
// diagnosis.
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

// Read decodes an answer of this status.
func Read[T any](tb testing.TB, resp events.APIGatewayProxyResponse, status int) T {
	tb.Helper()
	var body T
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != status {
		tb.Fatalf("%d %s, %v, want %d", resp.StatusCode, resp.Body, err, status)
	}
	return body
}

// Link links a number of Australia Post's to the account, with the fixture's
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

// Credentials are a key and a secret.
func Credentials(key, secretText string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New(key), APISecret: secret.New(secretText)}
}

// Row is a connection of the account as it is stored.
func (d *Fixture) Row(id string) connection.Connection {
	d.t.Helper()
	conn, err := d.Store.Connection(d.t.Context(), Account, id)
	d.ok(err)
	return conn
}

// Holders are the connections of the account that hold a number.
func (d *Fixture) Holders(number string) []string {
	d.t.Helper()
	l, err := d.Store.Load(d.t.Context(), Account, store.Want{Now: d.Clock, Number: &connection.Number{Carrier: carrier.AustraliaPost, Number: number}})
	d.ok(err)
	return l.LinkedAs
}

// History is what is kept of the connection's checks, the newest first.
func (d *Fixture) History(id string) []connection.HistoryEntry {
	d.t.Helper()
	entries, _, err := d.Store.History(d.t.Context(), Account, id, nil, 0, 100, d.Clock)
	d.ok(err)
	return entries
}

// Vault is a vault that fails where it is told to.
type Vault struct {
	*vault.Vault
	Fail func(method string) error // nil: nowhere
}

func (v *Vault) fails(method string) error {
	if v.Fail == nil {
		return nil
	}
	return v.Fail(method)
}

// Create is the vault's.
func (v *Vault) Create(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	if err := v.fails("Create"); err != nil {
		return "", err
	}
	return v.Vault.Create(ctx, account, id, token, c)
}

// Get is the vault's.
func (v *Vault) Get(ctx context.Context, account int64, id, version string) (connection.Credentials, error) {
	if err := v.fails("Get"); err != nil {
		return connection.Credentials{}, err
	}
	return v.Vault.Get(ctx, account, id, version)
}

// Stage is the vault's.
func (v *Vault) Stage(ctx context.Context, account int64, id, token string, c connection.Credentials) (string, error) {
	if err := v.fails("Stage"); err != nil {
		return "", err
	}
	return v.Vault.Stage(ctx, account, id, token, c)
}

// Align is the vault's.
func (v *Vault) Align(ctx context.Context, account int64, id, version string) error {
	if err := v.fails("Align"); err != nil {
		return err
	}
	return v.Vault.Align(ctx, account, id, version)
}

// Delete is the vault's.
func (v *Vault) Delete(ctx context.Context, account int64, id string, days int) error {
	if err := v.fails("Delete"); err != nil {
		return err
	}
	return v.Vault.Delete(ctx, account, id, days)
}

// Carrier is the simulator, unless it is told what to answer.
type Carrier struct {
	Real      connection.Carrier
	Reading   *connection.Reading // the answer; nil: the simulator's
	Meanwhile func()              // while it is asked, once

	mu    sync.Mutex
	asked []Question
}

// Question is one check that the carrier was asked for.
type Question struct {
	Account connection.ChargeAccount
	Check   int
}

// GetAccount is a check.
func (c *Carrier) GetAccount(ctx context.Context, account connection.ChargeAccount, check int) connection.Reading {
	c.mu.Lock()
	asked := account
	asked.Again = nil // of no interest, and nothing to compare
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

// Asked are the checks since it was last asked for them.
func (c *Carrier) Asked() []Question {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}
