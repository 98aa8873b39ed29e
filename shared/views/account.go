// Package views holds the bodies of /v1: how accounts, keys, carriers, connections, charge
// accounts and tracking look in requests and answers.
package views

import (
	"encoding/json"
	"slices"
	"strconv"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
)

// Account is an account in answers.
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
	PurgeAt           *string           `json:"purge_at"` // null unless it is deleted
}

// AccountsPage is a page of accounts.
type AccountsPage struct {
	Accounts []Account         `json:"accounts"`
	Page     int               `json:"page"`
	PageSize int               `json:"page_size"`
	Links    httpapi.LinksBody `json:"links"`
}

// CreatedAccount is the answer to the creation of an account.
type CreatedAccount struct {
	Account
	APIKey *FirstKey `json:"api_key"` // null for an account that existed
}

// Countries is the list of countries.
type Countries struct {
	Countries []account.Country `json:"countries"`
}

// NewAccount returns the view of an account.
func NewAccount(a account.Account) Account {
	return Account{
		AccountID: a.ID, ExternalAccountID: httpapi.Text(a.ExternalID), CreatedAt: httpapi.Time(a.CreatedAt), ModifiedAt: httpapi.Time(a.ModifiedAt),
		Active: a.Active, Email: httpapi.Text(a.Email), CompanyName: httpapi.Text(a.CompanyName), FirstName: httpapi.Text(a.FirstName), LastName: httpapi.Text(a.LastName),
		OriginCountryCode: a.OriginCountryCode, Environment: string(a.Environment), Metadata: metadata(a.Metadata), CarriersCount: a.CarriersCount,
		PurgeAt: httpapi.Time(a.PurgeAt),
	}
}

// NewCreatedAccount returns the view of a created account. Company, email and names are
// null, as the ShipStation Partner API documents.
func NewCreatedAccount(c *account.Created) CreatedAccount {
	body := CreatedAccount{Account: NewAccount(c.Account)}
	body.FirstName, body.LastName, body.CompanyName, body.Email = nil, nil, nil, nil
	if c.Key != nil {
		body.APIKey = NewFirstKey(c.Key)
	}
	return body
}

// AccountETag returns the strong entity tag of an account. It changes with every change
// of the account and with the number of its carriers.
func AccountETag(a account.Account) string {
	return `"` + strconv.FormatInt(a.Version, 10) + "-" + strconv.Itoa(a.CarriersCount) + `"`
}

// AccountFields returns the fields of a body that changes an account. Absent members leave
// the account as it is.
func AccountFields(a *account.Account) []httpapi.Field {
	return []httpapi.Field{
		httpapi.String("first_name", &a.FirstName, account.NameRule.Clean),
		httpapi.String("last_name", &a.LastName, account.NameRule.Clean),
		httpapi.String("company_name", &a.CompanyName, account.CompanyRule.Clean),
		httpapi.String("external_account_id", &a.ExternalID, account.ExternalIDRule.Clean),
		httpapi.String("origin_country_code", &a.OriginCountryCode, account.CleanCountry),
		httpapi.String("email", &a.Email, account.CleanEmail),
		httpapi.Metadata("metadata", &a.Metadata),
	}
}

// CreationFields returns the fields of a body that creates an account: those of
// AccountFields and a password, which needs an email.
func CreationFields(in *account.Creation) []httpapi.Field {
	fields, emailGiven := AccountFields(&in.Account), false
	email := slices.IndexFunc(fields, func(f httpapi.Field) bool { return f.Name == "email" })
	checkEmail := fields[email].Check
	fields[email].Check = func(value json.RawMessage) fault.List {
		emailGiven = value[0] == '"'
		return checkEmail(value)
	}
	password := httpapi.String("password", new(string), func(field, s string) (string, *fault.Error) {
		s, problem := account.PasswordRule.Clean(field, s)
		in.Password = secret.New(s)
		return "", problem
	})
	checkPassword := password.Check
	password.Check = func(value json.RawMessage) fault.List {
		problems := checkPassword(value)
		if !emailGiven {
			problems = append(fault.List{account.ErrPasswordWithoutEmail()}, problems...)
		}
		return problems
	}
	return slices.Insert(fields, email+1, password)
}

// metadata returns m for an answer, where it is never null.
func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
