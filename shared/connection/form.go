package connection

import (
	"carrierlink/shared/carrier"
)

// FormField describes an input field of the form that links a charge account.
type FormField struct {
	Name      string  `json:"name"`
	Label     string  `json:"label"`
	Type      string  `json:"type"` // text or password
	Required  bool    `json:"required"`
	Secret    bool    `json:"secret"`  // hide it while typing and never show it again
	Pattern   *string `json:"pattern"` // ECMA-262, for the text as typed; null for none
	MinLength int     `json:"min_length"`
	MaxLength int     `json:"max_length"`
	Example   string  `json:"example"`
	Help      string  `json:"help"`
	DocURL    string  `json:"doc_url"`
}

// Form returns the fields that link a charge account of a carrier. Their rules are those of
// Preflight, which also makes checks that no pattern can express.
func Form(n carrier.Name) []FormField {
	number := FormField{
		Name: "account_number", Label: n.FriendlyName() + " account number", Type: "text", Required: true,
		MinLength: n.NumberDigits(), MaxLength: 32, DocURL: docGetAccounts,
	}
	// Preflight removes blanks and hyphens between digits. The hyphen is escaped because
	// browsers compile patterns with the flag v.
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
			Help: "It has 36 characters. The encrypted PDF calls it the API username.", DocURL: docRegister,
		},
		{
			Name: "api_secret", Label: "API secret", Type: "password", Required: true, Secret: true,
			MinLength: CredentialRule.Min, MaxLength: CredentialRule.Max, Example: "x0123456789abcdef012",
			Help: "The developer centre and the encrypted PDF call it the API password.", DocURL: docRegister,
		},
	}
}
