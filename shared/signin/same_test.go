package signin_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
	"carrierlink/shared/signin"
)

// TestNothingTells: sign-in and the link for a new password make the same calls, write the
// same kinds of items, check as many hashes, queue as many mails and answer the same, whoever
// has the email.
func TestNothingTells(t *testing.T) {
	type seen struct {
		Calls  []string
		Hashes int
		Mails  int
		Answer string
	}
	w := newWorld(t)
	w.account(42, carrier.Sandbox, "sandbox@example.com", right)
	w.account(43, carrier.Production, "both@example.com", right)
	w.account(44, carrier.Sandbox, "both@example.com", right)
	w.account(45, carrier.Production, "without@example.com", "")
	s, table := w.watch(-1)
	hashes := 0
	s.Check = func(hash string, password secret.Text) error { hashes++; return cheapCheck(hash, password) }
	for name, act := range map[string]func(address string) error{
		"SignIn": func(address string) error {
			_, err := s.SignIn(t.Context(), address, secret.New("wrong"), secret.Text{}, from(firefox))
			return err
		},
		"Forgot": func(address string) error { return s.Forgot(t.Context(), address, from(firefox)) },
	} {
		var want *seen
		for _, address := range []string{address, "nobody@example.com", "sandbox@example.com", "both@example.com", "without@example.com"} {
			for n := range 9 { // the last ones are throttled
				hashes = 0
				err := act(address)
				got := seen{table.taken(), hashes, len(w.mails.take()), fmt.Sprint(err)}
				switch {
				case fault.Is(err, fault.RateLimited):
					if n < 3 || len(got.Calls) > 2 || got.Hashes > 0 || got.Mails > 0 {
						t.Errorf("%s %d of %s is throttled after %+v", name, n+1, address, got)
					}
				case want == nil:
					want = &got
				default:
					if diff := cmp.Diff(*want, got); diff != "" {
						t.Errorf("%s %d of %s (-want +got):\n%s", name, n+1, address, diff)
					}
				}
			}
			w.pass(3 * 3600e9)
		}
		if name == "SignIn" && want.Hashes != 2 || name == "Forgot" && want.Mails != 2 {
			t.Errorf("%s = %+v", name, *want)
		}
	}
	for _, it := range w.memory.Table.Items() {
		if text := fmt.Sprintf("%+v", it); strings.Contains(text, "nobody@") {
			t.Errorf("an address that nobody has is in the table: %s", text)
		}
	}
}

// TestThrottleAtOnce: of fifty wrong passwords at once five are checked.
func TestThrottleAtOnce(t *testing.T) {
	w := newWorld(t)
	var checked, limited atomic.Int32
	w.s.Check = func(string, secret.Text) error {
		checked.Add(1)
		return fault.New(fault.Unauthorized, "The email or the password is wrong.")
	}
	var trying sync.WaitGroup
	for i := range 50 {
		trying.Go(func() {
			_, err := w.s.SignIn(t.Context(), address, secret.New("wrong"), secret.Text{}, signin.Client{IP: fmt.Sprintf("198.51.%d.1", i)})
			if fault.Is(err, fault.RateLimited) && fault.Of(err)[0].RetryAfter > 0 {
				limited.Add(1)
			} else {
				w.is("a wrong password", err, fault.Unauthorized)
			}
		})
	}
	trying.Wait()
	if checked.Load() != 10 || limited.Load() != 45 { // two hashes each
		t.Errorf("%d hashes were checked and %d attempts refused, want 10 and 45", checked.Load(), limited.Load())
	}
}

// TestOneLinkOnce: of twenty that use a link at once one succeeds, and there is one notice.
func TestOneLinkOnce(t *testing.T) {
	w := newWorld(t)
	w.ok(w.s.Forgot(t.Context(), address, from(firefox)))
	link := w.link(mail.Reset)
	for range 10 {
		if _, err := w.s.Token(t.Context(), signin.TokenReset, link); err != nil {
			t.Fatalf("Token = %v", err)
		}
	}
	var won atomic.Int32
	var using sync.WaitGroup
	for i := range 20 {
		using.Go(func() {
			started, err := w.s.SetPassword(t.Context(), signin.TokenReset, link, secret.New(fmt.Sprint("kettles number ", i)), from(firefox))
			if err == nil {
				won.Add(1)
				w.visited(started.Text)
			} else if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.State) {
				t.Errorf("SetPassword = %v", err)
			}
		})
	}
	using.Wait()
	ids := map[string]bool{}
	for _, m := range w.mails.take() {
		if m.Kind == mail.PasswordChanged {
			ids[m.ID] = true
		}
	}
	if won.Load() != 1 || len(ids) != 1 {
		t.Errorf("%d of 20 have used the link, with %d notices, want 1 and 1", won.Load(), len(ids))
	}
}

// TestDeaths kills the process before each of its calls, sends the request again in another
// process, and checks that there is one truth: one password works, or one email, and nobody
// is let in who should not be.
func TestDeaths(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*world) string // a link
		act     func(*world, *signin.Service, string) error
		check   func(*world, error)
	}{
		"sign-in": {
			func(*world) string { return "" },
			func(w *world, s *signin.Service, _ string) error {
				_, err := s.SignIn(w.Context(), address, secret.New(right), secret.Text{}, from(chrome))
				return err
			},
			func(w *world, err error) {
				w.is("SignIn again", err, good)
				found := 0
				for _, m := range w.mails.take() {
					if m.Kind == mail.NewSignIn {
						found++
					}
				}
				if found == 0 {
					w.Error("nobody was told of the new browser")
				}
			},
		},
		"reset": {
			func(w *world) string {
				w.ok(w.s.Forgot(w.Context(), address, from(firefox)))
				return w.link(mail.Reset)
			},
			func(w *world, s *signin.Service, link string) error {
				_, err := s.SetPassword(w.Context(), signin.TokenReset, link, secret.New("nine blue kettles"), from(firefox))
				return err
			},
			func(w *world, err error) {
				if err != nil {
					w.is("SetPassword again", err, fault.NotFound)
				}
				_, err = w.signIn("nine blue kettles")
				w.is("the new password", err, good)
				_, err = w.signIn(right)
				w.is("the old password", err, fault.Unauthorized)
				if m := w.mails.take(); len(m) == 0 || m[0].Kind != mail.PasswordChanged {
					w.Errorf("mails = %+v, want the notice first", m)
				}
			},
		},
		"email change": {
			func(w *world) string {
				w.ok(w.s.RequestEmail(w.Context(), w.visited(w.signedIn().Text), "new@example.com"))
				return w.link(mail.VerifyEmail)
			},
			func(w *world, s *signin.Service, link string) error {
				return s.VerifyEmail(w.Context(), link, from(firefox))
			},
			func(w *world, err error) {
				if err != nil {
					w.is("VerifyEmail again", err, fault.NotFound)
				}
				if a := w.stored(merchant); a.Email != "new@example.com" {
					w.Errorf("email = %q", a.Email)
				}
				_, err = w.signIn(right)
				w.is("the old email", err, fault.Unauthorized)
				_, err = w.s.SignIn(w.Context(), "new@example.com", secret.New(right), secret.Text{}, from(firefox))
				w.is("the new email", err, good)
				if m := w.mails.take(); len(m) == 0 || m[0].Kind != mail.EmailChanged || m[0].To != address {
					w.Errorf("mails = %+v, want the notice to the old address first", m)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for left, died := 0, true; died; left++ {
				w := newWorld(t)
				link := tc.prepare(w)
				s, _ := w.watch(left)
				died = true
				inProcess(func() {
					w.ok(tc.act(w, s, link))
					died = false
				})
				w.memory.Table.Trouble = nil // the others live on
				if died {
					err := tc.act(w, w.s, link)
					tc.check(w, err)
				} else {
					tc.check(w, nil)
				}
				if t.Failed() || left > 30 {
					t.Fatalf("after %d calls", left)
				}
			}
		})
	}
}
