package stack

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
)

// codeOf returns the code of an error of AWS; empty for none.
func codeOf(err error) string {
	if failed, ok := errors.AsType[smithy.APIError](err); ok {
		return failed.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestMailCatcher: the client of SES sends to the catcher as it does to SES.
func TestMailCatcher(t *testing.T) {
	catcher := &mailCatcher{}
	server := httptest.NewServer(catcher)
	t.Cleanup(server.Close)
	client := sesv2.NewFromConfig(emulator.Config(server.URL))
	send := func(from string, to ...string) string {
		content := func(text string) *types.Content { return &types.Content{Data: aws.String(text)} }
		_, err := client.SendEmail(t.Context(), &sesv2.SendEmailInput{
			FromEmailAddress: aws.String(from), Destination: &types.Destination{ToAddresses: to},
			Content: &types.EmailContent{Simple: &types.Message{Subject: content("Subject"), Body: &types.Body{Text: content("Text"), Html: content("<p>")}}},
		})
		return codeOf(err)
	}
	for _, tc := range []struct {
		name, from string
		to         []string
		want       string
	}{
		{"another sender", "a@example.org", []string{"b@example.com"}, "MessageRejected"},
		{"nobody", mailFrom, nil, "BadRequestException"},
		{"a name", `"Acme" <` + mailFrom + ">", []string{"b@example.com"}, ""},
		{"no name", mailFrom, []string{"c@example.com"}, ""},
	} {
		if got := send(tc.from, tc.to...); got != tc.want {
			t.Errorf("%s: SendEmail fails with %q, want %q", tc.name, got, tc.want)
		}
	}
	if _, err := client.GetAccount(t.Context(), &sesv2.GetAccountInput{}); codeOf(err) != "NotFoundException" {
		t.Errorf("GetAccount = %v, want NotFoundException", err)
	}
	mails, err := (&Stack{caught: catcher}).Mails(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range mails {
		mails[i].At = time.Time{}
	}
	want := []Mail{
		{From: mailFrom, To: []string{"c@example.com"}, Subject: "Subject", Text: "Text", HTML: "<p>"},
		{From: `"Acme" <` + mailFrom + ">", To: []string{"b@example.com"}, Subject: "Subject", Text: "Text", HTML: "<p>"},
	}
	if diff := cmp.Diff(want, mails); diff != "" {
		t.Errorf("Mails (-want +got):\n%s", diff)
	}
}

// TestMailsPage: the page of the mails has their links, and nothing of them as HTML.
func TestMailsPage(t *testing.T) {
	page := mailsPage([]Mail{{
		From: `"<b>" <a@example.com>`, To: []string{"b@example.com", "<c>"}, Subject: "<script>",
		Text: "Hello <i>,\nhttp://127.0.0.1:1/portal/reset/a?b=1&c=\"2\"\njavascript:alert(1)\nsee http://x.example\n", HTML: "<canary>",
	}})
	for _, want := range []string{
		"<h2>&lt;script&gt;</h2>", "Hello &lt;i&gt;,", `<a href="http://127.0.0.1:1/portal/reset/a?b=1&amp;c=&#34;2&#34;">http://127.0.0.1:1/portal/reset/a?b=1&amp;c=&#34;2&#34;</a>`, "\njavascript:alert(1)\n", "b@example.com, &lt;c&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, "canary") || strings.Count(page, "<a ") != 1 {
		t.Errorf("the page has other elements:\n%s", page)
	}
	if !strings.Contains(mailsPage(nil), "None was sent yet.") {
		t.Error("the page of no mails says nothing")
	}
}
