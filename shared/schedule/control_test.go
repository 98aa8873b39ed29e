package schedule_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/schedule"
)

// saveDoubt stores a carrier's breaker with an open doubt and peers.
func (s *fakeStore) saveDoubt(t *testing.T, name carrier.Name, peers ...health.Peer) {
	t.Helper()
	b := health.Breaker{Carrier: name, Peers: peers, Doubts: []health.Doubt{{AccountID: 1, ConnectionID: "se-1", CredentialID: "key 1", Since: at(), At: at()}}}
	if err := s.Memory.SaveBreaker(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func controls(sent []schedule.Delayed) []string {
	var ids []string
	for _, m := range sent {
		if m.Message.Control {
			ids = append(ids, m.Message.ConnectionID)
		}
	}
	return ids
}

// TestControlChecks lists which connection a pass checks although it is not due, because
// another one was refused.
func TestControlChecks(t *testing.T) {
	peer := health.Peer{PartnerID: 5, AccountID: 2, ConnectionID: "se-peer", CredentialID: "key 2", LastGoodAt: at().Add(-time.Hour)}
	later := func(account int64, id, credential string) connection.Due {
		return connection.Due{AccountID: account, ConnectionID: id, CredentialID: credential, DueAt: at().Add(time.Minute)}
	}
	mine := func(n int) []connection.Due {
		var list []connection.Due
		for i := range n {
			list = append(list, later(1, fmt.Sprint("se-mine", i), fmt.Sprint("mine ", i)))
		}
		return list
	}
	broken := errors.New("broken")
	tests := []struct {
		name  string
		peers []health.Peer
		due   []connection.Due
		fails string
		want  []string
	}{
		{"the breaker cannot be saved", []health.Peer{peer}, nil, "SaveBreaker", nil},
		{"the index cannot be read", nil, nil, "Due australia_post", nil},
		{"no other connection", nil, nil, "", nil},
		{"no connection of another account with another key", nil, []connection.Due{later(1, "se-mine", "mine"), later(2, "se-shared", "key 1")}, "", nil},
		{"a peer that was refused too", []health.Peer{{AccountID: 2, ConnectionID: "se-peer", CredentialID: "key 2", LastGoodAt: at().Add(-time.Hour), RefusedAt: at()}}, []connection.Due{later(2, "se-peer", "key 2")}, "", nil},
		{"a good peer", []health.Peer{peer}, []connection.Due{later(3, "se-other", "key 3")}, "", []string{"se-peer"}},
		{"another connection of the schedule", nil, []connection.Due{later(1, "se-mine", "mine"), later(3, "se-other", "key 3")}, "", []string{"se-other"}},
		{"behind thousands of the same account", nil, append(mine(5000), later(3, "se-other", "key 3")), "", []string{"se-other"}},
		{"behind more than are read", nil, append(mine(10_000), later(3, "se-other", "key 3")), "", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newFakeStore(), &fakeQueue{}
			s.saveDoubt(t, carrier.AustraliaPost, tc.peers...)
			s.due[auspost] = tc.due
			if tc.fails != "" {
				s.fails[tc.fails] = broken
			}
			d := dispatcher(s, q)
			d.Timing.RefusalGap = health.RefusalGap
			report, err := d.RunPass(t.Context())
			if errors.Is(err, broken) != (tc.fails != "") {
				t.Fatalf("Pass = %v", err)
			}
			if got := controls(q.sent); !slices.Equal(got, tc.want) || report.Controls != len(tc.want) || report.Sent != len(q.sent) {
				t.Fatalf("control checks %q, %+v, want %q", got, report, tc.want)
			}
			// No second control check within the minute.
			q.sent = nil
			if _, err := d.RunPass(t.Context()); tc.fails == "" && (err != nil || len(controls(q.sent)) > 0) {
				t.Errorf("the next pass sends %v, %v", controls(q.sent), err)
			}
		})
	}
	t.Run("another dispatcher was first", func(t *testing.T) {
		s, q := newFakeStore(), &fakeQueue{}
		s.saveDoubt(t, carrier.AustraliaPost, peer)
		s.before = func() {
			b, err := s.Memory.Breakers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tried := b[carrier.AustraliaPost].WithControl("se-peer", at())
			if err := s.Memory.SaveBreaker(t.Context(), &tried); err != nil {
				t.Fatal(err)
			}
		}
		d := dispatcher(s, q)
		d.Timing.RefusalGap = health.RefusalGap
		if _, err := d.RunPass(t.Context()); err != nil || len(q.sent) > 0 {
			t.Errorf("Pass = %v, sent %v, want nothing", err, q.sent)
		}
	})
	t.Run("keeps to the slots of its key", func(t *testing.T) {
		s, q := newFakeStore(), &fakeQueue{}
		s.saveDoubt(t, carrier.AustraliaPost, peer)
		s.due[auspost] = []connection.Due{{AccountID: 2, ConnectionID: "se-due", CredentialID: "key 2", DueAt: at()}, {AccountID: 3, ConnectionID: "se-other", CredentialID: "key 3", DueAt: at()}}
		d := dispatcher(s, q)
		d.Timing.RefusalGap = health.RefusalGap
		if _, err := d.RunPass(t.Context()); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, m := range q.sent {
			ids = append(ids, m.Message.ConnectionID)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{"se-other", "se-peer"}) {
			t.Errorf("sent %q, want the connection with the control check's key to wait", ids)
		}
	})
}

// TestVotesPerMinute: about a hundred checks of a lane vote in a minute, evenly spread,
// however many there are.
func TestVotesPerMinute(t *testing.T) {
	for _, tc := range []struct {
		due    int
		window time.Duration
		want   int
	}{
		{1, time.Minute, 1}, {100, time.Minute, 100}, {101, time.Minute, 100}, {599, time.Minute, 100}, {100, 12 * time.Second, 20}, {3, 12 * time.Second, 3},
	} {
		s, q := newFakeStore(), &fakeQueue{}
		s.add(auspost, tc.due, 1)
		d := dispatcher(s, q)
		d.Window = tc.window
		if _, err := d.RunPass(t.Context()); err != nil {
			t.Fatal(err)
		}
		voting, halves := 0, [2]int{}
		for _, m := range q.sent {
			if !m.Message.Silent {
				voting++
				halves[int(2*m.Delay/tc.window)]++
			}
		}
		if voting != tc.want || tc.want >= 20 && (halves[0] < tc.want*2/5 || halves[1] < tc.want*2/5) {
			t.Errorf("%d due in %v: %d vote, %v in each half, want %d", tc.due, tc.window, voting, halves, tc.want)
		}
	}
}
