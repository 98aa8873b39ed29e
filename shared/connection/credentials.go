package connection

import (
	"context"
	"encoding/hex"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/text"
)

// The rules of a connection's fields.
var (
	NicknameRule   = text.Rule{Min: 1, Max: 100}
	CredentialRule = text.Rule{Min: 1, Max: 256, Opaque: true} // Preflight looks for invisible characters
)

// Credentials are a merchant's own API key and secret of the Australia Post
// developer centre: HTTP Basic user and password (auspost.md, "Connection and
// authentication").
type Credentials struct {
	APIKey    secret.Text
	APISecret secret.Text
}

// Equal compares both parts in constant time.
func (c Credentials) Equal(o Credentials) bool {
	return c.APIKey.Equal(o.APIKey) && c.APISecret.Equal(o.APISecret)
}

// CredentialID identifies credentials by their API key without revealing it: 16
// hexadecimal digits. The carrier counts calls by key, whichever connections share
// it (auspost.md, "Known traps" 15).
func CredentialID(apiKey secret.Text) string {
	sum := apiKey.Digest("carrierlink credential\x00")
	return hex.EncodeToString(sum[:8])
}

const (
	// visibleWithin is how long Secrets Manager may need to show what was written: "all
	// Secrets Manager operations are eventually consistent" (API reference,
	// "ListSecrets").
	visibleWithin = time.Minute
	// visiblePause is the wait before such a secret is read again.
	visiblePause = time.Second
)

// Getter reads credentials by version; fault.NotFound if there are none.
type Getter interface {
	Get(ctx context.Context, accountID int64, connectionID, version string) (Credentials, error)
}

// ReadCredentials reads the credentials of a connection. If they are not found and were
// written within the last minute, it waits a second and reads them once more. Errors:
// those of Getter.
func ReadCredentials(ctx context.Context, vault Getter, conn Connection, now time.Time) (Credentials, error) {
	c, err := vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	if !fault.Is(err, fault.NotFound) || now.Sub(conn.CredentialsUpdatedAt) > visibleWithin {
		return c, err
	}
	select {
	case <-time.After(visiblePause):
		return vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	case <-ctx.Done():
		return c, err
	}
}

// Number is a charge account number of a carrier.
type Number struct {
	Carrier carrier.Name
	Number  string
}

// ChargeAccount is what the carrier is asked about: an account number and the
// credentials to ask with, as typed or as cleaned by Preflight.
type ChargeAccount struct {
	Carrier     carrier.Name
	Number      string
	Credentials Credentials
	// MerchantLocationID is the prefix of the account's own tracking numbers; empty
	// if it is not known. Only tracking uses it.
	MerchantLocationID string
	// BeforeRetry is called before the carrier is called a second time; an error
	// prevents that call. Nil allows it.
	BeforeRetry func(ctx context.Context) error
}
