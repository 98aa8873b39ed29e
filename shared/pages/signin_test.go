package pages

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/signin"
)

// signInPages are the pages about signing in and the account, with one text in every place
// where a text of somebody's can be.
func signInPages(text string, problems error) map[string]templ.Component {
	now := time.Date(2026, 3, 1, 0, 0, 30, 0, time.UTC)
	f := Frame{Company: text, Partner: text, Support: Support{Email: text, URL: "https://example.com"}, Now: now, RequestID: "r-1"}
	if problems != nil {
		f = f.Saying(problems)
	}
	entered := f
	entered.OpenedBy = text
	a := account.Account{
		Email: text, CompanyName: text, FirstName: text, LastName: text, OriginCountryCode: "AU", Environment: carrier.Production,
		PasswordHash: "$argon2id$" + canaryOfPages,
	}
	values := Submitted{"company_name": {text}, "first_name": {text}, "last_name": {text}, "origin_country_code": {text}, "password": {canaryOfPages}}
	au := account.Country{Code: "AU", Name: "Australia"}
	return map[string]templ.Component{
		"sign-in":                 SignIn(f, SignInForm{FormID: "f1", Email: text, Next: "/portal/carriers"}),
		"forgot":                  Forgot(f, ForgotForm{FormID: "f1", Email: text}),
		"forgot without mail":     Forgot(f, ForgotForm{FormID: "f1", NoMail: true}),
		"forgot sent":             ForgotSent(f),
		"reset":                   NewPassword(f, NewPasswordForm{FormID: "f1", Path: "/portal/reset/t", Email: text}),
		"invitation":              NewPassword(f, NewPasswordForm{FormID: "f1", Path: "/portal/invitation/t", Email: text, Invitation: true}),
		"verify email":            VerifyEmail(f, VerifyForm{FormID: "f1", Path: "/portal/verify-email/t", Email: text}),
		"email taken":             EmailTaken(f),
		"enter":                   Enter(f, EnterForm{FormID: "f1", Path: "/portal/enter/t"}),
		"gone reset":              LinkGone(f, GoneReset),
		"gone invitation":         LinkGone(f, GoneInvitation),
		"gone verify":             LinkGone(f, GoneVerify),
		"gone enter":              LinkGone(f, GoneEnter),
		"confirm":                 Confirm(f, ConfirmForm{FormID: "f1", Email: text, Next: "/portal/account/email"}),
		"owner only":              OwnerOnly(entered),
		"account":                 Account(f, AccountView{Account: a, Country: text}),
		"account, entered":        Account(entered, AccountView{Account: a, Country: text}),
		"account, empty, no mail": Account(f, AccountView{NoMail: true}),
		"details":                 AccountDetails(f, DetailsForm{FormID: "f1", Version: text, Values: values, Country: au}),
		"details, country fixed":  AccountDetails(f, DetailsForm{FormID: "f1", Version: "3", Values: values, Country: au, CountryFixed: true}),
		"change email":            AccountEmail(f, EmailForm{FormID: "f1", Current: text, Email: text}),
		"change email, no mail":   AccountEmail(f, EmailForm{Current: text, NoMail: true}),
		"change password":         AccountPassword(f, PasswordForm{FormID: "f1", Email: text}),
		"one session":             AccountSessions(f, SessionsView{FormID: "f1", Current: "a", Sessions: []signin.Session{{Hash: "a", Browser: text, IP: text, CreatedAt: now, LastSeenAt: now}}}),
		"sessions": AccountSessions(f, SessionsView{FormID: "f1", Current: "a", Sessions: []signin.Session{
			{Hash: "a", Browser: text, IP: text, CreatedAt: now.Add(-time.Hour), LastSeenAt: now},
			{Hash: canaryOfPages, Method: signin.MethodPartner, IP: "203.0.113.0/24", CreatedAt: now.Add(-50 * time.Hour), LastSeenAt: now.Add(-26 * time.Hour)},
		}}),
	}
}

// canaryOfPages is in what no page shows: password hashes, hashes of sessions, passwords.
const canaryOfPages = "canary-of-pages"

// hostile are texts that break out of HTML that does not escape them.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' autofocus onfocus=alert(1) x='`, `</title><svg onload=alert(1)>`, `javascript:alert(1)`,
	`<!--`, `]]>`, `{{.}}${7*7}`, "\u202egnp.exe", strings.Repeat("W", 50), "&lt;b&gt;", "a\r\nSet-Cookie: x=1", `<form action=//evil.example>`,
}

func TestPagesOfSigningInEscape(t *testing.T) {
	for _, text := range hostile {
		wrong := fault.List{fault.Field(fault.Invalid, "email", "%s", text), fault.New(fault.Invalid, "%s", text)}
		for name, page := range signInPages(text, wrong) {
			t.Run(name+" "+text, func(t *testing.T) {
				body := render(t, page)
				if strings.Contains(body, canaryOfPages) {
					t.Error("the page shows what no page may show")
				}
				ids := map[string]int{}
				for n := range parse(t, body).Descendants() {
					ids[attribute(n, "id")]++
				}
				for n := range parse(t, body).Descendants() {
					checkElement(t, name, n, ids)
					checkOurs(t, n)
				}
			})
		}
	}
}

// checkOurs checks that an element is one that our templates make.
func checkOurs(t *testing.T, n *html.Node) {
	t.Helper()
	if n.Type == html.CommentNode {
		t.Errorf("a comment: %s", n.Data)
	}
	if n.Type != html.ElementNode {
		return
	}
	if slices.Contains([]string{"img", "style", "iframe", "object", "base", "math"}, n.Data) {
		t.Errorf("an element <%s>", n.Data)
	}
	for _, a := range n.Attr {
		value := strings.ToLower(strings.TrimSpace(a.Val))
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "autofocus":
			t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
		case (a.Key == "href" || a.Key == "action" || a.Key == "src") && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "//")):
			t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
		case n.Data == "script" && a.Key == "src" && !strings.HasPrefix(value, "/assets/"):
			t.Errorf("a script of %s", a.Val)
		}
	}
}

// TestOutlinesOfSigningIn compares what people read and fill in with testdata/signin.txt, which
// -update writes.
func TestOutlinesOfSigningIn(t *testing.T) {
	const file = "testdata/signin.txt"
	var got strings.Builder
	all := signInPages("jo@bluegum.example", nil)
	wrong := fault.List{fault.Missing("email"), account.ErrCountryFixed(), fault.TooLong("company_name", 50)}
	problems := signInPages("jo@bluegum.example", wrong)
	all["sign-in, problems"], all["details, problems"] = problems["sign-in"], problems["details"]
	late := fault.New(fault.RateLimited, "x")
	late.RetryAfter = 5 * time.Minute
	all["sign-in, too often"] = signInPages("jo@bluegum.example", late)["sign-in"]
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&got, "# %s\n%s\n", name, outline(parse(t, render(t, all[name]))))
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("outlines (-want +got):\n%s", diff)
	}
}

// outline returns a line for each heading, text, field, button and link of the page's main part.
func outline(tree *html.Node) string {
	var b strings.Builder
	for n := range tree.Descendants() {
		if n.Data == "main" {
			lines(&b, n)
		}
	}
	return b.String()
}

func lines(b *strings.Builder, n *html.Node) {
	for c := range n.ChildNodes() {
		switch c.Data {
		case "svg", "option":
		case "h1", "h2", "p", "li", "dt", "dd", "label", "button":
			fmt.Fprintf(b, "%s %s\n", c.Data, textOf(c))
			for inner := range c.Descendants() {
				if inner.Data == "a" {
					fmt.Fprintf(b, "  -> %s\n", attribute(inner, "href"))
				}
			}
		case "a":
			fmt.Fprintf(b, "a %s -> %s\n", textOf(c), attribute(c, "href"))
		case "form":
			fmt.Fprintf(b, "form %s\n", attribute(c, "action"))
			lines(b, c)
		case "input", "select":
			fmt.Fprintf(b, "%s %s", c.Data, attribute(c, "name"))
			for _, key := range []string{"type", "value", "autocomplete", "aria-describedby", "aria-invalid"} {
				if v := attribute(c, key); v != "" {
					fmt.Fprintf(b, " %s=%q", key, v)
				}
			}
			b.WriteString("\n")
		default:
			lines(b, c)
		}
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
