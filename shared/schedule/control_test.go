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

// doubts puts a refusal that waits for an answer into a carrier's breaker, and
// peers.
func (s *shelf) doubts(t *testing.T, name carrier.Name, peers ...health.Peer) {
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

// TestControlChecks: whom a pass checks although nothing of it is due, because
// somebody else was refused.
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
		{"the breaker can not be saved", []health.Peer{peer}, nil, "SaveBreaker", nil},
		{"the index can not be read", nil, nil, "Due australia_post", nil},
		{"nobody at all", nil, nil, "", nil},
		{"nobody else", nil, []connection.Due{later(1, "se-mine", "mine"), later(2, "se-shared", "key 1")}, "", nil},
		{"who is refused too", []health.Peer{{AccountID: 2, ConnectionID: "se-peer", CredentialID: "key 2", LastGoodAt: at().Add(-time.Hour), RefusedAt: at()}}, []connection.Due{later(2, "se-peer", "key 2")}, "", nil},
		{"a peer", []health.Peer{peer}, []connection.Due{later(3, "se-other", "key 3")}, "", []string{"se-peer"}},
		{"another one of the schedule", nil, []connection.Due{later(1, "se-mine", "mine"), later(3, "se-other", "key 3")}, "", []string{"se-other"}},
		{"behind thousands of one's own", nil, append(mine(5000), later(3, "se-other", "key 3")), "", []string{"se-other"}},
		{"behind more than is looked at", nil, append(mine(10_000), later(3, "se-other", "key 3")), "", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s, q := newShelf(), &tray{}
			s.doubts(t, carrier.AustraliaPost, tc.peers...)
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
			// The next pass sends none within the minute, nor does another dispatcher.
			q.sent = nil
			if _, err := d.RunPass(t.Context()); tc.fails == "" && (err != nil || len(controls(q.sent)) > 0) {
				t.Errorf("the next pass sends %v, %v", controls(q.sent), err)
			}
		})
	}
	t.Run("another dispatcher was faster", func(t *testing.T) {
		s, q := newShelf(), &tray{}
		s.doubts(t, carrier.AustraliaPost, peer)
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
	t.Run("keeps to the turns of its key", func(t *testing.T) {
		s, q := newShelf(), &tray{}
		s.doubts(t, carrier.AustraliaPost, peer)
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
			t.Errorf("sent %q, want what has the same key as the control check to wait", ids)
		}
	})
}

// TestSampleOfVotes: about a hundred checks of a lane vote in a minute, spread
// over it, however many there are.
func TestSampleOfVotes(t *testing.T) {
	for _, tc := range []struct {
		due    int
		window time.Duration
		want   int
	}{
		{1, time.Minute, 1}, {100, time.Minute, 100}, {101, time.Minute, 100}, {599, time.Minute, 100}, {100, 12 * time.Second, 20}, {3, 12 * time.Second, 3},
	} {
		s, q := newShelf(), &tray{}
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
