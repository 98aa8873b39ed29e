package account

import (
	"net/mail"

	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

// The rules of the fields of accounts, partners and keys. Lengths of account fields:
// ShipStation Partner API, "Request Body Properties".
var (
	NameRule       = text.Rule{Min: 1, Max: 24} // first_name and last_name
	CompanyRule    = text.Rule{Min: 1, Max: 50}
	EmailRule      = text.Rule{Min: 1, Max: 50, NoInvisible: true}
	ExternalIDRule = text.Rule{Min: 1, Max: 128, Exact: true}
	PasswordRule   = text.Rule{Min: 7, Max: 128, Exact: true, Opaque: true}
	// NewPasswordRule is for passwords that people choose on the account page.
	NewPasswordRule = text.Rule{Min: 8, Max: 128, Exact: true, Opaque: true}
	PartnerNameRule = text.Rule{Min: 1, Max: 100}
	DescriptionRule = text.Rule{Min: 1, Max: 100}
	OperatorRule    = text.Rule{Min: 1, Max: 100, NoInvisible: true} // the name of an operator
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

// CleanCountry is CheckCountry as a rule of a field: it returns the code unchanged.
func CleanCountry(field, code string) (string, *fault.Error) { return code, CheckCountry(field, code) }
