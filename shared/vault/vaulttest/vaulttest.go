// Package vaulttest holds what a vault must do over any Secrets Manager: a
// conformance suite, and an in-memory Secrets Manager that passes it.
package vaulttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/vault"
)

// API is what the suite calls: the vault's calls, and one to prepare with.
type API interface {
	vault.API
	DeleteSecret(context.Context, *secretsmanager.DeleteSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error)
}

// Run holds a vault over api to its contract. Names are new for each run.
func Run(t *testing.T, api API) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*suite)
	}{
		{"absent is not found", absent},
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
	api    API
	prefix string
}

// The connection of most tests, and two versions for its credentials.
const (
	account    = 242822
	connection = "se-1234567890123456"
	version    = "8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"
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

func (s *suite) create(version string, c carrier.Credentials) {
	s.Helper()
	s.ok(s.Create(s.Context(), account, connection, version, c))
}

func (s *suite) holds(want carrier.Credentials) {
	s.Helper()
	got, err := s.Get(s.Context(), account, connection)
	s.ok(err)
	if !got.Equal(want) {
		s.Error("Get returned other credentials")
	}
}

func (s *suite) delete() {
	s.Helper()
	_, err := s.api.DeleteSecret(s.Context(), &secretsmanager.DeleteSecretInput{SecretId: s.name(), RecoveryWindowInDays: aws.Int64(7)})
	s.ok(err)
}

// versionID is that of the current version.
func (s *suite) versionID() string {
	s.Helper()
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	return aws.ToString(out.VersionId)
}

func absent(s *suite) {
	_, err := s.Get(s.Context(), account, connection)
	s.fails("Get", err, fault.NotFound)
}

func scheduled(s *suite) {
	s.create(version, first())
	s.delete()
	_, err := s.Get(s.Context(), account, connection)
	s.fails("Get", err, fault.NotFound)
}

func malformed(s *suite) {
	s.create(version, first())
	for _, text := range []string{
		"canary", `{"api_key":"canary"`, `{"api_key":"canary"}`, `{"api_secret":"canary"}`, `["canary"]`, `null`, `"canary"`,
		`{"api_key":{"canary":1},"api_secret":"canary"}`, `{"api_key":"canary","api_secret":""}`,
	} {
		s.put(text)
		_, err := s.Get(s.Context(), account, connection)
		s.fails(text, err, fault.Internal)
	}
}

// put stores a text past the vault.
func (s *suite) put(text string) {
	s.Helper()
	_, err := s.api.PutSecretValue(s.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: s.name(), SecretString: &text, ClientRequestToken: aws.String(rand.Text() + rand.Text()),
	})
	s.ok(err)
}

func ended(s *suite) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for what, err := range map[string]error{
		"Create": s.Create(ctx, account, connection, version, first()),
		"Get":    func() error { _, err := s.Get(ctx, account, connection); return err }(),
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
		s.ok(s.Create(s.Context(), account, id, version, c))
		got, err := s.Get(s.Context(), account, id)
		s.ok(err)
		if !got.Equal(c) {
			s.Errorf("credentials %d come back as others", i)
		}
	}
	s.create(version, first())
	out, err := s.api.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.name()})
	s.ok(err)
	if want := `{"api_key":"first-key-canary","api_secret":"first-secret-canary"}`; aws.ToString(out.SecretString) != want {
		s.Errorf("the secret is %s, want %s", aws.ToString(out.SecretString), want)
	}
}

func repeated(s *suite) {
	s.create(version, first())
	before := s.versionID()
	s.create(version, first())
	s.create(another, first())
	s.holds(first())
	if got := s.versionID(); got != before {
		s.Errorf("version %q became %q", before, got)
	}
}

func replaced(s *suite) {
	for i, c := range []carrier.Credentials{first(), second(), first(), second()} {
		v := fmt.Sprintf("%s-%d", version, i)
		s.create(v, c)
		s.create(v, c)
		s.holds(c)
	}
}

func replacedMalformed(s *suite) {
	s.create(version, first())
	s.put("canary")
	s.create(another, first())
	s.holds(first())
}

func restored(s *suite) {
	s.create(version, first())
	s.delete()
	s.create(another, first())
	s.holds(first())
	s.delete()
	s.create(another, second())
	s.create(another, second())
	s.holds(second())
}

func apart(s *suite) {
	s.create(version, first())
	s.ok(s.Create(s.Context(), account, connection+"0", version, second()))
	s.ok(s.Create(s.Context(), account+1, connection, version, second()))
	s.holds(first())
	_, err := s.Get(s.Context(), account+2, connection)
	s.fails("Get", err, fault.NotFound)
}

const callers = 8

func together(s *suite) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := s.Create(s.Context(), account, connection, version, first()); err != nil {
				s.Errorf("Create: %v", err)
			}
		})
	}
	wg.Wait()
	s.holds(first())
}

func against(s *suite) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			err := s.Create(s.Context(), account, connection, version, credentials("key-canary", fmt.Sprint("canary-", i)))
			if err != nil && !fault.Is(err, fault.State) {
				s.Errorf("Create: %v, want none or State", err)
			}
		})
	}
	wg.Wait()
	got, err := s.Get(s.Context(), account, connection)
	s.ok(err)
	if !strings.HasPrefix(got.APISecret.Reveal(), "canary-") {
		s.Error("Get returned what nobody stored")
	}
}
