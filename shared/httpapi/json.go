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

// Field says what to do with one member of a request body.
type Field struct {
	Name     string
	Required bool
	// Check decodes the member's value, which is never null, and keeps it.
	Check func(name string, value json.RawMessage) fault.List
}

// member is one name and value of an object, in the order of the body.
type member struct {
	name  string
	value json.RawMessage
}

// decode walks the body once and hands each member to its field. encoding/json
// alone would match names in any case, keep the last of two duplicates, and
// repair broken text; all of these are refused.
func decode(body []byte, fields []Field) error {
	members, err := membersOf(body)
	if err != nil {
		return err
	}
	return append(keep(members, fields), strangers(members, fields)...).Err()
}

// membersOf reads a body that must be a JSON object.
func membersOf(body []byte) ([]member, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return nil, fault.New(fault.BodyRequired, "The request needs a JSON object as its body.")
	}
	if !utf8.Valid(body) {
		return nil, fault.New(fault.Invalid, "The request body must be valid UTF-8.")
	}
	return object(body)
}

// keep hands each member to its field, and no other member to anything.
func keep(members []member, fields []Field) fault.List {
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
			problems = append(problems, f.Check(f.Name, found[0].value)...)
		}
	}
	return problems
}

// strangers are the members that no field has, as problems.
func strangers(members []member, fields []Field) fault.List {
	var problems fault.List
	known := make(map[string]bool, len(fields)+len(members))
	for _, f := range fields {
		known[f.Name] = true
	}
	unknown := 0
	for _, m := range members {
		if known[m.name] {
			continue
		}
		known[m.name] = true // it is told once
		if unknown++; unknown <= maxUnknown {
			name := shorten(m.name)
			problems = append(problems, fault.Named(fault.Invalid, name, "%s is not a field of this request.", name))
		}
	}
	if unknown > maxUnknown {
		problems = append(problems, fault.New(fault.Invalid, "%d more fields are not of this request.", unknown-maxUnknown))
	}
	return problems
}

// maxUnknown is how many unknown members are named: a body of 64 KiB has room
// for thousands, and nobody reads them.
const maxUnknown = 20

// shorten keeps a caller's own text from making an answer larger than a line.
func shorten(s string) string {
	const most = 64
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// object reads one JSON object and nothing behind it.
func object(body []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	broken := func(err error) error {
		message := "The request body is not valid JSON."
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			message = fmt.Sprintf("The request body is not valid JSON (byte %d).", syntax.Offset)
		}
		return &fault.Error{Kind: fault.Invalid, Message: message}
	}
	open, err := dec.Token()
	if err != nil {
		return nil, broken(err)
	}
	if open != json.Delim('{') {
		return nil, fault.New(fault.Invalid, "The request body must be a JSON object.")
	}
	var members []member
	for dec.More() {
		from := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			return nil, broken(err)
		}
		name, ok := token.(string)
		if !ok || loneSurrogate(body[from:dec.InputOffset()]) {
			return nil, fault.New(fault.Invalid, "A name in the request body is not valid.")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, broken(err)
		}
		members = append(members, member{name, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, broken(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "The request body must be one JSON object with nothing behind it.")
	}
	return members, nil
}

// loneSurrogate finds a \u escape of half a surrogate pair in JSON text, which
// encoding/json would replace silently.
func loneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		u, ok := escaped(raw[i:])
		switch {
		case !ok:
			i++ // a short escape, \\ and \" among them
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0xD800 && u <= 0xDBFF:
			low, ok := escaped(raw[i+6:])
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

// escaped reads a \uXXXX escape at the start of raw.
func escaped(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return u, err == nil
}

// textValue decodes a JSON string.
func textValue(name string, value json.RawMessage) (string, *fault.Error) {
	var s string
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", fault.Field(fault.Invalid, name, "%s must be a string.", name)
	}
	return s, nil
}

// String is a text member kept in dst after clean, which applies its rule. An
// empty text that the rule finds invalid is fault.Length, in every field alike.
func String(name string, dst *string, clean func(field, s string) (string, *fault.Error)) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		typed, problem := textValue(name, value)
		s := typed
		if problem == nil {
			if s, problem = clean(name, typed); problem != nil && problem.Kind == fault.Invalid && typed == "" {
				problem = fault.Empty(name)
			}
		}
		if problem != nil {
			return fault.List{problem}
		}
		*dst = s
		return nil
	}}
}

// Secret is a text member that nobody may see: it is wrapped as it is decoded. Of
// its text any passes.
func Secret(name string, dst **secret.Text) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		typed, problem := textValue(name, value)
		if problem != nil {
			return fault.List{problem}
		}
		s := secret.New(typed)
		*dst = &s
		return nil
	}}
}

// Require makes a field required.
func Require(f Field) Field {
	f.Required = true
	return f
}

// Bool is a boolean member; "true" and "false" in quotes pass too, as ShipEngine
// clients send them.
func Bool(name string, dst *bool) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		switch strings.Trim(string(value), `"`) {
		case "true":
			*dst = true
		case "false":
			*dst = false
		case "":
			return fault.List{fault.Empty(name)}
		default:
			return fault.List{fault.NotBool(name)}
		}
		return nil
	}}
}

// Metadata is a member of a caller's own texts by key.
func Metadata(name string, dst *map[string]string) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		wrong := fault.List{fault.Field(fault.Invalid, name, "%s must be an object of strings.", name)}
		if value[0] != '{' {
			return wrong
		}
		members, err := object(value)
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
			s, problem := textValue(field, m.value)
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

// Strings is a member that is a list of texts; clean gets them all at once.
func Strings(name string, dst *[]string, clean func(field string, s []string) *fault.Error) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		var members []json.RawMessage
		err := json.Unmarshal(value, &members)
		s := make([]string, len(members))
		for i, m := range members {
			var problem *fault.Error
			if s[i], problem = textValue(name, m); problem != nil {
				err = problem
			}
		}
		if err != nil {
			return fault.List{fault.Field(fault.Invalid, name, "%s must be a list of strings.", name)}
		}
		if problem := clean(name, s); problem != nil {
			return fault.List{problem}
		}
		*dst = s
		return nil
	}}
}

// Instant is a member that is a time in RFC 3339, kept to the millisecond. The
// first one of the year 1, which is no time in Go, is refused: it would count as
// absent.
func Instant(name string, dst *time.Time) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		s, problem := textValue(name, value)
		at, err := time.Parse(time.RFC3339, s)
		at = at.UTC().Truncate(time.Millisecond)
		if problem != nil || err != nil || at.IsZero() {
			return fault.List{fault.NotTime(name)}
		}
		*dst = at
		return nil
	}}
}

// Count is a member that is a whole number from least to most.
func Count(name string, dst *int, least, most int) Field {
	return Field{Name: name, Check: func(name string, value json.RawMessage) fault.List {
		n, err := strconv.Atoi(string(value))
		if err != nil || n < least || n > most {
			return fault.List{fault.OutOfRange(name, least, most)}
		}
		*dst = n
		return nil
	}}
}

// InOrder joins the error of Request.JSON with what the fields' values say
// together, in the order of the fields; what belongs to none comes last.
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
