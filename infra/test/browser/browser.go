// Package browser looks at pages as people do: in Chromium, with a keyboard or a mouse, in light and dark, on a phone and at a
// desk, with JavaScript and without. A tab reports what is wrong with the page that it shows.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"carrierlink/infra/local/emulator"
)

// actWithin is how long one step may take on a busy machine. Linking a carrier takes up to 26 s by itself.
const actWithin = 60 * time.Second

// Browser is a running Chromium, and the checker of HTML beside it. Tabs may be open at the same time.
type Browser struct {
	ctx  context.Context // of chromedp
	stop []func()
	axe  string // its source
	html *htmlChecker
}

// Start starts a Chromium of its own, which reaches 127.0.0.1 and nothing else. It ends with this process, or by Close.
func Start(ctx context.Context) (_ *Browser, err error) {
	root, err := emulator.Root()
	if err != nil {
		return nil, err
	}
	b := &Browser{}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	axe, err := os.ReadFile(filepath.Join(root, ".cache/axe/axe.min.js"))
	if err != nil {
		return nil, fmt.Errorf("axe-core is missing, `make tools` installs it: %w", err)
	}
	b.axe = string(axe)
	program, err := find()
	if err != nil {
		return nil, err
	}
	if b.html, err = startHTMLChecker(ctx, filepath.Join(root, ".cache/vnu")); err != nil {
		return nil, err
	}
	b.stop = append(b.stop, b.html.close)

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		// Nothing else has a name or is reached by its number.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true),
		// A page that one goes back to is asked for again, as it is where the browser is short of memory.
		chromedp.Flag("disable-features", "Translate,BackForwardCache"),
		chromedp.Flag("lang", "en-AU"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses to run as root
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(ctx, options...)
	b.stop = append(b.stop, stopAllocator)
	first, closeFirst := chromedp.NewContext(allocator)
	b.stop = append(b.stop, closeFirst)
	b.ctx = first
	if err := chromedp.Do(b.ctx); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return b, nil
}

// find returns the path of the browser, as tools.sh finds it.
func find() (string, error) {
	names := []string{"chromium", "google-chrome"}
	if name := os.Getenv("CHROME"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %q is a program: `make tools` installs Chromium on Debian; else set CHROME to its path", names)
}

// Close ends the browser and the checker. It may be called more than once.
func (b *Browser) Close() {
	for len(b.stop) > 0 {
		last := len(b.stop) - 1
		b.stop[last]()
		b.stop = b.stop[:last]
	}
}

// View is how a page is looked at. The zero value is a desk: 1100 × 800, light, with JavaScript.
type View struct {
	Width, Height int // in CSS pixels at 100 %
	Dark          bool
	NoScript      bool
	Zoom          int // in percent; 0: 100
}

// String names the view: "dark, 320 px, no JavaScript".
func (v View) String() string {
	theme, script, zoom := "light", "", ""
	if v.Dark {
		theme = "dark"
	}
	if v.NoScript {
		script = ", no JavaScript"
	}
	if v.Zoom != 0 {
		zoom = fmt.Sprintf(", %d %%", v.Zoom)
	}
	return fmt.Sprintf("%s, %d px%s%s", theme, v.width(), zoom, script)
}

func (v View) width() int {
	if v.Width == 0 {
		return 1100
	}
	return v.Width
}

// apply gives a tab its view. At 200 % a page has half of the window's CSS pixels, each twice as large.
func (v View) apply(ctx context.Context, t *chromedp.Target) error {
	height, zoom := v.Height, float64(v.Zoom)/100
	if height == 0 {
		height = 800
	}
	if zoom == 0 {
		zoom = 1
	}
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	viewport := chromedp.EmulateViewport(int64(float64(v.width())/zoom), int64(float64(height)/zoom), chromedp.EmulateScale(zoom))
	if _, err := viewport(ctx, t); err != nil {
		return err
	}
	_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		return err
	}
	// Tabs behind others have the focus, too.
	if _, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		return err
	}
	if _, err := cdp.Call(ctx, t, audits.Enable, cdp.Empty{}); err != nil {
		return err
	}
	return setScript(ctx, t, !v.NoScript)
}

func setScript(ctx context.Context, t *chromedp.Target, on bool) error {
	_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	return err
}

// Open opens a tab with cookies of its own. Paths are below base, the address of a site without a trailing slash. The tab
// closes with the test. Its methods end the test if a step fails.
func (b *Browser) Open(tb testing.TB, base string, v View) *Tab {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tb.Cleanup(cancel)
	tab := &Tab{test: tb, browser: b, ctx: ctx, base: base, view: v}
	if err := errors.Join(chromedp.Listen(ctx, tab.hear), chromedp.Do(ctx, chromedp.Func(v.apply))); err != nil {
		tb.Fatalf("opening a tab: %v", err)
	}
	return tab
}
