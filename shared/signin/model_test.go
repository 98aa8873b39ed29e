package signin_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// model is what one account's sign-ins should be.
type model struct {
	password string
	sessions []*modelSession
	attempts []time.Time // at the password of a sign-in, since the last one that was right
	confirms []time.Time // likewise, of somebody who is signed in
	network  []time.Time // attempts to sign in that were wrong, or waited
}

type modelSession struct {
	text                     secret.Text
	created, seen, confirmed time.Time
	ended                    bool
}

func within(all []time.Time, now time.Time, d time.Duration) (n int) {
	for _, at := range all {
		if at.After(now.Add(-d)) {
			n++
		}
	}
	return n
}

// signIn counts an attempt to sign in and tells what the service should answer.
func (m *model) signIn(now time.Time, password string) fault.Kind {
	if within(m.network, now, 15*time.Minute) >= 30 {
		return fault.RateLimited
	}
	m.network = append(m.network, now)
	kind := m.attempt(&m.attempts, now, password)
	if kind == good {
		m.network = m.network[:len(m.network)-1]
	}
	return kind
}

// attempt counts an attempt at the password among those before.
func (m *model) attempt(before *[]time.Time, now time.Time, password string) fault.Kind {
	pause := []time.Duration{0, 0, 0, 0, 0, time.Minute, 5 * time.Minute, 15 * time.Minute}[min(within(*before, now, 2*time.Hour), 7)]
	if n := len(*before); n > 0 && now.Sub((*before)[n-1]) < pause {
		return fault.RateLimited
	}
	*before = append(*before, now)
	if password != m.password {
		return fault.Unauthorized
	}
	*before = nil
	return good
}

func (m *model) valid(s *modelSession, now time.Time) bool {
	return !s.ended && now.Sub(s.created) < 12*time.Hour && now.Sub(s.seen) < 2*time.Hour
}

func (m *model) end() {
	for _, s := range m.sessions {
		s.ended = true
	}
}

// TestAgainstModel does random things with an account, and compares what comes of them with
// the model.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := newWorld(t)
			walk(w, &model{password: right}, rand.New(rand.NewPCG(seed, 1)), seed%2 == 1)
		})
	}
}

// walk takes random steps. Somebody who guesses enters wrong passwords, mostly, one after the
// other.
func walk(w *world, m *model, random *rand.Rand, guesses bool) {
	w.Helper()
	wrong, waits := 10, 7
	if guesses {
		wrong, waits = 19, 5
	}
	for step := range 120 {
		w.pass([]time.Duration{0, time.Second, 50 * time.Second, 4 * time.Minute, 6 * time.Minute, 20 * time.Minute, 100 * time.Minute}[random.IntN(waits)])
		now, what := w.now(), fmt.Sprint("step ", step)
		password := m.password
		if random.IntN(20) < wrong {
			password = "wrong"
		}
		if len(m.sessions) == 0 || random.IntN(4) == 0 {
			started, err := w.signIn(password)
			want := m.signIn(now, password)
			w.is(what+": SignIn", err, want)
			if want == good {
				m.sessions = append(m.sessions, &modelSession{text: started.Text, created: now, seen: now, confirmed: now})
			}
			continue
		}
		visitAs(w, m, m.sessions[random.IntN(len(m.sessions))], password, random.IntN(5), what)
		if w.Failed() {
			return
		}
	}
	for _, s := range m.sessions {
		_, err := w.visit(s.text)
		w.is("a session at the end", err, map[bool]fault.Kind{true: good, false: fault.Unauthorized}[m.valid(s, w.now())])
	}
}

// visitAs visits with a session, and then does one of several things.
func visitAs(w *world, m *model, s *modelSession, password string, do int, what string) {
	w.Helper()
	now := w.now()
	v, err := w.visit(s.text)
	if !m.valid(s, now) {
		w.is(what+": Visit", err, fault.Unauthorized)
		return
	}
	if w.is(what+": Visit", err, good); err != nil {
		return
	}
	if now.Sub(s.seen) >= 5*time.Minute {
		s.seen = now
	}
	fresh := now.Sub(s.confirmed) <= 5*time.Minute
	if v.Confirmed(now) != fresh {
		w.Errorf("%s: Confirmed = %t, want %t", what, !fresh, fresh)
	}
	mayChange := map[bool]fault.Kind{true: good, false: fault.Forbidden}[fresh]
	next := &modelSession{created: s.created, seen: now, confirmed: s.confirmed}
	switch do {
	case 0:
		w.is(what+": SignOut", w.s.SignOut(w.Context(), s.text), good)
		s.ended = true
		return
	case 1:
		started, err := w.s.Confirm(w.Context(), v, secret.New(password), from(firefox))
		want := m.attempt(&m.confirms, now, password)
		if w.is(what+": Confirm", err, want); want != good {
			return
		}
		s.ended, next.confirmed, next.text = true, now, started.Text
	case 2:
		anew := "green kettles " + strconv.FormatInt(now.UnixNano(), 10)
		started, err := w.s.ChangePassword(w.Context(), v, secret.New(anew), from(firefox))
		if w.is(what+": ChangePassword", err, mayChange); !fresh {
			return
		}
		m.end()
		m.password, next.confirmed, next.text = anew, now, started.Text
	case 3:
		started, err := w.s.SignOutOthers(w.Context(), v, from(firefox))
		if w.is(what+": SignOutOthers", err, mayChange); !fresh {
			return
		}
		m.end()
		next.text = started.Text
	default:
		all, err := w.s.Sessions(w.Context(), v)
		w.is(what+": Sessions", err, good)
		alive := slices.Collect(func(yield func(*modelSession) bool) {
			for _, s := range m.sessions {
				if m.valid(s, now) && !yield(s) {
					return
				}
			}
		})
		if len(all) != len(alive) {
			w.Errorf("%s: %d sessions, want %d", what, len(all), len(alive))
		}
		return
	}
	m.sessions = append(m.sessions, next)
}
