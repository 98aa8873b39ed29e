// Package vaulttest holds what a vault must do over any Secrets Manager: a
// conformance suite, and an in-memory Secrets Manager that passes it.
package vaulttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/vault"
)

// Run holds a vault over api to its contract. Names are new for each run.
func Run(t *testing.T, api vault.API) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*suite)
	}{
		{"absent is not found", absent},
		{"no such version is not found", noVersion},
		{"scheduled for deletion is not found", scheduled},
		{"a secret of another form is internal, and not shown", malformed},
		{"an ended context is internal", ended},
		{"what is deleted at once is gone", deletedAtOnce},
		{"a version that was staged in vain", stagedInVain},
		{"what is created is read", created},
		{"a repeat changes nothing", repeated},
		{"another value becomes the current one, and the first again", replaced},
		{"a secret of another form is replaced", replacedMalformed},
		{"a deletion is called off", restored},
		{"what is staged is read, beside the current one", staged},
		{"what is staged first of all is current", stagedFirst},
		{"staging calls a deletion off", stagedRestored},
		{"what is aligned is current, and the one before is read", aligned},
		{"staged again after it was aligned", stagedAgain},
		{"one staged over another", stagedOver},
		{"back to the version before, and forth", back},
		{"a deletion is scheduled, and called off, twice", deletedRestored},
		{"connections are apart", apart},
		{"at once with one value, all succeed", together},
		{"at once with several values, one stays", against},
		{"aligned at once, all succeed", alignedTogether},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			prefix := "stack-" + rand.Text() + "/carrier/"
			tc.test(&suite{T: t, Vault: vault.New(api, prefix), api: api, prefix: prefix})
		})
	}
}

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

// name is where AWS is told to keep the secret; a stack's policies name it too.
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

func (s *suite) align(version string) {
	s.Helper()
	s.ok(s.Align(s.Context(), account, conn, version))
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

// gone checks that a version can not be read.
func (s *suite) gone(version string) {
	s.Helper()
	_, err := s.Get(s.Context(), account, conn, version)
	s.fails("Get", err, fault.NotFound)
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

func absent(s *suite) {
	s.gone(initial)
	s.fails("Align", s.Align(s.Context(), account, conn, initial), fault.NotFound)
	s.fails("Restore", s.Restore(s.Context(), account, conn), fault.NotFound)
	for _, days := range []int{7, 0} {
		s.ok(s.Delete(s.Context(), account, conn, days))
	}
}

func noVersion(s *suite) {
	version := s.create(initial, first())
	for _, other := range []string{"", another} {
		s.gone(other)
	}
	s.fails("Align", s.Align(s.Context(), account, conn, another), fault.NotFound)
	s.holds(version, first())
	s.labelled(current, version)
}

func scheduled(s *suite) {
	version := s.create(initial, first())
	staged := s.stage(another, second())
	s.delete()
	for _, v := range []string{version, staged} {
		s.gone(v)
		s.fails("Align", s.Align(s.Context(), account, conn, v), fault.NotFound)
	}
	s.ok(s.Restore(s.Context(), account, conn))
	s.labelled(current, version)
	s.labelled(pending, staged)
}

func deletedAtOnce(s *suite) {
	for _, days := range []int{0, 7} { // not scheduled before, and scheduled
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

func stagedInVain(s *suite) {
	version := s.create(initial, first())
	s.stage(another, second())
	s.align(version)
	s.align(version)
	s.labelled(previous, "")
	s.holds(version, first())
}

func malformed(s *suite) {
	s.create(initial, first())
	for _, text := range []string{
		"canary", `{"api_key":"canary"`, `{"api_key":"canary"}`, `{"api_secret":"canary"}`, `["canary"]`, `null`, `"canary"`,
		`{"api_key":{"canary":1},"api_secret":"canary"}`, `{"api_key":"canary","api_secret":""}`,
	} {
		_, err := s.Get(s.Context(), account, conn, s.put(text))
		s.fails(text, err, fault.Internal)
	}
}

// put stores a text past the vault, and returns its version.
func (s *suite) put(text string) string {
	s.Helper()
	out, err := s.api.PutSecretValue(s.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: s.name(), SecretString: &text, ClientRequestToken: aws.String(rand.Text() + rand.Text()),
	})
	s.ok(err)
	return aws.ToString(out.VersionId)
}

func ended(s *suite) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, created := s.Create(ctx, account, conn, initial, first())
	_, read := s.Get(ctx, account, conn, initial)
	_, staged := s.Stage(ctx, account, conn, initial, first())
	for what, err := range map[string]error{
		"Create": created, "Get": read, "Stage": staged,
		"Align":   s.Align(ctx, account, conn, initial),
		"Delete":  s.Delete(ctx, account, conn, 7),
		"Restore": s.Restore(ctx, account, conn),
	} {
		s.fails(what, err, fault.Internal)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s = %v, want a chain with context.Canceled", what, err)
		}
	}
}

func created(s *suite) {
	for i, c := range []connection.Credentials{
		first(), credentials(`quo"te\back/slash`, "<&>\u2028\u6f22\U0001F4E6"), credentials("k", strings.Repeat("\U0001F4E6", 256)),
	} {
		id := fmt.Sprintf("se-%016d", i)
		version, err := s.Create(s.Context(), account, id, initial, c)
		s.ok(err)
		got, err := s.Get(s.Context(), account, id, version)
		s.ok(err)
		if !got.Equal(c) {
			s.Errorf("credentials %d come back as others", i)
		}
	}
	s.create(initial, first())
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	if want := `{"api_key":"first-key-canary","api_secret":"first-secret-canary"}`; aws.ToString(out.SecretString) != want {
		s.Errorf("the secret is %s, want %s", aws.ToString(out.SecretString), want)
	}
}

func repeated(s *suite) {
	before := s.create(initial, first())
	for _, again := range []string{initial, another} {
		if got := s.create(again, first()); got != before {
			s.Errorf("version %q became %q", before, got)
		}
	}
}

func replaced(s *suite) {
	for i, c := range []connection.Credentials{first(), second(), first(), second()} {
		v := fmt.Sprintf("%s-%d", initial, i)
		before := s.create(v, c)
		if got := s.create(v, c); got != before {
			s.Errorf("version %q became %q", before, got)
		}
	}
}

func replacedMalformed(s *suite) {
	s.create(initial, first())
	s.put("canary")
	s.create(another, first())
}

func restored(s *suite) {
	s.create(initial, first())
	s.delete()
	s.create(another, first())
	s.delete()
	s.create(another, second())
	s.create(another, second())
}

func staged(s *suite) {
	version := s.create(initial, first())
	pended := s.stage(another, second())
	if again := s.stage(another, second()); again != pended || pended == version {
		s.Errorf("versions %q, then %q and %q, want the last two alike", version, pended, again)
	}
	s.holds(version, first())
	s.labelled(current, version)
	s.labelled(pending, pended)
}

func stagedFirst(s *suite) {
	version := s.stage(initial, first())
	s.labelled(current, version)
	s.labelled(pending, "")
	s.align(version)
}

func stagedRestored(s *suite) {
	version := s.create(initial, first())
	s.delete()
	pended, err := s.Stage(s.Context(), account, conn, another, second())
	s.ok(err)
	// LocalStack takes a value for a secret that is scheduled for deletion, and
	// deletes it all the same. AWS refuses ("PutSecretValue", Errors), so that
	// Stage has restored it and this does nothing.
	s.ok(s.Restore(s.Context(), account, conn))
	s.holds(version, first())
	s.holds(pended, second())
	s.labelled(current, version)
	s.labelled(pending, pended)
}

func aligned(s *suite) {
	version := s.create(initial, first())
	next := s.stage(another, second())
	for range 2 {
		s.align(next)
		s.labelled(previous, version)
		s.holds(version, first())
		s.holds(next, second())
	}
}

// stagedAgain repeats a request whose answer was lost after all was done. Then
// MiniStack takes AWSCURRENT from the version; nothing that is read by its id is
// lost, and the next alignment puts it right.
func stagedAgain(s *suite) {
	version := s.create(initial, first())
	next := s.stage(another, second())
	s.align(next)
	if again := s.stage(another, second()); again != next {
		s.Errorf("version %q became %q", next, again)
	}
	s.holds(version, first())
	s.align(next)
	s.labelled(previous, version)
	s.holds(version, first())
}

func stagedOver(s *suite) {
	version := s.create(initial, first())
	s.stage(another, second())
	last := s.stage(third, credentials("third-key-canary", "third-secret-canary"))
	s.labelled(current, version)
	s.align(last)
	s.labelled(previous, version)
	s.holds(version, first())
}

func back(s *suite) {
	s.create(initial, first())
	before := s.stage(another, second())
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

func deletedRestored(s *suite) {
	version := s.create(initial, first())
	next := s.stage(another, second())
	s.align(next)
	for range 2 {
		for range 2 {
			s.delete()
			s.gone(next)
		}
		for range 2 {
			s.ok(s.Restore(s.Context(), account, conn))
			s.holds(next, second())
			s.holds(version, first())
		}
		s.align(next)
		s.labelled(previous, version)
	}
}

func apart(s *suite) {
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

const callers = 8

func together(s *suite) {
	versions := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var err error
			if versions[i], err = s.Create(s.Context(), account, conn, initial, first()); err != nil {
				s.Errorf("Create: %v", err)
			}
		})
	}
	wg.Wait()
	if all := slices.Compact(versions); len(all) > 1 {
		s.Errorf("versions %q, want one", all)
	}
	s.holds(versions[0], first())
}

func against(s *suite) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			_, err := s.Create(s.Context(), account, conn, initial, credentials("key-canary", fmt.Sprint("canary-", i)))
			if err != nil && !fault.Is(err, fault.State) {
				s.Errorf("Create: %v, want none or State", err)
			}
		})
	}
	wg.Wait()
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	got, err := s.Get(s.Context(), account, conn, aws.ToString(out.VersionId))
	s.ok(err)
	if !strings.HasPrefix(got.APISecret.Reveal(), "canary-") {
		s.Error("Get returned what nobody stored")
	}
}

func alignedTogether(s *suite) {
	version := s.create(initial, first())
	next := s.stage(another, second())
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := s.Align(s.Context(), account, conn, next); err != nil {
				s.Errorf("Align: %v", err)
			}
		})
	}
	wg.Wait()
	s.align(next)
	s.labelled(previous, version)
	s.holds(version, first())
	s.holds(next, second())
}
