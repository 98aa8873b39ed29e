package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
)

// keptFor is how long a form keeps a key and secret that the carrier could not be asked about.
const keptFor = 10 * time.Minute

// credentials are a key and a secret as they are sealed.
type credentials struct {
	Key    string `json:"key"`
	Secret string `json:"secret"`
}

// keep seals the key and the secret of a charge account for the form that saves them without
// a check: for this session, carrier and number, and for keptFor.
func (h *handler) keep(ctx context.Context, v *signin.Visit, a connection.ChargeAccount) (string, error) {
	until := strconv.FormatInt(h.now().Add(keptFor).Unix(), 10)
	plain, err := json.Marshal(credentials{a.Credentials.APIKey.Reveal(), a.Credentials.APISecret.Reveal()}) //nolint:gosec // sealed below
	if err != nil {
		return "", fmt.Errorf("encoding what was entered: %w", err)
	}
	sealed, err := h.sealer.Seal(ctx, keptOwner(v, a, until), plain)
	if err != nil {
		return "", fmt.Errorf("sealing what was entered: %w", err)
	}
	return until + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

func keptOwner(v *signin.Visit, a connection.ChargeAccount, until string) string {
	number := connection.CleanNumber(a.Carrier, a.Number)
	return strings.Join([]string{"link form", v.Session.Hash, until, string(a.Carrier), number}, " ")
}

// openKept opens what keep has sealed. Errors: fault.Invalid for what is too old, or was
// sealed for another session, carrier or number.
func (h *handler) openKept(ctx context.Context, v *signin.Visit, a connection.ChargeAccount, kept string) (connection.Credentials, error) {
	until, text, _ := strings.Cut(kept, ".")
	end, err := strconv.ParseInt(until, 10, 64)
	sealed, textErr := base64.RawURLEncoding.DecodeString(text)
	if err != nil || textErr != nil || !h.now().Before(time.Unix(end, 0)) {
		return connection.Credentials{}, errEnterAgain(nil)
	}
	plain, err := h.sealer.Open(ctx, keptOwner(v, a, until), sealed)
	switch {
	case errors.Is(err, seal.ErrForged):
		return connection.Credentials{}, errEnterAgain(err)
	case err != nil:
		return connection.Credentials{}, fmt.Errorf("opening what was entered: %w", err)
	}
	var c credentials
	if err := json.Unmarshal(plain, &c); err != nil {
		return connection.Credentials{}, fmt.Errorf("decoding what was entered: %w", err)
	}
	return connection.Credentials{APIKey: secret.New(c.Key), APISecret: secret.New(c.Secret)}, nil
}

func errEnterAgain(cause error) error {
	return &fault.Error{Kind: fault.Invalid, Field: "api_key", Message: "Please enter the key and the secret again. We keep them for ten minutes only.", Cause: cause}
}
