package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/infra/test/metricstest"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

// spy records the calls, and lets a test answer in place of the fake or lose the fake's
// answer.
type spy struct {
	*vaulttest.Memory
	answer   func(operation string) error      // an error in place of the call
	lost     func(operation string) error      // an error in place of the answer
	deletion *secretsmanager.DeleteSecretInput // of the last DeleteSecret

	mu         sync.Mutex
	operations []string
}

func (c *spy) note(operation string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, operation)
	if c.answer == nil {
		return nil
	}
	return c.answer(operation)
}

func (c *spy) takeOperations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	operations := slices.Clone(c.operations)
	c.operations = nil
	return operations
}

func lose[T any](c *spy, operation string, out *T, err error) (*T, error) {
	if c.lost != nil {
		if lost := c.lost(operation); lost != nil {
			return nil, lost
		}
	}
	return out, err
}

func (c *spy) CreateSecret(ctx context.Context, in *secretsmanager.CreateSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	if err := c.note("CreateSecret"); err != nil {
		return nil, err
	}
	out, err := c.Memory.CreateSecret(ctx, in, o...)
	return lose(c, "CreateSecret", out, err)
}

func (c *spy) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if err := c.note("GetSecretValue"); err != nil {
		return nil, err
	}
	out, err := c.Memory.GetSecretValue(ctx, in, o...)
	return lose(c, "GetSecretValue", out, err)
}

func (c *spy) PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	if err := c.note("PutSecretValue"); err != nil {
		return nil, err
	}
	out, err := c.Memory.PutSecretValue(ctx, in, o...)
	return lose(c, "PutSecretValue", out, err)
}

func (c *spy) DescribeSecret(ctx context.Context, in *secretsmanager.DescribeSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error) {
	if err := c.note("DescribeSecret"); err != nil {
		return nil, err
	}
	out, err := c.Memory.DescribeSecret(ctx, in, o...)
	return lose(c, "DescribeSecret", out, err)
}

func (c *spy) UpdateSecretVersionStage(ctx context.Context, in *secretsmanager.UpdateSecretVersionStageInput, o ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	if err := c.note("UpdateSecretVersionStage"); err != nil {
		return nil, err
	}
	out, err := c.Memory.UpdateSecretVersionStage(ctx, in, o...)
	return lose(c, "UpdateSecretVersionStage", out, err)
}

func (c *spy) DeleteSecret(ctx context.Context, in *secretsmanager.DeleteSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.DeleteSecretOutput, error) {
	c.deletion = in
	if err := c.note("DeleteSecret"); err != nil {
		return nil, err
	}
	out, err := c.Memory.DeleteSecret(ctx, in, o...)
	return lose(c, "DeleteSecret", out, err)
}

func (c *spy) RestoreSecret(ctx context.Context, in *secretsmanager.RestoreSecretInput, o ...func(*secretsmanager.Options)) (*secretsmanager.RestoreSecretOutput, error) {
	if err := c.note("RestoreSecret"); err != nil {
		return nil, err
	}
	out, err := c.Memory.RestoreSecret(ctx, in, o...)
	return lose(c, "RestoreSecret", out, err)
}

const (
	canary  = "xK9-canary"
	account = 7
	conn    = "se-1000000000000007"
	initial = "8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"
	another = "0b7e7d4c-6f0a-4c2e-8f7b-7b1f3c9d2a10"
)

func credentials(secretText string) connection.Credentials {
	return connection.Credentials{APIKey: secret.New("key " + canary), APISecret: secret.New(secretText + canary)}
}

// before returns the version that a row with version has as the previous one.
func before(version string) string {
	if version == initial {
		return another
	}
	return initial
}

// TestErrorsHoldNoSecretText injects SDK errors that quote the secret.
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
		{"such a message in the SDK's error", &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: canary, Err: quoting}, "ValidationException", nil},
		{"an answer that cannot be decoded", &smithy.DeserializationError{Err: errors.New("invalid character in " + canary), Snapshot: []byte(canary)}, "DeserializationError", nil},
		{"an error of unknown form", errors.New("body: " + canary), "errorString", nil},
		{"a modelled error", &types.EncryptionFailure{Message: aws.String(canary)}, "EncryptionFailure", nil},
		{"token expired", &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: canary}, "ExpiredTokenException", nil},
		{"no connection", fmt.Errorf("%s: %w", canary, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), "connection refused", nil},
		{"deadline", fmt.Errorf("%s: %w", canary, context.DeadlineExceeded), "deadline exceeded", context.DeadlineExceeded},
		{"cancelled", fmt.Errorf("%s: %w", canary, context.Canceled), "canceled", context.Canceled},
	} {
		// Each call of each method fails in turn.
		for _, m := range methods {
			for _, failing := range m.calls {
				t.Run(tc.name+"/"+m.name+"/"+failing, func(t *testing.T) {
					t.Parallel()
					api := &spy{Memory: vaulttest.NewMemory()}
					v := vault.New(api, "p/")
					m.prepare(t, v)
					api.answer = func(operation string) error {
						if operation == failing {
							return tc.err
						}
						return nil
					}
					check(t, m.name, m.call(t.Context(), v), tc.keeps, tc.target)
				})
			}
		}
		t.Run(tc.name+"/Read", func(t *testing.T) {
			t.Parallel()
			api := &spy{Memory: vaulttest.NewMemory(), answer: func(string) error { return tc.err }}
			_, err := vault.NewServiceSecret(api, "service").Read(t.Context())
			check(t, "Read", err, tc.keeps, tc.target)
		})
	}
}

// TestThrottled: a throttled call of any method is fault.Overloaded with RetryAfter, and
// counted.
func TestThrottled(t *testing.T) {
	t.Parallel()
	throttled := func(t *testing.T, err error, code string) {
		t.Helper()
		if p := fault.Of(err); len(p) != 1 || p[0].Kind != fault.Overloaded || p[0].RetryAfter < time.Second || p[0].Message == "" {
			t.Errorf("error %v, want one problem, Overloaded, with RetryAfter", err)
		}
		if !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), canary) {
			t.Errorf("error %q, want it to say %s and not %q", err, code, canary)
		}
	}
	for _, code := range []string{"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"} {
		refusal := &smithy.OperationError{ServiceID: "Secrets Manager", Err: &smithy.GenericAPIError{Code: code, Message: "Rate exceeded " + canary}}
		for _, m := range methods {
			for _, failing := range m.calls {
				t.Run(code+"/"+m.name+"/"+failing, func(t *testing.T) {
					t.Parallel()
					api := &spy{Memory: vaulttest.NewMemory()}
					v := vault.New(api, "p/")
					m.prepare(t, v)
					api.answer = func(operation string) error {
						if operation == failing {
							return refusal
						}
						return nil
					}
					counted := metricstest.Of(t, func(ctx context.Context) { throttled(t, m.call(ctx, v), code) })
					if diff := cmp.Diff(map[string][]float64{"Throttles": {1}, "Throttles Service=secrets_manager": {1}}, counted); diff != "" {
						t.Errorf("metrics (-want +got):\n%s", diff)
					}
				})
			}
		}
		t.Run(code+"/Read", func(t *testing.T) {
			t.Parallel()
			_, err := vault.NewServiceSecret(&spy{Memory: vaulttest.NewMemory(), answer: func(string) error { return refusal }}, "service").Read(t.Context())
			throttled(t, err, code)
		})
	}
}

// TestEveryMethodIsTested: the table methods has all methods.
func TestEveryMethodIsTested(t *testing.T) {
	t.Parallel()
	for method := range reflect.TypeFor[*vault.Vault]().Methods() {
		tested := false
		for _, m := range methods {
			tested = tested || m.name == method.Name
		}
		if !tested {
			t.Errorf("%s is not in the table methods", method.Name)
		}
	}
}

// methods are the methods of Vault, each in the state in which it makes most calls.
var methods = []struct {
	name    string
	prepare func(*testing.T, *vault.Vault)
	call    func(context.Context, *vault.Vault) error
	calls   []string
}{
	{
		"Create", deleted,
		func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Create(ctx, account, conn, initial, credentials("new "))
			return err
		},
		[]string{"CreateSecret", "GetSecretValue", "RestoreSecret", "PutSecretValue"},
	},
	{
		"Get", linked,
		func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Get(ctx, account, conn, initial)
			return err
		},
		[]string{"GetSecretValue"},
	},
	{
		"Stage", deleted,
		func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Stage(ctx, account, conn, another, credentials("new "))
			return err
		},
		[]string{"PutSecretValue", "RestoreSecret"},
	},
	{
		"Stage without a secret", func(*testing.T, *vault.Vault) {},
		func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Stage(ctx, account, conn, another, credentials("new "))
			return err
		},
		[]string{"CreateSecret"},
	},
	{
		"Align", staged,
		func(ctx context.Context, v *vault.Vault) error {
			return v.Align(ctx, account, conn, another, before(another))
		},
		[]string{"DescribeSecret", "UpdateSecretVersionStage"},
	},
	{
		"DropPrevious", aligned,
		func(ctx context.Context, v *vault.Vault) error {
			return v.DropPrevious(ctx, account, conn, initial)
		},
		[]string{"UpdateSecretVersionStage"},
	},
	{
		"Delete", deleted,
		func(ctx context.Context, v *vault.Vault) error { return v.Delete(ctx, account, conn, 7) },
		[]string{"DeleteSecret", "DescribeSecret"},
	},
	{
		"Restore", linked,
		func(ctx context.Context, v *vault.Vault) error { return v.Restore(ctx, account, conn) },
		[]string{"RestoreSecret", "DescribeSecret"},
	},
}

// linked, staged, aligned and deleted prepare states of a connection's secret.
func linked(t *testing.T, v *vault.Vault) {
	t.Helper()
	if got, err := v.Create(t.Context(), account, conn, initial, credentials("old ")); err != nil || got != initial {
		t.Fatalf("Create = %q, %v, want %q", got, err, initial)
	}
}

func staged(t *testing.T, v *vault.Vault) {
	t.Helper()
	linked(t, v)
	if got, err := v.Stage(t.Context(), account, conn, another, credentials("new ")); err != nil || got != another {
		t.Fatalf("Stage = %q, %v, want %q", got, err, another)
	}
}

func aligned(t *testing.T, v *vault.Vault) {
	t.Helper()
	staged(t, v)
	if err := v.Align(t.Context(), account, conn, another, before(another)); err != nil {
		t.Fatal(err)
	}
}

func deleted(t *testing.T, v *vault.Vault) {
	t.Helper()
	linked(t, v)
	if err := v.Delete(t.Context(), account, conn, 7); err != nil {
		t.Fatal(err)
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

// TestConcurrentChanges injects the answers of AWS while other requests change the
// secret, once or all the time, between the calls of one method.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	exists := &types.ResourceExistsException{Message: aws.String(canary)}
	missing := &types.ResourceNotFoundException{Message: aws.String(canary)}
	refused := &types.InvalidRequestException{Message: aws.String(canary)}
	moved := &types.InvalidParameterException{Message: aws.String(canary)}
	create := func(ctx context.Context, v *vault.Vault) error {
		_, err := v.Create(ctx, account, conn, another, credentials("new "))
		return err
	}
	stage := func(token, secret string) func(context.Context, *vault.Vault) error {
		return func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Stage(ctx, account, conn, token, credentials(secret))
			return err
		}
	}
	align := func(version string) func(context.Context, *vault.Vault) error {
		return func(ctx context.Context, v *vault.Vault) error {
			return v.Align(ctx, account, conn, version, before(version))
		}
	}
	for _, tc := range []struct {
		name    string
		prepare func(*testing.T, *vault.Vault)
		call    func(context.Context, *vault.Vault) error
		answers map[string]error
		kind    fault.Kind
	}{
		{"create: exists, then gone", linked, create, map[string]error{"CreateSecret": exists, "GetSecretValue": missing}, fault.State},
		{"create: scheduled for deletion again and again", linked, create, map[string]error{"CreateSecret": exists, "GetSecretValue": refused}, fault.State},
		{"create: gone before it is restored", linked, create, map[string]error{"CreateSecret": exists, "GetSecretValue": refused, "RestoreSecret": missing}, fault.State},
		{"create: another value under the token", linked, create, map[string]error{"PutSecretValue": exists}, fault.State},
		{"create: scheduled for deletion before it is changed", linked, create, map[string]error{"PutSecretValue": refused}, fault.State},
		{"create: invalid for another reason", linked, create, map[string]error{"CreateSecret": refused, "GetSecretValue": missing}, fault.Internal},
		{"stage: another value under the token", linked, stage(initial, "new "), nil, fault.State},
		{"stage: scheduled for deletion again and again", linked, stage(another, "new "), map[string]error{"PutSecretValue": refused}, fault.State},
		{"stage: gone, then exists", linked, stage(another, "new "), map[string]error{"PutSecretValue": missing, "CreateSecret": exists}, fault.State},
		{"stage: gone, then scheduled for deletion", linked, stage(another, "new "), map[string]error{"PutSecretValue": missing, "CreateSecret": refused}, fault.State},
		{"align: gone before the labels move", staged, align(another), map[string]error{"UpdateSecretVersionStage": missing}, fault.State},
		{"align: scheduled for deletion before the labels move", staged, align(another), map[string]error{"UpdateSecretVersionStage": refused}, fault.State},
		{"align: labels keep moving", staged, align(another), map[string]error{"UpdateSecretVersionStage": moved}, fault.State},
		{"align: the version is not listed", staged, align(strings.Repeat("0", 32)), map[string]error{"UpdateSecretVersionStage": moved}, fault.NotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := &spy{Memory: vaulttest.NewMemory()}
			v := vault.New(api, "p/")
			tc.prepare(t, v)
			api.answer = func(operation string) error { return tc.answers[operation] }
			err := tc.call(t.Context(), v)
			if err == nil || !fault.Is(err, tc.kind) || strings.Contains(err.Error(), canary) {
				t.Fatalf("error %v, want kind %v without %q", err, tc.kind, canary)
			}
			if p := fault.Of(err)[0]; tc.kind == fault.State && (p.RetryAfter <= 0 || p.Message == "") {
				t.Errorf("State with RetryAfter %v and message %q, want both", p.RetryAfter, p.Message)
			}
		})
	}
}

// TestAlignReadsAgain: the labels change between the calls of Align.
func TestAlignReadsAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		meanwhile func(context.Context, *vault.Vault) error
		gone      bool
	}{
		{"deleted", func(ctx context.Context, v *vault.Vault) error { return v.Delete(ctx, account, conn, 0) }, true},
		{"scheduled for deletion", func(ctx context.Context, v *vault.Vault) error { return v.Delete(ctx, account, conn, 7) }, true},
		{"aligned by another request", func(ctx context.Context, v *vault.Vault) error {
			return v.Align(ctx, account, conn, another, before(another))
		}, false},
		{"aligned with another version", func(ctx context.Context, v *vault.Vault) error {
			return v.Align(ctx, account, conn, initial, before(initial))
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := &spy{Memory: vaulttest.NewMemory()}
			v := vault.New(api, "p/")
			staged(t, v)
			var once sync.Once
			api.answer = func(operation string) (err error) {
				if operation == "UpdateSecretVersionStage" {
					once.Do(func() { err = tc.meanwhile(t.Context(), vault.New(api.Memory, "p/")) })
				}
				return err
			}
			if err := v.Align(t.Context(), account, conn, another, before(another)); tc.gone != fault.Is(err, fault.NotFound) || !tc.gone && err != nil {
				t.Errorf("Align = %v, want not found: %t", err, tc.gone)
			}
		})
	}
}

// cuts are the ways in which a call can be cut off.
var cuts = []struct {
	name string
	cut  func(*spy, func(string) error)
}{
	{"not sent", func(c *spy, fail func(string) error) { c.answer = fail }},
	{"answer lost", func(c *spy, fail func(string) error) { c.lost = fail }},
}

// nth returns a function that fails the nth call, from 0.
func nth(n int) func(string) error {
	return func(string) error {
		n--
		if n == -1 {
			return &types.InternalServiceError{Message: aws.String(canary)}
		}
		return nil
	}
}

// TestCutAndRepeated cuts each method off at each of its calls, and calls it again.
func TestCutAndRepeated(t *testing.T) {
	t.Parallel()
	for _, m := range methods {
		for _, how := range cuts {
			t.Run(m.name+"/"+how.name, func(t *testing.T) {
				t.Parallel()
				for n, failed := 0, true; failed; n++ {
					api := &spy{Memory: vaulttest.NewMemory()}
					v := vault.New(api, "p/")
					m.prepare(t, v)
					how.cut(api, nth(n))
					failed = m.call(t.Context(), v) != nil
					if n == 0 && !failed {
						t.Error("the first call was not cut off")
					}
					api.answer, api.lost = nil, nil
					if err := m.call(t.Context(), v); err != nil {
						t.Errorf("cut off at call %d, then repeated: %v", n, err)
					}
				}
			})
		}
	}
}

// TestChangeCut changes credentials, with a row that names the version that counts, and
// cuts the change off at each call. The next request aligns the labels with the row, and
// may repeat the change.
func TestChangeCut(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		for _, how := range cuts {
			t.Run(fmt.Sprintf("%s/versions kept %t", how.name, kept), func(t *testing.T) {
				t.Parallel()
				for n, done := 0, false; !done; n++ {
					api := &spy{Memory: &vaulttest.Memory{KeepsUnlabelled: kept, EndsPending: kept}}
					v := vault.New(api, "p/")
					linked(t, v)
					how.cut(api, nth(n))
					row := initial
					change := func() error {
						version, err := v.Stage(t.Context(), account, conn, another, credentials("new "))
						if err != nil {
							return err
						}
						row = version
						return v.Align(t.Context(), account, conn, row, before(row))
					}
					done = change() == nil
					api.answer, api.lost = nil, nil
					if err := v.Align(t.Context(), account, conn, row, before(row)); err != nil {
						t.Fatalf("cut off at call %d: aligning %q: %v", n, row, err)
					}
					if row == initial {
						checkLabels(t, api.Memory, map[string][]string{initial: {"AWSCURRENT"}})
						if err := change(); err != nil {
							t.Fatalf("cut off at call %d: changing again: %v", n, err)
						}
					}
					checkLabels(t, api.Memory, map[string][]string{initial: {"AWSPREVIOUS"}, another: {"AWSCURRENT"}})
				}
			})
		}
	}
}

// checkLabels checks all labels, and that every labelled version can be read.
func checkLabels(t *testing.T, api *vaulttest.Memory, want map[string][]string) {
	t.Helper()
	out, err := api.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(fmt.Sprintf("p/%d/%s", account, conn))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.VersionIdsToStages); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	for version := range want {
		if _, err := vault.New(api, "p/").Get(t.Context(), account, conn, version); err != nil {
			t.Errorf("Get(%q): %v", version, err)
		}
	}
}

// TestDeletionWindow checks the request to AWS.
func TestDeletionWindow(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("p/%d/%s", account, conn)
	for _, tc := range []struct {
		days int
		want int64 // 0: at once
	}{{-1, 7}, {1, 7}, {7, 7}, {8, 8}, {30, 30}, {31, 30}, {90, 30}, {0, 0}} {
		t.Run(strconv.Itoa(tc.days), func(t *testing.T) {
			t.Parallel()
			api := &spy{Memory: vaulttest.NewMemory()}
			v := vault.New(api, "p/")
			linked(t, v)
			if err := v.Delete(t.Context(), account, conn, tc.days); err != nil {
				t.Fatal(err)
			}
			want := &secretsmanager.DeleteSecretInput{SecretId: &name, RecoveryWindowInDays: &tc.want}
			if tc.want == 0 {
				want = &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)}
			}
			if diff := cmp.Diff(want, api.deletion, cmpopts.IgnoreUnexported(secretsmanager.DeleteSecretInput{})); diff != "" {
				t.Errorf("DeleteSecret (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefusedForAnotherReason: AWS returns the same error for a secret that is scheduled
// for deletion and for other states.
func TestRefusedForAnotherReason(t *testing.T) {
	t.Parallel()
	refused := &types.InvalidRequestException{Message: aws.String(canary)}
	for _, tc := range []struct {
		name    string
		prepare func(*testing.T, *vault.Vault)
		call    func(context.Context, *vault.Vault) error
		kind    fault.Kind
	}{
		{"Delete", linked, func(ctx context.Context, v *vault.Vault) error { return v.Delete(ctx, account, conn, 7) }, fault.Internal},
		{"Restore past recovery", deleted, func(ctx context.Context, v *vault.Vault) error { return v.Restore(ctx, account, conn) }, fault.NotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := &spy{Memory: vaulttest.NewMemory()}
			v := vault.New(api, "p/")
			tc.prepare(t, v)
			api.answer = func(operation string) error {
				if operation == "DescribeSecret" {
					return nil
				}
				return refused
			}
			if err := tc.call(t.Context(), v); !fault.Is(err, tc.kind) || strings.Contains(err.Error(), canary) {
				t.Errorf("error %v, want kind %v without %q", err, tc.kind, canary)
			}
		})
	}
}

// TestLabelsLost: AWS keeps a version without a label for a day; staging or aligning it
// again labels it again.
func TestLabelsLost(t *testing.T) {
	t.Parallel()
	third := strings.Repeat("3", 32)
	for _, tc := range []struct {
		name string
		lose func(context.Context, *vault.Vault) error
	}{
		{"to Align of another version", func(ctx context.Context, v *vault.Vault) error {
			return v.Align(ctx, account, conn, initial, before(initial))
		}},
		{"to Stage of another version", func(ctx context.Context, v *vault.Vault) error {
			_, err := v.Stage(ctx, account, conn, third, credentials("third "))
			return err
		}},
	} {
		for _, again := range []string{"staged again", "aligned"} {
			t.Run(tc.name+", "+again, func(t *testing.T) {
				t.Parallel()
				api := &vaulttest.Memory{KeepsUnlabelled: true}
				v := vault.New(api, "p/")
				staged(t, v)
				if err := tc.lose(t.Context(), v); err != nil {
					t.Fatal(err)
				}
				want := map[string][]string{initial: {"AWSCURRENT"}, another: {"AWSPENDING"}}
				if again == "aligned" {
					want = map[string][]string{initial: {"AWSPREVIOUS"}, another: {"AWSCURRENT"}}
					if err := v.Align(t.Context(), account, conn, another, before(another)); err != nil {
						t.Fatal(err)
					}
				} else if got, err := v.Stage(t.Context(), account, conn, another, credentials("new ")); err != nil || got != another {
					t.Fatalf("Stage = %q, %v, want %q", got, err, another)
				}
				checkLabels(t, api, want)
			})
		}
	}
}

func TestRemoteCalls(t *testing.T) {
	t.Parallel()
	api := &spy{Memory: vaulttest.NewMemory()}
	v := vault.New(api, "p/")
	expect := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, api.takeOperations()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", what, diff)
		}
	}
	create := func(token, secret string) error {
		_, err := v.Create(t.Context(), account, conn, token, credentials(secret))
		return err
	}
	stage := func(token, secret string) error {
		_, err := v.Stage(t.Context(), account, conn, token, credentials(secret))
		return err
	}
	get := func(version string) error {
		_, err := v.Get(t.Context(), account, conn, version)
		return err
	}
	align := func(version string) error { return v.Align(t.Context(), account, conn, version, before(version)) }
	remove := func(days int) error { return v.Delete(t.Context(), account, conn, days) }
	restore := func() error { return v.Restore(t.Context(), account, conn) }
	third := strings.Repeat("3", 32)

	expect("new", create(initial, "a"), "CreateSecret")
	expect("the same again", create(initial, "a"), "CreateSecret")
	expect("the same value, another token", create(another, "a"), "CreateSecret", "GetSecretValue")
	expect("Get", get(initial), "GetSecretValue")

	expect("Align of the current version", align(initial), "DescribeSecret")
	expect("Stage", stage(another, "b"), "PutSecretValue")
	expect("Stage again", stage(another, "b"), "PutSecretValue")
	expect("Align", align(another), "DescribeSecret", "UpdateSecretVersionStage", "UpdateSecretVersionStage")
	expect("Align again", align(another), "DescribeSecret")
	expect("Align back", align(initial), "DescribeSecret", "UpdateSecretVersionStage")
	expect("Align without the previous version", v.Align(t.Context(), account, conn, initial, ""), "DescribeSecret", "UpdateSecretVersionStage")
	expect("Align without it again", v.Align(t.Context(), account, conn, initial, ""), "DescribeSecret")
	expect("Stage of what was given up", stage(another, "b"), "PutSecretValue")
	expect("Align", align(another), "DescribeSecret", "UpdateSecretVersionStage", "UpdateSecretVersionStage")
	expect("Align back", align(initial), "DescribeSecret", "UpdateSecretVersionStage")
	expect("Stage of a third version", stage(third, "c"), "PutSecretValue")
	expect("Align of the current version again", align(initial), "DescribeSecret", "UpdateSecretVersionStage")
	expect("Get of the previous version", get(another), "GetSecretValue")

	expect("Restore of a secret that is not scheduled", restore(), "RestoreSecret", "DescribeSecret")
	expect("Delete", remove(7), "DeleteSecret")
	expect("Delete again", remove(7), "DeleteSecret", "DescribeSecret")
	expect("Restore", restore(), "RestoreSecret")
	expect("Delete", remove(30), "DeleteSecret")
	expect("Stage of a scheduled secret", stage(third, "c"), "PutSecretValue", "RestoreSecret", "PutSecretValue")
	expect("Delete at once", remove(0), "DeleteSecret")
	expect("Delete at once again", remove(0), "DeleteSecret")
	expect("Stage without a secret", stage(initial, "a"), "PutSecretValue", "CreateSecret")
	expect("Create of another value", create(another, "b"), "CreateSecret", "GetSecretValue", "PutSecretValue")
	expect("Delete", remove(7), "DeleteSecret")
	expect("Create of a scheduled secret", create(another, "b"), "CreateSecret", "GetSecretValue", "RestoreSecret", "GetSecretValue")

	api.EndsPending = true
	expect("Stage", stage(third, "c"), "PutSecretValue")
	now, err := api.Memory.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(fmt.Sprintf("p/%d/%s", account, conn))})
	if err != nil {
		t.Fatal(err)
	}
	expect("Align where AWS removes AWSPENDING", v.Align(t.Context(), account, conn, third, *now.VersionId), "DescribeSecret", "UpdateSecretVersionStage", "UpdateSecretVersionStage", "DescribeSecret")
}

// TestTooManyVersions changes credentials more often in a day than AWS allows.
func TestTooManyVersions(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	api := &vaulttest.Memory{Now: func() time.Time { return clock }}
	v := vault.New(api, "p/")
	linked(t, v)
	row, last := initial, ""
	change := func(ctx context.Context, n int) error {
		version, err := v.Stage(ctx, account, conn, fmt.Sprintf("%032d", n), credentials(strconv.Itoa(n)))
		if err != nil {
			return err
		}
		row, last = version, row
		return v.Align(ctx, account, conn, row, last)
	}
	for n := 1; n < vaulttest.MaxVersions; n++ {
		if err := change(t.Context(), n); err != nil {
			t.Fatalf("change %d: %v", n, err)
		}
		clock = clock.Add(time.Minute)
	}
	for range 2 {
		points := metricstest.Of(t, func(ctx context.Context) {
			if err := change(ctx, 100); !fault.Is(err, fault.RateLimited) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "LimitExceededException") {
				t.Fatalf("the change after that = %v, want RateLimited", err)
			}
		})
		if len(points) > 0 {
			t.Errorf("it counts as %v; AWS has throttled nothing", points)
		}
		checkLabels(t, api, map[string][]string{last: {"AWSPREVIOUS"}, row: {"AWSCURRENT"}})
	}
	clock = clock.Add(24*time.Hour - 99*time.Minute)
	if err := change(t.Context(), 100); err != nil {
		t.Errorf("a day after the first version: %v", err)
	}
}

// TestTooManySecrets: the limit of secrets is the operator's to raise, not the caller's.
func TestTooManySecrets(t *testing.T) {
	t.Parallel()
	api := &spy{Memory: vaulttest.NewMemory(), answer: func(string) error { return &types.LimitExceededException{Message: aws.String(canary)} }}
	_, err := vault.New(api, "p/").Create(t.Context(), account, conn, initial, credentials("a"))
	if !fault.Is(err, fault.Overloaded) || strings.Contains(err.Error(), canary) {
		t.Errorf("Create = %v, want Overloaded", err)
	}
}

// holdServiceSecret returns a Secrets Manager with a service secret.
func holdServiceSecret(t *testing.T, text string) *spy {
	t.Helper()
	api := &spy{Memory: vaulttest.NewMemory()}
	if _, err := api.Memory.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("service"), SecretString: &text, ClientRequestToken: aws.String(initial),
	}); err != nil {
		t.Fatal(err)
	}
	return api
}

func TestServiceSecret(t *testing.T) {
	t.Parallel()
	absent := vaulttest.NewMemory()
	if _, err := vault.NewServiceSecret(absent, "service").Read(t.Context()); err == nil || !fault.Is(err, fault.Internal) {
		t.Errorf("Read = %v, want an internal error", err)
	}
	next := func(secret.Text) (secret.Text, error) { t.Error("next is called"); return secret.Text{}, nil }
	if err := vault.NewReplacedSecret(absent, "service").Replace(t.Context(), next); err == nil || !fault.Is(err, fault.Internal) {
		t.Errorf("Replace = %v, want an internal error", err)
	}
	api := holdServiceSecret(t, "text")
	for range 2 {
		if got, err := vault.NewServiceSecret(api, "service").Read(t.Context()); err != nil || got.Reveal() != "text" {
			t.Fatalf("Read = %v, %v, want the secret", got, err)
		}
	}
	if diff := cmp.Diff([]string{"GetSecretValue", "GetSecretValue"}, api.takeOperations()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestReplaceServiceSecret: of two functions that replace the same version one succeeds,
// and a lost answer changes nothing on repetition by the SDK.
func TestReplaceServiceSecret(t *testing.T) {
	t.Parallel()
	api := holdServiceSecret(t, "a")
	s := vault.NewReplacedSecret(api, "service")
	adds := func(letter string) func(secret.Text) (secret.Text, error) {
		return func(old secret.Text) (secret.Text, error) { return secret.New(old.Reveal() + letter), nil }
	}
	holds := func(want string) {
		t.Helper()
		if got, err := vault.NewServiceSecret(api.Memory, "service").Read(t.Context()); err != nil || got.Reveal() != want {
			t.Errorf("the secret is %q, %v, want %q", got.Reveal(), err, want)
		}
	}
	broken := errors.New("broken")
	if err := s.Replace(t.Context(), func(secret.Text) (secret.Text, error) { return secret.Text{}, broken }); !errors.Is(err, broken) {
		t.Errorf("Replace = %v, want %v", err, broken)
	}
	holds("a")
	api.takeOperations()
	err := s.Replace(t.Context(), func(old secret.Text) (secret.Text, error) {
		if err := vault.NewReplacedSecret(api.Memory, "service").Replace(t.Context(), adds("b")); err != nil {
			t.Errorf("the other Replace = %v", err)
		}
		return secret.New(old.Reveal() + "c"), nil
	})
	if !fault.Is(err, fault.State) || strings.Contains(err.Error(), "secret text") {
		t.Errorf("Replace = %v, want State", err)
	}
	holds("ab")
	if diff := cmp.Diff([]string{"GetSecretValue", "PutSecretValue"}, api.takeOperations()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if err := s.Replace(t.Context(), adds("c")); err != nil {
		t.Error(err)
	}
	holds("abc")
	api.answer = func(operation string) error {
		if operation == "PutSecretValue" {
			return &types.InternalServiceError{Message: aws.String(canary)}
		}
		return nil
	}
	if err := s.Replace(t.Context(), adds("d")); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Replace = %v, want an error without %q", err, canary)
	}
	holds("abc")
}
