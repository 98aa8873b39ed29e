package mail_test

import (
	"flag"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

var update = flag.Bool("update", false, "write what Render makes into testdata")

// letter returns a letter of a kind with everything that it may have.
func letter(k mail.Kind) mail.Letter {
	return mail.Letter{
		Message: mail.Message{
			ID: "m-1", Kind: k, AccountID: 71, Token: secret.New("t0k3n_-"), CarrierID: "se-7", Nickname: "Main warehouse", Days: 14, Browser: "Firefox on Windows",
			At: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		Address: "jo@bluegum.example", Company: "Blue Gum Trading", Sender: "Acme Shops", SupportEmail: "help@acme.example", SupportURL: "https://acme.example/help",
		PublicURL: "https://api.example.com", Zone: time.FixedZone("Australia/Sydney", 11*60*60), ZoneWords: "Sydney time",
		Carrier: mail.Carrier{Name: carrier.AustraliaPost, Masked: "*******400", EndsOn: "2031-01-16"},
	}
}

// refused is a letter about a key that the carrier refuses.
func refused() mail.Letter {
	l := letter(mail.CarrierNeedsYou)
	l.Carrier.Diagnosis = &fault.Diagnosis{WhoMustAct: fault.Merchant, LikelyCause: "The carrier no longer accepts this API key and secret.", NextSteps: []string{"Find out whether the key was replaced.", "Turn on all switches."}}
	return l
}

// with changes a letter.
func with(l mail.Letter, change func(*mail.Letter)) mail.Letter {
	change(&l)
	return l
}

// letters has a letter of every kind, and variants, by the names of their files.
func letters() map[string]mail.Letter {
	all := map[string]mail.Letter{
		"carrier_needs_you":            refused(),
		"carrier_needs_you_restricted": with(letter(mail.CarrierNeedsYou), func(l *mail.Letter) { l.Carrier.Reason = "credit_blocked" }),
		"carrier_needs_you_us": with(letter(mail.CarrierNeedsYou), func(l *mail.Letter) {
			l.Carrier.Diagnosis = &fault.Diagnosis{WhoMustAct: fault.Us, LikelyCause: "canary", NextSteps: []string{"canary"}}
		}),
		"carrier_works_first": with(letter(mail.CarrierWorks), func(l *mail.Letter) { l.Carrier.First, l.Carrier.Name = true, carrier.StarTrack }),
		"verify_email":        with(letter(mail.VerifyEmail), func(l *mail.Letter) { l.To = l.Address }),
		"contract_ends_today": with(letter(mail.ContractEnds), func(l *mail.Letter) { l.Days, l.Carrier.EndsOn = 0, "soon" }),
		"invitation_bare": with(letter(mail.Invitation), func(l *mail.Letter) {
			l.Company, l.Sender, l.SupportEmail, l.SupportURL, l.Sandbox = "", "", "", "", true
		}),
	}
	for _, k := range mail.Kinds() {
		if _, ok := all[string(k)]; !ok {
			all[string(k)] = letter(k)
		}
	}
	return all
}

// TestMails compares the mail of every kind with its file in testdata. To change one, run
// the test with -update and read the difference.
func TestMails(t *testing.T) {
	for name, l := range letters() {
		t.Run(name, func(t *testing.T) {
			m, err := mail.Render(l, "no-reply@carrierlink.example")
			if err != nil {
				t.Fatal(err)
			}
			got := "From: " + m.From + "\nTo: " + m.To + "\nSubject: " + m.Subject + "\n\n" + m.Text + "\n" + m.HTML
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
			hasLink := !l.ExpiresAt().IsZero()
			if n := strings.Count(got, "t0k3n_-"); hasLink != (n == 2) || !hasLink && n != 0 {
				t.Errorf("the token is %d times in the mail, and it has a link: %t", n, hasLink)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(letters()) {
		t.Errorf("testdata has %d files, %v, want one for each of %d mails", len(files), err, len(letters()))
	}
}

func TestRenderFails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*mail.Letter)
		want   string
	}{
		{"no kind", func(l *mail.Letter) { l.Kind = "" }, `there is no mail of the kind ""`},
		{"an unknown kind", func(l *mail.Letter) { l.Kind = "a\r\nb" }, `there is no mail of the kind "a b"`},
		{"a link without a token", func(l *mail.Letter) { l.Kind, l.Token = mail.Reset, secret.Text{} }, "a mail of the kind reset has no token"},
		{"no address", func(l *mail.Letter) { l.Address = "" }, "the address of a mail is malformed"},
		{"no domain", func(l *mail.Letter) { l.Address = "jo@" }, "the address of a mail is malformed"},
		{"two addresses", func(l *mail.Letter) { l.Address = "jo@a.example,al@b.example" }, "the address of a mail is malformed"},
		{"an address with a line break", func(l *mail.Letter) { l.Address = "jo@a.example\r\nBcc: al@b.example" }, "the address of a mail is malformed"},
		{"an address with a name", func(l *mail.Letter) { l.Address = "Jo <jo@a.example>" }, "the address of a mail is malformed"},
		{"an address with NUL", func(l *mail.Letter) { l.Address = "jo@a.example\x00" }, "the address of a mail is malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if m, err := mail.Render(with(letter(mail.NewSignIn), tc.change), "no-reply@carrierlink.example"); err == nil || err.Error() != tc.want || strings.Contains(err.Error(), "jo@") {
				t.Errorf("Render = %+v, %v, want %s", m, err, tc.want)
			}
		})
	}
}

// TestHostileNames: no name becomes a header, a paragraph or an element.
func TestHostileNames(t *testing.T) {
	clean, err := mail.Render(letter(mail.NewSignIn), "no-reply@carrierlink.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a header":       "Acme\r\nBcc: al@b.example",
		"a line":         "Acme\u2028\u0085\n\nPay here",
		"an element":     `<script>alert(1)</script><img src=x onerror="x">`,
		"an attribute":   `" style="x`,
		"bidi":           "Acme\u202egnp.exe\u2066",
		"invisible":      "A\u200bc\u200dm\u00ade\ufeff",
		"NUL":            "Acme\x00\x1b[31m",
		"not UTF-8":      "Acme\xff\xfe",
		"an address":     `x" <al@b.example>`,
		"very long":      strings.Repeat("W", 5000),
		"other letters":  "Łódź Ελλάδα 京都 🐨",
		"only invisible": "\u200b\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mail.Render(with(letter(mail.NewSignIn), func(l *mail.Letter) {
				l.Company, l.Sender, l.Browser, l.Nickname, l.SupportEmail, l.SupportURL = text, text, text, text, text, text
			}), "no-reply@carrierlink.example")
			if err != nil {
				t.Fatal(err)
			}
			from, err := netmail.ParseAddress(m.From)
			if err != nil || from.Address != "no-reply@carrierlink.example" {
				t.Errorf("From = %q, %v, want one address", m.From, err)
			}
			for part, s := range map[string]string{"From": m.From, "Subject": m.Subject} {
				if strings.ContainsAny(s, "\r\n\x00\x1b\u2028\u202e") || len([]rune(s)) > 1000 {
					t.Errorf("%s = %q", part, s)
				}
			}
			if strings.ContainsAny(m.Text+m.HTML, "\r\x00\x1b\u2028\u0085\u202e\u2066\u200b\ufffd") || strings.Count(m.Text, "\n") != strings.Count(clean.Text, "\n") {
				t.Errorf("text = %q", m.Text)
			}
			if strings.Count(m.HTML, "<") != strings.Count(clean.HTML, "<") || strings.Count(m.HTML, `"`) != strings.Count(clean.HTML, `"`) {
				t.Errorf("HTML has more elements or attributes than with harmless names:\n%s", m.HTML)
			}
		})
	}
}

func TestExpiresAt(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	want := map[mail.Kind]time.Duration{mail.Invitation: 7 * 24 * time.Hour, mail.Reset: 30 * time.Minute, mail.VerifyEmail: 24 * time.Hour}
	for _, k := range mail.Kinds() {
		end := time.Time{}
		if life, ok := want[k]; ok {
			end = at.Add(life)
		}
		if got := (&mail.Message{Kind: k, At: at}).ExpiresAt(); !got.Equal(end) {
			t.Errorf("ExpiresAt of %s = %v, want %v", k, got, end)
		}
	}
}
