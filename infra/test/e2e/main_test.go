// Package e2e tests the deployed service over HTTP: template.yaml on an emulator, the functions as they are built for
// AWS, and an Australia Post that is the simulator where a test does not want it to be worse. EMULATOR chooses the
// emulator: ministack (the default) or localstack.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
)

// atOnce is how many parallel tests run at a time: most of them wait for a carrier that is slow on purpose.
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
	// One pass a minute, as on AWS: whoever needs one sooner asks for it.
	service, err = stack.Up(ctx, stack.Options{Emulator: os.Getenv("EMULATOR"), Carrier: post, Log: os.Stderr, SchedulePasses: 1})
	if err != nil {
		return 1, fmt.Errorf("starting the stack: %w", err)
	}
	defer func() { err = errors.Join(err, service.Down()) }()
	if api, err = newClient(service.APIURL); err != nil {
		return 1, err
	}
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
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
	status = m.Run()
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

// differences are all that the suite bears. A test that meets one asks differs.
var differences = []difference{
	{stack.MiniStack, "repairs UTF-8", "it hands a function the body with replacement characters in place of what is no UTF-8"},
	{stack.MiniStack, "drops outer slashes", "it leaves out the empty segments of a path before it looks for its route"},
	{stack.MiniStack, "drops inner slashes", "it leaves out the empty segments of a path before it looks for its route"},
	{stack.MiniStack, "joins headers", "of several headers of one name it makes one, with commas between the values"},
	{stack.LocalStack, "drops forms", "of PATCH and PUT it takes a body that is called a form for its own, and hands a function none"},
	{stack.LocalStack, "tries parameters", "where a literal path lacks a method it goes on to one with a parameter in its place: DELETE /v1/carriers/status"},
	{stack.LocalStack, "is slow", "a request takes it three times as long as the other one: what is repeated for good measure is repeated less"},
	{stack.LocalStack, "drops outer slashes", "it takes slashes off both ends of a path before it looks for its route"},
}

func differs(what string) bool {
	return slices.ContainsFunc(differences, func(d difference) bool { return d.emulator == emulatorName() && d.what == what })
}

// environments are the two ways to a carrier: over HTTP, and within the functions.
func environments() []stack.Partner { return []stack.Partner{production, sandbox} }

// merchant is an account with the key that came with it.
type merchant struct {
	ID      int64
	Key     string
	partner stack.Partner
}

// newMerchant makes an account without anything in it.
func newMerchant(t *testing.T, p stack.Partner) merchant {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: accountsPath, key: p.APIKey, body: "{}"})
	a.expect(t, http.StatusOK)
	body := decode[createdAccount](t, a)
	return merchant{ID: body.AccountID, Key: body.APIKey.EncryptedAPIKey, partner: p}
}

// troubled is the account for connections that fail at their checks. In production there is one for the whole suite:
// the failures of three accounts would open the breaker of their carrier for everybody. The sandbox has no breaker.
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

// numbers makes charge account numbers that no other test has; the last two digits tell the simulator's story.
var numbers atomic.Int64

func ausPostNumber(story string) string {
	return fmt.Sprintf("00%06d%s", numbers.Add(1)+417_000, story)
}

func starTrackNumber(story string) string {
	return fmt.Sprintf("0%05d%s", numbers.Add(1)+41_000, story)
}

// newCredentials makes a key and a secret as the developer centre hands them out; the client learns them from requests.
func newCredentials() (key, secret string) {
	return uuid.NewString(), "x" + uuid.NewString()[:13] + "Z9"
}

// fields is a request body.
type fields map[string]any

// with is a copy with some fields changed: names and values in turn. The value absent takes a field out.
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

// linkBody is a good request to link the number, with credentials of its own.
func linkBody(number string) fields {
	key, secret := newCredentials()
	return fields{"nickname": "Main warehouse", "account_number": number, "api_key": key, "api_secret": secret}
}

const accountsPath = "/v1/partners/accounts"

func linkPath(carrier string) string { return "/v1/connections/carriers/" + carrier }

func connectionPath(carrier, carrierID string) string { return linkPath(carrier) + "/" + carrierID }

func carrierPath(carrierID string) string { return "/v1/carriers/" + carrierID }

func readPath(carrierID string) string { return "/v1/carriers/" + carrierID + "/account" }

// link links a number that must be fine.
func link(t *testing.T, m merchant, carrier, number string, changes ...any) connectionBody {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: linkPath(carrier), key: m.Key, body: linkBody(number).with(changes...)})
	if a.status != http.StatusAccepted {
		a.expect(t, http.StatusOK)
	}
	return decode[connectionBody](t, a)
}
