package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
	"carrierlink/shared/text"
)

// Field describes one member of a request body.
type Field struct {
	Name     string
	Required bool
	// Check decodes and stores the member's value, which is never null.
	Check func(value json.RawMessage) fault.List
}

// Decode decodes the payload of a function without a route into fields, as Request.JSON
// decodes a body.
func Decode(payload []byte, fields ...Field) error { return decode(payload, fields) }

// DecodeSome is Decode for some of the members; it ignores the others.
func DecodeSome(payload []byte, fields ...Field) error {
	members, err := parseBody(payload)
	if err != nil {
		return err
	}
	return decodeFields(members, fields).Err()
}

type member struct {
	name  string
	value json.RawMessage
}

// decode decodes a body into fields and refuses unknown members. It does not use
// encoding/json's structs, because they match names in any case, keep the last of two
// duplicates and repair invalid text.
func decode(body []byte, fields []Field) error {
	members, err := parseBody(body)
	if err != nil {
		return err
	}
	return append(decodeFields(members, fields), unknownMembers(members, fields)...).Err()
}

// parseBody parses a body that must be a JSON object, and returns its members in order.
func parseBody(body []byte) ([]member, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return nil, fault.New(fault.BodyRequired, "The request needs a JSON object as its body.")
	}
	// Gateways replace invalid UTF-8 by U+FFFD, so U+FFFD is refused too.
	if bytes.ContainsRune(body, utf8.RuneError) {
		return nil, fault.New(fault.Invalid, "The request body must be valid UTF-8, without U+FFFD, the mark of damaged text.")
	}
	return parseObject(body)
}

// decodeFields decodes the members that fields describe, and ignores the others.
func decodeFields(members []member, fields []Field) fault.List {
	var problems fault.List
	for _, f := range fields {
		var found []member
		for _, m := range members {
			if m.name == f.Name {
				found = append(found, m)
			}
		}
		switch {
		case len(found) > 1:
			problems = append(problems, fault.Repeated(f.Name))
		case len(found) == 0 || string(found[0].value) == "null":
			if f.Required {
				problems = append(problems, fault.Missing(f.Name))
			}
		case loneSurrogate(found[0].value):
			problems = append(problems, fault.Field(fault.Invalid, f.Name, "%s contains half of a surrogate pair.", f.Name))
		default:
			problems = append(problems, f.Check(found[0].value)...)
		}
	}
	return problems
}

// maxUnknown is how many unknown members are named: a body of 64 KiB can have
// thousands.
const maxUnknown = 20

// unknownMembers returns a problem for each name that no field has.
func unknownMembers(members []member, fields []Field) fault.List {
	known := make(map[string]bool, len(fields)+len(members))
	for _, f := range fields {
		known[f.Name] = true
	}
	var problems fault.List
	unknown := 0
	for _, m := range members {
		if known[m.name] {
			continue
		}
		known[m.name] = true // report it once
		if unknown++; unknown <= maxUnknown {
			name := shorten(m.name)
			problem := fault.Field(fault.Invalid, name, "%s is not a field of this request.", name)
			problem.Named = true
			problems = append(problems, problem)
		}
	}
	if unknown > maxUnknown {
		problems = append(problems, fault.New(fault.Invalid, "%d more unknown fields.", unknown-maxUnknown))
	}
	return problems
}

// shorten limits a caller's own text in an answer to 64 characters.
func shorten(s string) string {
	const limit = 64
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// parseObject parses a single JSON object with no trailing data.
func parseObject(body []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	malformed := func(err error) error {
		message := "The request body is not valid JSON."
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			message = fmt.Sprintf("The request body is not valid JSON (byte %d).", syntax.Offset)
		}
		return &fault.Error{Kind: fault.Invalid, Message: message}
	}
	open, err := dec.Token()
	if err != nil {
		return nil, malformed(err)
	}
	if open != json.Delim('{') {
		return nil, fault.New(fault.Invalid, "The request body must be a JSON object.")
	}
	var members []member
	for dec.More() {
		from := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			return nil, malformed(err)
		}
		name, ok := token.(string)
		if !ok || loneSurrogate(body[from:dec.InputOffset()]) {
			return nil, fault.New(fault.Invalid, "A name in the request body is not valid.")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		members = append(members, member{name, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "The request body must be a single JSON object with no trailing data.")
	}
	return members, nil
}

// loneSurrogate reports whether JSON text has a \u escape of half a surrogate pair,
// which encoding/json would replace silently.
func loneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		u, ok := parseEscape(raw[i:])
		switch {
		case !ok:
			i++ // a short escape such as \\ or \"
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0xD800 && u <= 0xDBFF:
			low, ok := parseEscape(raw[i+6:])
			if !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}

// parseEscape parses a \uXXXX escape at the start of raw.
func parseEscape(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return u, err == nil
}

// field is a member that has at most one problem.
func field(name string, decode func(value json.RawMessage) *fault.Error) Field {
	return Field{Name: name, Check: func(value json.RawMessage) fault.List { return fault.ListOf(decode(value)) }}
}

func decodeText(name string, value json.RawMessage) (string, *fault.Error) {
	var s string
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", fault.Field(fault.Invalid, name, "%s must be a string.", name)
	}
	return s, nil
}

// String is a text member; clean returns the text to store. An empty text that clean
// finds invalid is fault.Length, as in every other field.
func String(name string, dst *string, clean func(field, s string) (string, *fault.Error)) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		s, problem := decodeText(name, value)
		if problem != nil {
			return problem
		}
		cleaned, problem := clean(name, s)
		switch {
		case problem == nil:
			*dst = cleaned
		case problem.Kind == fault.Invalid && s == "":
			return fault.Empty(name)
		}
		return problem
	})
}

// Secret is a text member that must never be printed. Any text is valid.
func Secret(name string, dst **secret.Text) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		s, problem := decodeText(name, value)
		if problem == nil {
			hidden := secret.New(s)
			*dst = &hidden
		}
		return problem
	})
}

// Require makes a field required.
func Require(f Field) Field {
	f.Required = true
	return f
}

// Bool is a boolean member. "true" and "false" in quotes are valid too, because
// ShipEngine clients send them.
func Bool(name string, dst *bool) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		switch s := strings.Trim(string(value), `"`); s {
		case "true", "false":
			*dst = s == "true"
			return nil
		case "":
			return fault.Empty(name)
		}
		return fault.NotBool(name)
	})
}

// Metadata is a member that is an object of texts.
func Metadata(name string, dst *map[string]string) Field {
	return Field{Name: name, Check: func(value json.RawMessage) fault.List {
		wrong := fault.List{fault.Field(fault.Invalid, name, "%s must be an object of strings.", name)}
		if value[0] != '{' {
			return wrong
		}
		members, err := parseObject(value)
		if err != nil {
			return wrong
		}
		if problem := text.CheckMetadataSize(name, len(members)); problem != nil {
			return fault.List{problem}
		}
		var problems fault.List
		keys, values := make([]string, 0, len(members)), make(map[string]string, len(members))
		for _, m := range members {
			field := name + "." + shorten(m.name)
			s, problem := decodeText(field, m.value)
			if _, twice := values[m.name]; twice {
				problem = fault.Repeated(field)
			}
			if problem != nil {
				problem.Named = true
				problems = append(problems, problem)
				continue
			}
			keys, values[m.name] = append(keys, m.name), s
		}
		if problems = append(problems, text.CleanMetadata(name, keys, values)...); len(problems) > 0 {
			return problems
		}
		*dst = values
		return nil
	}}
}

// Strings is a member that is a list of texts; store gets them all at once.
func Strings(name string, store func(texts []string) *fault.Error) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		var members []json.RawMessage
		err := json.Unmarshal(value, &members)
		texts := make([]string, len(members))
		for i, m := range members {
			var problem *fault.Error
			if texts[i], problem = decodeText(name, m); problem != nil {
				err = problem
			}
		}
		if err != nil {
			return fault.Field(fault.Invalid, name, "%s must be a list of strings.", name)
		}
		return store(texts)
	})
}

// ParseTime parses an RFC 3339 time, with T and Z in either case. Unlike time.Parse it
// refuses an hour of one digit, a comma, and offsets such as +24:00 and +00:60.
func ParseTime(s string) (time.Time, error) {
	s = strings.ToUpper(s)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, err
	}
	end := len(s) - len("23:59")
	if s[12] == ':' || s[19] == ',' || s[len(s)-1] != 'Z' && (s[end:end+2] > "23" || s[end+3] > '5') {
		return at, errors.New("not a time of RFC 3339")
	}
	return at, nil
}

// Instant is a member that is an RFC 3339 time, stored to the millisecond. Go's zero
// time is refused, because it would count as absent.
func Instant(name string, dst *time.Time) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		s, problem := decodeText(name, value)
		at, err := ParseTime(s)
		at = at.UTC().Truncate(time.Millisecond)
		if problem != nil || err != nil || at.IsZero() {
			return fault.NotTime(name)
		}
		*dst = at
		return nil
	})
}

// Count is a member that is a whole number from least to most.
func Count(name string, dst *int, least, most int) Field {
	return field(name, func(value json.RawMessage) *fault.Error {
		n, err := strconv.Atoi(string(value))
		if err != nil || n < least || n > most {
			return fault.OutOfRange(name, least, most)
		}
		*dst = n
		return nil
	})
}

// InOrder adds problems to the error of Request.JSON, in the order of the fields.
// Problems without a field come last.
func InOrder(fields []Field, err error, more fault.List) error {
	rank := func(p *fault.Error) int {
		name, _, _ := strings.Cut(p.Field, ".")
		if i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }); i >= 0 {
			return i
		}
		return len(fields)
	}
	all := append(fault.Of(err), more...)
	slices.SortStableFunc(all, func(a, b *fault.Error) int { return rank(a) - rank(b) })
	return all.Err()
}
