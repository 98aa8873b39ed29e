package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
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
func NewAccountBody(a account.Account) AccountBody {
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
func NewKeyBody(k account.APIKey, text secret.Text) KeyBody {
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
func NewKeyInfo(k account.APIKey) KeyInfo {
	info := KeyInfo{
		APIKeyID: k.ID, AccountID: k.AccountID, Description: Text(k.Description), KeyPrefix: k.Prefix, LastFour: k.LastFour,
		Scopes: []string{}, ExpiresAt: Time(k.ExpiresAt), CreatedAt: Time(k.CreatedAt),
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

// FullKeyBody is a key in the answer that makes it: the one time that its text
// is shown.
type FullKeyBody struct {
	EncryptedAPIKey string `json:"encrypted_api_key"`
	KeyInfo
}

// NewFullKeyBody shows a new merchant's key with its text.
func NewFullKeyBody(k account.APIKey, text secret.Text) FullKeyBody {
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

// CheckBody is a check of a connection.
type CheckBody struct {
	At          *string `json:"at"`
	Outcome     string  `json:"outcome"`
	LatencyMS   int64   `json:"latency_ms"`
	Trigger     string  `json:"trigger"`
	CarrierCode *string `json:"carrier_code"` // of its error, where it is a known one
}

// NewCheckBody shows a check.
func NewCheckBody(c connection.Check) CheckBody {
	return CheckBody{
		At: Time(c.At), Outcome: string(c.Outcome), LatencyMS: c.Latency.Milliseconds(), Trigger: string(c.Trigger), CarrierCode: Text(c.Code),
	}
}

// HistoryEntryBody is a check in the history of its connection.
type HistoryEntryBody struct {
	CheckBody
	Status  string       `json:"status"` // of the connection after it
	Changes []ChangeBody `json:"changes"`
}

// ChangeBody is a difference between two answers of the carrier.
type ChangeBody struct {
	Type      string  `json:"type"`
	ProductID *string `json:"product_id"`
	Field     *string `json:"field"`
	From      *string `json:"from"`
	To        *string `json:"to"`
}

// NewHistoryEntryBody shows an entry of a history.
func NewHistoryEntryBody(e connection.HistoryEntry) HistoryEntryBody {
	body := HistoryEntryBody{NewCheckBody(e.Check), string(e.Status), make([]ChangeBody, len(e.Changes))}
	for i, c := range e.Changes {
		body.Changes[i] = ChangeBody{string(c.Type), Text(c.ProductID), Text(c.Field), Text(c.From), Text(c.To)}
	}
	return body
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

// NewConnectionBody shows a connection to its owner. While its account is not
// active it is paused: the schedule does not come to it, and what is wrong with
// the link itself is not why.
func NewConnectionBody(c *connection.Connection, now time.Time) ConnectionBody {
	body := ConnectionBody{
		CarrierID: c.ID, CarrierName: string(c.Carrier), AccountNumber: c.AccountNumber, AccountNumberMasked: c.MaskedNumber(),
		Nickname: c.Nickname, Status: string(c.ShownStatus()), Verified: !c.VerifiedAt.IsZero(), VerifiedAt: Time(c.VerifiedAt),
		ConsecutiveFailures: c.ConsecutiveFailures, RefreshPolicy: string(c.RefreshPolicy),
		Credentials:       CredentialsBody{APIKeyLastFour: Text(c.APIKeyLastFour), UpdatedAt: Time(c.CredentialsUpdatedAt)},
		ExternalCarrierID: Text(c.ExternalID), Metadata: metadata(c.Metadata), CreatedAt: Time(c.CreatedAt), ModifiedAt: Time(c.ModifiedAt),
	}
	if c.ShownStatus() == c.Status {
		body.StatusReason, body.NextRefreshAt = Text(c.StatusReason), Time(c.NextRefreshAt)
	}
	if !c.LastCheck.At.IsZero() {
		check := NewCheckBody(c.LastCheck)
		body.LastCheck = &check
	}
	if c.Previous.Available(now) {
		body.Credentials.PreviousAvailableUntil = Time(c.Previous.Until)
	}
	if body.Verified {
		body.Contract = &ContractBody{
			Expired: c.ContractExpired, ValidTo: Text(c.ContractValidTo), ExpiresInDays: DaysUntil(c.ContractValidTo, now), CreditBlocked: c.ContractCreditBlocked,
		}
	}
	return body
}

// ConnectionETag is the strong entity tag of a connection: it is another one as
// soon as anything that is shown of it is, the days until its contract ends and
// its snapshot included. Leases and other work behind the scenes leave it as it
// is, so that the tag of an answer outlives the work that the answer began.
func ConnectionETag(c *connection.Connection, now time.Time) string {
	shown := JSON(http.StatusOK, NewConnectionBody(c, now)).Body
	sum := sha256.Sum256(append(shown, c.ContractHash...))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// DaysUntil is expires_in_days: null for a contract without an end.
func DaysUntil(date string, now time.Time) *int {
	if days, ok := connection.DaysUntil(date, now); ok {
		return &days
	}
	return nil
}
