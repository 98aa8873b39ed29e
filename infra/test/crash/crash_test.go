package crash

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/lambdaproc"
	"carrierlink/shared/account"
	"carrierlink/shared/auspost/simulator"
	"carrierlink/shared/connection"
	"carrierlink/shared/password"
	shared "carrierlink/shared/secret"
)

const (
	number      = "0000123400"
	otherNumber = "0000456700"
	linkRoute   = "/v1/connections/carriers/{carrier_name}"
	connRoute   = linkRoute + "/{carrier_id}"
	accRoute    = "/v1/partners/accounts/{account_id}"

	serviceSecret = "the service secret of the crash tests"
)

// scenario is a request or an event. The test kills its function after each call.
type scenario struct {
	name, function string
	arrange        func(*world)         // prepares the world; may be nil
	event          func(*world) any     // the same each time
	statuses       []int                // allowed for the repeat; empty for an event that is not a request
	always         func(*world, string) // checks what holds at any time, also right after a kill; may be nil
	check          func(*world, string) // checks what holds in the end
}

func scenarios() []scenario {
	changed := uuid()
	return []scenario{
		{
			name: "link", function: "link-carrier", event: func(w *world) any { return w.link(number, w.apiKey, "key-1") },
			statuses: []int{http.StatusOK}, check: func(w *world, when string) { w.one(when, number, w.apiKey) },
		},
		{
			// Without an Idempotency-Key the repeat of a complete link is a conflict.
			name: "link without an idempotency key", function: "link-carrier", event: func(w *world) any { return w.link(number, w.apiKey, "") },
			statuses: []int{http.StatusOK, http.StatusConflict}, check: func(w *world, when string) { w.one(when, number, w.apiKey) },
		},
		{
			name: "change of the credentials", function: "manage-connections", arrange: (*world).linked,
			event: func(w *world) any {
				return request(http.MethodPut, connRoute, w.path(), w.key, "key-2", fmt.Sprintf(`{"api_key":%q,"api_secret":"x0a1b2c3d4e5f6071829"}`, changed))
			},
			statuses: []int{http.StatusOK}, check: func(w *world, when string) {
				w.one(when, number, changed)
				w.previous(when, number, w.apiKey)
			},
		},
		{
			name: "change of the number", function: "manage-connections", arrange: (*world).linked,
			event: func(w *world) any {
				return request(http.MethodPut, connRoute, w.path(), w.key, "key-3", `{"account_number":"`+otherNumber+`","nickname":"Other"}`)
			},
			statuses: []int{http.StatusOK}, check: func(w *world, when string) {
				w.one(when, otherNumber, w.apiKey)
				if held := w.holders(number); len(held) != 0 {
					w.t.Errorf("%s: the old number is held by %v", when, held)
				}
			},
		},
		{
			name: "rollback", function: "manage-connections",
			arrange: func(w *world) {
				w.linked()
				w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", fmt.Sprintf(`{"api_key":%q,"api_secret":"x0a1b2c3d4e5f6071829"}`, changed)))
			},
			event: func(w *world) any {
				return request(http.MethodPost, connRoute+"/rollback", w.path(), w.key, "key-4", "")
			},
			statuses: []int{http.StatusOK}, check: func(w *world, when string) {
				w.one(when, number, w.apiKey)
				w.previous(when, number, changed)
			},
		},
		{
			name: "unlink", function: "manage-connections", arrange: (*world).linked,
			event:    func(w *world) any { return request(http.MethodDelete, connRoute, w.path(), w.key, "", "") },
			statuses: []int{http.StatusNoContent, http.StatusNotFound}, check: (*world).disconnected,
		},
		{
			name: "refresh", function: "refresh-carrier-account", arrange: func(w *world) { w.linked(); w.makeDue() }, event: (*world).message,
			check: func(w *world, when string) { w.one(when, number, w.apiKey); w.checked(when, 2) },
		},
		{
			name: "round of parcels", function: "track-parcels", arrange: (*world).registered, event: (*world).round, check: (*world).lookedAt,
		},
		{
			name: "refresh past the rollback", function: "refresh-carrier-account",
			arrange: func(w *world) {
				w.linked()
				w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", fmt.Sprintf(`{"api_key":%q,"api_secret":"x0a1b2c3d4e5f6071829"}`, changed)))
				w.endRollbacks()
				w.makeDue()
			},
			event: (*world).message,
			check: func(w *world, when string) {
				// A check of a busy machine may leave it to the next one.
				checks := 3
				for ; checks < 6 && slices.ContainsFunc(w.connections(), func(c connection.Connection) bool { return c.Previous.SecretVersion != "" }); checks++ {
					w.makeDue()
					if _, err := w.run("refresh-carrier-account", nil, w.message(), new(events.SQSEventResponse)); err != nil {
						w.t.Errorf("%s: the next check: %v", when, err)
					}
				}
				w.one(when, number, changed)
				w.checked(when, checks)
				for _, c := range w.connections() {
					if c.Previous.SecretVersion != "" || w.vault()[c.ID].previous {
						w.t.Errorf("%s: the row names the previous version %q, or it has a label: %t", when, c.Previous.SecretVersion, w.vault()[c.ID].previous)
					}
				}
			},
		},
		{
			name: "deletion of the account", function: "manage-accounts", arrange: (*world).linked,
			event:    func(w *world) any { return request(http.MethodDelete, accRoute, w.accountPath(), w.partner, "", "") },
			statuses: []int{http.StatusNoContent}, check: func(w *world, when string) { w.followed(when, account.StandingDeleted) },
		},
		{
			name: "restoring the account", function: "manage-accounts",
			arrange: func(w *world) {
				w.linked()
				w.must("manage-accounts", request(http.MethodDelete, accRoute, w.accountPath(), w.partner, "", ""))
			},
			event: func(w *world) any {
				return request(http.MethodPut, accRoute+"/restore", w.accountPath(), w.partner, "key-5", "")
			},
			statuses: []int{http.StatusNoContent}, check: func(w *world, when string) {
				w.followed(when, account.StandingActive)
				w.one(when, number, w.apiKey)
			},
		},
		{
			name: "disabling the account", function: "manage-accounts", arrange: (*world).linked,
			event: func(w *world) any {
				return request(http.MethodPut, accRoute+"/disable", w.accountPath(), w.partner, "key-6", "")
			},
			statuses: []int{http.StatusNoContent}, check: func(w *world, when string) { w.followed(when, account.StandingPaused) },
		},
		{
			name: "publish", function: "publish-events",
			arrange: func(w *world) {
				w.listen()
				w.linked()
				w.must("manage-connections", request(http.MethodPut, connRoute, w.path(), w.key, "", `{"nickname":"Other"}`))
			},
			event: (*world).stream, check: (*world).published,
		},
		{
			name: "end of an outage", function: "schedule-refresh", arrange: (*world).endOutage,
			event: func(*world) any { return map[string]any{} }, check: (*world).outageHeard,
		},
		{
			name: "queue deliveries", function: "queue-deliveries", arrange: (*world).hookedEvents,
			event: (*world).repeatedStream, check: (*world).delivered,
		},
		{
			name: "deliver", function: "deliver-webhook",
			arrange: func(w *world) {
				w.hookedEvents()
				if _, err := w.run("queue-deliveries", nil, w.repeatedStream(), nil); err != nil {
					w.t.Errorf("arranging: %v\n%s", err, w.logs())
				}
			},
			event: (*world).delivery, check: (*world).delivered,
		},
		{
			// Four killed requests have left: a link with its secret, a change before
			// and one after it took effect, an unlink.
			name: "reconcile", function: "reconcile",
			arrange: func(w *world) {
				change := fmt.Sprintf(`{"api_key":%q,"api_secret":"x0a1b2c3d4e5f6071829"}`, changed)
				for n, killed := range []struct {
					operation, method, body string
				}{
					{"PutSecretValue", http.MethodPut, change},
					{"UpdateSecretVersionStage", http.MethodPut, change},
					{"DeleteSecret", http.MethodDelete, ""},
				} {
					number := fmt.Sprintf("000033%02d00", n)
					w.must("link-carrier", w.link(number, w.apiKey, ""))
					path := map[string]string{"carrier_name": "australia_post", "carrier_id": w.holders(number)[0]}
					w.interrupt("manage-connections", killed.operation, request(killed.method, connRoute, path, w.key, "", killed.body))
				}
				w.interrupt("link-carrier", "CreateSecret", w.link(otherNumber, w.apiKey, ""))
				time.Sleep(leaseOver)
			},
			event: func(*world) any { return map[string]any{} },
			check: func(w *world, when string) {
				if held := w.holders(otherNumber); len(held) != 0 {
					w.t.Errorf("%s: the number of the abandoned link is held by %v", when, held)
				}
				if rows := w.connections(); len(rows) != 3 {
					w.t.Errorf("%s: %d rows, want two linked ones and the unlinked one", when, len(rows))
				}
			},
		},
	}
}

// TestKill: after whichever call a function is killed, the same request again, or
// the reconciler, or both, make the two stores agree, and a repeat with an
// Idempotency-Key gets its answer.
func TestKill(t *testing.T) {
	e := newEngines(t)
	turns := make(chan struct{}, 16) // many, because they mostly wait for leases
	var running sync.WaitGroup
	defer running.Wait() // also if a scenario fails without a crash
	for _, s := range append(scenarios(), portalScenarios()...) {
		calls := s.countCalls(t, e)
		t.Logf("%s: %d remote calls", s.name, calls)
		for n := 1; n <= calls; n++ {
			for _, reconcile := range []bool{false, true} {
				running.Go(func() {
					turns <- struct{}{}
					defer func() { <-turns }()
					s.kill(t, e, n, reconcile)
				})
			}
		}
	}
}

// countCalls runs the scenario without a crash, and returns the number of its calls,
// or 0 if it fails.
func (s scenario) countCalls(t *testing.T, e *engines) int {
	t.Helper()
	w := newWorld(t, e)
	if s.arrange != nil {
		s.arrange(w)
	}
	calls, answer, err := s.invoke(w, nil)
	if err != nil || len(s.statuses) > 0 && answer.StatusCode >= http.StatusBadRequest {
		t.Errorf("%s without a crash: %d %s, %v\n%s", s.name, answer.StatusCode, answer.Body, err, w.logs())
		return 0
	}
	s.settled(w, s.name+", no crash")
	return calls
}

// kill runs the scenario in its own world, kills it after its n-th call, and repeats
// it.
func (s scenario) kill(t *testing.T, e *engines, n int, reconcile bool) {
	t.Helper()
	when := fmt.Sprintf("%s, killed after call %d, then again", s.name, n)
	if reconcile {
		when = fmt.Sprintf("%s, killed after call %d, reconciled, then again", s.name, n)
	}
	w := newWorld(t, e)
	if s.arrange != nil {
		s.arrange(w)
	}
	if _, _, err := s.invoke(w, afterCall(n)); err != nil && !errors.Is(err, lambdaproc.ErrKilled) {
		t.Errorf("%s: %v", when, err)
		return
	}
	if s.always != nil {
		s.always(w, when+", before that")
	}
	time.Sleep(leaseOver) // until its leases are over
	if reconcile {
		w.reconcile(when)
		w.sound(when + ", after the reconciler")
	}
	_, answer, err := s.invoke(w, nil)
	if err != nil || len(s.statuses) > 0 && !slices.Contains(s.statuses, answer.StatusCode) {
		t.Errorf("%s: the repeat answers %d %s, %v\n%s", when, answer.StatusCode, answer.Body, err, w.logs())
		return
	}
	if !reconcile {
		// Some work is left to the reconciler, because a repeat does not learn of
		// it, such as the labels of a request whose answer is stored.
		w.reconcile(when)
	}
	s.settled(w, when)
}

// settled checks what holds once nothing is under way.
func (s scenario) settled(w *world, when string) {
	w.t.Helper()
	w.sound(when)
	if s.always != nil {
		s.always(w, when)
	}
	s.check(w, when)
}

// invoke invokes the scenario's function, and kills it at a moment; nil: never.
func (s scenario) invoke(w *world, when moment) (calls int, answer events.APIGatewayProxyResponse, err error) {
	if len(s.statuses) > 0 {
		calls, answer, err = w.answered(s.function, when, s.event(w))
		w.owner.page = answer
		return calls, answer, err
	}
	var batch events.SQSEventResponse
	calls, err = w.run(s.function, when, s.event(w), &batch)
	if err == nil && len(batch.BatchItemFailures) > 0 {
		err = fmt.Errorf("messages failed: %v\n%s", batch.BatchItemFailures, w.logs())
	}
	return calls, answer, err
}

func newEngines(t *testing.T) *engines {
	t.Helper()
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	e := &engines{tableURL: calltrace.Emulator(t, emulator.StartDynamoDBLocal), emulatorURL: calltrace.Emulator(t, emulator.StartMiniStack), files: map[string]string{}}
	server := httptest.NewServer(simulator.NewHandler(time.Now))
	t.Cleanup(server.Close)
	e.carrierURL = server.URL
	for _, function := range []string{
		"link-carrier", "manage-connections", "manage-accounts", "refresh-carrier-account", "track-parcels", "reconcile", "publish-events", "schedule-refresh", "queue-deliveries", "deliver-webhook",
		"portal", "send-mail",
	} {
		e.files[function] = filepath.Join(t.TempDir(), function)
		if err := lambdaproc.Build(t.Context(), root, "functions/"+function, runtime.GOARCH, e.files[function]); err != nil {
			t.Fatal(err)
		}
	}
	made, err := secretsmanager.NewFromConfig(emulator.Config(e.emulatorURL)).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("crash-service"), SecretString: aws.String(serviceSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.serviceSecret = aws.ToString(made.ARN)
	_, err = sesv2.NewFromConfig(emulator.Config(e.emulatorURL)).CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(mailFrom)})
	if err != nil {
		t.Fatal(err)
	}
	if e.passwordHash, err = password.Hash(rand.Reader, shared.New(ownPassword)); err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *world) link(number, apiKey, idempotencyKey string) events.APIGatewayProxyRequest {
	return request(http.MethodPost, linkRoute, map[string]string{"carrier_name": "australia_post"}, w.key, idempotencyKey, body(number, apiKey))
}

func (w *world) linked() { w.must("link-carrier", w.link(number, w.apiKey, "")) }

// must makes a request that must succeed.
func (w *world) must(function string, event events.APIGatewayProxyRequest) {
	w.t.Helper()
	if _, answer, err := w.answered(function, nil, event); err != nil || answer.StatusCode/100 != 2 {
		w.t.Errorf("arranging: %s answers %d %s, %v\n%s", function, answer.StatusCode, answer.Body, err, w.logs())
	}
}

// interrupt makes a request and kills it after its first call of an operation.
func (w *world) interrupt(function, operation string, event events.APIGatewayProxyRequest) {
	w.t.Helper()
	if _, answer, err := w.answered(function, afterFirst(operation), event); !errors.Is(err, lambdaproc.ErrKilled) {
		w.t.Errorf("arranging: %s was not killed after %s: %d %s, %v\n%s", function, operation, answer.StatusCode, answer.Body, err, w.logs())
	}
}

// answered runs a function with a request. On a busy machine the carrier or an engine
// may answer later than the function waits. Then answered makes the request again, as
// a caller would.
func (w *world) answered(function string, when moment, event any) (calls int, answer events.APIGatewayProxyResponse, err error) {
	for range 10 {
		answer = events.APIGatewayProxyResponse{}
		calls, err = w.run(function, when, event, &answer)
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable && answer.StatusCode != http.StatusGatewayTimeout {
			break
		}
	}
	return calls, answer, err
}

// reconcile runs the reconciler.
func (w *world) reconcile(when string) {
	w.t.Helper()
	if _, err := w.run("reconcile", nil, map[string]any{}, nil); err != nil {
		w.t.Errorf("%s: the reconciler fails: %v\n%s", when, err, w.logs())
	}
}

func (w *world) path() map[string]string {
	rows := w.connections()
	if len(rows) == 0 {
		w.t.Error("there is no connection")
		return map[string]string{}
	}
	return map[string]string{"carrier_name": "australia_post", "carrier_id": rows[0].ID}
}

func (w *world) accountPath() map[string]string {
	return map[string]string{"account_id": idText(w.account.ID)}
}

// makeDue makes the account's connections due.
func (w *world) makeDue() {
	w.t.Helper()
	for _, c := range w.connections() {
		c.NextRefreshAt = time.Now().Add(-time.Minute)
		if err := w.table.SaveConnection(context.Background(), &c); err != nil {
			w.t.Errorf("making a connection due: %v", err)
		}
	}
}

// endRollbacks lets the rollbacks of the account's connections end.
func (w *world) endRollbacks() {
	w.t.Helper()
	for _, c := range w.connections() {
		c.Previous.Until = time.Now().Add(-time.Minute)
		if err := w.table.SaveConnection(context.Background(), &c); err != nil {
			w.t.Errorf("ending a rollback: %v", err)
		}
	}
}

// message returns what the schedule sends for the only connection. A check that was cut off
// is due again minutes after its claim, and only then comes its message.
func (w *world) message() any {
	w.t.Helper()
	if rows := w.connections(); len(rows) == 1 && rows[0].ClaimsUnrecorded > 0 {
		w.makeDue()
	}
	return events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m-1", Body: fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":"australia_post"}`, w.account.ID, w.connections()[0].ID),
	}}}
}

// checked checks how many checks the only connection has had, and that there will be more.
func (w *world) checked(when string, checks int) {
	w.t.Helper()
	if rows := w.connections(); len(rows) == 1 && (rows[0].ChecksEver != checks || !rows[0].NextRefreshAt.After(time.Now())) {
		w.t.Errorf("%s: %d checks, the next one at %v; want %d", when, rows[0].ChecksEver, rows[0].NextRefreshAt, checks)
	}
}

// one checks that there is exactly one connection, active, with this number and
// this API key of the carrier.
func (w *world) one(when, number, apiKey string) {
	w.t.Helper()
	rows := w.connections()
	if len(rows) != 1 {
		w.t.Errorf("%s: %d rows, want 1", when, len(rows))
		return
	}
	c := rows[0]
	if c.Status != connection.Active || c.AccountNumber != number || !strings.HasSuffix(apiKey, c.APIKeyLastFour) {
		w.t.Errorf("%s: %s of %s with the key …%s, want it active, of %s with the key …%s", when, c.Status, c.MaskedNumber(), c.APIKeyLastFour, number, apiKey[len(apiKey)-4:])
	}
	if got := w.vault()[c.ID].values[c.SecretVersion][0]; got != apiKey {
		w.t.Errorf("%s: the secret holds another API key", when)
	}
}

// previous checks the number and the API key that a rollback would restore.
func (w *world) previous(when, number, apiKey string) {
	w.t.Helper()
	for _, c := range w.connections() {
		if got := w.vault()[c.ID].values[c.Previous.SecretVersion][0]; got != apiKey || c.Previous.AccountNumber != number {
			w.t.Errorf("%s: the previous number or credentials are not the ones that were replaced", when)
		}
	}
}

// disconnected checks that the only connection is disconnected, and its number free.
func (w *world) disconnected(when string) {
	w.t.Helper()
	rows := w.connections()
	if len(rows) != 1 || rows[0].Status != connection.Disconnected || len(w.holders(number)) != 0 {
		w.t.Errorf("%s: rows %+v, number held by %v", when, rows, w.holders(number))
	}
}

// followed checks that the only connection has this standing.
func (w *world) followed(when string, standing account.Standing) {
	w.t.Helper()
	rows := w.connections()
	if len(rows) != 1 || rows[0].Standing != standing || rows[0].PurgeAt.IsZero() == (standing == account.StandingDeleted) {
		w.t.Errorf("%s: %+v, want one connection with the standing %s", when, rows, standing)
	}
}
