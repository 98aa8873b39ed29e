package httpapi

import (
	"strings"
)

// Preference is the value of a preference in the header Prefer (RFC 7240), whose
// name has no letter case; empty if it is not there or has no value. Of several
// of one name the first counts, whatever its value is. Parameters are passed over.
func (r *Request) Preference(name string) string {
	header, _ := r.HeaderList("Prefer")
	for _, element := range split(header, ',') {
		preference := split(element, ';')[0]
		got, value, _ := strings.Cut(preference, "=")
		if strings.EqualFold(strings.TrimSpace(got), name) {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// split parts a header where separator stands outside of quoted strings.
func split(header string, separator byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case quoted && c == '\\':
			i++ // the next byte is itself, a quote too
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			parts = append(parts, header[start:i])
			start = i + 1
		}
	}
	return append(parts, header[start:])
}

// unquote is the text of a token or of a quoted string (RFC 9110, section
// 5.6.4); empty for a string that
// does not end where the word does.
func unquote(word string) string {
	text, quoted := strings.CutPrefix(word, `"`)
	if !quoted {
		return word
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"' && i == len(text)-1:
			return b.String()
		case text[i] == '"':
			return ""
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return ""
}
