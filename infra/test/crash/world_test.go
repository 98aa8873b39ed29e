// Package crash kills the functions, built as for a deployment, with SIGKILL after
// each of their remote calls. Then it repeats the request, or runs the reconciler,
// or both, and checks both stores.
package crash

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/lambdaproc"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/store"
	"carrierlink/shared/store/kit"
)

const (
	// shortTimeout is the time of an invocation that will be killed: enough for the
	// margins of the carrier's client.
	shortTimeout = 8 * time.Second
	// fullTimeout is the time of any other invocation, as on AWS.
	fullTimeout = 28 * time.Second
	// leaseOver is when the leases of a killed invocation are over: they last two
	// seconds longer than the invocation may.
	leaseOver = shortTimeout + 2100*time.Millisecond
)

// engines are the emulators, the carrier and the binaries, which all worlds share.
type engines struct {
	tableURL, carrierURL string
	emulatorURL          string            // of Secrets Manager, EventBridge, SQS and SES
	files                map[string]string // binaries by folder
	serviceSecret        string
	passwordHash         string // of ownPassword
}

// world is an account in its own table, with the functions that use it.
type world struct {
	*engines
	t       *testing.T
	name    string // of the table, and prefix of the secrets' names
	table   *store.Store
	db      *dynamodb.Client
	secrets *secretsmanager.Client
	account account.Account
	queue   string // URL of the queue behind the event bus; empty without one
	refresh string // URL of the queue of refreshes; empty without one
	hooks   *hooks // nil without webhooks
	owner   owner
	partner string // API key of the partner
	key     string // API key of the account
	apiKey  string // API key of the carrier; different in each world, because the simulator counts checks by it
	mu      sync.Mutex
	log     bytes.Buffer
	// called is told of each remote call before the function gets its answer, and does not
	// return if that kills the function.
	called func(operation string)
}

func random() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// uuid returns an API key in the carrier's usual form.
func uuid() string {
	r := random() + random()
	return r[:8] + "-" + r[8:12] + "-4" + r[13:16] + "-8" + r[17:20] + "-" + r[20:32]
}

func newWorld(t *testing.T, e *engines) *world {
	t.Helper()
	w := &world{engines: e, t: t, name: "crash-" + random(), apiKey: uuid()}
	cfg := emulator.Config(e.tableURL)
	calltrace.Table(t, cfg, w.name)
	w.db = dynamodb.NewFromConfig(cfg)
	w.table = store.New(w.db, w.name, kit.Options{})
	w.secrets = secretsmanager.NewFromConfig(emulator.Config(e.emulatorURL))
	now := time.Now().UTC().Truncate(time.Millisecond)
	id, err := account.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	partner := account.Partner{ID: id, Name: "Acme", Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: now}
	partnerKey, err := account.MakeKey(rand.Reader, account.APIKey{PartnerID: id, Environment: carrier.Production, DefaultCountryCode: "AU", CreatedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	w.partner = partnerKey.Text.Reveal()
	if err := w.table.CreatePartner(t.Context(), partner, partnerKey.APIKey, effects.Effects{}, now); err != nil {
		t.Fatal(err)
	}
	w.owner.email = "owner@" + w.name + ".example"
	w.account = account.Account{
		ID: id, PartnerID: id, Environment: carrier.Production, OriginCountryCode: "AU", Active: true, CreatedAt: now, ModifiedAt: now,
		Email: w.owner.email, EmailKey: email.Key(w.owner.email), PasswordHash: e.passwordHash,
	}
	key, err := account.MakeKey(rand.Reader, account.APIKey{PartnerID: id, AccountID: id, Environment: carrier.Production, CreatedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	w.key = key.Text.Reveal()
	if err := w.table.CreateAccount(t.Context(), account.NewAccount{Account: w.account, Key: key.APIKey}, effects.Effects{}, now); err != nil {
		t.Fatal(err)
	}
	return w
}

// environment returns the environment variables of a function, with the URLs that
// this process calls.
func (w *world) environment(table, others, carrierURL string) []string {
	return []string{
		"AWS_REGION=" + emulator.Region, "AWS_ACCESS_KEY_ID=" + emulator.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + emulator.SecretAccessKey,
		"AWS_ENDPOINT_URL_DYNAMODB=" + table, "AWS_ENDPOINT_URL=" + others, "AUSPOST_BASE_URL=" + carrierURL + "/shipping/v1",
		"STAGE=local", "LOG_LEVEL=INFO", "ERROR_SOURCE=shipengine", "TABLE_NAME=" + w.name, "SECRET_PREFIX=" + w.name + "/carrier/", "SERVICE_SECRET_ID=" + w.serviceSecret,
		"EVENT_BUS_NAME=" + w.name, "DELIVERY_QUEUE_URL=" + cmp.Or(w.hooks.queueURL(), w.refresh), "WEBHOOK_ALLOW_LOOPBACK=true", "PUBLIC_URL=" + publicURL,
		"RATE_LIMIT_PER_MINUTE=1000000", "SANDBOX_RATE_LIMIT_PER_MINUTE=1000000", "CARRIER_CALLS_PER_MINUTE=1000000", "LINKS_PER_MINUTE=1000000",
		"MAX_CONNECTIONS_PER_ACCOUNT=100", "MAX_DUPLICATES_PER_NUMBER=5", "MAX_LINKS_PER_DAY=50", "MAX_KEYS_PER_ACCOUNT=50",
		"REFUSAL_GAP_SECONDS=600", "LONE_REFUSAL_SECONDS=172800", "SCHEDULE_SPEED=1",
		"QUEUE_URL=" + w.refresh, "SANDBOX_QUEUE_URL=" + w.refresh, "REFRESHES_PER_MINUTE=600", "SANDBOX_REFRESHES_PER_MINUTE=60", "SCHEDULE_PASSES_PER_MINUTE=1",
		"MAIL_QUEUE_URL=" + w.owner.queue, "MAIL_FROM=" + mailFrom, "SECRET_REVEAL=on", "SESSION_IDLE_MINUTES=120", "SESSION_HOURS=12",
		"PARCEL_QUEUE_URL=" + w.refresh, "SANDBOX_PARCEL_QUEUE_URL=" + w.refresh, "PARCEL_ROUNDS_PER_MINUTE=300", "SANDBOX_PARCEL_ROUNDS_PER_MINUTE=60",
	}
}

// moment tells whether to kill the process after its n-th remote call, of this
// operation. Nil means never.
type moment func(n int, operation string) bool

func afterCall(n int) moment { return func(i int, _ string) bool { return i == n } }

func afterFirst(operation string) moment {
	return func(_ int, o string) bool { return o == operation }
}

// run starts a function, passes it one event, and kills it with SIGKILL at the
// moment: after the answer to a call exists and before the function gets it. It
// returns the number of calls, and lambdaproc.ErrKilled if the function was killed.
func (w *world) run(function string, when moment, event, out any) (calls int, err error) {
	var mu sync.Mutex
	killed := false
	var process *lambdaproc.Process
	started := make(chan struct{})
	dead := make(chan struct{})
	called := func(operation string) {
		mu.Lock()
		late := killed
		if !killed {
			calls++
			killed = when != nil && when(calls, operation)
		}
		last := killed && !late
		mu.Unlock()
		if last {
			<-started
			process.Kill()
			close(dead)
		}
		if last || late {
			<-dead
			panic(http.ErrAbortHandler)
		}
	}
	w.mu.Lock()
	w.called = called
	w.mu.Unlock()
	// proxy forwards calls to a URL.
	proxy := func(url string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			req := r.Clone(context.WithoutCancel(r.Context()))
			req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", strings.TrimPrefix(url, "http://")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusBadGateway)
				return
			}
			_, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
			if !ok {
				operation = "carrier"
			}
			called(operation)
			maps.Copy(rw.Header(), resp.Header)
			rw.WriteHeader(resp.StatusCode)
			_, _ = rw.Write(body)
		}))
	}
	table, secrets, carrierEnd := proxy(w.tableURL), proxy(w.emulatorURL), proxy(w.carrierURL)
	defer table.Close()
	defer secrets.Close()
	defer carrierEnd.Close()
	process, _, err = lambdaproc.Start(context.Background(), w.files[function], w.environment(table.URL, secrets.URL, carrierEnd.URL), writer{w})
	if err != nil {
		return 0, err
	}
	close(started)
	defer process.Kill()
	timeout := shortTimeout
	if when == nil {
		timeout = fullTimeout
	}
	err = process.Invoke(event, time.Now().Add(timeout), out)
	mu.Lock()
	defer mu.Unlock()
	return calls, err
}

// writer collects the output of the functions of a world.
type writer struct{ w *world }

func (l writer) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

func (w *world) logs() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// request returns an API request with a key.
func request(method, resource string, params map[string]string, key, idempotencyKey, body string) events.APIGatewayProxyRequest {
	path := resource
	for name, value := range params {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	headers := map[string]string{"API-Key": key, "Content-Type": "application/json"}
	if idempotencyKey != "" {
		headers["Idempotency-Key"] = idempotencyKey
	}
	return events.APIGatewayProxyRequest{HTTPMethod: method, Resource: resource, Path: path, PathParameters: params, Headers: headers, Body: body}
}

// connections reads all rows of the account.
func (w *world) connections() []connection.Connection {
	w.t.Helper()
	rows, err := w.table.AllConnections(context.Background(), w.account.ID)
	if err != nil {
		w.t.Errorf("reading the connections: %v", err)
	}
	return rows
}

// secret is a secret of Secrets Manager.
type secret struct {
	connectionID string
	deleted      bool                 // scheduled for deletion
	current      string               // version with AWSCURRENT
	pending      bool                 // whether a version has AWSPENDING
	previous     bool                 // whether a version has AWSPREVIOUS
	values       map[string][2]string // version to API key and API secret
}

// vault reads all secrets of the world, by connection, including those that are
// scheduled for deletion.
func (w *world) vault() map[string]secret {
	w.t.Helper()
	ctx := context.Background()
	found := map[string]secret{}
	pages := secretsmanager.NewListSecretsPaginator(w.secrets, &secretsmanager.ListSecretsInput{
		Filters:                []smtypes.Filter{{Key: smtypes.FilterNameStringTypeName, Values: []string{w.name + "/carrier/"}}},
		IncludePlannedDeletion: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			w.t.Errorf("listing the secrets: %v", err)
			return nil
		}
		for _, entry := range page.SecretList {
			name := aws.ToString(entry.Name)
			s := secret{connectionID: name[strings.LastIndex(name, "/")+1:], deleted: entry.DeletedDate != nil, values: map[string][2]string{}}
			if !s.deleted {
				w.versions(ctx, name, &s)
			}
			found[s.connectionID] = s
		}
	}
	return found
}

func (w *world) versions(ctx context.Context, name string, s *secret) {
	w.t.Helper()
	described, err := w.secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		w.t.Errorf("describing a secret: %v", err)
		return
	}
	for version, labels := range described.VersionIdsToStages {
		for _, label := range labels {
			switch label {
			case "AWSCURRENT":
				s.current = version
			case "AWSPENDING":
				s.pending = true
			case "AWSPREVIOUS":
				s.previous = true
			}
		}
		got, err := w.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &version})
		if err != nil {
			continue // a version without a label may be gone
		}
		var value struct {
			APIKey    string `json:"api_key"`
			APISecret string `json:"api_secret"`
		}
		if err := json.Unmarshal([]byte(aws.ToString(got.SecretString)), &value); err != nil {
			w.t.Errorf("a secret cannot be read: %v", err)
		}
		s.values[version] = [2]string{value.APIKey, value.APISecret}
	}
}

// holders reads the carrier_ids that hold an account number.
func (w *world) holders(number string) []string {
	w.t.Helper()
	loaded, err := w.table.Load(context.Background(), w.account.ID, store.Want{Number: &connection.Number{Carrier: carrier.AustraliaPost, Number: number}})
	if err != nil {
		w.t.Errorf("reading the holders of a number: %v", err)
	}
	return loaded.LinkedAs
}

// unfinished counts the entries of the partition REPAIR.
func (w *world) unfinished() int {
	w.t.Helper()
	out, err := w.db.Query(context.Background(), &dynamodb.QueryInput{
		TableName: &w.name, IndexName: aws.String("by_due"), KeyConditionExpression: aws.String("due_pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "REPAIR"}},
	})
	if err != nil {
		w.t.Errorf("reading the partition REPAIR: %v", err)
		return 0
	}
	return len(out.Items)
}

// sound checks the invariants between requests: a row names each secret; each
// visible row has its secret, and the version that it names is the current one; no
// version is pending and no item unfinished; the count of carriers and the holders
// of numbers match the rows.
func (w *world) sound(when string) {
	w.t.Helper()
	rows, secrets := w.connections(), w.vault()
	named, visible := map[string]bool{}, 0
	for _, c := range rows {
		named[c.ID] = true
		s, there := secrets[c.ID]
		if c.Work != connection.NoWork || c.Status == connection.Linking {
			w.t.Errorf("%s: connection %s is %s, work %q", when, c.ID, c.Status, c.Work)
		}
		wantSecret := c.Visible() && c.Standing != account.StandingDeleted
		switch {
		case wantSecret && (!there || s.deleted):
			w.t.Errorf("%s: %s is %s and has no secret", when, c.ID, c.Status)
		case wantSecret && s.current != c.SecretVersion:
			w.t.Errorf("%s: the current version of %s is %s, its row names %s", when, c.ID, s.current, c.SecretVersion)
		case wantSecret && s.pending:
			w.t.Errorf("%s: a version of %s is pending", when, c.ID)
		case wantSecret && s.values[c.SecretVersion][0][max(0, len(s.values[c.SecretVersion][0])-4):] != c.APIKeyLastFour:
			w.t.Errorf("%s: the row of %s has another API key than its secret", when, c.ID)
		case !wantSecret && there && !s.deleted:
			w.t.Errorf("%s: %s is %s, standing %s, and its secret is not scheduled for deletion", when, c.ID, c.Status, c.Standing)
		}
		if c.Visible() {
			visible++
			if got := w.holders(c.AccountNumber); len(got) != 1 || got[0] != c.ID {
				w.t.Errorf("%s: the number of %s is held by %v", when, c.ID, got)
			}
		}
	}
	for id := range secrets {
		if !named[id] {
			w.t.Errorf("%s: no row names the secret of %s", when, id)
		}
	}
	if n := w.unfinished(); n != 0 {
		w.t.Errorf("%s: %d items are unfinished", when, n)
	}
	loaded, err := w.table.Load(context.Background(), w.account.ID, store.Want{})
	if err != nil || loaded.Account == nil || loaded.Account.CarriersCount != visible {
		w.t.Errorf("%s: carriers_count is not %d: %+v, %v", when, visible, loaded.Account, err)
	}
}

func body(number, apiKey string) string {
	return fmt.Sprintf(`{"nickname":"Main","account_number":%q,"api_key":%q,"api_secret":"xa1b2c3d4e5f60718293"}`, number, apiKey)
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }
