package connection

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// Where merchants find their account number, and where they create an API key.
const (
	docGetAccounts = "https://developers.auspost.com.au/apis/shipping-and-tracking/reference/get-accounts"
	docRegister    = "https://developers.auspost.com.au/register"
)

// isUUID reports whether a text has the form of an Australia Post API key: 36 characters,
// hexadecimal digits of either case in groups of 8, 4, 4, 4 and 12 (auspost.md,
// "Connection and authentication").
func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return strings.Count(s, "-") == 4 && consistsOf(s, hexadecimal+"-")
}

// Preflight finds mistakes without calling the carrier. It returns the charge account,
// cleaned, and the first problem of each of the fields account_number, api_key and
// api_secret, in this order. Cleaning removes blanks and hyphens from the number and outer
// blanks from the credentials, and empties what has a problem. Problems are fault.Length or
// fault.Invalid, most with a diagnosis; they do not quote the input.
func Preflight(in ChargeAccount) (ChargeAccount, fault.List) {
	cleaned, all := inspect(in)
	var problems fault.List
	for _, f := range all {
		if n := len(problems); n == 0 || problems[n-1].Field != f.problem.Field {
			problems = append(problems, f.problem)
		}
	}
	return cleaned, problems
}

// PreflightCheck is a check that needs no carrier, and its result.
type PreflightCheck struct {
	Name     string     // the category of its diagnoses
	Problems fault.List // in the order of the fields; each has a diagnosis
	// Warning is that of HintFor; a check with a warning has passed.
	Warning string
}

// PreflightChecks is Preflight with the result of each check, passed ones included, in the
// order in which they are made.
func PreflightChecks(in ChargeAccount) (ChargeAccount, []PreflightCheck) {
	cleaned, all := inspect(in)
	var checks []PreflightCheck
	for _, name := range preflightNames {
		if in.Carrier == carrier.AustraliaPost && name == australiaPostNumber || in.Carrier == carrier.StarTrack && name == starTrackNumber {
			continue
		}
		check := PreflightCheck{Name: name}
		for _, f := range all {
			if f.check != name {
				continue
			}
			p := *f.problem
			if p.Diagnosis == nil {
				p.Diagnosis = diagnosisOf(name, "Nothing was typed, or another text was pasted.",
					"Copy it again from where the carrier shows it.", docRegister)
			}
			check.Problems = append(check.Problems, &p)
		}
		if hint := HintFor(in.Credentials); name == anotherKind && hint != "" && len(check.Problems) == 0 {
			check.Warning = hint + " " + Needed
		}
		checks = append(checks, check)
	}
	return cleaned, checks
}

// The categories of the diagnoses, which name the checks.
const (
	numberFormat        = "account_number_format"
	lostZeros           = "lost_leading_zeros"
	starTrackNumber     = "startrack_number"
	australiaPostNumber = "australia_post_number"
	maskInstead         = "mask_instead_of_secret"
	invisibleCharacter  = "invisible_character"
	innerBlank          = "inner_blank"
	quotes              = "quotes"
	keyFormat           = "key_format"
	numberAsKey         = "account_number_as_key"
	equalTexts          = "key_equals_secret"
	swappedTexts        = "key_and_secret_swapped"
	anotherKind         = "credentials_of_another_kind" // refuses our own keys, warns of others
)

var preflightNames = [...]string{
	numberFormat, lostZeros, starTrackNumber, australiaPostNumber, maskInstead, invisibleCharacter, innerBlank, quotes, keyFormat, numberAsKey, equalTexts,
	swappedTexts, anotherKind,
}

// mistake is a problem and the name of the check that found it.
type mistake struct {
	check   string
	problem *fault.Error
}

// inspect returns the charge account, cleaned, and every mistake in the order of the fields.
// A number or credentials with a mistake are empty.
func inspect(in ChargeAccount) (ChargeAccount, []mistake) {
	number, all := inspectNumber(in.Carrier, in.Number)
	key, ofKey := inspectCredential("api_key", in.Credentials.APIKey.Reveal())
	secretText, ofSecret := inspectCredential("api_secret", in.Credentials.APISecret.Reveal())
	clean := len(ofKey) == 0
	switch {
	case !clean:
	case isAccountNumber(digitsOf(key)):
		ofKey = append(ofKey, found("api_key", numberAsKey,
			"api_key looks like an account number, not like an API key.",
			"The charge account number was put into the field of the API key.",
			"Copy the API key from the Australia Post developer centre; it has 36 characters.", docRegister))
	case strings.Contains(key, ":"):
		ofKey = append(ofKey, found("api_key", keyFormat,
			"api_key must not contain a colon.",
			"Key and secret were pasted together, or another text was pasted.",
			"Paste the API key alone; it has 36 characters.", docRegister))
	}
	switch {
	case len(ofSecret) > 0 || !clean:
	case key == secretText:
		ofSecret = append(ofSecret, found("api_secret", equalTexts,
			"api_secret must differ from api_key.",
			"The same text was pasted into both fields.",
			"Paste the API secret, which the developer centre calls the API password, into api_secret.", docRegister))
	case isUUID(secretText) && !isUUID(key):
		ofSecret = append(ofSecret, found("api_secret", swappedTexts,
			"api_secret looks like an API key: the two seem to be swapped.",
			"The API key and the API secret stand in each other's field.",
			"Put the text of 36 characters with four hyphens into api_key and the other one into api_secret.", docRegister))
	}
	out := ChargeAccount{Carrier: in.Carrier, Number: number}
	if len(ofKey)+len(ofSecret) == 0 {
		out.Credentials = Credentials{APIKey: secret.New(key), APISecret: secret.New(secretText)}
	}
	return out, slices.Concat(all, ofKey, ofSecret)
}

func found(field, check, message, cause, step, doc string) mistake {
	return mistake{check, &fault.Error{Kind: fault.Invalid, Field: field, Message: message, Diagnosis: diagnosisOf(check, cause, step, doc)}}
}

func diagnosisOf(check, cause, step, doc string) *fault.Diagnosis {
	return &fault.Diagnosis{Category: check, WhoMustAct: fault.Merchant, LikelyCause: cause, NextSteps: []string{step}, Retryable: false, DocURL: doc}
}

// digitsOf removes blanks and hyphens, which people write between digits.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '\u2010' || r == '\u2011' || r == '\u2013' {
			return -1
		}
		return r
	}, s)
}

func isAccountNumber(s string) bool {
	return consistsOf(s, digits) && (len(s) == carrier.AustraliaPost.NumberDigits() || len(s) == carrier.StarTrack.NumberDigits())
}

// CleanNumber is an account number as Preflight cleans it; empty if it has a mistake.
func CleanNumber(n carrier.Name, typed string) string {
	number, _ := inspectNumber(n, typed)
	return number
}

// inspectNumber cleans a number and checks it against the form of its carrier's numbers. It
// never pads a number with lost leading zeros, because the result may be another account's.
func inspectNumber(n carrier.Name, typed string) (number string, all []mistake) {
	const field = "account_number"
	number = digitsOf(typed)
	want := n.NumberDigits()
	switch {
	case number == "":
		return "", []mistake{{numberFormat, fault.Empty(field)}}
	case !consistsOf(number, digits):
		return "", []mistake{found(field, numberFormat,
			fmt.Sprintf("%s must be %d digits for %s.", field, want, n.FriendlyName()),
			"The number holds letters or signs, or another text was pasted.",
			"Copy the charge account number from the contract or an invoice.", docGetAccounts)}
	case len(number) == want:
		return number, nil
	case n == carrier.AustraliaPost && len(number) == carrier.StarTrack.NumberDigits():
		return "", []mistake{found(field, starTrackNumber,
			"account_number has 8 digits; an Australia Post charge account number has 10.",
			"This is a StarTrack account number, or an Australia Post number that lost two leading zeros.",
			"If the account is a StarTrack one, connect it as startrack; else put 2 zeros in front of the number.", docGetAccounts)}
	case n == carrier.StarTrack && len(number) == carrier.AustraliaPost.NumberDigits():
		return "", []mistake{found(field, australiaPostNumber,
			"account_number has 10 digits; a StarTrack account number has 8.",
			"This is an Australia Post charge account number.",
			"Connect it as australia_post, or copy the 8 digits of the StarTrack account.", docGetAccounts)}
	case len(number) < want:
		missing := want - len(number)
		zeros := "zeros"
		if missing == 1 {
			zeros = "zero"
		}
		return "", []mistake{found(field, lostZeros,
			fmt.Sprintf("account_number has %d digits; %s numbers have %d.", len(number), n.FriendlyName(), want),
			"A spreadsheet or a numeric form field dropped the leading zeros.",
			fmt.Sprintf("Compare with the contract; put %d %s in front of the number if it shows them.", missing, zeros), docGetAccounts)}
	}
	return "", []mistake{found(field, numberFormat,
		fmt.Sprintf("account_number has %d digits; %s numbers have %d.", len(number), n.FriendlyName(), want),
		"Another number was pasted, such as the customer number (APCN).",
		"Copy the charge account number from the contract or an invoice.", docGetAccounts)}
}

// inspectCredential trims a key or secret and finds what copying from the encrypted PDF of
// the credentials leaves in it, each kind of mistake once. Blanks are looked for
// before CredentialRule runs, because it would report a line break as a control character.
func inspectCredential(field, typed string) (text string, all []mistake) {
	const step = "Copy it again from the developer centre or the PDF, without anything around it."
	if isMask(typed) {
		return "", []mistake{found(field, maskInstead, field+" is a mask or a placeholder, not the text that it stands for.",
			"A form sent back what it shows in place of the stored text, or a template was not filled in.",
			"Send the real key and secret, or leave both out to keep the stored ones.", docRegister)}
	}
	if account.LooksLikeKey(typed) {
		return "", []mistake{found(field, anotherKind, field+" is an API key of this service, not a credential of the carrier.",
			"The key that our API is called with was pasted.", Needed, docRegister)}
	}
	for _, r := range strings.TrimSpace(typed) {
		var m mistake
		switch {
		case invisible(r):
			m = found(field, invisibleCharacter, field+" contains an invisible character.",
				"Text copied from the encrypted PDF carries zero-width characters.", step, docRegister)
		case unicode.IsSpace(r):
			m = found(field, innerBlank, field+" contains a blank.",
				"The text was copied across a line break, or two texts at once.", step, docRegister)
		case strings.ContainsRune("\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb", r):
			m = found(field, quotes, field+" contains a quotation mark.",
				"The text was copied with the quotation marks around it.", step, docRegister)
		default:
			continue
		}
		if !slices.ContainsFunc(all, func(other mistake) bool { return other.check == m.check }) {
			all = append(all, m)
		}
	}
	if len(all) > 0 {
		return "", all
	}
	text, problem := CredentialRule.Clean(field, typed)
	switch {
	case problem == nil:
		return text, nil
	case problem.Kind == fault.Length && isBearerToken(strings.TrimSpace(typed)):
		m := found(field, keyFormat, problem.Message, field+" looks like an access token (a bearer token).", Needed, docRegister)
		m.problem.Kind = problem.Kind
		return "", []mistake{m}
	case problem.Kind == fault.Length:
		return "", []mistake{{keyFormat, problem}}
	}
	return "", []mistake{{invisibleCharacter, problem}} // a control character
}

// invisible reports whether a character is not drawn: Unicode's format characters and
// variation selectors, and letters that are blank.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector) || strings.ContainsRune("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", r)
}

// HintFor returns what a key and secret look like if they look like credentials of another
// kind than the carrier's API takes: a sentence for the caller; empty if they do not. It is a
// guess from their form, as they were typed, so it warns and never refuses (auspost.md,
// "Credentials of other kinds"). Other credentials may be in each other's field. Beside a key
// of the right form only a token is recognised in the secret.
func HintFor(c Credentials) string {
	key, secret := strings.TrimSpace(c.APIKey.Reveal()), strings.TrimSpace(c.APISecret.Reveal())
	either := func(is func(string) bool) bool { return is(key) || is(secret) }
	switch {
	case either(isBearerToken):
		return "One of them looks like an access token (a bearer token), which is made from credentials and expires."
	case isUUID(key):
	case either(isSecurePayID):
		return "They look like the client ID and client secret of SecurePay, another product of Australia Post."
	case either(isPACKey):
		return "One of them looks like an API key of the Postage Assessment Calculator (PAC), or like one that has lost its hyphens."
	case either(isV2Credential):
		return "They look like a client ID and client secret of the Shipping and Tracking API v2."
	}
	return ""
}

// CheckNotLinked is the check that the account has not linked the number yet; carrierID is
// the connection that has it, empty for none.
func CheckNotLinked(carrierID string) PreflightCheck {
	check := PreflightCheck{Name: "not_linked_yet"}
	if carrierID != "" {
		problem := ErrAlreadyLinked(carrierID)
		problem.Diagnosis = diagnosisOf("already_linked", "The account has a connection with this number.",
			"Use the connection that is there; a PUT gives it another API key and secret.", docGetAccounts)
		check.Problems = fault.List{problem}
	}
	return check
}
