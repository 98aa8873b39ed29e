package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/infra/local/stack"
)

// mailsTo returns the mails to an address, the newest first.
func mailsTo(t *testing.T, address string) []stack.Mail {
	t.Helper()
	mails, err := service.Mails(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(mails, func(m stack.Mail) bool { return !slices.Contains(m.To, address) })
}

// TestMails: the owner of an account gets a mail when a key dies, with the way to the page of
// the connection, and the local stack shows it.
func TestMails(t *testing.T) {
	t.Parallel()
	address := email()
	a := create(t, sandbox.APIKey, fields{"email": address, "company_name": "Blue Gum <Trading>"})
	a.expect(t, http.StatusOK)
	body := decode[createdAccount](t, a)
	m := merchant{ID: body.AccountID, Key: body.APIKey.EncryptedAPIKey, partner: sandbox}
	number := starTrackNumber("60")
	c := link(t, m, "startrack", number)
	waitFor(t, checkWithin, func() string {
		read(t, m, c.CarrierID, "?refresh=true").expect(t, http.StatusOK)
		if got := decode[connectionBody](t, getCarrier(t, m, c.CarrierID)).Status; got != "action_required" {
			return "status = " + got
		}
		return ""
	})
	waitFor(t, deliveredWithin, func() string {
		if n := len(mailsTo(t, address)); n == 0 {
			return "no mail arrived"
		}
		return ""
	})
	sent := mailsTo(t, address)[0]
	shownAt := service.APIURL + "/portal/carriers/" + c.CarrierID
	for _, want := range []string{"Hello Blue Gum <Trading>,", "ends in " + number[len(number)-3:], shownAt + "\n", "The carrier no longer accepts this API key and secret."} {
		if !strings.Contains(sent.Text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, sent.Text)
		}
	}
	if sent.Subject != "Your StarTrack account needs you" || !strings.HasPrefix(sent.From, `"Sandbox" <`) || strings.Contains(sent.Text+sent.HTML, number) || !strings.Contains(sent.HTML, "Blue Gum &lt;Trading&gt;") {
		t.Errorf("the mail is %+v", sent)
	}
	if shown := string(page(t, http.MethodGet, stack.MailsPath, nil, "").body); !strings.Contains(shown, `<a href="`+shownAt+`">`) || !strings.Contains(shown, address) {
		t.Errorf("%s does not show the mail", stack.MailsPath)
	}
	for _, line := range logged(t, "send-mail") {
		if strings.Contains(line, address) || strings.Contains(line, "Blue Gum") {
			t.Errorf("the log of send-mail has %s", line)
		}
	}
}

// crawlMails searches the mails for credentials and account numbers. Every mail could be sent.
func crawlMails(ctx context.Context) error {
	mails, err := service.Mails(ctx)
	if err != nil {
		return err
	}
	var errs []error
	dead, err := receiveAll(ctx, service.MailDeadLetterQueueURL)
	errs = append(errs, err)
	for _, m := range dead {
		errs = append(errs, fmt.Errorf("a mail could not be sent: %.300s", aws.ToString(m.Body)))
	}
	for _, m := range mails {
		if leaked := api.secrets.in(m.Subject+m.Text+m.HTML, true); leaked != "" {
			errs = append(errs, fmt.Errorf("the mail %q holds %s", m.Subject, leaked))
		}
	}
	return errors.Join(errs...)
}

// logged returns what a function has printed.
func logged(t *testing.T, function string) []string {
	t.Helper()
	lines, err := service.Logs(t.Context(), function)
	if err != nil || len(lines) == 0 {
		t.Errorf("the log of %s has %d lines, %v", function, len(lines), err)
	}
	return lines
}
