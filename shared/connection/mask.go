package connection

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isMask reports whether a text is a mask or placeholder that a form shows in place of a
// secret, and sends back: ********, •7c8d, 6fda...9dd1, [REDACTED], ${API_SECRET}.
//
// A real secret has about twenty characters of ASCII and hardly two alike in a row
// (auspost.md, "Connection and authentication"). So a bullet or four asterisks in a row are
// always a mask; other asterisks, and x and signs in runs of three, are one beside at most
// eight other characters or two thirds of their number, and three dots beside at most twelve.
// A UUID has no signs, so two of them are a mask.
func isMask(text string) bool {
	text = strings.Join(strings.Fields(plain(text)), "")
	dots := strings.Contains(text, "...") && len(strings.ReplaceAll(text, "...", "")) <= 12
	if dots || strings.Contains(text, "****") || strings.ContainsFunc(text, isBullet) || isPlaceholder(text) || isMaskedUUID(text) {
		return true
	}
	hidden, visible := 0, 0
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		n := (len(text) - len(strings.TrimLeft(text, text[:size]))) / size
		text = text[n*size:]
		switch {
		case r == '*', n >= 3 && (r == 'x' || r == 'X' || isSign(r)):
			hidden += n
		case r != '-' && r != '_':
			visible += n
		}
	}
	return hidden > 0 && (visible <= 8 || 3*visible <= 2*hidden)
}

// plain undoes percent codes and full width, makes an asterisk of an HTML entity, and a bullet
// of a text with bullets whose UTF-8 was read as Windows-1252.
func plain(text string) string {
	if decoded, err := url.PathUnescape(text); err == nil && utf8.ValidString(decoded) {
		text = decoded
	}
	parts := strings.Split(strings.ReplaceAll(text, "&amp;", "&"), "&")
	for i, part := range parts[1:] {
		parts[i+1] = "&" + part
		if name, rest, ok := strings.Cut(part, ";"); ok && (consistsOf(name, lowerLetters) || name[0] == '#' && consistsOf(name[1:], "xX"+hexadecimal)) {
			parts[i+1] = "*" + rest
		}
	}
	text = strings.Join(parts, "")
	if i := strings.IndexAny(text, "âãï"); i >= 0 && len(text) > i+2 && text[i+2] >= utf8.RuneSelf {
		return "•"
	}
	return strings.Map(func(r rune) rune {
		if '！' <= r && r <= '～' {
			return r - '！' + '!'
		}
		return r
	}, text)
}

// isPlaceholder reports whether a text is a name in brackets, such as {{api_secret}}, or
// consists of words such as "your-api-key".
func isPlaceholder(text string) bool {
	text = strings.ToLower(strings.TrimLeft(text, "$#@%"))
	name := strings.Trim(text, "$#@%=?[](){}<>"+digits)
	if name != "" && consistsOf(name, lowerLetters+"_-.:") && strings.Contains("[] () {} <>", text[:1]+text[len(text)-1:]) {
		return true
	}
	rest := strings.Join(strings.FieldsFunc(text, isSign), "")
	for word := range strings.FieldsSeq("redacted hidden masked filtered sensitive encrypted removed unchanged undefined null none nil nan object " +
		"placeholder changeme your enter insert here value auspost client api secret password token key") {
		rest = strings.ReplaceAll(rest, word, "")
	}
	return rest == "" && strings.ContainsFunc(text, unicode.IsLetter)
}

// isMaskedUUID reports whether a text is a UUID with hidden digits.
func isMaskedUUID(text string) bool {
	hidden := 0
	uuid := strings.Map(func(r rune) rune {
		if r == 'x' || r == 'X' || r != '-' && isSign(r) {
			hidden++
			return '0'
		}
		return r
	}, text)
	return hidden >= 2 && isUUID(uuid)
}

// isBullet reports whether a character is a sign that no secret has: a bullet, block or the like.
func isBullet(r rune) bool {
	return (r == '·' || r >= 0x2000) && unicode.In(r, unicode.Po, unicode.So, unicode.Sm)
}

func isSign(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
