// Package vaulttest is the conformance suite of a vault over any Secrets Manager, and an
// in-memory Secrets Manager that passes it.
package vaulttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/vault"
)

// Run runs the suite over a Secrets Manager: each method TestX of suite is a test. The
// names of its secrets are new for each run.
func Run(t *testing.T, api vault.API) {
	t.Helper()
	for method := range reflect.TypeFor[*suite]().Methods() {
		name, ok := strings.CutPrefix(method.Name, "Test")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := "stack-" + rand.Text() + "/carrier/"
			s := &suite{T: t, Vault: vault.New(api, prefix), api: api, prefix: prefix}
			method.Func.Call([]reflect.Value{reflect.ValueOf(s)})
		})
	}
}

// suite is one test with its vault, and helpers.
type suite struct {
	*testing.T
	*vault.Vault
	api    vault.API
	prefix string
}

// The connection of most tests, and request tokens for its credentials.
const (
	account = 242822
	conn    = "se-1234567890123456"
	initial = "8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"
	another = "0b7e7d4c-6f0a-4c2e-8f7b-7b1f3c9d2a10"
	third   = "3d5f0c9b-1f2e-4a6b-8c7d-9e0f1a2b3c4d"
)

// name is the name of the secret, as the stack's policies have it.
func (s *suite) name() *string {
	return aws.String(fmt.Sprintf("%s%d/%s", s.prefix, account, conn))
}

func credentials(key, secretText string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New(key), APISecret: secret.New(secretText)}
}

func first() connection.Credentials { return credentials("first-key-canary", "first-secret-canary") }

func second() connection.Credentials { return credentials("second-key-canary", "second-secret-canary") }

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("unexpected error: %v", err)
	}
}

// fails checks the kind, and that no secret text is in the error.
func (s *suite) fails(what string, err error, kind fault.Kind) {
	s.Helper()
	if err == nil || !fault.Is(err, kind) {
		s.Fatalf("%s: error %v, want kind %v", what, err, kind)
	}
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "canary") {
		s.Errorf("%s: the error holds secret text: %s", what, text)
	}
}

// create stores credentials and returns their version.
func (s *suite) create(token string, c connection.Credentials) string {
	s.Helper()
	version, err := s.Create(s.Context(), account, conn, token, c)
	s.ok(err)
	s.holds(version, c)
	s.labelled(current, version)
	return version
}

// stage stages credentials and returns their version.
func (s *suite) stage(token string, c connection.Credentials) string {
	s.Helper()
	version, err := s.Stage(s.Context(), account, conn, token, c)
	s.ok(err)
	s.holds(version, c)
	return version
}

// before returns the version that a row with version has as the previous one.
func (s *suite) before(version string) string {
	s.Helper()
	out, err := s.api.DescribeSecret(s.Context(), &secretsmanager.DescribeSecretInput{SecretId: s.name()})
	s.ok(err)
	for _, label := range []string{current, previous} {
		for id, all := range out.VersionIdsToStages {
			if slices.Contains(all, label) && id != version {
				return id
			}
		}
	}
	return ""
}

func (s *suite) align(version string) {
	s.Helper()
	s.ok(s.Align(s.Context(), account, conn, version, s.before(version)))
	s.labelled(current, version)
	s.labelled(pending, "")
}

func (s *suite) delete() {
	s.Helper()
	s.ok(s.Delete(s.Context(), account, conn, 7))
}

// holds checks the credentials of a version.
func (s *suite) holds(version string, want connection.Credentials) {
	s.Helper()
	got, err := s.Get(s.Context(), account, conn, version)
	s.ok(err)
	if !got.Equal(want) {
		s.Errorf("Get(%q) returned other credentials", version)
	}
}

// gone checks that versions cannot be read, nor aligned.
func (s *suite) gone(versions ...string) {
	s.Helper()
	for _, version := range versions {
		_, err := s.Get(s.Context(), account, conn, version)
		s.fails("Get", err, fault.NotFound)
		s.fails("Align", s.Align(s.Context(), account, conn, version, ""), fault.NotFound)
	}
}

func (s *suite) restore() {
	s.Helper()
	s.ok(s.Restore(s.Context(), account, conn))
}

// unchanged checks that a call returned the version that was there.
func (s *suite) unchanged(got, want string) {
	s.Helper()
	if got != want {
		s.Errorf("version %q became %q", want, got)
	}
}

// pair creates credentials and stages others, and returns both versions.
func (s *suite) pair() (version, next string) {
	s.Helper()
	return s.create(initial, first()), s.stage(another, second())
}

// holdsBoth checks the credentials of a pair, and its labels once next is aligned.
func (s *suite) holdsBoth(version, next string) {
	s.Helper()
	s.labelled(current, next)
	s.labelled(previous, version)
	s.holds(version, first())
	s.holds(next, second())
}

// together makes a call several times at once.
func together(call func(i int)) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { call(i) })
	}
	wg.Wait()
}

// labelled checks which version has a label, "" for none.
func (s *suite) labelled(label, want string) {
	s.Helper()
	out, err := s.api.DescribeSecret(s.Context(), &secretsmanager.DescribeSecretInput{SecretId: s.name()})
	s.ok(err)
	var got []string
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, label) {
			got = append(got, version)
		}
	}
	if strings.Join(got, ", ") != want {
		s.Errorf("%s is at %q, want %q", label, got, want)
	}
}

func (s *suite) TestAbsent() {
	s.gone(initial)
	s.fails("Restore", s.Restore(s.Context(), account, conn), fault.NotFound)
	for _, days := range []int{7, 0} {
		s.ok(s.Delete(s.Context(), account, conn, days))
	}
}

func (s *suite) TestAbsentVersion() {
	version := s.create(initial, first())
	_, err := s.Get(s.Context(), account, conn, "")
	s.fails("Get", err, fault.NotFound)
	s.gone(another)
	s.holds(version, first())
	s.labelled(current, version)
}

func (s *suite) TestScheduledForDeletion() {
	version, staged := s.pair()
	s.delete()
	s.gone(version, staged)
	s.restore()
	s.labelled(current, version)
	s.labelled(pending, staged)
}

// full is a Secrets Manager at its limit of versions.
type full struct{ vault.API }

// PutSecretValue refuses.
func (full) PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	return nil, &types.LimitExceededException{Message: aws.String("no more versions of canary")}
}

// TestTooManyVersions: at AWS's limit of versions nothing changes, and after it the same
// request succeeds. Memory has the limit; the emulators have none.
func (s *suite) TestTooManyVersions() {
	version, next := s.pair()
	s.align(next)
	limited := vault.New(full{s.api}, s.prefix)
	_, staged := limited.Stage(s.Context(), account, conn, third, first())
	_, created := limited.Create(s.Context(), account, conn, third, first())
	for what, err := range map[string]error{"Stage": staged, "Create": created} {
		s.fails(what, err, fault.RateLimited)
		if p := fault.Of(err)[0]; p.RetryAfter < time.Minute || p.Message == "" {
			s.Errorf("%s: RetryAfter %v and message %q, want both", what, p.RetryAfter, p.Message)
		}
	}
	s.ok(limited.Align(s.Context(), account, conn, next, version))
	s.holdsBoth(version, next)
	s.labelled(pending, "")
	s.stage(third, first())
}

// TestPreviousGivenUp: the version that cannot be rolled back to any more loses its label.
func (s *suite) TestPreviousGivenUp() {
	version, next := s.pair()
	s.align(next)
	for range 2 {
		s.ok(s.Align(s.Context(), account, conn, next, version))
		s.holdsBoth(version, next)
	}
	for range 2 {
		s.ok(s.Align(s.Context(), account, conn, next, ""))
		s.labelled(current, next)
		s.labelled(previous, "")
		s.holds(next, second())
	}
	s.stage(third, first())
	s.align(third)
	s.labelled(previous, next)
}

func (s *suite) TestDeleteAtOnce() {
	for _, days := range []int{0, 7} { // 7: scheduled for deletion before
		version := s.create(initial, first())
		if days > 0 {
			s.ok(s.Delete(s.Context(), account, conn, days))
		}
		for range 2 {
			s.ok(s.Delete(s.Context(), account, conn, 0))
			s.gone(version)
		}
		s.fails("Restore", s.Restore(s.Context(), account, conn), fault.NotFound)
	}
}

func (s *suite) TestStagedAndNotAligned() {
	version, _ := s.pair()
	s.align(version)
	s.align(version)
	s.labelled(previous, "")
	s.holds(version, first())
}

func (s *suite) TestMalformedSecret() {
	s.create(initial, first())
	for _, text := range []string{
		"canary", `{"api_key":"canary"`, `{"api_key":"canary"}`, `{"api_secret":"canary"}`, `["canary"]`, `null`, `"canary"`,
		`{"api_key":{"canary":1},"api_secret":"canary"}`, `{"api_key":"canary","api_secret":""}`,
	} {
		_, err := s.Get(s.Context(), account, conn, s.put(text))
		s.fails(text, err, fault.Internal)
	}
}

// put stores a text without the vault, and returns its version.
func (s *suite) put(text string) string {
	s.Helper()
	out, err := s.api.PutSecretValue(s.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: s.name(), SecretString: &text, ClientRequestToken: aws.String(rand.Text() + rand.Text()),
	})
	s.ok(err)
	return aws.ToString(out.VersionId)
}

func (s *suite) TestEndedContextIsInternal() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, created := s.Create(ctx, account, conn, initial, first())
	_, read := s.Get(ctx, account, conn, initial)
	_, staged := s.Stage(ctx, account, conn, initial, first())
	for what, err := range map[string]error{
		"Create": created, "Get": read, "Stage": staged,
		"Align":        s.Align(ctx, account, conn, initial, ""),
		"DropPrevious": s.DropPrevious(ctx, account, conn, initial),
		"Delete":       s.Delete(ctx, account, conn, 7),
		"Restore":      s.Restore(ctx, account, conn),
	} {
		s.fails(what, err, fault.Internal)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s = %v, want a chain with context.Canceled", what, err)
		}
	}
}

func (s *suite) TestCreate() {
	for i, c := range []connection.Credentials{
		first(), credentials(`quo"te\back/slash`, "<&>\u2028\u6f22\U0001F4E6"), credentials("k", strings.Repeat("\U0001F4E6", 256)),
	} {
		id := fmt.Sprintf("se-%016d", i)
		version, err := s.Create(s.Context(), account, id, initial, c)
		s.ok(err)
		got, err := s.Get(s.Context(), account, id, version)
		s.ok(err)
		if !got.Equal(c) {
			s.Errorf("Get returned other credentials than the %d-th", i)
		}
	}
	s.create(initial, first())
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	if want := `{"api_key":"first-key-canary","api_secret":"first-secret-canary"}`; aws.ToString(out.SecretString) != want {
		s.Errorf("the secret is %s, want %s", aws.ToString(out.SecretString), want)
	}
}

func (s *suite) TestRepeatedCreateChangesNothing() {
	before := s.create(initial, first())
	for _, again := range []string{initial, another} {
		s.unchanged(s.create(again, first()), before)
	}
}

func (s *suite) TestCreateReplacesTheValue() {
	for i, c := range []connection.Credentials{first(), second(), first(), second()} {
		v := fmt.Sprintf("%s-%d", initial, i)
		before := s.create(v, c)
		s.unchanged(s.create(v, c), before)
	}
}

func (s *suite) TestCreateReplacesMalformedSecret() {
	s.create(initial, first())
	s.put("canary")
	s.create(another, first())
}

func (s *suite) TestCreateRestores() {
	s.create(initial, first())
	s.delete()
	s.create(another, first())
	s.delete()
	s.create(another, second())
	s.create(another, second())
}

func (s *suite) TestStage() {
	version, pended := s.pair()
	if again := s.stage(another, second()); again != pended || pended == version {
		s.Errorf("versions %q, then %q and %q, want the last two alike", version, pended, again)
	}
	s.holds(version, first())
	s.labelled(current, version)
	s.labelled(pending, pended)
}

func (s *suite) TestFirstStagedVersionIsCurrent() {
	version := s.stage(initial, first())
	s.labelled(current, version)
	s.labelled(pending, "")
	s.align(version)
}

func (s *suite) TestStageRestores() {
	version := s.create(initial, first())
	s.delete()
	pended, err := s.Stage(s.Context(), account, conn, another, second())
	s.ok(err)
	// LocalStack accepts a value for a secret that is scheduled for deletion, and still
	// deletes the secret. AWS refuses the value ("PutSecretValue", Errors), so that Stage
	// has restored the secret and this does nothing.
	s.restore()
	s.holds(version, first())
	s.holds(pended, second())
	s.labelled(current, version)
	s.labelled(pending, pended)
}

func (s *suite) TestAlign() {
	version, next := s.pair()
	for range 2 {
		s.align(next)
		s.holdsBoth(version, next)
	}
}

func (s *suite) TestDropPrevious() {
	version, next := s.pair()
	s.align(next)
	for _, other := range []string{next, third} { // neither is the previous one
		s.ok(s.DropPrevious(s.Context(), account, conn, other))
		s.holdsBoth(version, next)
	}
	for range 2 {
		s.ok(s.DropPrevious(s.Context(), account, conn, version))
		s.labelled(previous, "")
		s.labelled(current, next)
		s.holds(next, second())
	}
	last := s.stage(third, credentials("third-key-canary", "third-secret-canary"))
	s.align(last)
	s.labelled(previous, next)
	s.ok(s.DropPrevious(s.Context(), account, conn, version))
	s.labelled(previous, next)
	s.delete()
	s.ok(s.DropPrevious(s.Context(), account, conn, next))
	s.ok(s.DropPrevious(s.Context(), account+1, conn, next)) // no secret
}

// TestStageAgainAfterAlign repeats a request that was done and whose answer was lost.
// MiniStack takes AWSCURRENT from the version then: its value is still read by its id,
// and the next alignment restores the label.
func (s *suite) TestStageAgainAfterAlign() {
	version, next := s.pair()
	s.align(next)
	s.unchanged(s.stage(another, second()), next)
	s.holds(version, first())
	s.align(next)
	s.holdsBoth(version, next)
}

func (s *suite) TestStageOverStaged() {
	version, _ := s.pair()
	last := s.stage(third, credentials("third-key-canary", "third-secret-canary"))
	s.labelled(current, version)
	s.align(last)
	s.labelled(previous, version)
	s.holds(version, first())
}

func (s *suite) TestAlignBackAndForth() {
	_, before := s.pair()
	s.align(before)
	after := s.stage(third, first())
	s.align(after)
	for _, way := range [][2]string{{before, after}, {after, before}, {before, after}} {
		s.align(way[0])
		s.labelled(previous, way[1])
		s.holds(before, second())
		s.holds(after, first())
	}
}

func (s *suite) TestDeleteAndRestoreTwice() {
	version, next := s.pair()
	s.align(next)
	for range 2 {
		for range 2 {
			s.delete()
			s.gone(next)
		}
		for range 2 {
			s.restore()
			s.holds(next, second())
			s.holds(version, first())
		}
		s.align(next)
		s.labelled(previous, version)
	}
}

func (s *suite) TestConnectionsAreSeparate() {
	version := s.create(initial, first())
	_, err := s.Create(s.Context(), account, conn+"0", initial, second())
	s.ok(err)
	_, err = s.Create(s.Context(), account+1, conn, initial, second())
	s.ok(err)
	s.ok(s.Delete(s.Context(), account+1, conn, 0))
	s.holds(version, first())
	_, err = s.Get(s.Context(), account+2, conn, version)
	s.fails("Get", err, fault.NotFound)
}

// callers is how many calls a test makes at once.
const callers = 8

func (s *suite) TestConcurrentCreatesOfOneValue() {
	versions := make([]string, callers)
	together(func(i int) {
		var err error
		if versions[i], err = s.Create(s.Context(), account, conn, initial, first()); err != nil {
			s.Errorf("Create: %v", err)
		}
	})
	if all := slices.Compact(versions); len(all) > 1 {
		s.Errorf("versions %q, want one", all)
	}
	s.holds(versions[0], first())
}

func (s *suite) TestConcurrentCreatesOfSeveralValues() {
	together(func(i int) {
		_, err := s.Create(s.Context(), account, conn, initial, credentials("key-canary", fmt.Sprint("canary-", i)))
		if err != nil && !fault.Is(err, fault.State) {
			s.Errorf("Create: %v, want none or State", err)
		}
	})
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	got, err := s.Get(s.Context(), account, conn, aws.ToString(out.VersionId))
	s.ok(err)
	if !strings.HasPrefix(got.APISecret.Reveal(), "canary-") {
		s.Error("Get returned credentials that no caller stored")
	}
}

func (s *suite) TestConcurrentAligns() {
	version, next := s.pair()
	together(func(int) {
		if err := s.Align(s.Context(), account, conn, next, version); err != nil {
			s.Errorf("Align: %v", err)
		}
	})
	s.align(next)
	s.holdsBoth(version, next)
}
