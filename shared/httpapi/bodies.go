package httpapi

import (
	"time"

	"carrierlink/shared/carrier"
)

// AccountBody is an account in our answers.
type AccountBody struct {
	AccountID         int64             `json:"account_id"`
	ExternalAccountID *string           `json:"external_account_id"`
	CreatedAt         *string           `json:"created_at"`
	ModifiedAt        *string           `json:"modified_at"`
	Active            bool              `json:"active"`
	Email             *string           `json:"email"`
	CompanyName       *string           `json:"company_name"`
	FirstName         *string           `json:"first_name"`
	LastName          *string           `json:"last_name"`
	OriginCountryCode string            `json:"origin_country_code"`
	Environment       string            `json:"environment"`
	Metadata          map[string]string `json:"metadata"`
	CarriersCount     int               `json:"carriers_count"`
	PurgeAt           *string           `json:"purge_at"` // of a deleted account
}

// NewAccountBody shows an account.
func NewAccountBody(a carrier.Account) AccountBody {
	return AccountBody{
		AccountID: a.ID, ExternalAccountID: Text(a.ExternalID), CreatedAt: Time(a.CreatedAt), ModifiedAt: Time(a.ModifiedAt),
		Active: a.Active, Email: Text(a.Email), CompanyName: Text(a.CompanyName), FirstName: Text(a.FirstName), LastName: Text(a.LastName),
		OriginCountryCode: a.OriginCountryCode, Environment: string(a.Environment), Metadata: metadata(a.Metadata), CarriersCount: a.CarriersCount,
		PurgeAt: Time(a.PurgeAt),
	}
}

// metadata is never null in an answer.
func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// KeyBody is an API key in the answer that makes it: the one time its text is
// shown.
type KeyBody struct {
	EncryptedAPIKey string  `json:"encrypted_api_key"`
	APIKeyID        int64   `json:"api_key_id"`
	Description     *string `json:"description"`
	AccountID       *int64  `json:"account_id"`
	CreatedAt       *string `json:"created_at"`
}

// NewKeyBody shows a new key with its text.
func NewKeyBody(k carrier.APIKey, text carrier.Secret) KeyBody {
	body := KeyBody{
		EncryptedAPIKey: text.Reveal(), APIKeyID: k.ID, Description: Text(k.Description), CreatedAt: Time(k.CreatedAt),
	}
	if k.AccountID != 0 {
		body.AccountID = &k.AccountID
	}
	return body
}

// KeyInfo is an API key in our answers, without its text.
type KeyInfo struct {
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

// NewKeyInfo shows a merchant's key.
func NewKeyInfo(k carrier.APIKey) KeyInfo {
	info := KeyInfo{
		APIKeyID: k.ID, AccountID: k.AccountID, Description: Text(k.Description), KeyPrefix: k.Prefix, LastFour: k.LastFour,
		Scopes: []string{}, ExpiresAt: Time(k.ExpiresAt), CreatedAt: Time(k.CreatedAt),
	}
	for _, s := range carrier.Scopes() {
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

// FullKeyBody is a key in the answer that makes it: the one time that its text
// is shown.
type FullKeyBody struct {
	EncryptedAPIKey string `json:"encrypted_api_key"`
	KeyInfo
}

// NewFullKeyBody shows a new merchant's key with its text.
func NewFullKeyBody(k carrier.APIKey, text carrier.Secret) FullKeyBody {
	return FullKeyBody{text.Reveal(), NewKeyInfo(k)}
}

// ConnectionBody is a connection in our answers.
type ConnectionBody struct {
	CarrierID           string            `json:"carrier_id"`
	CarrierName         string            `json:"carrier_name"`
	AccountNumber       string            `json:"account_number"`
	AccountNumberMasked string            `json:"account_number_masked"`
	Nickname            string            `json:"nickname"`
	Status              string            `json:"status"`
	StatusReason        *string           `json:"status_reason"`
	Verified            bool              `json:"verified"`
	VerifiedAt          *string           `json:"verified_at"`
	LastCheck           *CheckBody        `json:"last_check"`
	ConsecutiveFailures int               `json:"consecutive_failures"`
	NextRefreshAt       *string           `json:"next_refresh_at"`
	RefreshPolicy       string            `json:"refresh_policy"`
	Credentials         CredentialsBody   `json:"credentials"`
	Contract            *ContractBody     `json:"contract"`
	ExternalCarrierID   *string           `json:"external_carrier_id"`
	Metadata            map[string]string `json:"metadata"`
	CreatedAt           *string           `json:"created_at"`
	ModifiedAt          *string           `json:"modified_at"`
}

// CheckBody is the latest check of a connection.
type CheckBody struct {
	At        *string `json:"at"`
	Outcome   string  `json:"outcome"`
	LatencyMS int64   `json:"latency_ms"`
	Trigger   string  `json:"trigger"`
}

// CredentialsBody tells credentials apart without showing them.
type CredentialsBody struct {
	APIKeyLastFour         *string `json:"api_key_last_four"`
	UpdatedAt              *string `json:"updated_at"`
	PreviousAvailableUntil *string `json:"previous_available_until"`
}

// ContractBody is what matters most of a contract.
type ContractBody struct {
	Expired       bool    `json:"expired"`
	ValidTo       *string `json:"valid_to"`
	ExpiresInDays *int    `json:"expires_in_days"`
	CreditBlocked bool    `json:"credit_blocked"`
}

// NewConnectionBody shows a connection to its owner.
func NewConnectionBody(c *carrier.Connection, now time.Time) ConnectionBody {
	body := ConnectionBody{
		CarrierID: c.ID, CarrierName: string(c.Carrier), AccountNumber: c.AccountNumber, AccountNumberMasked: c.MaskedNumber(),
		Nickname: c.Nickname, Status: string(c.Status), StatusReason: Text(c.StatusReason),
		Verified: !c.VerifiedAt.IsZero(), VerifiedAt: Time(c.VerifiedAt), ConsecutiveFailures: c.ConsecutiveFailures,
		NextRefreshAt: Time(c.NextRefreshAt), RefreshPolicy: string(c.RefreshPolicy),
		Credentials:       CredentialsBody{APIKeyLastFour: Text(c.APIKeyLastFour), UpdatedAt: Time(c.CredentialsUpdatedAt)},
		ExternalCarrierID: Text(c.ExternalID), Metadata: metadata(c.Metadata), CreatedAt: Time(c.CreatedAt), ModifiedAt: Time(c.ModifiedAt),
	}
	if c.Checks > 0 {
		body.LastCheck = &CheckBody{
			At: Time(c.LastCheck.At), Outcome: string(c.LastCheck.Outcome), LatencyMS: c.LastCheck.Latency.Milliseconds(), Trigger: string(c.LastCheck.Trigger),
		}
	}
	if body.Verified {
		body.Contract = &ContractBody{
			Expired: c.ContractExpired, ValidTo: Text(c.ContractValidTo), ExpiresInDays: DaysUntil(c.ContractValidTo, now), CreditBlocked: c.ContractCreditBlocked,
		}
	}
	return body
}

// DaysUntil is expires_in_days: null for a contract without an end.
func DaysUntil(date string, now time.Time) *int {
	if days, ok := carrier.DaysUntil(date, now); ok {
		return &days
	}
	return nil
}
