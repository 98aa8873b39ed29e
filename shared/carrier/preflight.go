package carrier

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"carrierlink/shared/fault"
)

// ChargeAccount is what a merchant gives to link one: the carrier, the account
// number and the credentials, as typed or as cleaned by Preflight.
type ChargeAccount struct {
	Carrier     Name
	Number      string
	Credentials Credentials
}

// Where merchants find their number and make their key.
const (
	docGetAccounts = "https://developers.auspost.com.au/apis/shipping-and-tracking/reference/get-accounts"
	docRegister    = "https://developers.auspost.com.au/register"
)

// uuidForm is what an Australia Post API key looks like: 36 characters
// (contract: "API key format").
var uuidForm = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Preflight finds, before any call is made, what can not work: it returns the
// charge account with blanks and hyphens taken out of the number and outer
// blanks off the credentials, and every problem in the order of the fields
// account_number, api_key, api_secret. Problems are fault.Length or
// fault.Invalid with a diagnosis; none of them repeats what was typed.
func Preflight(in ChargeAccount) (ChargeAccount, fault.List) {
	var problems fault.List
	add := func(p *fault.Error) {
		if p != nil {
			problems = append(problems, p)
		}
	}
	key, keyProblem := cleanCredential("api_key", in.Credentials.APIKey.Reveal())
	secret, secretProblem := cleanCredential("api_secret", in.Credentials.APISecret.Reveal())
	number := cleanNumber(in.Number)

	add(checkNumber(in.Carrier, number))
	switch {
	case keyProblem != nil:
		add(keyProblem)
	case isAccountNumber(cleanNumber(key)):
		add(preflightProblem("api_key", "account_number_as_key",
			"api_key looks like an account number, not like an API key.",
			"The charge account number was put into the field of the API key.",
			"Copy the API key from the Australia Post developer centre; it has 36 characters.", docRegister))
	case strings.Contains(key, ":"):
		add(preflightProblem("api_key", "key_format",
			"api_key must not contain a colon.",
			"Key and secret were pasted together, or another text was pasted.",
			"Paste the API key alone; it has 36 characters.", docRegister))
	}
	switch {
	case secretProblem != nil:
		add(secretProblem)
	case keyProblem != nil:
	case key == secret:
		add(preflightProblem("api_secret", "key_equals_secret",
			"api_secret must differ from api_key.",
			"The same text was pasted into both fields.",
			"Paste the API secret, which the developer centre calls the API password, into api_secret.", docRegister))
	case uuidForm.MatchString(secret) && !uuidForm.MatchString(key):
		add(preflightProblem("api_secret", "key_and_secret_swapped",
			"api_secret looks like an API key: the two seem to be swapped.",
			"The API key and the API secret stand in each other's field.",
			"Put the text of 36 characters with four hyphens into api_key and the other one into api_secret.", docRegister))
	}
	if len(problems) > 0 {
		return ChargeAccount{}, problems
	}
	return ChargeAccount{
		Carrier: in.Carrier, Number: number,
		Credentials: Credentials{APIKey: NewSecret(key), APISecret: NewSecret(secret)},
	}, nil
}

// cleanNumber takes out what people put between digits.
func cleanNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '\u2010' || r == '\u2011' || r == '\u2013' {
			return -1
		}
		return r
	}, s)
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func isAccountNumber(s string) bool {
	return isDigits(s) && (len(s) == AustraliaPost.numberDigits() || len(s) == StarTrack.numberDigits())
}

// checkNumber holds a cleaned number against its carrier's form. A number that
// lost its leading zeros is refused and never padded: the digits that are left
// may be another account's.
func checkNumber(n Name, number string) *fault.Error {
	const field = "account_number"
	want := n.numberDigits()
	switch {
	case number == "":
		return fault.Field(fault.Length, field, "%s must not be empty.", field)
	case !isDigits(number):
		return preflightProblem(field, "account_number_format",
			fmt.Sprintf("%s must be %d digits for %s.", field, want, n.FriendlyName()),
			"The number holds letters or signs, or another text was pasted.",
			"Copy the charge account number from the contract or an invoice.", docGetAccounts)
	case len(number) == want:
		return nil
	case n == AustraliaPost && len(number) == StarTrack.numberDigits():
		return preflightProblem(field, "startrack_number",
			"account_number has 8 digits; an Australia Post charge account number has 10.",
			"This is a StarTrack account number, or an Australia Post number that lost two leading zeros.",
			"If the account is a StarTrack one, connect it as startrack; else put 2 zeros in front of the number.", docGetAccounts)
	case n == StarTrack && len(number) == AustraliaPost.numberDigits():
		return preflightProblem(field, "australia_post_number",
			"account_number has 10 digits; a StarTrack account number has 8.",
			"This is an Australia Post charge account number.",
			"Connect it as australia_post, or copy the 8 digits of the StarTrack account.", docGetAccounts)
	case len(number) < want:
		missing := want - len(number)
		zeros := "zeros"
		if missing == 1 {
			zeros = "zero"
		}
		return preflightProblem(field, "lost_leading_zeros",
			fmt.Sprintf("account_number has %d digits; %s numbers have %d.", len(number), n.FriendlyName(), want),
			"A spreadsheet or a numeric form field dropped the leading zeros.",
			fmt.Sprintf("Compare with the contract; put %d %s in front of the number if it shows them.", missing, zeros), docGetAccounts)
	default:
		return preflightProblem(field, "account_number_format",
			fmt.Sprintf("account_number has %d digits; %s numbers have %d.", len(number), n.FriendlyName(), want),
			"Another number was pasted, such as the customer number (APCN).",
			"Copy the charge account number from the contract or an invoice.", docGetAccounts)
	}
}

// cleanCredential takes outer blanks off and finds what the encrypted PDF of
// the credentials leaves when text is copied from it. Line breaks are control
// characters too, so blanks are looked for before the rule is applied.
func cleanCredential(field, s string) (string, *fault.Error) {
	const step = "Copy it again from the developer centre or the PDF, without anything around it."
	for _, r := range strings.TrimSpace(s) {
		switch {
		case invisible(r):
			return "", preflightProblem(field, "invisible_character", field+" contains an invisible character.",
				"Text copied from the encrypted PDF carries zero-width characters.", step, docRegister)
		case unicode.IsSpace(r):
			return "", preflightProblem(field, "inner_blank", field+" contains a blank.",
				"The text was copied across a line break, or two texts at once.", step, docRegister)
		case strings.ContainsRune("\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb", r):
			return "", preflightProblem(field, "quotes", field+" contains a quotation mark.",
				"The text was copied with the quotation marks around it.", step, docRegister)
		}
	}
	return CredentialRule.Clean(field, s)
}

// invisible tells whether a character leaves no trace on a screen: Unicode's
// format characters and variation selectors, and letters that are drawn empty.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector) || strings.ContainsRune("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", r)
}

func preflightProblem(field, category, message, cause, step, doc string) *fault.Error {
	return &fault.Error{
		Kind: fault.Invalid, Field: field, Message: message,
		Diagnosis: &fault.Diagnosis{
			Category: category, WhoMustAct: fault.Merchant, LikelyCause: cause,
			NextSteps: []string{step}, Retryable: false, DocURL: doc,
		},
	}
}
