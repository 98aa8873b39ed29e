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

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
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
		{"what is created is read", created},
		{"a repeat changes nothing", repeated},
		{"another value becomes the current one, and the first again", replaced},
		{"a secret of another form is replaced", replacedMalformed},
		{"a deletion is called off", restored},
		{"connections are apart", apart},
		{"at once with one value, all succeed", together},
		{"at once with several values, one stays", against},
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
	account    = 242822
	connection = "se-1234567890123456"
	token      = "8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"
	another    = "0b7e7d4c-6f0a-4c2e-8f7b-7b1f3c9d2a10"
)

// name is where AWS is told to keep the secret; a stack's policies name it too.
func (s *suite) name() *string {
	return aws.String(fmt.Sprintf("%s%d/%s", s.prefix, account, connection))
}

func credentials(key, secret string) carrier.Credentials {
	return carrier.Credentials{APIKey: carrier.NewSecret(key), APISecret: carrier.NewSecret(secret)}
}

func first() carrier.Credentials { return credentials("first-key-canary", "first-secret-canary") }

func second() carrier.Credentials { return credentials("second-key-canary", "second-secret-canary") }

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
func (s *suite) create(token string, c carrier.Credentials) string {
	s.Helper()
	version, err := s.Create(s.Context(), account, connection, token, c)
	s.ok(err)
	s.holds(version, c)
	s.labelled(current, version)
	return version
}

// stage stages credentials and returns their version.
func (s *suite) stage(token string, c carrier.Credentials) string {
	s.Helper()
	version, err := s.Stage(s.Context(), account, connection, token, c)
	s.ok(err)
	s.holds(version, c)
	return version
}

func (s *suite) align(version string) {
	s.Helper()
	s.ok(s.Align(s.Context(), account, connection, version))
	s.labelled(current, version)
	s.labelled(pending, "")
}

func (s *suite) delete() {
	s.Helper()
	s.ok(s.Delete(s.Context(), account, connection, 7))
}

// holds checks the credentials of a version.
func (s *suite) holds(version string, want carrier.Credentials) {
	s.Helper()
	got, err := s.Get(s.Context(), account, connection, version)
	s.ok(err)
	if !got.Equal(want) {
		s.Errorf("Get(%q) returned other credentials", version)
	}
}

// gone checks that a version can not be read.
func (s *suite) gone(version string) {
	s.Helper()
	_, err := s.Get(s.Context(), account, connection, version)
	s.fails("Get", err, fault.NotFound)
}

// labelled checks which version has a label, "" for none.
func (s *suite) labelled(label, want string) {
	s.Helper()
	out, err := s.api.DescribeSecret(s.Context(), &secretsmanager.DescribeSecretInput{SecretId: s.name()})
	s.ok(err)
	var got string
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, label) {
			got += version
		}
	}
	if got != want {
		s.Errorf("%s is at %q, want %q", label, got, want)
	}
}

func absent(s *suite) {
	s.gone(token)
	s.fails("Align", s.Align(s.Context(), account, connection, token), fault.NotFound)
	s.fails("Restore", s.Restore(s.Context(), account, connection), fault.NotFound)
	for _, days := range []int{7, 0} {
		s.ok(s.Delete(s.Context(), account, connection, days))
	}
}

func noVersion(s *suite) {
	version := s.create(token, first())
	for _, other := range []string{"", another} {
		s.gone(other)
	}
	s.fails("Align", s.Align(s.Context(), account, connection, another), fault.NotFound)
	s.holds(version, first())
	s.labelled(current, version)
}

func scheduled(s *suite) {
	version := s.create(token, first())
	staged := s.stage(another, second())
	s.delete()
	for _, v := range []string{version, staged} {
		s.gone(v)
		s.fails("Align", s.Align(s.Context(), account, connection, v), fault.NotFound)
	}
	s.ok(s.Restore(s.Context(), account, connection))
	s.labelled(current, version)
	s.labelled(pending, staged)
}

func malformed(s *suite) {
	s.create(token, first())
	for _, text := range []string{
		"canary", `{"api_key":"canary"`, `{"api_key":"canary"}`, `{"api_secret":"canary"}`, `["canary"]`, `null`, `"canary"`,
		`{"api_key":{"canary":1},"api_secret":"canary"}`, `{"api_key":"canary","api_secret":""}`,
	} {
		_, err := s.Get(s.Context(), account, connection, s.put(text))
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
	_, created := s.Create(ctx, account, connection, token, first())
	_, read := s.Get(ctx, account, connection, token)
	_, staged := s.Stage(ctx, account, connection, token, first())
	for what, err := range map[string]error{
		"Create": created, "Get": read, "Stage": staged,
		"Align":   s.Align(ctx, account, connection, token),
		"Delete":  s.Delete(ctx, account, connection, 7),
		"Restore": s.Restore(ctx, account, connection),
	} {
		s.fails(what, err, fault.Internal)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s = %v, want a chain with context.Canceled", what, err)
		}
	}
}

func created(s *suite) {
	for i, c := range []carrier.Credentials{
		first(), credentials(`quo"te\back/slash`, "<&>\u2028\u6f22\U0001F4E6"), credentials("k", strings.Repeat("\U0001F4E6", 256)),
	} {
		id := fmt.Sprintf("se-%016d", i)
		version, err := s.Create(s.Context(), account, id, token, c)
		s.ok(err)
		got, err := s.Get(s.Context(), account, id, version)
		s.ok(err)
		if !got.Equal(c) {
			s.Errorf("credentials %d come back as others", i)
		}
	}
	s.create(token, first())
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	if want := `{"api_key":"first-key-canary","api_secret":"first-secret-canary"}`; aws.ToString(out.SecretString) != want {
		s.Errorf("the secret is %s, want %s", aws.ToString(out.SecretString), want)
	}
}

func repeated(s *suite) {
	before := s.create(token, first())
	for _, again := range []string{token, another} {
		if got := s.create(again, first()); got != before {
			s.Errorf("version %q became %q", before, got)
		}
	}
}

func replaced(s *suite) {
	for i, c := range []carrier.Credentials{first(), second(), first(), second()} {
		v := fmt.Sprintf("%s-%d", token, i)
		before := s.create(v, c)
		if got := s.create(v, c); got != before {
			s.Errorf("version %q became %q", before, got)
		}
	}
}

func replacedMalformed(s *suite) {
	s.create(token, first())
	s.put("canary")
	s.create(another, first())
}

func restored(s *suite) {
	s.create(token, first())
	s.delete()
	s.create(another, first())
	s.delete()
	s.create(another, second())
	s.create(another, second())
}

func apart(s *suite) {
	version := s.create(token, first())
	_, err := s.Create(s.Context(), account, connection+"0", token, second())
	s.ok(err)
	_, err = s.Create(s.Context(), account+1, connection, token, second())
	s.ok(err)
	s.ok(s.Delete(s.Context(), account+1, connection, 0))
	s.holds(version, first())
	_, err = s.Get(s.Context(), account+2, connection, version)
	s.fails("Get", err, fault.NotFound)
}

const callers = 8

func together(s *suite) {
	versions := make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var err error
			if versions[i], err = s.Create(s.Context(), account, connection, token, first()); err != nil {
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
			_, err := s.Create(s.Context(), account, connection, token, credentials("key-canary", fmt.Sprint("canary-", i)))
			if err != nil && !fault.Is(err, fault.State) {
				s.Errorf("Create: %v, want none or State", err)
			}
		})
	}
	wg.Wait()
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	got, err := s.Get(s.Context(), account, connection, aws.ToString(out.VersionId))
	s.ok(err)
	if !strings.HasPrefix(got.APISecret.Reveal(), "canary-") {
		s.Error("Get returned what nobody stored")
	}
}
