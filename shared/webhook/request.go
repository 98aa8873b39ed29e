package webhook

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"carrierlink/shared/secret"
)

// endpoint is a webhook as a run sends to it.
type endpoint struct {
	url     string
	headers []Header
	secrets []secret.Text
	version time.Time // the webhook's ModifiedAt
	readAt  time.Time
}

// header returns the header of a request: custom ones, and those of Standard Webhooks.
func (e *endpoint) header(eventID string, at time.Time, body []byte) (http.Header, error) {
	h := http.Header{}
	for _, custom := range e.headers {
		h.Set(custom.Key, custom.Value.Reveal())
	}
	return h, Sign(h, eventID, at, body, e.secrets)
}

const redacted = "REDACTED"

// shortest is the least length of a header's value that is removed from answers: a shorter
// one is part of other words.
const shortest = 6

// redact returns the answer of a receiver as the delivery log shows it: without what is
// secret of this webhook and what looks like a key, printable, cut off after MaxAnswer bytes.
func (e *endpoint) redact(answer []byte) string {
	var own []string
	add := func(text string) {
		if len(text) >= shortest {
			own = append(own, text)
		}
	}
	for _, s := range e.secrets {
		text := s.Reveal()
		add(text)
		_, bare, _ := strings.Cut(text, "_")
		add(bare)
		if raw, err := base64.StdEncoding.DecodeString(bare); err == nil {
			add(base64.RawURLEncoding.EncodeToString(raw))
		}
	}
	for _, h := range e.headers {
		value := h.Value.Reveal()
		add(value)
		for word := range strings.FieldsSeq(value) { // "Bearer ..."
			add(word)
		}
	}
	// The longest first: others may be parts of it.
	slices.SortFunc(own, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(own))
	for _, text := range own {
		pairs = append(pairs, text, redacted)
	}
	text := strings.NewReplacer(pairs...).Replace(strings.ToValidUTF8(string(answer), "\uFFFD"))
	text = hideKeys(strings.Map(printable, text))
	if len(text) > MaxAnswer {
		text = text[:MaxAnswer]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}

// printable replaces characters that a log must not have.
func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// keyLength is the least length of what looks like a key. Digits are part of it, and so are
// letters: words of that length have none, and numbers no letters.
const keyLength = 20

// hideKeys replaces what looks like an API key, a token or a secret: a long run of letters
// with digits.
func hideKeys(text string) string {
	var b strings.Builder
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return !inKey(r) })
		if end < 0 {
			end = len(text)
		}
		if run := text[:end]; len(run) >= keyLength && strings.ContainsFunc(run, isDigit) && strings.ContainsFunc(run, unicode.IsLetter) {
			b.WriteString(redacted)
		} else {
			b.WriteString(run)
		}
		text = text[end:]
		next := strings.IndexFunc(text, inKey)
		if next < 0 {
			next = len(text)
		}
		b.WriteString(text[:next])
		text = text[next:]
	}
	return b.String()
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// inKey reports whether a character may be part of a key: those of Base64, and the signs
// between the parts of a key or a UUID.
func inKey(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || isDigit(r) || strings.ContainsRune("+/=_-", r)
}
