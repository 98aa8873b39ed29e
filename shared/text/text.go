// Package text checks the text that callers send: lengths, invisible characters,
// metadata.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"carrierlink/shared/fault"
)

// Rule limits a text. Lengths are in Unicode code points, and count after leading and
// trailing white space is removed.
type Rule struct {
	Min, Max int
	Exact    bool // white space is kept, as for identifiers and passwords
	// NoInvisible is for texts that people recognise each other by: different texts
	// must look different, so no invisible character is allowed, not even joiners.
	NoInvisible bool
	// Opaque is for texts that people do not read: only control characters are
	// refused.
	Opaque bool
}

var (
	metadataKeyRule    = Rule{Min: 1, Max: 40, Exact: true, Opaque: true}
	metadataValueRule  = Rule{Min: 0, Max: 500, Exact: true, Opaque: true}
	metadataMaxMembers = 20
)

// Clean returns the text to keep. Errors: fault.Length for one that is too short or
// too long; fault.Invalid for control characters and, unless the rule is Opaque, for
// hidden characters.
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
		return "", fault.Field(fault.Invalid, field, "%s must not contain invisible characters or characters that change the direction of text.", field)
	case !r.Opaque && r.Min > 0 && !strings.ContainsFunc(s, visible):
		return "", fault.Empty(field)
	}
	return s, nil
}

// visible reports whether a text of only this character shows something. Names contain
// joiners, variation selectors and blanks, but not alone.
func visible(c rune) bool {
	const nonJoiner, joiner, brailleBlank = '\u200c', '\u200d', '\u2800'
	return c != nonJoiner && c != joiner && c != brailleBlank && !unicode.In(c, unicode.Zs, unicode.Variation_Selector)
}

// hidden reports whether a character is invisible or changes how others are shown:
// zero-width and bidirectional characters, and line breaks. The characters that names
// need are hidden only if the rule is NoInvisible.
func (r Rule) hidden(c rune) bool {
	if !visible(c) {
		return r.NoInvisible
	}
	return unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// CheckMetadataSize returns fault.Invalid for more than 20 keys.
func CheckMetadataSize(field string, keys int) *fault.Error {
	if keys > metadataMaxMembers {
		return fault.Field(fault.Invalid, field, "%s must have at most %d keys.", field, metadataMaxMembers)
	}
	return nil
}

// CleanMetadata checks the members of metadata: keys of 1 to 40 characters, with values
// of at most 500. The problems are in the order of keys.
func CleanMetadata(field string, keys []string, values map[string]string) fault.List {
	var problems fault.List
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
