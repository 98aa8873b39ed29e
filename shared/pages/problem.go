package pages

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"carrierlink/shared/fault"
)

// problemCopy is what the page of an error says.
type problemCopy struct {
	title string
	says  []string
	works string // what still works; empty: that is not in doubt
}

const askSupport = "If it goes on, please tell us the request id at the bottom of this page."

// Problem returns the page of an error that no handler has rendered, by its status. The frame
// says who is signed in, if that is known, and has the request id.
func Problem(f Frame, status int, err error) templ.Component {
	p := f.problemCopy(status, err)
	f.failed, f.Done = true, ""
	f.Problems = nil
	return problem(f.Titled(p.title), p)
}

func (f Frame) problemCopy(status int, err error) problemCopy {
	switch status {
	case http.StatusForbidden:
		return problemCopy{title: "You can't do that from here", says: []string{
			"Nothing was changed.", "The form may have been sent from another website, or may be too old. Open the page again, then try once more.",
		}}
	case http.StatusNotFound:
		return problemCopy{title: "There is no such page", says: []string{
			"Please check the address. If it was about a carrier account, it may have been disconnected since.",
		}}
	case http.StatusMethodNotAllowed:
		return problemCopy{title: "This page can't be opened like that", says: []string{
			"It only takes a form that is sent to it. Nothing was changed. Please start again from the page before.",
		}}
	case http.StatusConflict, http.StatusPreconditionFailed:
		return problemCopy{title: "Something else changed first", says: []string{
			"Another change was being made at the same moment, so yours was not saved.", "Open the page again to see how things are now.",
		}}
	case http.StatusRequestEntityTooLarge:
		return problemCopy{title: "That was too much to send", says: []string{
			"What was sent is longer than this page can take. Nothing was changed. Please paste less text, then try again.",
		}}
	case http.StatusUnsupportedMediaType:
		return problemCopy{title: "We couldn't read that form", says: []string{
			"Your browser or an add-on sent it in a way that we don't understand. Nothing was changed. Please open the page again and retype it.",
		}}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return problemCopy{title: "We couldn't use what was sent", says: []string{
			"Nothing was changed. Please go back, open the page again and retype it.",
		}}
	case http.StatusTooManyRequests:
		return problemCopy{title: "Please wait a little", says: []string{
			"That was tried too often in a short time, so we have paused it to keep your account safe.", f.again(retryAfter(err)),
		}}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return problemCopy{
			title: "The carrier isn't answering", says: []string{"Your details are not the problem. Please try again in a few minutes."},
			works: "You can see your account and everything that you have saved before. Your carrier accounts stay connected.",
		}
	case http.StatusServiceUnavailable:
		return problemCopy{
			title: "We can't show this right now", says: []string{"Something that this page needs isn't answering. " + f.again(retryAfter(err)), askSupport},
			works: f.stillConnected(),
		}
	}
	return problemCopy{
		title: "Something went wrong on our side", says: []string{"It is not your fault. Please try again in a minute.", askSupport},
		works: f.stillConnected(),
	}
}

// stillConnected is true whatever has failed: nothing that fails here disconnects an account.
func (f Frame) stillConnected() string {
	who := "Whoever you gave access"
	if f.Partner != "" {
		who = f.Partner
	}
	return "Your carrier accounts stay connected, and " + who + " can go on using them. Parcels that you have sent are not affected. " +
		"What you saved before is safe; if you were saving something just now, look whether it is there before you send it again."
}

// again says when a next try makes sense: "You can try again at 3:27 pm, in 2 minutes.".
func (f Frame) again(after time.Duration) string {
	if after <= 0 {
		return "Please try again in a few minutes."
	}
	minutes := int((after + time.Minute - 1) / time.Minute)
	// Rounded up, so that the minute that it names is not too early.
	at := f.Now.Add(after + time.Minute - 1).Truncate(time.Minute)
	return "You can try again at " + at.In(f.zone()).Format(clockLayout) + ", in " + count(minutes, "minute") + "."
}

// retryAfter returns when the error says that a next try makes sense; zero if it does not say.
func retryAfter(err error) time.Duration {
	for _, p := range fault.Of(err) {
		if p.RetryAfter > 0 {
			return p.RetryAfter
		}
	}
	return 0
}
