package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Problem is something wrong with a page.
type Problem struct {
	Kind Kind
	Text string
}

func (p Problem) String() string { return string(p.Kind) + ": " + p.Text }

// Kind says which check has found a problem.
type Kind string

// The kinds.
const (
	Accessibility Kind = "accessibility" // a rule of axe-core: WCAG 2.2 A and AA, best practice
	Layout        Kind = "layout"        // it scrolls sideways; something is cut, overlaps or is too small to hit
	Console       Kind = "console"       // an error or a warning in the console
	Issue         Kind = "issue"         // what the browser objects to: the Content-Security-Policy first of all
	Request       Kind = "request"       // to another origin
	HTML          Kind = "html"          // it is not valid
)

// runAxe runs axe-core, which is loaded before, and returns its violations. It must not fetch style sheets.
const runAxe = `axe.run(document, {
	runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]},
	resultTypes: ["violations"], preload: false,
}).then(r => r.violations.map(v => v.id + " (" + v.impact + "): " + v.help + ": " +
	v.nodes.slice(0, 5).map(n => n.target.join(" ") + " " + n.html.slice(0, 200)).join("; ")))`

// layout is a function that returns what is wrong with the layout.
//
//go:embed layout.js
var layout string

// Check reports as errors of the test what is wrong with the page, and what has been wrong since the last check.
func (tab *Tab) Check() {
	tab.test.Helper()
	for _, p := range tab.Problems() {
		tab.test.Errorf("%s (%s): %s", tab.Path(), tab.view, p)
	}
}

// Problems returns what is wrong with the page, and what has been wrong since the last check.
func (tab *Tab) Problems() []Problem {
	tab.test.Helper()
	problems := tab.drain()
	problems = append(problems, tab.inspect(Layout, layout)...)
	// axe needs scripts. Those of the page do not run later because of that.
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { return setScript(ctx, t, true) }))
	tab.do(chromedp.Evaluate[chromedp.Void](tab.browser.axe + "\n;undefined"))
	problems = append(problems, tab.inspect(Accessibility, runAxe)...)
	tab.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { return setScript(ctx, t, !tab.view.NoScript) }))
	found, err := tab.browser.html.check(tab.ctx, tab.Source())
	if err != nil {
		tab.test.Fatal(err)
	}
	return append(problems, list(HTML, found)...)
}

func (tab *Tab) inspect(kind Kind, script string) []Problem {
	tab.test.Helper()
	return list(kind, run(tab, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise)))
}

func list(kind Kind, texts []string) []Problem {
	var problems []Problem
	for _, text := range texts {
		problems = append(problems, Problem{kind, text})
	}
	return problems
}

// drain returns what the browser has reported.
func (tab *Tab) drain() []Problem {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	heard := tab.heard
	tab.heard = nil
	return heard
}

// Source returns the document as the server sent it.
func (tab *Tab) Source() string {
	tab.test.Helper()
	tab.mu.Lock()
	id := tab.document
	tab.mu.Unlock()
	return string(run(tab, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		answer, err := cdp.Call(ctx, t, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
		return answer.Body, err
	}))
}

// Screenshot writes the whole page to a file, as PNG.
func (tab *Tab) Screenshot(path string) {
	tab.test.Helper()
	picture := run(tab, chromedp.FullScreenshot(100))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tab.test.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		tab.test.Fatal(err)
	}
}

// Window returns what the window shows of the page, as PNG.
func (tab *Tab) Window() []byte {
	tab.test.Helper()
	return run(tab, chromedp.CaptureScreenshot())
}

// hear notes what the browser reports. It runs inside the loop that reads the browser's messages.
func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	note := func(kind Kind, format string, args ...any) {
		tab.heard = append(tab.heard, Problem{kind, fmt.Sprintf(format, args...)})
	}
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument {
			tab.document, tab.address = e.RequestID, e.Request.URL
		}
		if elsewhere(e.Request.URL, tab.base) {
			note(Request, "%s %s", e.Request.Method, e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.RequestID == tab.document {
			tab.status = int(e.Response.Status)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			note(Console, "%s: %s", e.Type, said(e.Args))
		}
	case *runtime.EventExceptionThrown:
		note(Console, "uncaught: %s", thrown(e.ExceptionDetails))
	case *log.EventEntryAdded:
		// The browser logs an error page as a failure to load the page.
		ofThePage := e.Entry.Source == log.EntrySourceNetwork && e.Entry.URL == tab.address
		if (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) && !ofThePage {
			note(Console, "%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		details, err := json.Marshal(e.Issue.Details)
		if err != nil {
			details = []byte(err.Error())
		}
		note(Issue, "%s %s", e.Issue.Code, details)
	}
}

// elsewhere reports whether a request leaves the site. The data of a data: address is in the page.
func elsewhere(address, base string) bool {
	to, err := url.Parse(address)
	if err != nil {
		return true
	}
	own, err := url.Parse(base)
	return err != nil || to.Scheme != "data" && (to.Scheme != own.Scheme || to.Host != own.Host)
}

func said(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		word := a.Description
		if word == "" {
			word = string(a.Value)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func thrown(details *runtime.ExceptionDetails) string {
	if details.Exception != nil && details.Exception.Description != "" {
		return details.Exception.Description
	}
	return details.Text
}
