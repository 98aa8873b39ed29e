package views

import (
	"carrierlink/shared/account"
	"carrierlink/shared/httpapi"
)

// Account is an account in our answers.
type Account struct {
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

// NewAccount shows an account.
func NewAccount(a account.Account) Account {
	return Account{
		AccountID: a.ID, ExternalAccountID: httpapi.Text(a.ExternalID), CreatedAt: httpapi.Time(a.CreatedAt), ModifiedAt: httpapi.Time(a.ModifiedAt),
		Active: a.Active, Email: httpapi.Text(a.Email), CompanyName: httpapi.Text(a.CompanyName), FirstName: httpapi.Text(a.FirstName), LastName: httpapi.Text(a.LastName),
		OriginCountryCode: a.OriginCountryCode, Environment: string(a.Environment), Metadata: metadata(a.Metadata), CarriersCount: a.CarriersCount,
		PurgeAt: httpapi.Time(a.PurgeAt),
	}
}

// metadata is never null in an answer.
func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
