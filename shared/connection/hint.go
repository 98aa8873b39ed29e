package connection

import (
	"strings"
	"unicode"
)

// Needed is the advice of every hint.
const Needed = "Needed here are the API key (36 characters with four hyphens) and the API secret (the API password, about 20 characters) " +
	"of the Shipping and Tracking API v1, from the Australia Post developer centre."

// The forms of other credentials are checked by hand: a regular expression would be compiled
// at each start of a function.

const (
	digits       = "0123456789"
	hexadecimal  = digits + "abcdefABCDEF"
	lowerLetters = "abcdefghijklmnopqrstuvwxyz"
	alphanumeric = digits + lowerLetters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// consistsOf reports whether a text has only the given characters.
func consistsOf(text, characters string) bool { return strings.Trim(text, characters) == "" }

func isSecurePayID(s string) bool {
	return len(s) == 20 && strings.HasPrefix(s, "0oa") && consistsOf(s, alphanumeric)
}

func isPACKey(s string) bool { return len(s) == 32 && consistsOf(s, "0123456789abcdef") }

func isV2ID(s string) bool { return len(s) == 32 && consistsOf(s, alphanumeric) }

func isV2Secret(s string) bool {
	return len(s) >= 60 && len(s) <= 72 && consistsOf(s, alphanumeric+"-_")
}

func isV2Credential(s string) bool {
	return (isV2ID(s) || isV2Secret(s)) && strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower)
}

// isBearerToken reports whether a text is a JSON Web Token, with or without the scheme Bearer.
func isBearerToken(text string) bool {
	if scheme, token, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(token)
	}
	return strings.HasPrefix(text, "eyJ")
}
