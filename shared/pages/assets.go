package pages

import (
	"crypto/sha256"
	_ "embed" // the files below
	"encoding/hex"
	"fmt"
	"math"

	"carrierlink/shared/web"
)

//go:embed app.css
var appCSSBody []byte

//go:embed portal.js
var portalJSBody []byte

// The names carry the hash of the body, so a browser may keep them for ever.
var (
	appCSS   = named("app", "css", "text/css; charset=utf-8", appCSSBody)
	portalJS = named("portal", "js", "text/javascript; charset=utf-8", portalJSBody)
)

func named(name, extension, contentType string, body []byte) web.Asset {
	sum := sha256.Sum256(body)
	return web.Asset{Name: name + "." + hex.EncodeToString(sum[:4]) + "." + extension, Type: contentType, Body: body}
}

// Assets returns the files of the pages, which a site serves below /assets.
func Assets() []web.Asset { return []web.Asset{appCSS, portalJS} }

// Accent returns the stylesheet of a partner's colour, #rrggbb: the colour, and white or black as that of
// the text on it, whichever contrasts more, which is always more than 4.5:1. ok is false for any
// other text. It is served at /assets/accent/rrggbb.css, and never changes.
func Accent(color string) (asset web.Asset, ok bool) {
	rgb, ok := parseColor(color)
	if !ok {
		return web.Asset{}, false
	}
	text := "#000"
	if contrast(rgb, [3]uint8{255, 255, 255}) > contrast(rgb, [3]uint8{}) {
		text = "#fff"
	}
	return web.Asset{
		Name: fmt.Sprintf("%02x%02x%02x.css", rgb[0], rgb[1], rgb[2]), Type: appCSS.Type,
		Body: fmt.Appendf(nil, ":root{--brand:#%02x%02x%02x;--on-brand:%s}\n", rgb[0], rgb[1], rgb[2], text),
	}, true
}

func accentPath(color string) string {
	asset, _ := Accent(color)
	return "/assets/accent/" + asset.Name
}

func parseColor(text string) (rgb [3]uint8, ok bool) {
	if len(text) != 7 || text[0] != '#' {
		return rgb, false
	}
	digits, err := hex.DecodeString(text[1:])
	if err != nil {
		return rgb, false
	}
	return [3]uint8(digits), true
}

// contrast is the ratio of WCAG 2.2, 1 to 21.
func contrast(a, b [3]uint8) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(rgb [3]uint8) float64 {
	var linear [3]float64
	for i, c := range rgb {
		v := float64(c) / 255
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}
