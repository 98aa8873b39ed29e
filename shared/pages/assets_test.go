package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"carrierlink/shared/account"
)

// Each theme's colours, as the stylesheet has them.
func palettes(t *testing.T) (light, dark map[string]account.Color) {
	t.Helper()
	light, dark = map[string]account.Color{}, map[string]account.Color{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#\w+), (#\w+)\);`).FindAllStringSubmatch(string(appCSSBody), -1) {
		var okLight, okDark bool
		light[m[1]], okLight = account.ParseColor(m[2])
		dark[m[1]], okDark = account.ParseColor(m[3])
		if !okLight || !okDark {
			t.Fatalf("--%s is %s and %s, which are no colours", m[1], m[2], m[3])
		}
	}
	if len(light) != 11 {
		t.Fatalf("app.css has %d colours, want 11", len(light))
	}
	return light, dark
}

// Texts need 4.5:1, pictures and the edges of controls 3:1 (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	light, dark := palettes(t)
	pairs := []struct {
		front, back string
		least       float64
	}{{"on-accent", "accent", 4.5}}
	for _, back := range []string{"bg", "card"} {
		for _, text := range []string{"ink", "soft", "accent", "bad"} {
			pairs = append(pairs, struct {
				front, back string
				least       float64
			}{text, back, 4.5})
		}
		for _, shape := range []string{"ok", "outage", "none"} {
			pairs = append(pairs, struct {
				front, back string
				least       float64
			}{shape, back, 3})
		}
	}
	for theme, palette := range map[string]map[string]account.Color{"light": light, "dark": dark} {
		for _, p := range pairs {
			if got := account.Contrast(palette[p.front], palette[p.back]); got < p.least {
				t.Errorf("%s: %s on %s has %.2f:1, want %.1f:1", theme, p.front, p.back, got, p.least)
			}
		}
	}
	// A colour outside the palette would not be among them.
	root, rest, _ := strings.Cut(string(appCSSBody), "\n}\n")
	screen, _, _ := strings.Cut(rest, "@media print")
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(`).FindString(screen); found != "" {
		t.Errorf("app.css has the colour %s outside of :root", found)
	}
	for _, name := range regexp.MustCompile(`var\(--([a-z-]+)\)`).FindAllStringSubmatch(screen, -1) {
		if !strings.Contains(root, "--"+name[1]+":") {
			t.Errorf("app.css uses --%s, which :root does not have", name[1])
		}
	}
}

func TestContrastOfKnownColors(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want string
	}{{"#ffffff", "#000000", "21.00"}, {"#777777", "#ffffff", "4.48"}, {"#0b5cad", "#0b5cad", "1.00"}} {
		a, _ := account.ParseColor(c.a)
		b, _ := account.ParseColor(c.b)
		if got := fmt.Sprintf("%.2f", account.Contrast(a, b)); got != c.want {
			t.Errorf("contrast(%s, %s) = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestAccent(t *testing.T) {
	for _, color := range []string{"", "#fff", "red", "red;}", "0b5cad", "#0b5cag", "#0b5cad;", "#0b5cad00", "#０b5ca"} {
		if asset, ok := Accent(color); ok {
			t.Errorf("Accent(%q) = %s, want none", color, asset.Body)
		}
	}
	for _, c := range []struct{ color, name, body string }{
		{"#0B5CAD", "0b5cad.css", ":root{--brand:#0b5cad;--on-brand:#fff}\n"},
		{"#ffffff", "ffffff.css", ":root{--brand:#ffffff;--on-brand:#000}\n"},
		{"#ffcc00", "ffcc00.css", ":root{--brand:#ffcc00;--on-brand:#000}\n"},
	} {
		asset, ok := Accent(c.color)
		if !ok || asset.Name != c.name || string(asset.Body) != c.body || asset.Type != "text/css; charset=utf-8" {
			t.Errorf("Accent(%q) = %s, %q, %v, want %s, %q", c.color, asset.Name, asset.Body, ok, c.name, c.body)
		}
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		rgb := [3]uint8{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))}
		asset, _ := Accent("#" + hex.EncodeToString(rgb[:]))
		text := [3]uint8{}
		if strings.Contains(string(asset.Body), "--on-brand:#fff") {
			text = [3]uint8{255, 255, 255}
		}
		if got := account.Contrast(rgb, text); got < 4.5 {
			t.Fatalf("the text on %x has %.2f:1, want 4.5:1", rgb, got)
		}
	}
}

func TestAssets(t *testing.T) {
	limits := map[string]int{"app": 4 << 10, "portal": 4 << 10}
	for _, a := range Assets() {
		name, rest, _ := strings.Cut(a.Name, ".")
		sum := sha256.Sum256(a.Body)
		if !strings.HasPrefix(rest, hex.EncodeToString(sum[:4])+".") {
			t.Errorf("the name %s does not have the hash of the file, %x", a.Name, sum[:4])
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(a.Body); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if limit := limits[name]; packed.Len() > limit {
			t.Errorf("%s has %d bytes packed, want at most %d", a.Name, packed.Len(), limit)
		}
		// Nothing is loaded from elsewhere, and nothing needs what the security policy forbids.
		for _, word := range []string{"http:", "https:", "//cdn", "@import", "url(", "eval(", "innerHTML", "new Function", ".style"} {
			if bytes.Contains(a.Body, []byte(word)) {
				t.Errorf("%s has %q", a.Name, word)
			}
		}
	}
}

// Every class that a page has is in the stylesheet, but those that look like the element itself.
func TestClasses(t *testing.T) {
	plain := map[string]bool{"secondary": true, "neutral": true}
	for name, c := range components("text") {
		for n := range parse(t, render(t, c)).Descendants() {
			for class := range strings.FieldsSeq(attribute(n, "class")) {
				if !plain[class] && !regexp.MustCompile(`\.`+class+`\b`).Match(appCSSBody) {
					t.Errorf("%s has the class %s, which app.css does not", name, class)
				}
			}
		}
	}
}
