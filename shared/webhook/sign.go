package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"carrierlink/shared/secret"
)

// secretSize is the size of a signing secret in bytes: Standard Webhooks asks for 24 to 64.
const secretSize = 32

// NewSecret makes a signing secret in the form of Standard Webhooks: whsec_ and Base64.
func NewSecret(random io.Reader) (secret.Text, error) {
	var b [secretSize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return secret.Text{}, fmt.Errorf("making a signing secret: %w", err)
	}
	return secret.New("whsec_" + base64.StdEncoding.EncodeToString(b[:])), nil
}

// Sign sets the three headers of Standard Webhooks: the event's id, the time of the
// attempt, and a signature with each of the secrets, of which a receiver needs to know
// one. The error never quotes a secret.
func Sign(h http.Header, eventID string, at time.Time, body []byte, secrets []secret.Text) error {
	if len(secrets) == 0 {
		return errors.New("a webhook without a signing secret")
	}
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signer, err := standardwebhooks.NewWebhook(s.Reveal())
		if err != nil {
			return fmt.Errorf("signing secret %d of %d is not Base64", i+1, len(secrets))
		}
		if signatures[i], err = signer.Sign(eventID, at, body); err != nil {
			return fmt.Errorf("signing: %w", err)
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, eventID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// SecretsAt returns the sealed secrets that sign at a time, the newest first.
func (w *Webhook) SecretsAt(at time.Time) [][]byte {
	var valid [][]byte
	for _, s := range w.Secrets {
		if s.Until.IsZero() || at.Before(s.Until) {
			valid = append(valid, s.Sealed)
		}
	}
	return valid
}
