package connection

import (
	"strings"
	"unicode"
)

// Hint says that a key and secret look like credentials of another kind than
// those that the carrier's API takes. It goes by their form alone, so it may be
// wrong: it warns, and refuses nothing (auspost.md, "Credentials of other kinds").
type Hint struct {
	Looks string // what they look like, a sentence for the caller
}

// Needed is what a hint tells to use instead.
const Needed = "Needed here are the API key (36 characters with four hyphens) and the API secret (the API password, about 20 characters) " +
	"of the Shipping and Tracking API v1, from the Australia Post developer centre."

// Forms of credentials of other kinds. They are written by hand: a regular
// expression would be compiled at the start of every function.
func isSecurePayID(s string) bool {
	return len(s) == 20 && strings.HasPrefix(s, "0oa") && !strings.ContainsFunc(s, isNoLetterOrDigit)
}

func isPACKey(s string) bool {
	return len(s) == 32 && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

func isV2ID(s string) bool { return len(s) == 32 && !strings.ContainsFunc(s, isNoLetterOrDigit) }

func isV2Secret(s string) bool {
	return len(s) >= 60 && len(s) <= 72 && !strings.ContainsFunc(s, func(r rune) bool { return r != '-' && r != '_' && isNoLetterOrDigit(r) })
}

// isNoLetterOrDigit tells of ASCII's.
func isNoLetterOrDigit(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func v2Credential(text string) bool {
	return (isV2ID(text) || isV2Secret(text)) && mixedCase(text)
}

// bearerToken tells whether a text is an access token: a JSON Web Token, with or
// without the name of its scheme.
func bearerToken(text string) bool {
	if scheme, token, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(token)
	}
	return strings.HasPrefix(text, "eyJ")
}

func mixedCase(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower)
}
