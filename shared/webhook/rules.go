package webhook

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

// NameRule is the rule of a webhook's name.
var NameRule = text.Rule{Min: 1, Max: 100} // never changes

// Bounds of custom headers. All webhooks of an owner are one item of the table: so what
// they may be in all has a bound.
const (
	maxHeaders     = 20
	maxHeaderKey   = 64
	maxHeaderValue = 1024
	maxHeaderBytes = 4096 // keys and values of all
)

const (
	idPrefix = "se-"
	maxID    = 25 // characters
	idChars  = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// NewID returns a random webhook_id: "se-" and 16 digits.
func NewID(random io.Reader) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	const low, span = 1e15, 9e15
	return idPrefix + strconv.FormatUint(low+binary.BigEndian.Uint64(b[:])%span, 10), nil
}

// ParseID checks the form of a webhook_id: "se-" and 1 to 22 digits or lower-case letters.
// Another form is fault.Identifier.
func ParseID(s string) (string, error) {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok || rest == "" || len(s) > maxID || strings.Trim(rest, idChars) != "" {
		return "", fault.Field(fault.Identifier, "webhook_id", "webhook_id must be se- followed by digits or lower-case letters, %d characters at most.", maxID)
	}
	return s, nil
}

// ParseEvents returns the types of these names in the order of effects.EventTypes, or
// AllEvents alone: fault.Invalid for an unknown name, a duplicate, an empty list, and for *
// beside others.
func ParseEvents(field string, names []string) ([]effects.EventType, *fault.Error) {
	if slices.Equal(names, []string{string(AllEvents)}) {
		return []effects.EventType{AllEvents}, nil
	}
	var types []effects.EventType
	for _, t := range effects.EventTypes() {
		if slices.Contains(names, string(t)) {
			types = append(types, t)
		}
	}
	if len(types) == 0 || len(types) != len(names) {
		return nil, fault.Field(fault.Invalid, field, "%s must be * or types of events such as %s, each once at most.", field, effects.CarrierConnected)
	}
	return types, nil
}

// CheckHeaders returns fault.Invalid for headers that must not be sent: too many, too
// large, a key that is no token of RFC 9110, that is given twice or that is not the
// owner's to set, and a value with anything but printable ASCII. The error never quotes a key
// or a value.
func CheckHeaders(field string, headers []Header) *fault.Error {
	size := 0
	seen := map[string]bool{}
	for _, h := range headers {
		key, value := strings.ToLower(h.Key), h.Value.Reveal()
		size += len(key) + len(value)
		switch {
		case !isToken(key) || len(key) > maxHeaderKey:
			return fault.Field(fault.Invalid, field, "Each key of %s must be the name of an HTTP header, 1 to %d letters, digits, hyphens and the like.", field, maxHeaderKey)
		case isReserved(key):
			return fault.Field(fault.Invalid, field, "%s must not have what the service sets itself or what concerns the connection, such as Content-Type, Host, Cookie or Webhook-Id.", field)
		case seen[key]:
			return fault.Field(fault.Invalid, field, "%s must have each key once, whatever its letter case.", field)
		case value == "" || len(value) > maxHeaderValue || strings.Trim(value, " ") != value || strings.ContainsFunc(value, unprintable):
			return fault.Field(fault.Invalid, field, "Each value of %s must be 1 to %d characters of printable ASCII, without blanks at its ends.", field, maxHeaderValue)
		}
		seen[key] = true
	}
	if len(headers) > maxHeaders || size > maxHeaderBytes {
		return fault.Field(fault.Invalid, field, "%s must have at most %d headers, with %d characters in all.", field, maxHeaders, maxHeaderBytes)
	}
	return nil
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }

// isToken reports whether a lower-case text is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~"+idChars) == ""
}

var (
	// reserved are headers that frame the request, concern the connection or the proxies on
	// the way, or are the service's own. Accept-Encoding would let the receiver send more
	// than 64 KiB in 64 KiB. API-Key is that of callers of this service, who would show
	// theirs to a receiver by mistake.
	reserved = []string{ // never changes
		"accept", "accept-encoding", "api-key", "connection", "cookie", "cookie2", "date", "expect", "forwarded", "host", "keep-alive", "range",
		"set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
	}
	reservedPrefixes = []string{"content-", "proxy-", "sec-", "webhook-", "x-amz-", "x-amzn-", "x-forwarded-"} // never changes
)

func isReserved(key string) bool {
	return slices.Contains(reserved, key) || slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// shared returns an event that both webhooks get; empty if there is none, or if their URLs
// differ.
func (w *Webhook) shared(other *Webhook) effects.EventType {
	if w.URL != other.URL {
		return ""
	}
	for _, t := range w.Events {
		switch {
		case t == AllEvents:
			return other.Events[0]
		case slices.Contains(other.Events, t), slices.Contains(other.Events, AllEvents):
			return t
		}
	}
	return ""
}
