// Package secret holds text that must never be printed.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "REDACTED"

// Text is a text that must not reach a log, an error, an event, a panic or an
// unencrypted item: printing or encoding it gives REDACTED. Only Reveal returns the
// plain text.
//
// The text is behind a pointer because fmt calls no methods on unexported fields of
// other structs: it prints their contents, and here that is an address. Compare with
// Equal: == compares addresses.
type Text struct{ text *string }

// New wraps a text.
func New(text string) Text { return Text{&text} }

// Reveal returns the plain text.
func (s Text) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the text is empty.
func (s Text) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// Digest returns the SHA-256 of prefix and text, which tells texts apart without
// showing them. It does not protect a text that can be guessed.
func (s Text) Digest(prefix string) [sha256.Size]byte {
	return sha256.Sum256([]byte(prefix + s.Reveal()))
}

// LastFour returns the last four bytes, so that people can tell two texts apart. It is
// empty for a text of fewer than 12 bytes: four would reveal too much.
func (s Text) LastFour() string {
	text := s.Reveal()
	if len(text) < 12 {
		return ""
	}
	return text[len(text)-4:]
}

// String redacts the text, as do all the methods below.
func (s Text) String() string { return redacted }

// GoString redacts %#v.
func (s Text) GoString() string { return redacted }

// Format redacts every verb, including %x and %d, which would print the contents.
func (s Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts log records of slog.
func (s Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts JSON.
func (s Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText redacts map keys and text encodings.
func (s Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
