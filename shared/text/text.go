package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"carrierlink/shared/fault"
)

// Rule bounds a text in characters (Unicode code points, not bytes). Outer
// white space is taken out first unless the text is Exact.
type Rule struct {
	Min, Max int
	Exact    bool // an identifier or a password: kept to the letter
	// Identifies: people are known by it to each other, so that no two may look
	// alike and differ. No invisible character is allowed, joiners included.
	Identifies bool
	// Opaque: it is not read by people, or looked at elsewhere. Only control
	// characters are refused.
	Opaque bool
}

var (
	metadataKeyRule    = Rule{Min: 1, Max: 40, Exact: true, Opaque: true}
	metadataValueRule  = Rule{Min: 0, Max: 500, Exact: true, Opaque: true}
	metadataMaxMembers = 20
)

// Clean applies the rule to one field: it returns the text to keep, or
// fault.Length (too short, too long) or fault.Invalid (control characters and,
// unless the text is Opaque, hidden ones).
func (r Rule) Clean(field, s string) (string, *fault.Error) {
	if !r.Exact {
		s = strings.TrimSpace(s)
	}
	n := utf8.RuneCountInString(s)
	switch {
	case n > r.Max:
		return "", fault.TooLong(field, r.Max)
	case n < r.Min && r.Min == 1:
		return "", fault.Empty(field)
	case n < r.Min:
		return "", fault.Field(fault.Length, field, "%s must be at least %d characters.", field, r.Min)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", fault.Field(fault.Invalid, field, "%s must not contain control characters.", field)
	case !r.Opaque && strings.ContainsFunc(s, r.hidden):
		return "", fault.Field(fault.Invalid, field, "%s must not contain invisible characters or such as change the direction of text.", field)
	}
	return s, nil
}

// hidden tells whether a character shows nothing, or changes how others show:
// zero-width and bidirectional ones, and breaks of lines. The joiners of words
// (U+200C, U+200D), the selectors of a character's variant and blanks, which names
// are written with, are hidden only where a text identifies.
func (r Rule) hidden(c rune) bool {
	const nonJoiner, joiner, brailleBlank = '\u200c', '\u200d', '\u2800'
	if c == nonJoiner || c == joiner || c == brailleBlank || unicode.In(c, unicode.Zs, unicode.Variation_Selector) {
		return r.Identifies
	}
	return unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// CheckMetadataSize allows 20 keys: more are fault.Invalid.
func CheckMetadataSize(field string, keys int) *fault.Error {
	if keys > metadataMaxMembers {
		return fault.Field(fault.Invalid, field, "%s must have at most %d keys.", field, metadataMaxMembers)
	}
	return nil
}

// CleanMetadata checks a partner's own key-value pairs: at most 20, keys of 1
// to 40 characters, values of at most 500. Order is that of keys.
func CleanMetadata(field string, keys []string, values map[string]string) fault.List {
	var problems fault.List
	if problem := CheckMetadataSize(field, len(keys)); problem != nil {
		return fault.List{problem}
	}
	for _, k := range keys {
		name := fmt.Sprintf("%s.%s", field, k)
		if _, p := metadataKeyRule.Clean(field, k); p != nil {
			p.Message = fmt.Sprintf("A key of %s must be 1 to %d characters without control characters.", field, metadataKeyRule.Max)
			problems = append(problems, p)
			continue
		}
		if _, p := metadataValueRule.Clean(name, values[k]); p != nil {
			p.Named = true
			problems = append(problems, p)
		}
	}
	return problems
}
