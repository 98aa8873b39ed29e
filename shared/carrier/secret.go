package carrier

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a text that must not reach a log, an error, an event, a panic or a
// plain item: every way to print or encode it says REDACTED. Reveal is the one
// way out.
//
// The text lies behind a pointer because fmt calls no method on an unexported
// field of somebody else's struct: it prints what is inside, and inside is an
// address. Compare with Equal: == compares addresses.
type Secret struct{ text *string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal is the plain text, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether there is no text.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// LastFour is the end of the text, for people to tell two apart. A text of
// fewer than twelve characters shows nothing: four would be too much of it.
func (s Secret) LastFour() string {
	text := s.Reveal()
	if len(text) < 12 {
		return ""
	}
	return text[len(text)-4:]
}

// String, GoString, Format, LogValue, MarshalJSON and MarshalText all redact.
func (s Secret) String() string { return redacted }

// GoString redacts %#v.
func (s Secret) GoString() string { return redacted }

// Format redacts every verb, %x and %d of the struct's inside among them.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText redacts map keys and text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Credentials are a merchant's own key and secret of the Australia Post
// developer centre: HTTP Basic user and password (contract: "Connection and
// authentication"). The secret is opaque.
type Credentials struct {
	APIKey    Secret
	APISecret Secret
}

// Equal compares both parts in constant time.
func (c Credentials) Equal(o Credentials) bool {
	return c.APIKey.Equal(o.APIKey) && c.APISecret.Equal(o.APISecret)
}
