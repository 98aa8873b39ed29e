package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Tab is an open page. Its methods find things by what a person sees: the label of a field, the words on a button.
type Tab struct {
	test    testing.TB
	browser *Browser
	ctx     context.Context
	base    string
	view    View

	mu       sync.Mutex
	heard    []Problem
	document network.RequestID // of the page itself
	address  string            // of the page, as it was requested
	status   int               // of its answer
}

// find.js defines find(what, words), which returns an element or throws.
//
//go:embed find.js
var findScript string

// call runs a function of find.js's elements: an expression with e, the element.
func call[T any](tab *Tab, what, words, expression string) T {
	tab.test.Helper()
	quoted, err := json.Marshal([]string{what, words})
	if err != nil {
		tab.test.Fatal(err)
	}
	return run(tab, chromedp.Evaluate[T](fmt.Sprintf("(() => { %s; const e = find(...%s); return %s })()", findScript, quoted, expression)))
}

// run does one step within its time.
func run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.test.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, actWithin)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.test.Fatalf("%s (%s): %v", tab.Path(), tab.view, err)
	}
	return result
}

func (tab *Tab) do(action chromedp.Action[chromedp.Void]) {
	tab.test.Helper()
	run(tab, action)
}

// load does a step that leads to a page, and waits for that page.
func (tab *Tab) load(action chromedp.Action[chromedp.Void]) {
	tab.test.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, actWithin)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, action); err != nil {
		tab.test.Fatalf("%s (%s): waiting for the next page: %v", tab.Path(), tab.view, err)
	}
}

// Go opens a page of the site.
func (tab *Tab) Go(path string) {
	tab.test.Helper()
	if err := tab.navigate(tab.base + path); err != nil {
		tab.test.Fatalf("%s (%s): %v", path, tab.view, err)
	}
}

func (tab *Tab) navigate(address string) error {
	ctx, cancel := context.WithTimeout(tab.ctx, actWithin)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(address))
}

// Back presses the browser's back button.
func (tab *Tab) Back() {
	tab.test.Helper()
	tab.do(chromedp.NavigateBack())
}

// Reload presses the browser's reload button.
func (tab *Tab) Reload() {
	tab.test.Helper()
	tab.do(chromedp.Reload())
}

// Path returns the path and query of the page, or its whole address if it is elsewhere.
func (tab *Tab) Path() string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	if address, ok := strings.CutPrefix(tab.address, tab.base); ok {
		return address
	}
	return tab.address
}

// Query returns a value of the query of the page's address.
func (tab *Tab) Query(name string) string {
	tab.test.Helper()
	address, err := url.Parse(tab.Path())
	if err != nil {
		tab.test.Fatal(err)
	}
	return address.Query().Get(name)
}

// Status returns the status with which the page was answered.
func (tab *Tab) Status() int {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return tab.status
}

// Heading returns the heading of the page.
func (tab *Tab) Heading() string {
	tab.test.Helper()
	return call[string](tab, "heading", "", `e.innerText.trim()`)
}

// Text returns the text of the page as it is shown.
func (tab *Tab) Text() string {
	tab.test.Helper()
	return run(tab, chromedp.Evaluate[string]("document.body.innerText"))
}

// Expect ends the test unless the page has the status and the heading, and shows each of the words.
func (tab *Tab) Expect(status int, heading string, words ...string) {
	tab.test.Helper()
	if tab.Status() != status || tab.Heading() != heading {
		tab.test.Fatalf("%s (%s) = %d %q, want %d %q; it says:\n%s", tab.Path(), tab.view, tab.Status(), tab.Heading(), status, heading, tab.Text())
	}
	text := tab.Text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			tab.test.Fatalf("%s (%s) does not say %q; it says:\n%s", tab.Path(), tab.view, w, text)
		}
	}
}

// Fill replaces what is in the field with the label.
func (tab *Tab) Fill(label, value string) {
	tab.test.Helper()
	call[bool](tab, "field", label, `(e.focus(), e.select(), true)`)
	if value == "" {
		tab.do(chromedp.KeyEvent(kb.Delete))
		return
	}
	tab.Type(value)
}

// Choose chooses the option of the select with the label.
func (tab *Tab) Choose(label, option string) {
	tab.test.Helper()
	chosen, err := json.Marshal(option)
	if err != nil {
		tab.test.Fatal(err)
	}
	call[bool](tab, "field", label, fmt.Sprintf(`(() => {
		const o = [...e.options].find(o => o.label === %s);
		if (!o) throw new Error("it has no such option");
		o.selected = true; e.dispatchEvent(new Event("change", {bubbles: true})); return true })()`, chosen))
}

// Value returns what is in the field with the label.
func (tab *Tab) Value(label string) string {
	tab.test.Helper()
	return call[string](tab, "field", label, `e.value`)
}

// Type types a text where the focus is.
func (tab *Tab) Type(text string) {
	tab.test.Helper()
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// Press clicks the button or the link with the words, and waits for the page that it leads to.
func (tab *Tab) Press(words string) {
	tab.test.Helper()
	tab.load(tab.click("action", words))
}

// Click clicks what has the words and stays on the page: a checkbox, a summary, a button that shows something.
func (tab *Tab) Click(words string) {
	tab.test.Helper()
	tab.do(tab.click("control", words))
}

// click finds the middle of an element, where nothing may cover it.
func (tab *Tab) click(what, words string) chromedp.Action[chromedp.Void] {
	tab.test.Helper()
	at := call[[]float64](tab, what, words, `(() => {
		e.scrollIntoView({block: "center", behavior: "instant"});
		const box = e.getClientRects()[0], x = box.left + box.width / 2, y = box.top + box.height / 2;
		const top = document.elementFromPoint(x, y);
		if (!top || !e.contains(top) && !top.contains(e)) throw new Error("something covers it: " + (top && top.outerHTML.slice(0, 200)));
		return [x, y] })()`)
	return chromedp.MouseClickXY(at[0], at[1])
}

// TabTo presses Tab until the field, the button or the link with the words has the focus, and fails if something on the way
// does not show that it has it.
func (tab *Tab) TabTo(words string) {
	tab.test.Helper()
	var passed []string
	for range 100 {
		tab.do(chromedp.KeyEvent(kb.Tab))
		focused := run(tab, chromedp.Evaluate[struct {
			Name      string
			Shown, On bool
		}](fmt.Sprintf("(() => { %s; return focused() })()", findScript)))
		if focused.On && !focused.Shown {
			tab.test.Errorf("%s (%s): %q has the focus and does not show it", tab.Path(), tab.view, focused.Name)
		}
		if focused.Name == words {
			return
		}
		passed = append(passed, focused.Name)
	}
	tab.test.Fatalf("%s (%s): Tab never reaches %q, only %q", tab.Path(), tab.view, words, passed)
}

// Enter presses Enter where the focus is, and waits for the page that it leads to.
func (tab *Tab) Enter() {
	tab.test.Helper()
	tab.load(chromedp.KeyEvent(kb.Enter))
}

// Clear removes the cookies.
func (tab *Tab) Clear() {
	tab.test.Helper()
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
}
