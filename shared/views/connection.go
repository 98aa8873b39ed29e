package views

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/httpapi"
)

// Connection is a connection in answers.
type Connection struct {
	CarrierID           string            `json:"carrier_id"`
	CarrierName         string            `json:"carrier_name"`
	AccountNumber       string            `json:"account_number"`
	AccountNumberMasked string            `json:"account_number_masked"`
	Nickname            string            `json:"nickname"`
	Status              string            `json:"status"`
	StatusReason        *string           `json:"status_reason"`
	Verified            bool              `json:"verified"`
	VerifiedAt          *string           `json:"verified_at"`
	LastCheck           *Check            `json:"last_check"`
	ConsecutiveFailures int               `json:"consecutive_failures"`
	NextRefreshAt       *string           `json:"next_refresh_at"`
	RefreshPolicy       string            `json:"refresh_policy"`
	Credentials         Credentials       `json:"credentials"`
	Contract            *Contract         `json:"contract"`
	ExternalCarrierID   *string           `json:"external_carrier_id"`
	Metadata            map[string]string `json:"metadata"`
	CreatedAt           *string           `json:"created_at"`
	ModifiedAt          *string           `json:"modified_at"`
}

// Check is a check of a connection.
type Check struct {
	At          *string `json:"at"`
	Outcome     string  `json:"outcome"`
	LatencyMS   int64   `json:"latency_ms"`
	Trigger     string  `json:"trigger"`
	CarrierCode *string `json:"carrier_code"` // code of the carrier's error, if we know it
}

// NewCheck returns the view of a check.
func NewCheck(c connection.Check) Check {
	return Check{
		At: httpapi.Time(c.At), Outcome: string(c.Outcome), LatencyMS: c.Latency.Milliseconds(), Trigger: string(c.Trigger), CarrierCode: httpapi.Text(c.Code),
	}
}

// HistoryEntry is a check in a connection's history.
type HistoryEntry struct {
	Check
	Status  string       `json:"status"` // of the connection after the check
	Changes []Difference `json:"changes"`
}

// HistoryPage is a page of a connection's checks.
type HistoryPage struct {
	Checks   []HistoryEntry    `json:"checks"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Links    httpapi.LinksBody `json:"links"`
}

// Difference is one difference between two answers of the carrier.
type Difference struct {
	Type      string  `json:"type"`
	ProductID *string `json:"product_id"`
	Field     *string `json:"field"`
	From      *string `json:"from"`
	To        *string `json:"to"`
}

// NewHistoryEntry returns the view of a history entry.
func NewHistoryEntry(e connection.HistoryEntry) HistoryEntry {
	body := HistoryEntry{NewCheck(e.Check), string(e.Status), make([]Difference, len(e.Changes))}
	for i, c := range e.Changes {
		body.Changes[i] = Difference{string(c.Type), httpapi.Text(c.ProductID), httpapi.Text(c.Field), httpapi.Text(c.From), httpapi.Text(c.To)}
	}
	return body
}

// Credentials describes credentials without revealing them.
type Credentials struct {
	APIKeyLastFour         *string `json:"api_key_last_four"`
	UpdatedAt              *string `json:"updated_at"`
	PreviousAvailableUntil *string `json:"previous_available_until"`
}

// Contract summarizes a contract.
type Contract struct {
	Expired       bool    `json:"expired"`
	ValidTo       *string `json:"valid_to"`
	ExpiresInDays *int    `json:"expires_in_days"`
	CreditBlocked bool    `json:"credit_blocked"`
}

// NewConnection returns the view of a connection. While its account is not active, the
// connection is shown as paused, without the reason and next refresh of its own status.
func NewConnection(c *connection.Connection, now time.Time) Connection {
	body := Connection{
		CarrierID: c.ID, CarrierName: string(c.Carrier), AccountNumber: c.AccountNumber, AccountNumberMasked: c.MaskedNumber(),
		Nickname: c.Nickname, Status: string(c.ShownStatus()), Verified: !c.VerifiedAt.IsZero(), VerifiedAt: httpapi.Time(c.VerifiedAt),
		ConsecutiveFailures: c.ConsecutiveFailures, RefreshPolicy: string(c.RefreshPolicy),
		Credentials:       Credentials{APIKeyLastFour: httpapi.Text(c.APIKeyLastFour), UpdatedAt: httpapi.Time(c.CredentialsUpdatedAt)},
		ExternalCarrierID: httpapi.Text(c.ExternalID), Metadata: metadata(c.Metadata), CreatedAt: httpapi.Time(c.CreatedAt), ModifiedAt: httpapi.Time(c.ModifiedAt),
	}
	if c.ShownStatus() == c.Status {
		body.StatusReason, body.NextRefreshAt = httpapi.Text(c.StatusReason), httpapi.Time(c.NextRefreshAt)
	}
	if !c.LastCheck.At.IsZero() {
		check := NewCheck(c.LastCheck)
		body.LastCheck = &check
	}
	if c.Previous.Available(now) {
		body.Credentials.PreviousAvailableUntil = httpapi.Time(c.Previous.Until)
	}
	if body.Verified {
		body.Contract = &Contract{
			Expired: c.ContractExpired, ValidTo: httpapi.Text(c.ContractValidTo), ExpiresInDays: DaysUntil(c.ContractValidTo, now), CreditBlocked: c.ContractCreditBlocked,
		}
	}
	return body
}

// ConnectionETag returns the strong entity tag of a connection. It changes with everything
// that the view shows, including the days until the contract ends, and with the
// snapshot. It does not change with leases and other internal work, so the tag in an
// answer stays valid after the work that the request started.
func ConnectionETag(c *connection.Connection, now time.Time) string {
	shown := httpapi.JSON(http.StatusOK, NewConnection(c, now)).Body
	sum := sha256.Sum256(append(shown, c.ContractHash...))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// ConnectionAnswer returns the answer that shows a connection, with its entity tag.
func ConnectionAnswer(status int, c *connection.Connection, now time.Time) *httpapi.Response {
	resp := httpapi.JSON(status, NewConnection(c, now))
	resp.Header["ETag"] = ConnectionETag(c, now)
	return resp
}

// DaysUntil returns expires_in_days; nil for a contract without an end.
func DaysUntil(date string, now time.Time) *int {
	if days, ok := connection.DaysUntil(date, now); ok {
		return &days
	}
	return nil
}
