// Package e2e tests the deployed service over HTTP: template.yaml on an emulator, with the functions as they are built
// for AWS. Australia Post is the simulator, or a handler of the test for worse behaviour. EMULATOR chooses the emulator:
// ministack (the default) or localstack.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
	"carrierlink/infra/test/bustest"
)

// atOnce is how many tests run at the same time. Most of them wait for a deliberately slow carrier.
const atOnce = 8

// The running service, set by TestMain before any test.
var (
	service *stack.Stack
	post    = newAustraliaPost()
	api     *client

	production, otherProduction, sandbox stack.Partner
)

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "--- FAIL: the suite as a whole")
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func runSuite(m *testing.M) (status int, err error) {
	if f := flag.Lookup("test.list"); f.Value.String() != "" {
		return m.Run(), nil
	}
	ctx := context.Background()
	start := time.Now()
	// One pass a minute, as on AWS. A test that needs one sooner starts it.
	service, err = stack.Up(ctx, stack.Options{Emulator: os.Getenv("EMULATOR"), Carrier: post, Log: os.Stderr, SchedulePasses: 1})
	if err != nil {
		return 1, fmt.Errorf("starting the stack: %w", err)
	}
	defer func() { err = errors.Join(err, service.Down()) }()
	if api, err = newClient(service.APIURL); err != nil {
		return 1, err
	}
	if listenerQueue, err = bustest.Listen(ctx, service.AWSConfig(), service.EventBusName, "carrierlink-listener"); err != nil {
		return 1, err
	}
	quiet = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer quiet.Close()
	for _, p := range []struct {
		to                *stack.Partner
		name, environment string
	}{
		{&production, "End to end", "production"}, {&otherProduction, "Another one", "production"}, {&sandbox, "Sandbox", "sandbox"},
	} {
		if *p.to, err = service.CreatePartner(ctx, p.name, p.environment); err != nil {
			return 1, err
		}
		api.secrets.add(p.to.APIKey)
	}
	programs, err := os.MkdirTemp("", "carrierlink-receivers-")
	if err != nil {
		return 1, fmt.Errorf("making the directory of the receivers: %w", err)
	}
	defer func() {
		for _, w := range witnesses {
			err = errors.Join(err, w.stop())
		}
		err = errors.Join(err, os.RemoveAll(programs))
	}()
	// Where one thread reads the delivery queue, the witnesses' deliveries would hold up those of the tests for minutes.
	watched := []stack.Partner{production, otherProduction, sandbox}
	if emulatorName() == stack.LocalStack {
		watched = nil
	}
	for _, p := range watched {
		w, err := newWitness(ctx, p, programs)
		if err != nil {
			return 1, err
		}
		witnesses = append(witnesses, w)
	}
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
	status = m.Run()
	if chromium.Browser != nil {
		chromium.Close()
	}
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	err = inspectRemains(ctx, whole)
	coverage, missing := api.coverage()
	if whole {
		err = errors.Join(err, missing)
	}
	fmt.Fprintf(os.Stderr, "e2e on %s: %s, %s\n", emulatorName(), coverage, time.Since(start).Round(time.Second))
	return status, err
}

func emulatorName() string {
	if name := os.Getenv("EMULATOR"); name != "" {
		return name
	}
	return stack.MiniStack
}

// difference is where an emulator changes a request before it reaches the service.
type difference struct{ emulator, what, why string }

// differences are all differences that the suite accepts. A test that is affected asks differs.
var differences = []difference{
	{stack.MiniStack, "drops outer slashes", "it drops the empty segments of a path before it looks up the route"},
	{stack.MiniStack, "drops inner slashes", "it drops the empty segments of a path before it looks up the route"},
	{stack.MiniStack, "joins headers", "it joins several headers of the same name with commas"},
	{stack.LocalStack, "drops forms", "it consumes the body of a PATCH or PUT with the content type of a form, and passes none to the function"},
	{stack.LocalStack, "tries parameters", "if a literal path lacks a method, it tries a path with a parameter in its place: DELETE /v1/carriers/status"},
	{stack.LocalStack, "reads a queue alone", "one thread reads a queue and waits for the function, whatever MaximumConcurrency is"},
	{stack.LocalStack, "reorders the stream", "ten threads pass the changes of a table on to its stream"},
	{stack.LocalStack, "is slow", "a request takes three times as long, so tests repeat requests less often"},
	{stack.MiniStack, "does not compress", "it keeps minimumCompressionSize and does nothing with it"},
	{stack.LocalStack, "drops the settings of a stage", "its CloudFormation passes no MethodSettings on"},
	{stack.LocalStack, "keeps logs for good", "its CloudFormation passes no RetentionInDays on"},
	{stack.LocalStack, "writes secrets that are being deleted", "PutSecretValue and GetSecretValue accept a secret that is scheduled for deletion, which stays so"},
	{stack.LocalStack, "does not compress", "it keeps minimumCompressionSize and does nothing with it"},
	{stack.LocalStack, "drops outer slashes", "it removes the slashes at both ends of a path before it looks up the route"},
}

func differs(what string) bool {
	return slices.ContainsFunc(differences, func(d difference) bool { return d.emulator == emulatorName() && d.what == what })
}

// environments returns a partner of each environment: production calls the carrier over HTTP, the sandbox within the
// function.
func environments() []stack.Partner { return []stack.Partner{production, sandbox} }

// merchant is an account with the key that came with it.
type merchant struct {
	ID      int64
	Key     string
	partner stack.Partner
}

// newMerchant creates an account without data.
func newMerchant(t *testing.T, p stack.Partner) merchant {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: accountsPath, key: p.APIKey, body: "{}"})
	a.expect(t, http.StatusOK)
	body := decode[createdAccount](t, a)
	return merchant{ID: body.AccountID, Key: body.APIKey.EncryptedAPIKey, partner: p}
}

// troubled returns the account for connections whose checks fail. In production the whole suite shares one, because the
// failures of three accounts would open the breaker of their carrier. The sandbox has no breaker.
func troubled(t *testing.T, p stack.Partner) merchant {
	t.Helper()
	if p.Environment == "sandbox" {
		return newMerchant(t, p)
	}
	unlucky.Do(func() { unlucky.merchant = newMerchant(t, production) })
	return unlucky.merchant
}

var unlucky struct {
	sync.Once
	merchant
}

// numbers makes account numbers unique among the tests. The last two digits choose the simulator's case.
var numbers atomic.Int64

func ausPostNumber(story string) string {
	return fmt.Sprintf("00%06d%s", numbers.Add(1)+417_000, story)
}

func starTrackNumber(story string) string {
	return fmt.Sprintf("0%05d%s", numbers.Add(1)+41_000, story)
}

// newCredentials makes a key and a secret in the carrier's form. The client learns them from requests.
func newCredentials() (key, secret string) {
	return uuid.NewString(), "x" + uuid.NewString()[:13] + "Z9"
}

// fields is a request body.
type fields map[string]any

// with returns a copy with some fields changed: names and values by turns. The value absent removes a field.
func (f fields) with(changes ...any) fields {
	out := maps.Clone(f)
	for i := 0; i < len(changes); i += 2 {
		name, _ := changes[i].(string)
		if out[name] = changes[i+1]; changes[i+1] == absent {
			delete(out, name)
		}
	}
	return out
}

type nothing struct{}

var absent = nothing{}

// linkBody returns a good request to link the number, with new credentials.
func linkBody(number string) fields {
	key, secret := newCredentials()
	return fields{"nickname": "Main warehouse", "account_number": number, "api_key": key, "api_secret": secret}
}

const accountsPath = "/v1/partners/accounts"

func linkPath(carrier string) string { return "/v1/connections/carriers/" + carrier }

func connectionPath(carrier, carrierID string) string { return linkPath(carrier) + "/" + carrierID }

func carrierPath(carrierID string) string { return "/v1/carriers/" + carrierID }

func readPath(carrierID string) string { return "/v1/carriers/" + carrierID + "/account" }

// link links a number; a failure is fatal. Unless changes have a policy, the schedule leaves the connection alone: it would
// check it at any time, to compare it with another one.
func link(t *testing.T, m merchant, carrier, number string, changes ...any) connectionBody {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: linkPath(carrier), key: m.Key, body: linkBody(number).with("refresh_policy", "off").with(changes...)})
	if a.status != http.StatusAccepted {
		a.expect(t, http.StatusOK)
	}
	return decode[connectionBody](t, a)
}
