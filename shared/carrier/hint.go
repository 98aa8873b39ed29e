package carrier

import (
	"regexp"
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

// Forms of credentials of other kinds.
var (
	v2ID        = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	v2Secret    = regexp.MustCompile(`^[A-Za-z0-9_-]{60,72}$`)
	securePayID = regexp.MustCompile(`^0oa[A-Za-z0-9]{17}$`)
	pacKey      = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// HintAt is the hint at a key and secret as they were typed, nil for none.
func HintAt(c Credentials) *Hint {
	key, secret := strings.TrimSpace(c.APIKey.Reveal()), strings.TrimSpace(c.APISecret.Reveal())
	switch {
	case bearerToken(key), bearerToken(secret):
		return &Hint{"One of them looks like an access token (a bearer token), which is made from credentials and ends after a while."}
	case securePayID.MatchString(key):
		return &Hint{"They look like the client ID and client secret of SecurePay, another product of Australia Post."}
	case pacKey.MatchString(key):
		return &Hint{"The API key looks like one of the Postage Assessment Calculator (PAC), or has lost its hyphens."}
	case v2ID.MatchString(key) && mixedCase(key), !uuidForm.MatchString(key) && v2Secret.MatchString(secret) && mixedCase(secret):
		return &Hint{"They look like a client ID and client secret, as the Shipping and Tracking API v2 has them."}
	}
	return nil
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
