package pages

import "carrierlink/shared/web"

// Done is a word of a fixed list, which a redirect carries in ?done= and a page says in a sentence.
type Done string

// The words.
const (
	DoneLinked          Done = "linked"
	DoneSaved           Done = "saved"
	DoneChanged         Done = "changed"
	DoneRenamed         Done = "renamed"
	DoneRolledBack      Done = "rolled_back"
	DoneChecked         Done = "checked"
	DoneDisconnected    Done = "disconnected"
	DoneAccountChanged  Done = "account_changed"
	DonePasswordSet     Done = "password_set"
	DonePasswordChanged Done = "password_changed"
	DoneEmailMailSent   Done = "email_mail_sent"
	DoneEmailChanged    Done = "email_changed"
	DoneSessionsEnded   Done = "sessions_ended"
	DoneSignedOut       Done = "left"
	DoneSessionEnded    Done = web.SignedOut // by web, not by a click
)

var doneSentences = map[Done]string{
	DoneLinked:          "Your carrier account is connected. We check it regularly, and there is nothing else for you to do.",
	DoneSaved:           "Your carrier account is saved. We will check it and send you the result by email.",
	DoneChanged:         "Your new details are saved and working.",
	DoneRenamed:         "The name is saved. The account number and the key are as they were.",
	DoneRolledBack:      "Your previous key is back in use.",
	DoneChecked:         "We have just checked. Here is the result.",
	DoneDisconnected:    "Your carrier account is disconnected.",
	DoneAccountChanged:  "Your account details are saved.",
	DonePasswordSet:     "Your password is set, and you are signed in. Next time, sign in with your email and this password.",
	DonePasswordChanged: "Your password is changed. Other browsers were signed out.",
	DoneEmailMailSent:   "We have sent an email to the new address. Follow its link to finish.",
	DoneEmailChanged:    "Your email address is changed.",
	DoneSessionsEnded:   "All other browsers are signed out.",
	DoneSignedOut:       "You are signed out.",
	DoneSessionEnded:    "You were signed out. Sign in again to go on. What you saved before is safe.",
}

// DoneOf returns the word of a query if it is on the list, else none: nobody can put a
// sentence of their own on a page.
func DoneOf(word string) Done {
	if _, known := doneSentences[Done(word)]; known {
		return Done(word)
	}
	return ""
}

// Sentence returns what a page says of it; empty for a word that is not on the list.
func (d Done) Sentence() string { return doneSentences[d] }
