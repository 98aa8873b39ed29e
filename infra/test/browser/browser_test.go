package browser

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chromium is the browser of all tests.
var chromium *Browser

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		os.Exit(m.Run())
	}
	var err error
	if chromium, err = Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	chromium.Close()
	os.Exit(status)
}

// policy is the one of our pages, as far as these tests go.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'"

// document makes a page that is right in all ways around a body.
func document(body string) string {
	return `<!DOCTYPE html><html lang="en-AU"><head><meta charset="utf-8"><title>A page</title>` +
		`<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">` +
		`<link rel="stylesheet" href="/app.css"></head><body><main><h1>A page</h1>` + body + `</main></body></html>`
}

const styleSheet = `:root{color-scheme:light dark} button,input,select{font-size:16px;min-height:44px} .wide{width:400px} .cut{width:50px;overflow:hidden;white-space:nowrap}
 .small{min-height:0;height:20px} .over{margin-top:-30px;display:block;position:relative} .grey{color:#bbb;background:#fff} .bare:focus{outline:none} :focus{outline:3px solid #0b5cad}
 @media (prefers-color-scheme: dark){.pale-when-dark{color:#333;background:#222}}`

// site serves documents by their paths, and what they load.
func site(t *testing.T, documents map[string]string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/app.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, styleSheet)
	})
	mux.HandleFunc("/error.js", script(`console.error("something", 7)`))
	mux.HandleFunc("/throw.js", script(`nothing.at.all()`))
	mux.HandleFunc("/eval.js", script(`try { eval("1") } catch {}`))
	mux.HandleFunc("/write.js", script(`document.querySelector("h1").textContent = "Written by a script"`))
	for path, text := range documents {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			if strings.HasPrefix(r.URL.Path, "/missing") {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, text)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func script(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, text)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	phone := View{Width: 320}
	for _, test := range []struct {
		name string
		body string
		view View
		want map[Kind]string // by kind, words of each of them
	}{
		{
			"a field without a label", `<form><input name="street"></form>`, phone,
			map[Kind]string{Accessibility: "label (critical)"},
		},
		{
			"too little contrast", `<p class="grey">Grey on white</p>`, phone,
			map[Kind]string{Accessibility: "color-contrast (serious)"},
		},
		{
			"too little contrast in the dark", `<p class="pale-when-dark">Nearly black on black</p>`,
			View{Dark: true},
			map[Kind]string{Accessibility: "color-contrast (serious)"},
		},
		{
			"scrolls sideways", `<div class="wide">400 px</div>`, phone,
			map[Kind]string{Layout: `the page scrolls sideways`},
		},
		{
			"scrolls sideways at 200 %", `<div class="wide">400 px</div>`,
			View{Width: 640, Zoom: 200},
			map[Kind]string{Layout: `the page scrolls sideways`},
		},
		{
			"a text that is cut", `<p class="cut">Longer than fifty pixels</p>`, phone,
			map[Kind]string{Layout: `cut: p.cut "Longer than fifty pixels"`},
		},
		{
			"a button too small to hit", `<button type="button" class="small">Save</button>`, phone,
			map[Kind]string{Layout: `too small to hit: button.small "Save" is 20.0 px high`},
		},
		{
			"buttons that overlap", `<button type="button">Save</button><button type="button" class="over">Discard</button>`, phone,
			map[Kind]string{Layout: `overlap: button "Save" and button.over "Discard"`, Accessibility: "target-size (serious)"},
		},
		{
			"an error in the console", `<script src="/error.js"></script>`, phone,
			map[Kind]string{Console: `error: "something" 7`},
		},
		{
			"an error that nothing catches", `<script src="/throw.js"></script>`, phone,
			map[Kind]string{Console: "ReferenceError: nothing is not defined"},
		},
		{
			"a style inline", `<p style="margin:0">Blocked</p>`, phone,
			map[Kind]string{Issue: `"violatedDirective":"style-src-attr"`, Console: "Content Security Policy"},
		},
		{
			"a script inline", `<script>document.title = "Blocked"</script>`, phone,
			map[Kind]string{Issue: `"violatedDirective":"script-src-elem"`, Console: "Content Security Policy"},
		},
		{
			"eval", `<script src="/eval.js"></script>`, phone,
			map[Kind]string{Issue: `"violatedDirective":"script-src"`},
		},
		{
			"a picture from elsewhere", `<img alt="A picture" src="` + elsewhere.URL + `/picture.png">`, phone,
			map[Kind]string{Request: "/picture.png", Issue: `"violatedDirective":"img-src"`, Console: "Content Security Policy"},
		},
		{
			"a picture that is missing", `<img alt="A picture" src="/picture.png">`, phone,
			map[Kind]string{Console: "404"},
		},
		{
			"an element that is not closed", `<p><strong>Loud</p>`, phone,
			map[Kind]string{HTML: "strong"},
		},
		{
			"two elements with an id", `<p id="a">One</p><p id="a">Two</p>`, phone,
			map[Kind]string{HTML: "Duplicate ID"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tab := chromium.Open(t, site(t, map[string]string{"/{$}": document(test.body)}), test.view)
			tab.Go("/")
			problems := tab.Problems()
			got := map[Kind]string{}
			for _, p := range problems {
				got[p.Kind] += p.Text + "\n"
			}
			for kind, words := range test.want {
				if !strings.Contains(got[kind], words) {
					t.Errorf("Problems of kind %s = %q, want %q", kind, got[kind], words)
				}
			}
			for kind, text := range got {
				if _, ok := test.want[kind]; !ok {
					t.Errorf("Problems() also has %s: %s", kind, text)
				}
			}
		})
	}
}

// A request that leaves the site is a problem, also one that no policy forbids.
func TestRequestElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, document(""))
	}))
	t.Cleanup(elsewhere.Close)
	tab := chromium.Open(t, site(t, map[string]string{"/{$}": document(`<p><a href="` + elsewhere.URL + `/away">Away</a></p>`)}), View{})
	tab.Go("/")
	tab.Press("Away")
	want := Problem{Request, "GET " + elsewhere.URL + "/away"}
	if problems := tab.Problems(); len(problems) == 0 || problems[0] != want {
		t.Errorf("Problems() = %v, want first %v", problems, want)
	}
}

// The browser reaches no other address and knows no other name.
func TestReachesOnlyThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://localhost:8080/", "http://192.0.2.1/", "http://example.org/"} {
		tab := chromium.Open(t, site(t, nil), View{})
		if err := tab.navigate(address); err == nil || !strings.Contains(err.Error(), "ERR_NAME_NOT_RESOLVED") {
			t.Errorf("navigating to %s = %v, want ERR_NAME_NOT_RESOLVED", address, err)
		}
	}
}

const form = `<form method="get" action="/done">
<p><label for="email">Email</label> <input id="email" name="email" type="email" autocomplete="email" value="before"></p>
<p><label for="kind">Kind</label> <select id="kind" name="kind"><option value="1">One</option><option value="2">Two</option></select></p>
<p><input id="agree" name="agree" type="checkbox"> <label for="agree">I agree</label></p>
<p><button>Send it</button></p></form>`

func TestGoodPage(t *testing.T) {
	t.Parallel()
	for _, view := range []View{
		{}, {Dark: true}, {Width: 320}, {Width: 320, Dark: true, NoScript: true}, {NoScript: true}, {Width: 1280, Zoom: 200},
	} {
		t.Run(view.String(), func(t *testing.T) {
			t.Parallel()
			base := site(t, map[string]string{"/{$}": document(form), "/done": document("<p>Thank you</p>"), "/missing": document("")})
			tab := chromium.Open(t, base, view)
			tab.Go("/")
			tab.Expect(http.StatusOK, "A page", "I agree")
			if problems := tab.Problems(); problems != nil {
				t.Errorf("Problems() = %v, want none", problems)
			}
			tab.Fill("Email", "jo@example.com")
			tab.Choose("Kind", "Two")
			tab.Click("I agree")
			tab.Press("Send it")
			tab.Expect(http.StatusOK, "A page", "Thank you")
			if got, want := tab.Path(), "/done?email=jo%40example.com&kind=2&agree=on"; got != want {
				t.Errorf("Path() = %q, want %q", got, want)
			}
			tab.Back()
			if got := tab.Path(); got != "/" {
				t.Errorf("Path() after Back() = %q, want /", got)
			}
			// That a page is answered with an error is its status, and no problem.
			tab.Go("/missing")
			tab.Expect(http.StatusNotFound, "A page")
			if problems := tab.Problems(); problems != nil {
				t.Errorf("Problems() of a page that is missing = %v, want none", problems)
			}
		})
	}
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	tab := chromium.Open(t, site(t, map[string]string{"/{$}": document(form), "/done": document("")}), View{NoScript: true})
	tab.Go("/")
	tab.TabTo("Email")
	tab.Type("jo@example.com") // over what Tab has selected
	tab.TabTo("Send it")
	tab.Enter()
	if got, want := tab.Query("email"), "jo@example.com"; got != want {
		t.Errorf("the page got the email %q, want %q", got, want)
	}
}

// failures is a test that is told what fails, and goes on.
type failures struct {
	testing.TB
	errors []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

// ended is what Fatalf panics with in place of ending the test.
type ended struct{}

func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(ended{})
}

// failing runs steps that must fail, and returns what they say.
func failing(t *testing.T, body string, steps func(tab *Tab)) []string {
	t.Helper()
	f := &failures{TB: t}
	tab := chromium.Open(f, site(t, map[string]string{"/{$}": document(body), "/done": document("")}), View{})
	tab.Go("/")
	func() {
		defer func() {
			if r := recover(); r != nil && r != (ended{}) {
				panic(r)
			}
		}()
		steps(tab)
	}()
	return f.errors
}

func TestStepsThatFail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		steps      func(tab *Tab)
		want       string
	}{
		{"no such field", form, func(tab *Tab) { tab.Fill("Password", "x") }, `0 fields are "Password"; the page has: "Email", "Kind", "I agree"`},
		{"no such button", form, func(tab *Tab) { tab.Press("Save") }, `0 actions are "Save"; the page has: "Send it"`},
		{"two such links", `<p><a href="/">More</a> <a href="/done">More</a></p>`, func(tab *Tab) { tab.Press("More") }, `2 actions are "More"`},
		{"no such option", form, func(tab *Tab) { tab.Choose("Kind", "Three") }, "it has no such option"},
		{"a button under another", `<button type="button">Save</button><button type="button" class="over">Discard it all</button>`, func(tab *Tab) { tab.Click("Save") }, "something covers it"},
		{"a focus that one cannot see", `<button type="button" class="bare">Save</button>`, func(tab *Tab) { tab.TabTo("Save") }, `"Save" has the focus and does not show it`},
		{"nothing that Tab reaches", form, func(tab *Tab) { tab.TabTo("Save") }, `Tab never reaches "Save", only ["Email" "Kind" "I agree" "Send it"`},
		{"another status", form, func(tab *Tab) { tab.Expect(http.StatusNotFound, "A page") }, `= 200 "A page", want 404 "A page"`},
		{"another heading", form, func(tab *Tab) { tab.Expect(http.StatusOK, "Another") }, `= 200 "A page", want 200 "Another"`},
		{"words that are missing", form, func(tab *Tab) { tab.Expect(http.StatusOK, "A page", "Thank you") }, `does not say "Thank you"`},
		{"a problem", `<p style="margin:0">Blocked</p>`, func(tab *Tab) { tab.Check() }, "style-src-attr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(failing(t, test.body, test.steps), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("the steps fail with %q, want %q", got, test.want)
			}
		})
	}
}

// Without JavaScript the page's scripts do not run, before the checks and after them.
func TestNoScript(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{"/{$}": document(`<script src="/write.js" defer></script>`)})
	for _, test := range []struct {
		view View
		want string
	}{{View{}, "Written by a script"}, {View{NoScript: true}, "A page"}} {
		tab := chromium.Open(t, base, test.view)
		var got []string
		for range 2 {
			tab.Go("/")
			tab.Problems()
			got = append(got, tab.Heading())
		}
		if diff := cmp.Diff([]string{test.want, test.want}, got); diff != "" {
			t.Errorf("headings, %s (-want +got):\n%s", test.view, diff)
		}
	}
}

func TestScreenshot(t *testing.T) {
	t.Parallel()
	tab := chromium.Open(t, site(t, map[string]string{"/{$}": document(form)}), View{Width: 320})
	tab.Go("/")
	path := filepath.Join(t.TempDir(), "screens", "form.png")
	tab.Screenshot(path)
	picture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(picture), "\x89PNG") {
		t.Errorf("the screenshot begins with %q, want PNG", picture[:8])
	}
}

// Tabs have cookies of their own.
func TestCookies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		heading := "Unknown"
		if c, err := r.Cookie("__Host-session"); err == nil {
			heading = c.Value
		}
		http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "known", Path: "/", Secure: true, HttpOnly: true})
		fmt.Fprintf(w, "<h1>%s</h1>", heading)
	}))
	t.Cleanup(server.Close)
	one, other := chromium.Open(t, server.URL, View{}), chromium.Open(t, server.URL, View{})
	var got []string
	for _, tab := range []*Tab{one, one, other} {
		tab.Go("/")
		got = append(got, tab.Heading())
	}
	one.Clear()
	one.Go("/")
	got = append(got, one.Heading())
	if diff := cmp.Diff([]string{"Unknown", "known", "Unknown", "Unknown"}, got); diff != "" {
		t.Errorf("headings (-want +got):\n%s", diff)
	}
}
