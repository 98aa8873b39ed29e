package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/vault"
	"carrierlink/shared/vault/vaulttest"
)

const original = "k3yOfSixtyFourLettersk3yOfSixtyFourLettersk3yOfSixtyFourLetters00"

func at() time.Time { return time.Date(2026, 11, 27, 10, 0, 30, 123456789, time.UTC) }

// api counts the calls.
type api struct {
	*vaulttest.Memory
	calls []string
	put   func() error // called before PutSecretValue
}

func (a *api) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	a.calls = append(a.calls, "GetSecretValue")
	return a.Memory.GetSecretValue(ctx, in, o...)
}

func (a *api) PutSecretValue(ctx context.Context, in *secretsmanager.PutSecretValueInput, o ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	a.calls = append(a.calls, "PutSecretValue")
	if a.put != nil {
		if err := a.put(); err != nil {
			return nil, err
		}
	}
	return a.Memory.PutSecretValue(ctx, in, o...)
}

func newHandler(t *testing.T) (*handler, *api) {
	t.Helper()
	a := &api{Memory: vaulttest.NewMemory()}
	if _, err := a.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("service"), SecretString: aws.String(original), ClientRequestToken: aws.String("8c1f2a3e-0d5b-4b7a-9d36-0f7d3c1a5e21"),
	}); err != nil {
		t.Fatal(err)
	}
	return &handler{secret: vault.NewReplacedSecret(a, "service"), random: rand.Reader, now: at}, a
}

func text(t *testing.T, a *api) secret.Text {
	t.Helper()
	got, err := vault.NewServiceSecret(a.Memory, "service").Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRotateFails(t *testing.T) {
	for name, tc := range map[string]struct {
		random string
		put    func(*handler) error
		kind   fault.Kind
	}{
		"no randomness":     {"short", nil, fault.Internal},
		"the write fails":   {strings.Repeat("r", 68), func(*handler) error { return errors.New("broken") }, fault.Internal},
		"another was first": {strings.Repeat("r", 68), func(h *handler) error { _, err := h.rotate(t.Context()); return err }, fault.State},
	} {
		t.Run(name, func(t *testing.T) {
			h, a := newHandler(t)
			other := &handler{secret: vault.NewReplacedSecret(a.Memory, "service"), random: rand.Reader, now: at}
			if h.random = strings.NewReader(tc.random); tc.put != nil {
				a.put = func() error { return tc.put(other) }
			}
			got, err := h.rotate(t.Context())
			if got != nil || err == nil || !fault.Is(err, tc.kind) || strings.Contains(err.Error(), original) {
				t.Errorf("rotate = %+v, %v, want an error of kind %v", got, err, tc.kind)
			}
			want := map[bool]int{true: 2, false: 1}[name == "another was first"]
			if n := strings.Count(text(t, a).Reveal(), `"text"`); n != want && (n != 0 || want != 1) {
				t.Errorf("the secret has %d keys, want %d", n, want)
			}
		})
	}
}

func TestRotate(t *testing.T) {
	usual := slog.Default()
	t.Cleanup(func() { slog.SetDefault(usual) })
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	h, a := newHandler(t)
	got, err := h.rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"GetSecretValue", "PutSecretValue"}, a.calls); diff != "" {
		t.Errorf("remote calls (-want +got):\n%s", diff)
	}
	used, until := "2026-11-27T10:02:30.000Z", "2026-11-29T10:02:30.000Z"
	if diff := cmp.Diff(&answer{KeyID: got.KeyID, UsedFrom: &used, PreviousUntil: &until, Keys: 2}, got); diff != "" || len(got.KeyID) != 4 {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	stored := text(t, a).Reveal()
	var value struct {
		Keys []struct {
			Text string `json:"text"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(stored), &value); err != nil || len(value.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(value.Keys), err)
	}
	for _, k := range value.Keys {
		if strings.Contains(log.String(), k.Text) || strings.Contains(got.KeyID, k.Text) {
			t.Error("the log or the answer has the text of a key")
		}
	}
	if !strings.Contains(log.String(), got.KeyID) {
		t.Errorf("the log has no line about it: %s", &log)
	}
}

// TestKeysOutliveWhatTheyMade: a key opens and verifies as long as anything may live that
// a process with an old copy has made.
func TestKeysOutliveWhatTheyMade(t *testing.T) {
	if longest := httpapi.IdempotencyTTL + seal.CopyLife + seal.UsedAfter; seal.KeptAfter < longest {
		t.Errorf("keys are kept for %v, want at least %v", seal.KeptAfter, longest)
	}
}
