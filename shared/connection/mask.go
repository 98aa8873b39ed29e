package connection

import (
	"strings"
	"unicode"
)

// isMask reports whether a text is a mask that a form shows in place of a secret, and sends
// back unchanged: ********, ••••, ********7c8d, 6fda…9dd1, XXXX-XXXX-7c8d, [REDACTED].
//
// A real secret has about twenty characters and hardly two alike in a row (auspost.md,
// "Connection and authentication"), so the length of runs of the same character decides.
//   - Strong signs, asterisks and signs beyond ASCII, are a mask in runs of four in all, or
//     of three beside at most eight other characters.
//   - Weak signs, x and ASCII signs, also occur in real secrets: they are a mask beside at
//     most four other characters, or two thirds of their number.
//   - A UUID has no signs, so two of them are a mask.
func isMask(text string) bool {
	text = strings.Join(strings.Fields(text), "")
	switch strings.ToLower(strings.TrimFunc(text, isSign)) {
	case "redacted", "hidden", "masked", "filtered", "sensitive", "sensitivevalue", "unchanged":
		return true
	}
	if isMaskedUUID(text) {
		return true
	}
	strong, weak, visible := 0, 0, 0
	for runes := []rune(text); len(runes) > 0; {
		r, n := runes[0], 1
		for n < len(runes) && runes[n] == r {
			n++
		}
		runes = runes[n:]
		switch {
		case r == '…' || r == '‥': // one character, three dots
			strong += 3 * n
		case isMaskSign(r) && n >= 3:
			strong += n
		case (r == 'x' || r == 'X' || r < unicode.MaxASCII && isSign(r)) && n >= 3:
			weak += n
		case r == '-' || r == '_' || isMaskSign(r): // a separator or a short run
		default:
			visible += n
		}
	}
	switch {
	case strong+weak == 0:
		return visible == 0 && strings.ContainsFunc(text, isMaskSign)
	case strong >= 4, strong > 0 && visible <= 8:
		return true
	}
	return visible <= 4 || 3*visible <= 2*weak
}

// isMaskedUUID reports whether a text is a UUID with hidden digits, such as
// 6fda3d2a-1b2c-4d5e-****-********9dd1.
func isMaskedUUID(text string) bool {
	hidden := 0
	uuid := strings.Map(func(r rune) rune {
		if r == 'x' || r == 'X' || isMaskSign(r) {
			hidden++
			return '0'
		}
		return r
	}, text)
	return hidden >= 2 && isUUID(uuid)
}

// isMaskSign reports whether a character is hardly ever part of a secret: bullets, blocks and
// the like, and the asterisk.
func isMaskSign(r rune) bool { return r == '*' || r > unicode.MaxASCII && isSign(r) }

func isSign(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
