package signin_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	_, err := w.signIn("wrong")
	w.is("a wrong password", err, fault.Unauthorized)
	first := w.signedIn()
	v := w.visited(first.Text)
	if v.Account.ID != merchant || v.Partner.ID != partnerID || !v.Confirmed(w.now()) {
		t.Errorf("visit = %+v", v)
	}
	mails := w.mails.take()
	if len(mails) != 1 || mails[0].Kind != mail.NewSignIn || mails[0].Browser != "Firefox on Windows" {
		t.Errorf("mails = %+v", mails)
	}
	second := w.signedIn()
	if mails := w.mails.take(); len(mails) != 0 {
		t.Errorf("mails of a known browser = %+v", mails)
	}
	w.visited(first.Text)
	w.visited(second.Text)
	if diff := cmp.Diff([]effects.EventType{effects.LoginSignedIn, effects.LoginSignedIn}, w.events(merchant)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	w.pass(6 * time.Minute)
	if w.visited(first.Text).Confirmed(w.now()) {
		t.Error("the confirmation did not end")
	}
	confirmed, err := w.s.Confirm(t.Context(), v, secret.New(right), from(firefox))
	w.ok(err)
	_, err = w.visit(first.Text)
	w.is("the session before the step-up", err, fault.Unauthorized)
	changed, err := w.s.ChangePassword(t.Context(), w.visited(confirmed.Text), secret.New("nine blue kettles"), from(firefox))
	w.ok(err)
	w.visited(changed.Text)
	_, err = w.visit(second.Text)
	w.is("another session after a change of the password", err, fault.Unauthorized)
	_, err = w.signIn(right)
	w.is("the old password", err, fault.Unauthorized)
	w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
	link := w.link(mail.Reset)
	_, err = w.s.SetPassword(t.Context(), "reset", link, secret.New(right), from(firefox))
	w.ok(err)
	_, err = w.s.SetPassword(t.Context(), "reset", link, secret.New(right), from(firefox))
	w.is("a link that was used", err, fault.NotFound)
	w.signedIn()
}
