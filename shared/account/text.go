package account

import (
	"net/mail"

	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

// The rules of an account's fields. Lengths: ShipStation Partner API, "Request
// Body Properties".
var (
	NameRule        = text.Rule{Min: 1, Max: 24} // first_name and last_name
	CompanyRule     = text.Rule{Min: 1, Max: 50}
	EmailRule       = text.Rule{Min: 1, Max: 50, Identifies: true}
	ExternalIDRule  = text.Rule{Min: 1, Max: 128, Exact: true}
	PasswordRule    = text.Rule{Min: 7, Max: 128, Exact: true, Opaque: true}
	PartnerNameRule = text.Rule{Min: 1, Max: 100}
	DescriptionRule = text.Rule{Min: 1, Max: 100}
)

// CleanEmail is EmailRule and the form of an address.
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

// Field is a text that callers may give an account.
type Field struct {
	Name  string  // in requests and answers
	Value *string // where the account keeps it
	// Clean returns the text as it is kept, or what is wrong with it.
	Clean func(field, s string) (string, *fault.Error)
}

// Fields lists the texts of an account that callers may give it, in the order in
// which problems are told. Whoever fills them in cleans them.
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
