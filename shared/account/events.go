package account

import (
	"fmt"
	"maps"

	"carrierlink/shared/effects"
)

// The data of the events of accounts, keys and partners: see "webhooks" in
// infra/openapi.yaml. They hold no text that a caller has written about a person.

// accountData is the data of an account's events.
type accountData struct {
	APIKeyID int64    `json:"api_key_id,omitempty"` // of account_created: the first key
	Changed  []string `json:"changed,omitempty"`    // of account_updated: the members that differ
	PurgeAt  string   `json:"purge_at,omitempty"`   // of account_deleted
}

// keyData is the data of an API key's events.
type keyData struct {
	APIKeyID          int64   `json:"api_key_id"`
	LastFour          string  `json:"last_four"`
	Scopes            []Scope `json:"scopes"`
	ExpiresAt         *string `json:"expires_at"`                    // null: never
	ExpiresInDays     int     `json:"expires_in_days,omitempty"`     // of api_key_expiring
	PreviousAPIKeyID  int64   `json:"previous_api_key_id,omitempty"` // of api_key_rotated
	PreviousExpiresAt string  `json:"previous_expires_at,omitempty"`
}

// partnerData is the data of a partner's entries in the audit log.
type partnerData struct {
	PartnerID        int64    `json:"partner_id"`
	APIKeyID         int64    `json:"api_key_id,omitempty"`          // the key that was created or deleted
	PreviousAPIKeyID int64    `json:"previous_api_key_id,omitempty"` // the key that it replaces
	Changed          []string `json:"changed,omitempty"`             // of partner_settings_updated: the members that differ
}

// report returns a report of an account.
func (a *Account) report(kind effects.EventType, data accountData) effects.Report {
	return effects.Report{Type: kind, PartnerID: a.PartnerID, AccountID: a.ID, Subject: "account", Data: data}
}

// report returns a report of a merchant's key. Each of change completes its data.
func (k *APIKey) report(kind effects.EventType, change ...func(*keyData)) effects.Report {
	data := keyData{APIKeyID: k.ID, LastFour: k.LastFour, Scopes: k.Scopes}
	if len(data.Scopes) == 0 {
		data.Scopes = Scopes()
	}
	if !k.ExpiresAt.IsZero() {
		at := effects.Time(k.ExpiresAt)
		data.ExpiresAt = &at
	}
	for _, complete := range change {
		complete(&data)
	}
	return effects.Report{Type: kind, PartnerID: k.PartnerID, AccountID: k.AccountID, Subject: fmt.Sprintf("api_key %d", k.ID), Data: data}
}

// report returns a report of a partner. keyID is the key that it is about and previousID
// the one that this replaces; 0 for none.
func (p *Partner) report(kind effects.EventType, keyID, previousID int64) effects.Report {
	data := partnerData{PartnerID: p.ID, APIKeyID: keyID, PreviousAPIKeyID: previousID}
	return effects.Report{Type: kind, PartnerID: p.ID, Subject: fmt.Sprintf("partner %d", p.ID), Data: data}
}

// Updated returns the report of a change of an account to its next version.
func (a *Account) Updated(next *Account) effects.Report {
	return next.report(effects.AccountUpdated, accountData{Changed: a.changed(next)})
}

// changed returns the members of the API that differ between two versions, sorted.
func (a *Account) changed(next *Account) []string {
	return effects.Changed(map[string]bool{
		"company_name":        a.CompanyName != next.CompanyName,
		"email":               a.Email != next.Email,
		"external_account_id": a.ExternalID != next.ExternalID,
		"first_name":          a.FirstName != next.FirstName,
		"last_name":           a.LastName != next.LastName,
		"metadata":            !maps.Equal(a.Metadata, next.Metadata),
		"origin_country_code": a.OriginCountryCode != next.OriginCountryCode,
	})
}
