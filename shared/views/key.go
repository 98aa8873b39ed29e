package views

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// FirstKey is the first API key of an account or a partner in the answer to its creation,
// the only one with the key's text.
type FirstKey struct {
	EncryptedAPIKey string  `json:"encrypted_api_key"`
	APIKeyID        int64   `json:"api_key_id"`
	Description     *string `json:"description"`
	AccountID       *int64  `json:"account_id"`
	CreatedAt       *string `json:"created_at"`
}

// NewFirstKey returns the view of a new key.
func NewFirstKey(k *account.IssuedKey) *FirstKey {
	body := &FirstKey{
		EncryptedAPIKey: k.Text.Reveal(), APIKeyID: k.ID, Description: httpapi.Text(k.Description), CreatedAt: httpapi.Time(k.CreatedAt),
	}
	if k.AccountID != 0 {
		body.AccountID = &k.AccountID
	}
	return body
}

// Key is an API key in answers, without its text.
type Key struct {
	APIKeyID    int64    `json:"api_key_id"`
	AccountID   int64    `json:"account_id"`
	Description *string  `json:"description"`
	KeyPrefix   string   `json:"key_prefix"`
	LastFour    string   `json:"last_four"`
	Scopes      []string `json:"scopes"`
	ExpiresAt   *string  `json:"expires_at"`
	LastUsedAt  *string  `json:"last_used_at"` // date
	CreatedAt   *string  `json:"created_at"`
}

// NewKey returns the view of a merchant key.
func NewKey(k account.APIKey) Key {
	info := Key{
		APIKeyID: k.ID, AccountID: k.AccountID, Description: httpapi.Text(k.Description), KeyPrefix: k.Prefix, LastFour: k.LastFour,
		Scopes: []string{}, ExpiresAt: httpapi.Time(k.ExpiresAt), CreatedAt: httpapi.Time(k.CreatedAt),
	}
	for _, s := range account.Scopes() {
		if k.May(s) {
			info.Scopes = append(info.Scopes, string(s))
		}
	}
	if !k.LastUsedOn.IsZero() {
		day := k.LastUsedOn.Format(time.DateOnly)
		info.LastUsedAt = &day
	}
	return info
}

// Keys is the list of an account's keys.
type Keys struct {
	APIKeys []Key `json:"api_keys"`
}

// NewKeys returns the view of an account's keys.
func NewKeys(keys []account.APIKey) Keys {
	body := Keys{APIKeys: make([]Key, len(keys))}
	for i, k := range keys {
		body.APIKeys[i] = NewKey(k)
	}
	return body
}

// FullKey is a new key with its text, which no other answer contains.
type FullKey struct {
	EncryptedAPIKey string `json:"encrypted_api_key"`
	Key
}

// NewFullKey returns the view of a new merchant key.
func NewFullKey(k *account.IssuedKey) FullKey { return FullKey{k.Text.Reveal(), NewKey(k.APIKey)} }

// RotatedKey is the answer to a rotation: the new key, and the end of the old one.
type RotatedKey struct {
	FullKey
	Previous PreviousKey `json:"previous"`
}

// PreviousKey is the old key of a rotation.
type PreviousKey struct {
	APIKeyID  int64   `json:"api_key_id"`
	ExpiresAt *string `json:"expires_at"`
}

// NewRotatedKey returns the view of a rotation.
func NewRotatedKey(r *account.Rotated) RotatedKey {
	return RotatedKey{NewFullKey(r.Key), PreviousKey{r.OldID, httpapi.Time(r.OldExpiresAt)}}
}

// KeyFields returns the fields of a body that creates a key.
func KeyFields(in *account.KeyInput) []httpapi.Field {
	return []httpapi.Field{
		httpapi.String("description", &in.Description, account.DescriptionRule.Clean),
		httpapi.Strings("scopes", func(names []string) (problem *fault.Error) {
			in.Scopes, problem = account.ParseScopes(names)
			return problem
		}),
		httpapi.Instant("expires_at", &in.ExpiresAt),
	}
}
