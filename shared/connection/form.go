package connection

import (
	"carrierlink/shared/carrier"
)

// FormField describes one field that a merchant fills in to link a charge
// account, so that a form can be drawn from it.
type FormField struct {
	Name      string  `json:"name"`
	Label     string  `json:"label"`
	Type      string  `json:"type"` // text or password
	Required  bool    `json:"required"`
	Secret    bool    `json:"secret"`  // to be hidden while typing and never shown again
	Pattern   *string `json:"pattern"` // ECMA-262, for the text as typed; null for none
	MinLength int     `json:"min_length"`
	MaxLength int     `json:"max_length"`
	Example   string  `json:"example"`
	Help      string  `json:"help"`
	DocURL    string  `json:"doc_url"`
}

// Form is what a merchant fills in to link a charge account of a carrier. The
// rules are those of Preflight, which also knows what no pattern can say.
func Form(n carrier.Name) []FormField {
	number := FormField{
		Name: "account_number", Label: n.FriendlyName() + " account number", Type: "text", Required: true,
		MinLength: n.NumberDigits(), MaxLength: 32, DocURL: docGetAccounts,
	}
	// Digits, with blanks and hyphens anywhere: they are taken out. The hyphen is
	// escaped for the flag v, with which browsers compile the pattern of a field.
	const between = `[\s\-\u2010\u2011\u2013]*`
	switch n {
	case carrier.AustraliaPost:
		number.Pattern, number.Example = new("^"+between+"(?:[0-9]"+between+"){10}$"), "0000123456"
		number.Help = "10 digits, leading zeros included, as on the contract or an invoice."
	case carrier.StarTrack:
		number.Pattern, number.Example = new("^"+between+"(?:[0-9]"+between+"){8}$"), "04123456"
		number.Help = "8 digits; they may start with a zero."
	}
	return []FormField{
		{
			Name: "nickname", Label: "Name of this connection", Type: "text", Required: true,
			MinLength: NicknameRule.Min, MaxLength: NicknameRule.Max, Example: "Main warehouse", Help: "Any name, for you to tell connections apart.", DocURL: docRegister,
		},
		number,
		{
			Name: "api_key", Label: "API key", Type: "text", Required: true, Secret: true,
			MinLength: CredentialRule.Min, MaxLength: CredentialRule.Max, Example: "11111111-2222-4333-8444-555555555555",
			Help: "From the Australia Post developer centre; it has 36 characters.", DocURL: docRegister,
		},
		{
			Name: "api_secret", Label: "API secret", Type: "password", Required: true, Secret: true,
			MinLength: CredentialRule.Min, MaxLength: CredentialRule.Max, Example: "x0123456789abcdef012",
			Help: "The developer centre and the encrypted PDF call it the API password.", DocURL: docRegister,
		},
	}
}
