package account

import (
	"encoding/hex"
	"math"
)

// Color is a colour of sRGB: red, green and blue.
type Color [3]uint8

// ParseColor parses #rrggbb; ok is false for any other text.
func ParseColor(text string) (c Color, ok bool) {
	if len(text) != len("#rrggbb") || text[0] != '#' {
		return c, false
	}
	digits, err := hex.DecodeString(text[1:])
	if err != nil {
		return c, false
	}
	return Color(digits), true
}

// Contrast returns the contrast of two colours: 1 to 21 (WCAG 2.2, "contrast ratio").
func Contrast(a, b Color) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance of WCAG 2.2.
func (c Color) luminance() float64 {
	var linear [3]float64
	for i, channel := range c {
		v := float64(channel) / 255
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}
