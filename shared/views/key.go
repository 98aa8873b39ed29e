package views

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// FirstKey is an API key in the answer that makes it: the one time its text is
// shown.
type FirstKey struct {
	EncryptedAPIKey string  `json:"encrypted_api_key"`
	APIKeyID        int64   `json:"api_key_id"`
	Description     *string `json:"description"`
	AccountID       *int64  `json:"account_id"`
	CreatedAt       *string `json:"created_at"`
}

// NewFirstKey shows a new key with its text.
func NewFirstKey(k *account.IssuedKey) FirstKey {
	body := FirstKey{
		EncryptedAPIKey: k.Text.Reveal(), APIKeyID: k.ID, Description: httpapi.Text(k.Description), CreatedAt: httpapi.Time(k.CreatedAt),
	}
	if k.AccountID != 0 {
		body.AccountID = &k.AccountID
	}
	return body
}

// Key is an API key in our answers, without its text.
type Key struct {
	APIKeyID    int64    `json:"api_key_id"`
	AccountID   int64    `json:"account_id"`
	Description *string  `json:"description"`
	KeyPrefix   string   `json:"key_prefix"`
	LastFour    string   `json:"last_four"`
	Scopes      []string `json:"scopes"`
	ExpiresAt   *string  `json:"expires_at"`
	LastUsedAt  *string  `json:"last_used_at"` // a date
	CreatedAt   *string  `json:"created_at"`
}

// NewKey shows a merchant's key.
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

// FullKey is a key in the answer that makes it: the one time that its text
// is shown.
type FullKey struct {
	EncryptedAPIKey string `json:"encrypted_api_key"`
	Key
}

// NewFullKey shows a new merchant's key with its text.
func NewFullKey(k *account.IssuedKey) FullKey { return FullKey{k.Text.Reveal(), NewKey(k.APIKey)} }

// KeyFields are the members of a body that asks for a key.
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
