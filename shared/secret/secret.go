package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "REDACTED"

// Text is a text that must not reach a log, an error, an event, a panic or a
// plain item: every way to print or encode it says REDACTED. Reveal is the one
// way out.
//
// The text lies behind a pointer because fmt calls no method on an unexported
// field of somebody else's struct: it prints what is inside, and inside is an
// address. Compare with Equal: == compares addresses.
type Text struct{ text *string }

// New wraps a text.
func New(text string) Text { return Text{&text} }

// Reveal is the plain text, for the one call that needs it.
func (s Text) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether there is no text.
func (s Text) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// Digest is the SHA-256 of prefix and text: it tells texts apart without showing
// them. A text that can be guessed is not hidden by it.
func (s Text) Digest(prefix string) [sha256.Size]byte {
	return sha256.Sum256([]byte(prefix + s.Reveal()))
}

// LastFour is the end of the text, for people to tell two apart. A text of
// fewer than twelve characters shows nothing: four would be too much of it.
func (s Text) LastFour() string {
	text := s.Reveal()
	if len(text) < 12 {
		return ""
	}
	return text[len(text)-4:]
}

// String, GoString, Format, LogValue, MarshalJSON and MarshalText all redact.
func (s Text) String() string { return redacted }

// GoString redacts %#v.
func (s Text) GoString() string { return redacted }

// Format redacts every verb, %x and %d of the struct's inside among them.
func (s Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts slog.
func (s Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts JSON.
func (s Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText redacts map keys and text encodings.
func (s Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
