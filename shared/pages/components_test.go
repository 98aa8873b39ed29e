package pages

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

var update = flag.Bool("update", false, "write testdata instead of comparing with it")

var testNow = time.Date(2027, 3, 14, 4, 20, 0, 0, time.UTC) // a Sunday, 3:20 pm in Sydney

func testFrame() Frame {
	return Frame{
		Title: "Carriers", Nav: NavCarriers, Company: "Blue Gum Trading", Partner: "Acme Ships", Now: testNow, Zone: account.ZoneOf("AU"),
		Support: Support{Email: "help@acme.example", URL: "https://acme.example/help"}, RequestID: "7d0c1c6e-0000-4000-8000-000000000001",
	}
}

// withText is a component with a child.
func withText(c templ.Component, text string) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		child := templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "<p>"+templ.EscapeString(text)+"</p>")
			return err
		})
		return c.Render(templ.WithChildren(ctx, child), w)
	})
}

// components has every component in every shape, with text in every place that takes one.
func components(text string) map[string]templ.Component {
	f := testFrame()
	busy := f
	busy.Company, busy.Partner, busy.Title, busy.OpenedBy, busy.RequestID = text, text, text, text, text
	busy.Sandbox, busy.Done, busy.Accent, busy.failed = true, DoneLinked, "#7a1fa2", true
	busy.Support = Support{Email: text, URL: text}
	busy.Problems = fault.ListOf(fault.Field(fault.Invalid, "api_key", "%s", text), fault.New(fault.Invalid, "%s", text))
	field := Input{
		Name: "api_key", Label: text, Value: text, Help: text, Problem: text, Autocomplete: "off", Required: true, Digits: true, MaxLength: 60,
	}
	secret, check, plain := field, field, Input{Name: "email", Label: text, Type: "email", Value: text, Autocomplete: "email"}
	secret.Name, secret.Secret = "api_secret", true
	check.Name, check.ID, check.Type, check.Value = "later", "later-2", "checkbox", "on"
	history := []connection.HistoryEntry{
		{Number: 2, Check: connection.Check{At: testNow, Outcome: carrier.OutcomeUnauthorized, Latency: 900 * time.Millisecond}},
		{Number: 1, Check: connection.Check{At: testNow.Add(-24 * time.Hour), Outcome: carrier.OutcomeOK, Latency: 300 * time.Millisecond}},
		{Number: 0, Check: connection.Check{At: testNow.Add(-72 * time.Hour), Outcome: carrier.OutcomeTimeout, Latency: 5 * time.Second}},
	}
	return map[string]templ.Component{
		"layout":            withText(Layout(f), text),
		"layout-signed-out": withText(Layout(Frame{Title: "Sign in", Partner: "Acme Ships", Now: testNow, Zone: account.ZoneOf("NZ")}), text),
		"layout-busy":       withText(Layout(busy), text),
		"form":              withText(FormOf("/portal/carriers", "f-1"), text),
		"form-without-id":   withText(FormOf("/portal/sign-in", ""), text),
		"filters":           withText(Filters("/portal/carriers"), text),
		"field":             Field(field),
		"field-plain":       Field(plain),
		"field-secret":      Field(secret),
		"field-checkbox":    Field(check),
		"select":            Select(Input{Name: "show", Label: text, Help: text, Value: text}, []Option{{"", text}, {text, text}}),
		"submit":            Submit(text, "danger", ""),
		"submit-asking":     SubmitAsking(text, "primary", text, text),
		"link-button":       LinkButton(text, "/portal", "secondary"),
		"actions":           withText(Actions(), text),
		"shown":             Shown("secret", text, text),
		"card":              withText(Card(text), text),
		"notice":            withText(Notice(ToneWait, text), text),
		"steps":             Steps([]string{text, text}),
		"chip-good":         Chip(ToneGood, text),
		"chip-wait":         Chip(ToneWait, text),
		"chip-act":          Chip(ToneAct, text),
		"chip-neutral":      Chip(ToneNeutral, text),
		"at":                At(f, testNow.Add(-12*time.Minute)),
		"at-never":          At(f, time.Time{}),
		"moment":            Moment(f, testNow),
		"table":             withText(Table(text, []string{text, text}), text),
		"facts":             withText(Facts(), text),
		"fact":              withText(Fact(text), text),
		"older":             Older("/portal/carriers", url.Values{"cursor": {text}}),
		"checks":            Checks(f, history),
		"checks-none":       Checks(f, nil),
		"answer-time":       AnswerTime(history),
		"answer-time-none":  AnswerTime(nil),
		"contract-soon":     ContractBar(f, "2026-11-01", "2027-04-04", false),
		"contract-open":     ContractBar(f, "", "2999-12-31", false),
		"contract-unknown":  ContractBar(f, text, text, false),
		"help":              HelpKey(busy),
		"problem":           Problem(busy, http.StatusInternalServerError, fault.New(fault.Internal, "%s", text)),
		"problem-wait":      Problem(Frame{Now: testNow}, http.StatusTooManyRequests, &fault.Error{Kind: fault.RateLimited, RetryAfter: 95 * time.Second}),
	}
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatalf("Render() = %v", err)
	}
	return b.String()
}

func TestComponents(t *testing.T) {
	all := components("Blue Gum's new key")
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			// A line for each element, so that a change of the golden file can be read.
			got := strings.ReplaceAll(render(t, c), "><", ">\n<") + "\n"
			for _, a := range Assets() { // the hashes change with every change of the files
				got = strings.ReplaceAll(got, a.Name, "HASHED"+filepath.Ext(a.Name))
			}
			file := filepath.Join("testdata", "components", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test -update writes the file", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs, -want +got; go test -update writes it:\n%s", file, diff)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "components", "*.html"))
	if err != nil || len(files) != len(all) {
		t.Errorf("testdata/components has %d files (%v), want %d, one for each component", len(files), err, len(all))
	}
}

// Texts that would leave their element, their attribute or their address.
func TestTextsEscape(t *testing.T) {
	for _, text := range []string{
		`"><x-evil onx=1>`, `'><x-evil onx=1>`, `</title></script></style><x-evil>`, `<x-evil`, `javascript:alert(1)`, "\"\nonx=1 \"", "--><x-evil>", "]]><x-evil>", "\u202e<x-evil>",
	} {
		for name, c := range components(text) {
			for n := range parse(t, render(t, c)).Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				if n.Data == "x-evil" {
					t.Errorf("%s with %q has an element of the text", name, text)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") {
						t.Errorf("%s with %q has an attribute %s of the text", name, text, a.Key)
					}
					if address := strings.ToLower(strings.TrimSpace(a.Val)); (a.Key == "href" || a.Key == "src" || a.Key == "action") && strings.HasPrefix(address, "javascript:") {
						t.Errorf("%s with %q has the address %s", name, text, a.Val)
					}
				}
			}
		}
	}
}

// What the security policy of the pages forbids, and what people who do not see the page rely on.
func TestMarkup(t *testing.T) {
	for name, c := range components("Blue Gum") {
		doc := parse(t, render(t, c))
		ids := map[string]int{}
		for n := range doc.Descendants() {
			if id := attribute(n, "id"); id != "" {
				ids[id]++
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%s has the id %s %d times", name, id, n)
			}
		}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode {
				checkElement(t, name, n, ids)
			}
		}
	}
}

func checkElement(t *testing.T, name string, n *html.Node, ids map[string]int) {
	t.Helper()
	if attribute(n, "style") != "" || n.Data == "style" || n.Data == "script" && attribute(n, "src") == "" {
		t.Errorf("%s: <%s> has inline style or script", name, n.Data)
	}
	for _, key := range []string{"aria-describedby", "for"} {
		for id := range strings.FieldsSeq(attribute(n, key)) {
			if ids[id] == 0 {
				t.Errorf("%s: <%s %s> refers to %s, which is not there", name, n.Data, key, id)
			}
		}
	}
	switch n.Data {
	case "input", "select":
		if typ := attribute(n, "type"); typ != "hidden" && (attribute(n, "id") == "" || attribute(n, "name") == "" && !has(n, "readonly")) {
			t.Errorf("%s: a field of type %s has no id or no name", name, typ)
		}
		if attribute(n, "type") == "password" && has(n, "value") {
			t.Errorf("%s: a secret has a value", name)
		}
	case "svg":
		first := slices.Collect(n.ChildNodes())[0]
		if attribute(n, "aria-hidden") != "true" && (attribute(n, "role") != "img" || first.Data != "title") {
			t.Errorf("%s: a picture has neither a title nor aria-hidden", name)
		}
	}
}

// The page of a frame has the summary of its problems, and the words of Done only from the list.
func TestDone(t *testing.T) {
	for word, sentence := range doneSentences {
		if DoneOf(string(word)) != word || word.Sentence() != sentence || !strings.HasSuffix(sentence, ".") {
			t.Errorf("DoneOf(%q) = %q, Sentence() = %q, want %q", word, DoneOf(string(word)), word.Sentence(), sentence)
		}
	}
	for _, word := range []string{"", "nonsense", "<b>", "Linked", "linked "} {
		if got := DoneOf(word); got != "" {
			t.Errorf("DoneOf(%q) = %q, want none", word, got)
		}
	}
}

func TestProblemOf(t *testing.T) {
	f := Frame{Problems: fault.ListOf(fault.Field(fault.Invalid, "email", "First."), fault.Field(fault.Length, "email", "Second."), fault.New(fault.Invalid, "General."))}
	for field, want := range map[string]string{"email": "First.", "password": ""} {
		if got := f.ProblemOf(field); got != want {
			t.Errorf("ProblemOf(%q) = %q, want %q", field, got, want)
		}
	}
}

func parse(t *testing.T, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}
