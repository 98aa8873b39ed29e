package account

import (
	"net/mail"

	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

// The rules of the fields of accounts, partners and keys. Lengths of account fields:
// ShipStation Partner API, "Request Body Properties".
var (
	NameRule        = text.Rule{Min: 1, Max: 24} // first_name and last_name
	CompanyRule     = text.Rule{Min: 1, Max: 50}
	EmailRule       = text.Rule{Min: 1, Max: 50, Identifies: true}
	ExternalIDRule  = text.Rule{Min: 1, Max: 128, Exact: true}
	PasswordRule    = text.Rule{Min: 7, Max: 128, Exact: true, Opaque: true}
	PartnerNameRule = text.Rule{Min: 1, Max: 100}
	DescriptionRule = text.Rule{Min: 1, Max: 100}
)

// CleanEmail applies EmailRule and returns fault.Invalid unless s is an address.
func CleanEmail(field, s string) (string, *fault.Error) {
	s, problem := EmailRule.Clean(field, s)
	if problem != nil {
		return "", problem
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return "", fault.Field(fault.Invalid, field, "%s must be an email address such as name@example.com.", field)
	}
	return s, nil
}

// Field is a text field of an account that callers may set.
type Field struct {
	Name  string  // in requests and answers
	Value *string // the account's own variable
	// Clean returns the text to store, or what is wrong with it.
	Clean func(field, s string) (string, *fault.Error)
}

// Fields returns the text fields that callers may set, in the order in which problems
// are reported. Setting a Value does not clean it.
func (a *Account) Fields() []Field {
	return []Field{
		{"first_name", &a.FirstName, NameRule.Clean},
		{"last_name", &a.LastName, NameRule.Clean},
		{"company_name", &a.CompanyName, CompanyRule.Clean},
		{"external_account_id", &a.ExternalID, ExternalIDRule.Clean},
		{"origin_country_code", &a.OriginCountryCode, cleanCountry},
		{"email", &a.Email, CleanEmail},
	}
}

func cleanCountry(field, code string) (string, *fault.Error) { return code, CheckCountry(field, code) }
