package pages

import (
	"crypto/sha256"
	_ "embed" // the files below
	"encoding/hex"
	"fmt"

	"carrierlink/shared/account"
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
	rgb, ok := account.ParseColor(color)
	if !ok {
		return web.Asset{}, false
	}
	text := "#000"
	if account.Contrast(rgb, account.Color{255, 255, 255}) > account.Contrast(rgb, account.Color{}) {
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
