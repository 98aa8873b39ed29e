package signin

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"carrierlink/shared/account"
	"carrierlink/shared/secret"
)

// A cookie is the base64url of the account's id, the partner's id and 32 random bytes. So one
// call reads the session with what its page needs.
const (
	cookieIDs   = 8
	cookieBytes = cookieIDs + 32
)

// newCookie makes the text of a session of an account.
func newCookie(random io.Reader, a *account.Account) (secret.Text, error) {
	var b [cookieBytes]byte
	if _, err := io.ReadFull(random, b[cookieIDs:]); err != nil {
		return secret.Text{}, fmt.Errorf("reading randomness: %w", err)
	}
	binary.BigEndian.PutUint32(b[:], uint32(a.ID))         //nolint:gosec // at most account.MaxID
	binary.BigEndian.PutUint32(b[4:], uint32(a.PartnerID)) //nolint:gosec // likewise
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:])), nil
}

// Successor returns the text under which a session goes on after a form that gives it another
// one. It comes of the text before and the random id of the form, so that a form that is sent
// twice, as by a second click, starts one session; whoever has only the text before, or the
// table, cannot make it. It is zero for what is no cookie and for a form without id.
func Successor(cookie secret.Text, formID string) secret.Text {
	b, err := base64.RawURLEncoding.DecodeString(cookie.Reveal())
	if err != nil || len(b) != cookieBytes || formID == "" {
		return secret.Text{}
	}
	sum := cookie.Digest("successor " + formID + " ")
	return secret.New(base64.RawURLEncoding.EncodeToString(append(b[:cookieIDs], sum[:]...)))
}

// parseCookie returns the session that a cookie names; ok is false for what is none.
func parseCookie(text secret.Text) (ref Ref, partnerID int64, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text.Reveal())
	if err != nil || len(b) != cookieBytes || len(text.Reveal()) != base64.RawURLEncoding.EncodedLen(cookieBytes) { // it skips line breaks
		return Ref{}, 0, false
	}
	ref = Ref{int64(binary.BigEndian.Uint32(b)), digest(text)}
	partnerID = int64(binary.BigEndian.Uint32(b[4:]))
	return ref, partnerID, ref.AccountID != 0 && partnerID != 0
}

// digest returns the hash by which a session or a token is stored. The texts have too many
// random bits for a search, so that they need no salt and no slow hash.
func digest(text secret.Text) string {
	sum := text.Digest("")
	return hex.EncodeToString(sum[:])
}

// prefix begins the texts of the tokens of a kind.
func (k TokenKind) prefix() string { return "cl_" + string(k[0]) + "_" }

// newTokenText makes the text of a token. It names account and partner and ends with a
// checksum, so that a mistyped one costs no call.
func newTokenText(random io.Reader, t *Token) (secret.Text, error) {
	text, err := account.MakeText(random, t.Kind.prefix(), t.AccountID, t.PartnerID)
	return secret.New(text), err
}

// parseToken returns the account that a token of a kind names; ok is false for what is none.
func parseToken(kind TokenKind, text string) (accountID, partnerID int64, ok bool) {
	ids, ok := account.ParseText(text, kind.prefix(), 2)
	if !ok || ids[0] == 0 || ids[0] > account.MaxID || ids[1] == 0 || ids[1] > account.MaxID {
		return 0, 0, false
	}
	return ids[0], ids[1], true
}
