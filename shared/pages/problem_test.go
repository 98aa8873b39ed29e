package pages

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Every error has a page that tells nothing of it, but the request id and where to go on.
func TestProblem(t *testing.T) {
	titles := map[int]string{
		http.StatusBadRequest: "We couldn't use what was sent", http.StatusForbidden: "You can't do that from here", http.StatusNotFound: "There is no such page",
		http.StatusMethodNotAllowed: "This page can't be opened like that", http.StatusConflict: "Something else changed first",
		http.StatusPreconditionFailed:    "Something else changed first",
		http.StatusRequestEntityTooLarge: "That was too much to send", http.StatusUnsupportedMediaType: "We couldn't read that form",
		http.StatusUnprocessableEntity: "We couldn't use what was sent", http.StatusTooManyRequests: "Please wait a little",
		http.StatusInternalServerError: "Something went wrong on our side", http.StatusBadGateway: "The carrier isn't answering",
		http.StatusServiceUnavailable: "We can't show this right now", http.StatusGatewayTimeout: "The carrier isn't answering",
	}
	statuses := map[int]error{http.StatusMethodNotAllowed: fault.New(fault.Invalid, "canary")}
	for _, kind := range fault.Kinds() {
		err := &fault.Error{Kind: kind, Message: "canary", Field: "canary", Cause: errors.New("canary")}
		if status := httpapi.Status(err); status != http.StatusUnauthorized { // web redirects to sign-in
			statuses[status] = err
		}
	}
	for status, err := range statuses {
		got := render(t, Problem(testFrame(), status, err))
		title, known := titles[status]
		if !known || !strings.Contains(got, "<h1>"+strings.ReplaceAll(title, "'", "&#39;")+"</h1>") {
			t.Errorf("status %d has no title of its own, or not %q", status, title)
		}
		for _, want := range []string{testFrame().RequestID, `href="/portal"`, HelpPath, "help@acme.example"} {
			if !strings.Contains(got, want) {
				t.Errorf("the page of %d does not have %q", status, want)
			}
		}
		if strings.Contains(got, "canary") {
			t.Errorf("the page of %d shows the error", status)
		}
		if works := strings.Contains(got, "What still works"); works != (status >= 500) {
			t.Errorf("the page of %d says what still works: %v, want %v", status, works, status >= 500)
		}
	}
}

func TestProblemWhenToTryAgain(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "Please try again in a few minutes."},
		{time.Second, "You can try again at 3:21 pm, in 1 minute."},
		{time.Minute, "You can try again at 3:21 pm, in 1 minute."},
		{61 * time.Second, "You can try again at 3:22 pm, in 2 minutes."},
		{15 * time.Minute, "You can try again at 3:35 pm, in 15 minutes."},
	} {
		err := &fault.Error{Kind: fault.RateLimited, RetryAfter: c.after}
		if got := render(t, Problem(testFrame(), http.StatusTooManyRequests, err)); !strings.Contains(got, c.want) {
			t.Errorf("the page after a limit of %s does not say %q", c.after, c.want)
		}
	}
}

func TestProblemWithoutASession(t *testing.T) {
	got := render(t, Problem(Frame{Now: testNow}, http.StatusNotFound, fault.New(fault.NotFound, "")))
	if !strings.Contains(got, `href="/portal/sign-in"`) || strings.Contains(got, "<nav") || strings.Contains(got, "Sign out") {
		t.Errorf("the page of somebody who is not signed in is\n%s", got)
	}
}
