package webhook_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"carrierlink/shared/secret"
	"carrierlink/shared/webhook"
)

func TestNewSecret(t *testing.T) {
	if s, err := webhook.NewSecret(strings.NewReader("too short")); err == nil || !s.IsZero() {
		t.Errorf("NewSecret(9 bytes) = %v, want an error", err)
	}
	s, err := webhook.NewSecret(bytes.NewReader(bytes.Repeat([]byte{0xff}, 32)))
	want := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32))
	if err != nil || s.Reveal() != want {
		t.Errorf("NewSecret = %q, %v, want %q, nil", s.Reveal(), err, want)
	}
}

// TestSignVector is the example of Standard Webhooks, as its libraries test it.
func TestSignVector(t *testing.T) {
	h := http.Header{"X-Key": {"a"}}
	secrets := []secret.Text{secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
	if err := webhook.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 999_999_999), []byte(`{"test": 2432232314}`), secrets); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"X-Key": {"a"}, "Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
		"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestSignRefuses(t *testing.T) {
	for name, secrets := range map[string][]secret.Text{
		"no secret":    nil,
		"not Base64":   {secret.New("whsec_hunter2-canary")},
		"bad one last": {secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), secret.New("whsec_hunter2-canary")},
	} {
		h := http.Header{}
		err := webhook.Sign(h, "se-1", time.Now(), nil, secrets)
		if err == nil || strings.Contains(err.Error(), "canary") || len(h) != 0 {
			t.Errorf("Sign(%s) = %v with %v, want an error without the secret, and no header", name, err, h)
		}
	}
}

// TestSignVerifies: a receiver that knows one of the secrets can verify, with the library
// of Standard Webhooks; nobody else can, and nothing may have been changed.
func TestSignVerifies(t *testing.T) {
	now := time.Now()
	var secrets []secret.Text
	for i := range 5 {
		s, err := webhook.NewSecret(bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 32)))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	other, known := secrets[0], secrets[1:]
	const body = `{"event":"carrier_connected"}`
	for _, tc := range []struct {
		name   string
		secret secret.Text
		at     time.Time
		body   string
		change func(http.Header)
		want   bool
	}{
		{"another secret", other, now, body, nil, false},
		{"another body", known[0], now, body + " ", nil, false},
		{"another id", known[0], now, body, func(h http.Header) { h.Set("Webhook-Id", "se-2") }, false},
		{"another time", known[0], now, body, func(h http.Header) { h.Set("Webhook-Timestamp", "1614265330") }, false},
		{"sent 6 minutes ago", known[0], now.Add(-6 * time.Minute), body, nil, false},
		{"from the future", known[0], now.Add(6 * time.Minute), body, nil, false},
		{"newest secret", known[0], now, body, nil, true},
		{"oldest secret", known[3], now, body, nil, true},
		{"clock of the receiver 4 minutes ahead", known[0], now.Add(-4 * time.Minute), body, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			if err := webhook.Sign(h, "se-1", tc.at, []byte(body), known); err != nil {
				t.Fatal(err)
			}
			if n := len(strings.Fields(h.Get("Webhook-Signature"))); n != len(known) {
				t.Errorf("%d signatures, want %d", n, len(known))
			}
			if tc.change != nil {
				tc.change(h)
			}
			receiver, err := standardwebhooks.NewWebhook(tc.secret.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify([]byte(tc.body), h); (err == nil) != tc.want {
				t.Errorf("Verify = %v, want success %t", err, tc.want)
			}
		})
	}
}

func TestSecretsAt(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	w := webhook.Webhook{Secrets: []webhook.SigningSecret{
		{Sealed: []byte("newest")}, {[]byte("valid"), now.Add(time.Millisecond)}, {[]byte("ends now"), now}, {[]byte("ended"), now.Add(-time.Hour)},
	}}
	if diff := cmp.Diff([][]byte{[]byte("newest"), []byte("valid")}, w.SecretsAt(now)); diff != "" {
		t.Errorf("SecretsAt (-want +got):\n%s", diff)
	}
}
