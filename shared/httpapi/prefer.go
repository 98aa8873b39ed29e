package httpapi

import "strings"

// Preference returns the value of a preference in the header Prefer (RFC 7240); empty if
// it is absent or has no value. Names are case-insensitive, the first of several
// preferences with the same name counts, and parameters are ignored.
func (r *Request) Preference(name string) string {
	header, _ := r.HeaderList("Prefer")
	for _, element := range splitUnquoted(header, ',') {
		preference := splitUnquoted(element, ';')[0]
		got, value, _ := strings.Cut(preference, "=")
		if strings.EqualFold(strings.TrimSpace(got), name) {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// splitUnquoted splits a header at separators outside of quoted strings.
func splitUnquoted(header string, separator byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case quoted && c == '\\':
			i++ // the next byte is escaped
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			parts = append(parts, header[start:i])
			start = i + 1
		}
	}
	return append(parts, header[start:])
}

// unquote returns the text of a token or a quoted string (RFC 9110, section 5.6.4);
// empty for a malformed quoted string.
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
