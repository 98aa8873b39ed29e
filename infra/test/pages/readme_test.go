package pages

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"carrierlink/infra/test/browser"
)

var readme = flag.String("readme", "", "write the pictures of README.md into this directory")

// largest is the size of a picture of README.md in bytes.
const largest = 60_000

// pictures are those of README.md: the fixture, and how it is looked at.
var pictures = []struct {
	fixture string
	view    browser.View
}{
	{"overview-your-turn", browser.View{Height: 760}},
	{"connection-works", browser.View{Height: 1000}},
	{"connection-your-turn", browser.View{Height: 1000, Dark: true}},
	{"link", browser.View{Width: 320, Height: 720}},
	{"sign-in", browser.View{Width: 320, Height: 720, Dark: true}},
	{"timeline", browser.View{Width: 320, Height: 720}},
}

// TestReadmePictures writes the pictures; without -readme it only sees that each is small enough.
func TestReadmePictures(t *testing.T) {
	base := gallery(t)
	for _, p := range pictures {
		tab := chromium.Open(t, base, p.view)
		tab.Go("/portal/" + p.fixture)
		picture := fewerColors(t, tab.Window())
		if len(picture) > largest {
			t.Errorf("%s has %d bytes, want at most %d", p.fixture, len(picture), largest)
		}
		if *readme == "" {
			continue
		}
		if err := os.MkdirAll(*readme, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*readme, p.fixture+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fewerColors makes a picture of a page several times smaller: it keeps the 256 colours that are there most, and nearly all of
// the others are those of the edges of letters.
func fewerColors(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.Color]int{}
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[full.At(x, y)]++
		}
	}
	number := func(c color.Color) uint64 {
		r, g, b, a := c.RGBA()
		return uint64(r)<<48 | uint64(g)<<32 | uint64(b)<<16 | uint64(a)
	}
	// Equally frequent colours have an order, too: the same page makes the same file.
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(number(a), number(b)))
	})
	palette := color.Palette(all[:min(256, len(all))])
	nearest := map[color.Color]uint8{}
	for _, c := range all {
		nearest[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[full.At(x, y)])
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
