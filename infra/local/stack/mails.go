package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// MailsPath is where the local stack shows the mails that were sent. The API has no such path.
const MailsPath = "/_local/mail"

// mailFrom is the address that mails come from.
const mailFrom = "carrierlink@example.com"

// Mail is a mail that a function has sent.
type Mail struct {
	From    string
	To      []string
	Subject string
	Text    string
	HTML    string
	At      time.Time
}

// Mails returns the mails that were sent since the start of the emulator, the newest first.
func (s *Stack) Mails(ctx context.Context) ([]Mail, error) {
	if s.caught != nil {
		return s.caught.all(), nil
	}
	body, err := s.account().call(ctx, call{service: "ses", method: http.MethodGet, path: "/_ministack/ses/messages"})
	if err != nil {
		return nil, fmt.Errorf("reading the mails: %w", err)
	}
	var answer struct {
		Messages map[string][]struct {
			Source    string   `json:"Source"`
			To        []string `json:"To"`
			Subject   string   `json:"Subject"`
			Text      string   `json:"BodyText"`
			HTML      string   `json:"BodyHtml"`
			Timestamp float64  `json:"Timestamp"`
		} `json:"messages"` // by account
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the mails: %w", err)
	}
	var mails []Mail
	for _, account := range answer.Messages {
		for _, m := range account {
			mails = append(mails, Mail{m.Source, m.To, m.Subject, m.Text, m.HTML, time.UnixMilli(int64(m.Timestamp * 1000))})
		}
	}
	slices.SortStableFunc(mails, func(a, b Mail) int { return cmp.Compare(b.At.UnixNano(), a.At.UnixNano()) })
	return mails, nil
}

// verifySender makes MiniStack's SES accept mails from mailFrom.
func (s *Stack) verifySender(ctx context.Context) error {
	if s.caught != nil {
		return nil
	}
	body, err := json.Marshal(map[string]string{"EmailIdentity": mailFrom})
	if err != nil {
		return err
	}
	if _, err := s.account().call(ctx, call{service: "ses", method: http.MethodPost, path: "/v2/email/identities", contentType: "application/json", body: body}); err != nil {
		return fmt.Errorf("verifying the sender of mails: %w", err)
	}
	return nil
}

// mailCatcher stands for SES v2, which LocalStack does not have. It knows SendEmail only.
type mailCatcher struct {
	mu    sync.Mutex
	mails []Mail // the newest first
}

func (c *mailCatcher) all() []Mail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mails)
}

// ServeHTTP keeps a mail, if SES would take it.
func (c *mailCatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Data string `json:"Data"`
	}
	var in struct {
		From        string `json:"FromEmailAddress"`
		Destination struct {
			To []string `json:"ToAddresses"`
		} `json:"Destination"`
		Content struct {
			Simple struct {
				Subject content `json:"Subject"`
				Body    struct {
					Text content `json:"Text"`
					HTML content `json:"Html"`
				} `json:"Body"`
			} `json:"Simple"`
		} `json:"Content"`
	}
	refuse := func(status int, code string) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"message":"refused by the local stack"}`)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v2/email/outbound-emails":
		refuse(http.StatusNotFound, "NotFoundException")
		return
	case err != nil || json.Unmarshal(body, &in) != nil || len(in.Destination.To) == 0:
		refuse(http.StatusBadRequest, "BadRequestException")
		return
	case !strings.HasSuffix(in.From, "<"+mailFrom+">") && in.From != mailFrom:
		refuse(http.StatusBadRequest, "MessageRejected")
		return
	}
	simple := in.Content.Simple
	c.mu.Lock()
	c.mails = slices.Insert(c.mails, 0, Mail{in.From, in.Destination.To, simple.Subject.Data, simple.Body.Text.Data, simple.Body.HTML.Data, time.Now()})
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"MessageId":"local"}`)
}

// serveMails lists the mails, with links that can be clicked.
func (s *Stack) serveMails(w http.ResponseWriter, r *http.Request) {
	mails, err := s.Mails(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_, _ = io.WriteString(w, mailsPage(mails))
}

func mailsPage(mails []Mail) string {
	var b strings.Builder
	b.WriteString(`<!doctype html><html lang="en-AU"><head><meta charset="utf-8"><title>Mails</title></head><body><h1>Mails of the local stack</h1>` + "\n")
	if len(mails) == 0 {
		b.WriteString("<p>None was sent yet.</p>\n")
	}
	for _, m := range mails {
		fmt.Fprintf(&b, "<h2>%s</h2>\n<p>From %s<br>To %s<br>%s</p>\n<pre>", html.EscapeString(m.Subject), html.EscapeString(m.From),
			html.EscapeString(strings.Join(m.To, ", ")), m.At.UTC().Format(time.RFC3339))
		for line := range strings.Lines(m.Text) {
			text := html.EscapeString(line)
			if u, err := url.Parse(strings.TrimSpace(line)); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
				text = `<a href="` + html.EscapeString(u.String()) + `">` + html.EscapeString(strings.TrimSpace(line)) + "</a>\n"
			}
			b.WriteString(text)
		}
		b.WriteString("</pre>\n<hr>\n")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}
