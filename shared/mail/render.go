package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mail is a mail as it is sent.
type Mail struct {
	From    string // the sender's name before the address
	To      string
	Subject string
	Text    string
	HTML    string
}

// maxWords is how many characters a name from somebody else may have in a mail.
const maxWords = 100

// Render makes a mail of a letter, from an address. What others have written (names, the
// browser) is put on one line first, without what is invisible: so it adds no header and no
// paragraph. It fails for an unknown kind, for a link without a token and for an address
// that SES would take for several.
func Render(l Letter, from string) (Mail, error) {
	for _, words := range []*string{&l.Company, &l.Sender, &l.SupportEmail, &l.SupportURL, &l.Nickname, &l.Browser} {
		*words = oneLine(*words, maxWords)
	}
	if l.Sender == "" {
		l.Sender = "carrierlink"
	}
	switch {
	case !isAddress(l.Address):
		return Mail{}, errors.New("the address of a mail is malformed")
	case !l.ExpiresAt().IsZero() && l.Token.IsZero():
		return Mail{}, fmt.Errorf("a mail of the kind %s has no token", l.Kind)
	}
	subject, blocks := l.copy()
	if len(blocks) == 0 {
		return Mail{}, fmt.Errorf("there is no mail of the kind %q", oneLine(string(l.Kind), 30))
	}
	blocks = append([]block{l.greeting()}, blocks...)
	closing := l.closing()
	sender := mail.Address{Name: l.Sender, Address: from}
	return Mail{From: sender.String(), To: l.Address, Subject: oneLine(subject, 2*maxWords), Text: asText(blocks, closing), HTML: asHTML(subject, blocks, closing)}, nil
}

// isAddress reports whether a text is one address and nothing else.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,;<>()"\@`, r)
	}
	return ok && local != "" && domain != "" && strings.IndexFunc(local, bad) < 0 && strings.IndexFunc(domain, bad) < 0
}

// oneLine returns a text on one line, at most so many characters of it, without control
// characters and others that nobody sees.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > limit {
		runes = append(runes[:limit-1], '…')
	}
	return string(runes)
}

func asText(blocks, closing []block) string {
	var b strings.Builder
	for _, one := range blocks {
		switch {
		case one.url != "":
			b.WriteString(one.text + ":\n" + one.url + "\n\n")
		case one.steps != nil:
			b.WriteString(one.text + ":\n")
			for i, step := range one.steps {
				b.WriteString(strconv.Itoa(i+1) + ". " + step + "\n")
			}
			b.WriteString("\n")
		default:
			b.WriteString(one.text + "\n\n")
		}
	}
	b.WriteString("-- \n")
	for _, one := range closing {
		b.WriteString(one.text + "\n")
	}
	return b.String()
}

// Mail programs drop style sheets, but keep these attributes.
const (
	styleBody = "font-family:sans-serif;line-height:1.5;color:#1a2230;max-width:36em;margin:1em auto;padding:0 1em"
	styleLink = "display:inline-block;padding:.75em 1.25em;background:#0b5cad;color:#ffffff;text-decoration:none;border-radius:.25em"
	styleEnd  = "color:#566074;font-size:.875em;border-top:1px solid #7a8496;padding-top:1em"
)

// escape does what html.EscapeString does. Importing that package would add its 64 KB of entities to each
// function, because the store knows mails.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;", `"`, "&#34;").Replace(s)
}

func asHTML(subject string, blocks, closing []block) string {
	var b strings.Builder
	b.WriteString(`<!doctype html><html lang="en-AU"><head><meta charset="utf-8"><title>` + escape(subject) + `</title></head><body style="` + styleBody + "\">\n")
	for _, one := range blocks {
		text := escape(one.text)
		switch {
		case one.url != "":
			b.WriteString(`<p><a href="` + escape(one.url) + `" style="` + styleLink + `">` + text + "</a></p>\n")
		case one.steps != nil:
			b.WriteString("<p>" + text + ":</p>\n<ol>\n")
			for _, step := range one.steps {
				b.WriteString("<li>" + escape(step) + "</li>\n")
			}
			b.WriteString("</ol>\n")
		default:
			b.WriteString("<p>" + text + "</p>\n")
		}
	}
	b.WriteString(`<div style="` + styleEnd + "\">\n")
	for _, one := range closing {
		b.WriteString("<p>" + escape(one.text) + "</p>\n")
	}
	b.WriteString("</div>\n</body></html>\n")
	return b.String()
}
