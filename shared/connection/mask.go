package connection

import (
	"strings"
	"unicode"
)

// masked tells whether a text is what a form shows in place of a secret, which
// comes back when the form is sent unchanged: ********, ••••, ********7c8d,
// 6fda…9dd1, XXXX-XXXX-7c8d, [REDACTED].
//
// A real secret is about twenty characters with hardly two alike in a row
// (auspost.md, "Connection and authentication"), so what decides is how much of
// the text is runs of one character. Four asterisks or signs beyond ASCII in runs
// are a mask, and three beside eight characters at most; x and ASCII signs, of
// which a real secret may have a run, only when four characters are left, or at
// most two thirds of theirs. A UUID has no signs, so that two of them are enough.
func masked(text string) bool {
	text = strings.Join(strings.Fields(text), "")
	switch strings.ToLower(strings.TrimFunc(text, sign)) {
	case "redacted", "hidden", "masked", "filtered", "sensitive", "sensitivevalue", "unchanged":
		return true
	}
	if maskedUUID(text) {
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
		case r == '…' || r == '‥': // dots in one
			strong += 3 * n
		case maskSign(r) && n >= 3:
			strong += n
		case (r == 'x' || r == 'X' || r < unicode.MaxASCII && sign(r)) && n >= 3:
			weak += n
		case r == '-' || r == '_' || maskSign(r): // between groups, or a small group of its own
		default:
			visible += n
		}
	}
	switch {
	case strong+weak == 0:
		return visible == 0 && strings.ContainsFunc(text, maskSign)
	case strong >= 4, strong > 0 && visible <= 8:
		return true
	}
	return visible <= 4 || 3*visible <= 2*weak
}

// maskedUUID tells whether a text is a UUID of which a part is hidden:
// 6fda3d2a-1b2c-4d5e-****-********9dd1.
func maskedUUID(text string) bool {
	hidden := 0
	uuid := strings.Map(func(r rune) rune {
		if r == 'x' || r == 'X' || maskSign(r) {
			hidden++
			return '0'
		}
		return r
	}, text)
	return hidden >= 2 && isUUID(uuid)
}

// maskSign tells whether a sign is hardly ever part of a secret: bullets, blocks
// and the like, and the asterisk.
func maskSign(r rune) bool { return r == '*' || r > unicode.MaxASCII && sign(r) }

func sign(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
