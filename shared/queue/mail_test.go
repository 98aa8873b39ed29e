package queue

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/mail"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

// newSealer returns a sealer with a key of its own.
func newSealer(key string) *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) { return secret.New(key), nil }, time.Now)
}

func aMail() mail.Message {
	return mail.Message{
		ID: "m-1", Kind: mail.VerifyEmail, AccountID: 71, To: "canary@example.com", Token: secret.New("canary-token"), CarrierID: "se-7", Browser: "Firefox",
		At: time.Date(2031, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
}

// queued returns the body that SQS gets of a mail.
func queued(t *testing.T, sealer Sealer, m mail.Message) string {
	t.Helper()
	api := &fakeSQS{}
	if err := NewMails(api, "queue", sealer).Queue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return *api.batches[0][0].MessageBody
}

// TestMail: a mail arrives as it was queued, and SQS sees neither token nor address.
func TestMail(t *testing.T) {
	sealer := newSealer("one")
	for _, m := range []mail.Message{aMail(), {ID: "m-2", Kind: mail.Reset}} {
		body := queued(t, sealer, m)
		if strings.Contains(body, "canary") || strings.Contains(body, "REDACTED") {
			t.Errorf("SQS gets %s", body)
		}
		got, err := OpenMail(t.Context(), sealer, body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("OpenMail (-queued +got):\n%s", diff)
		}
	}
}

func TestQueueMailFails(t *testing.T) {
	down := errors.New("down")
	for _, tc := range []struct {
		name   string
		sealer Sealer
		api    *fakeSQS
		change func(*mail.Message)
		want   string
	}{
		{"without an id", newSealer("one"), &fakeSQS{}, func(m *mail.Message) { m.ID = "" }, "queueing a mail: it has no id"},
		{"no service secret", seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, down }, time.Now), &fakeSQS{}, nil, "queueing a mail: reading the service secret: down"},
		{"SQS refuses it", newSealer("one"), &fakeSQS{refused: map[int64]string{71: "Throttled"}}, nil, "queueing a mail: 1 of 1 messages were not sent: SQS: Throttled"},
		{"SQS is down", newSealer("one"), &fakeSQS{broken: map[int64]error{71: down}}, nil, "queueing a mail: 1 of 1 messages were not sent: down"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := aMail()
			if tc.change != nil {
				tc.change(&m)
			}
			if err := NewMails(tc.api, "queue", tc.sealer).Queue(t.Context(), m); err == nil || err.Error() != tc.want {
				t.Errorf("Queue = %v, want %s", err, tc.want)
			}
		})
	}
}

// TestOpenMailFails: what is not a message of Queue, or was changed on the way, is an error
// that does not quote it.
func TestOpenMailFails(t *testing.T) {
	sealer := newSealer("one")
	good := queued(t, sealer, aMail())
	changed := func(change func(*mailMessage)) string {
		var m mailMessage
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tc := range []struct {
		name, body string
		forged     bool
	}{
		{"no JSON", "canary", false},
		{"another form", `["canary"]`, false},
		{"an event", `{"id":"e","detail-type":"canary","detail":{}}`, true},
		{"no id", changed(func(m *mailMessage) { m.ID = "" }), false},
		{"a negative account", changed(func(m *mailMessage) { m.AccountID = -1 }), false},
		{"another id", changed(func(m *mailMessage) { m.ID = "canary" }), true},
		{"another kind", changed(func(m *mailMessage) { m.Kind = mail.Reset }), true},
		{"another account", changed(func(m *mailMessage) { m.AccountID = 72 }), true},
		{"other contents", changed(func(m *mailMessage) { m.Sealed[len(m.Sealed)-1]++ }), true},
		{"nothing sealed", changed(func(m *mailMessage) { m.Sealed = nil }), true},
		{"another service's", queued(t, newSealer("two"), aMail()), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := OpenMail(t.Context(), sealer, tc.body)
			if err == nil || errors.Is(err, seal.ErrForged) != tc.forged || strings.Contains(err.Error(), "canary") {
				t.Errorf("OpenMail = %+v, %v, want an error, forged %t", m, err, tc.forged)
			}
		})
	}
	down := errors.New("down")
	if _, err := OpenMail(t.Context(), seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, down }, time.Now), good); !errors.Is(err, down) {
		t.Errorf("OpenMail without the service secret = %v, want down", err)
	}
}
