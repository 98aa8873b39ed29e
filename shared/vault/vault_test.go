package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// calls notes what is called, and lets a test answer instead.
type calls struct {
	*vaulttest.Memory
	answer func(operation string) error

	mu         sync.Mutex
	operations []string
}

func (c *calls) note(operation string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, operation)
	if c.answer == nil {
		return nil
	}
	return c.answer(operation)
}

func (c *calls) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	operations := slices.Clone(c.operations)
	c.operations = nil
	return operations
}

func (c *calls) CreateSecret(ctx context.Context, in *secretsmanager.CreateSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	if err := c.note("CreateSecret"); err != nil {
		return nil, err
	}
	return c.Memory.CreateSecret(ctx, in, o...)
}

func (c *calls) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if err := c.note("GetSecretValue"); err != nil {
		return nil, err
	}
	return c.Memory.GetSecretValue(ctx, in, o...)
}

func (c *calls) PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	if err := c.note("PutSecretValue"); err != nil {
		return nil, err
	}
	return c.Memory.PutSecretValue(ctx, in, o...)
}

func (c *calls) RestoreSecret(ctx context.Context, in *secretsmanager.RestoreSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error) {
	if err := c.note("RestoreSecret"); err != nil {
		return nil, err
	}
	return c.Memory.RestoreSecret(ctx, in, o...)
}

const (
	canary     = "xK9-canary"
	account    = 7
	connection = "se-1000000000000007"
	version    = "8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"
	another    = "0b7e7d4c-6f0a-4c2e-8f7b-7b1f3c9d2a10"
)

func credentials(secret string) carrier.Credentials {
	return carrier.Credentials{APIKey: carrier.NewSecret("key " + canary), APISecret: carrier.NewSecret(secret + canary)}
}

// TestErrorsHoldNoSecretText injects what an SDK could say at its worst.
func TestErrorsHoldNoSecretText(t *testing.T) {
	t.Parallel()
	quoting := &smithy.GenericAPIError{Code: "ValidationException", Message: "Value '" + canary + "' at 'secretString' failed to satisfy constraint"}
	for _, tc := range []struct {
		name   string
		err    error
		keeps  string // what the operator must see
		target error  // what errors.Is must find
	}{
		{"a message that quotes the request", quoting, "ValidationException", nil},
		{"the same inside the SDK's error", &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: canary, Err: quoting}, "ValidationException", nil},
		{"an answer that can not be read", &smithy.DeserializationError{Err: errors.New("invalid character in " + canary), Snapshot: []byte(canary)}, "DeserializationError", nil},
		{"an error of unknown form", errors.New("body: " + canary), "errorString", nil},
		{"a modelled error", &types.EncryptionFailure{Message: aws.String(canary)}, "EncryptionFailure", nil},
		{"token expired", &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: canary}, "ExpiredTokenException", nil},
		{"no connection", fmt.Errorf("%s: %w", canary, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), "connection refused", nil},
		{"deadline", fmt.Errorf("%s: %w", canary, context.DeadlineExceeded), "deadline exceeded", context.DeadlineExceeded},
		{"cancelled", fmt.Errorf("%s: %w", canary, context.Canceled), "canceled", context.Canceled},
	} {
		// Each call of Create in turn fails so.
		for _, failing := range []string{"CreateSecret", "GetSecretValue", "RestoreSecret", "PutSecretValue"} {
			t.Run(tc.name+"/"+failing, func(t *testing.T) {
				t.Parallel()
				api := &calls{Memory: vaulttest.NewMemory()}
				v := vault.New(api, "p/")
				if err := v.Create(t.Context(), account, connection, version, credentials("old ")); err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("p/%d/%s", account, connection)
				if _, err := api.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name}); err != nil {
					t.Fatal(err)
				}
				api.answer = func(operation string) error {
					if operation == failing {
						return tc.err
					}
					return nil
				}
				check(t, "Create", v.Create(t.Context(), account, connection, version, credentials("new ")), tc.keeps, tc.target)
				if failing != "GetSecretValue" {
					return
				}
				_, err := v.Get(t.Context(), account, connection)
				check(t, "Get", err, tc.keeps, tc.target)
				_, err = vault.NewServiceSecret(api, name).Read(t.Context())
				check(t, "Read", err, tc.keeps, tc.target)
			})
		}
	}
}

func check(t *testing.T, what string, err error, keeps string, target error) {
	t.Helper()
	if err == nil || !fault.Is(err, fault.Internal) {
		t.Fatalf("%s: error %v, want an internal one", what, err)
	}
	if target != nil && !errors.Is(err, target) {
		t.Errorf("%s: error %v has no %v in its chain", what, err, target)
	}
	if !strings.Contains(err.Error(), keeps) {
		t.Errorf("%s: error %q does not say %q", what, err, keeps)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, canary) {
			t.Errorf("%s: the error holds secret text: %s", what, text)
		}
	}
}

func TestCreateWhileOthersWork(t *testing.T) {
	t.Parallel()
	exists := &types.ResourceExistsException{Message: aws.String(canary)}
	missing := &types.ResourceNotFoundException{Message: aws.String(canary)}
	invalid := &types.InvalidRequestException{Message: aws.String(canary)}
	for _, tc := range []struct {
		name    string
		answers map[string]error
		kind    fault.Kind
	}{
		{"there, then gone", map[string]error{"CreateSecret": exists, "GetSecretValue": missing}, fault.State},
		{"scheduled for deletion again and again", map[string]error{"CreateSecret": exists, "GetSecretValue": invalid}, fault.State},
		{"gone before it is restored", map[string]error{"CreateSecret": exists, "GetSecretValue": invalid, "RestoreSecret": missing}, fault.State},
		{"another value under the token", map[string]error{"PutSecretValue": exists}, fault.State},
		{"scheduled for deletion before it is changed", map[string]error{"PutSecretValue": invalid}, fault.State},
		{"invalid for another reason", map[string]error{"CreateSecret": invalid, "GetSecretValue": missing}, fault.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := &calls{Memory: vaulttest.NewMemory()}
			v := vault.New(api, "p/")
			if err := v.Create(t.Context(), account, connection, version, credentials("old ")); err != nil {
				t.Fatal(err)
			}
			api.answer = func(operation string) error { return tc.answers[operation] }
			err := v.Create(t.Context(), account, connection, another, credentials("new "))
			if err == nil || !fault.Is(err, tc.kind) || strings.Contains(err.Error(), canary) {
				t.Fatalf("error %v, want kind %v without %q", err, tc.kind, canary)
			}
			if p := fault.Of(err)[0]; tc.kind == fault.State && (p.RetryAfter <= 0 || p.Message == "") {
				t.Errorf("State with RetryAfter %v and message %q, want both", p.RetryAfter, p.Message)
			}
		})
	}
}

func TestRemoteCalls(t *testing.T) {
	t.Parallel()
	api := &calls{Memory: vaulttest.NewMemory()}
	v := vault.New(api, "p/")
	expect := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, api.taken()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", what, diff)
		}
	}
	create := func(version, secret string) error {
		return v.Create(t.Context(), account, connection, version, credentials(secret))
	}
	expect("new", create(version, "a"), "CreateSecret")
	expect("the same again", create(version, "a"), "CreateSecret")
	expect("the same value, another version", create(another, "a"), "CreateSecret", "GetSecretValue")
	expect("another value", create(version, "b"), "CreateSecret", "GetSecretValue", "PutSecretValue")
	name := fmt.Sprintf("p/%d/%s", account, connection)
	if _, err := api.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name}); err != nil {
		t.Fatal(err)
	}
	expect("scheduled for deletion", create(version, "b"), "CreateSecret", "GetSecretValue", "RestoreSecret", "GetSecretValue")
	_, err := v.Get(t.Context(), account, connection)
	expect("Get", err, "GetSecretValue")
}

func TestServiceSecret(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, text string) (*calls, *vault.ServiceSecret) {
		t.Helper()
		api := &calls{Memory: vaulttest.NewMemory()}
		if _, err := api.Memory.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("service"), SecretString: &text, ClientRequestToken: aws.String(version),
		}); err != nil {
			t.Fatal(err)
		}
		return api, vault.NewServiceSecret(api, "service")
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		_, err := vault.NewServiceSecret(vaulttest.NewMemory(), "service").Read(t.Context())
		if err == nil || !fault.Is(err, fault.Internal) {
			t.Errorf("Read = %v, want an internal error", err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		_, s := open(t, "")
		if _, err := s.Read(t.Context()); err == nil || !fault.Is(err, fault.Internal) {
			t.Errorf("Read = %v, want an internal error", err)
		}
	})
	t.Run("a failure is not kept, a success is", func(t *testing.T) {
		t.Parallel()
		api, s := open(t, "text")
		api.answer = func(string) error { return &types.InternalServiceError{} }
		for range 2 {
			if _, err := s.Read(t.Context()); err == nil {
				t.Fatal("Read succeeded")
			}
		}
		api.answer = nil
		for range 3 {
			got, err := s.Read(t.Context())
			if err != nil || got.Reveal() != "text" {
				t.Fatalf("Read = %v, %v, want the secret", got, err)
			}
		}
		if diff := cmp.Diff([]string{"GetSecretValue", "GetSecretValue", "GetSecretValue"}, api.taken()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
	t.Run("one call serves all", func(t *testing.T) {
		t.Parallel()
		api, s := open(t, "text")
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if got, err := s.Read(t.Context()); err != nil || got.Reveal() != "text" {
					t.Errorf("Read = %v, %v, want the secret", got, err)
				}
			})
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"GetSecretValue"}, api.taken()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
	t.Run("who waits for another's call may give up", func(t *testing.T) {
		t.Parallel()
		api, s := open(t, "text")
		calling, answer := make(chan struct{}), make(chan struct{})
		api.answer = func(string) error { close(calling); <-answer; return nil }
		done := make(chan error)
		go func() { _, err := s.Read(t.Context()); done <- err }()
		<-calling
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Read(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Read = %v, want context.Canceled", err)
		}
		close(answer)
		if err := <-done; err != nil {
			t.Errorf("the first Read = %v", err)
		}
	})
}
