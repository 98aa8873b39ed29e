package webhook_test

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/webhook"
)

// stream is the table's stream: a batch has 100 records at most, or what has come within a
// second.
type stream struct {
	mu      sync.Mutex
	records []effects.Event
}

func (s *stream) add(events []effects.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, events...)
}

// read dispatches what there is until ctx ends.
func (s *stream) read(ctx context.Context, d *delivering) {
	for began := time.Now(); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		n := min(len(s.records), 100)
		if n == 0 {
			began = time.Now()
		}
		var batch []effects.Event
		if n == 100 || time.Since(began) >= time.Second {
			batch, s.records = s.records[:n:n], s.records[n:]
		}
		s.mu.Unlock()
		if len(batch) > 0 {
			d.dispatch(batch)
			began = time.Now()
		}
	}
}

// TestNoPartnerDelaysAnother: 10,000 events of one partner do not delay the ten of another
// by more than half. Each call of the table takes 10 ms, each receiver 100 ms.
func TestNoPartnerDelaysAnother(t *testing.T) {
	const big, small = 10_000, 10
	slowest := func(t *testing.T, hooks int) (worst time.Duration) {
		t.Helper()
		delivers(t, func(d *delivering) {
			busy, quiet := webhook.Owner{PartnerID: 5, AccountID: 71}, webhook.Owner{PartnerID: 6, AccountID: 81}
			for i := range hooks {
				d.hook(webhook.Owner{PartnerID: 5}, fmt.Sprintf("https://busy-%d.example.com", i), answers(ok, 100*time.Millisecond))
			}
			d.hook(webhook.Owner{PartnerID: 6}, "https://quiet.example.com", answers(ok, 100*time.Millisecond))
			var all, mine []effects.Event
			if hooks > 0 {
				all = d.written(busy, "se-1", big)
			}
			mine = d.written(quiet, "se-1", small)
			d.store.Table.Trouble = func(string, any) dynamotest.Trouble {
				time.Sleep(10 * time.Millisecond)
				return dynamotest.Trouble{}
			}
			ctx, stop := context.WithCancel(d.Context())
			s := &stream{}
			var reading sync.WaitGroup
			reading.Go(func() { s.read(ctx, d) })
			// The busy partner makes 500 a second, as many as one hash key of the table can take.
			sent := map[string]time.Time{}
			for i := range small {
				if hooks > 0 {
					for batch := range slices.Chunk(all[i*big/small:(i+1)*big/small], 50) {
						s.add(batch)
						time.Sleep(100 * time.Millisecond)
					}
				} else {
					time.Sleep(2 * time.Second)
				}
				sent[mine[i].ID] = time.Now()
				s.add(mine[i : i+1])
			}
			time.Sleep(time.Minute)
			stop()
			reading.Wait()
			got := d.arrivals("https://quiet.example.com")
			if len(got) != small {
				d.Fatalf("%d of %d events arrived", len(got), small)
			}
			for _, a := range got {
				worst = max(worst, a.at.Sub(sent[a.id]))
			}
		})
		return worst
	}
	alone := slowest(t, 0)
	for _, hooks := range []int{1, 4} {
		if beside := slowest(t, hooks); beside > alone*3/2 {
			t.Errorf("beside a partner with %d webhooks an event arrives within %v, alone within %v", hooks, beside, alone)
		} else {
			t.Logf("beside a partner with %d webhooks within %v, alone within %v", hooks, beside, alone)
		}
	}
}

// TestStreamRepeatsAndReorders: whatever batches the stream passes on, how often and in
// which order, and whatever the table throttles or cuts short, each event arrives, those of
// a resource in their order of arrival in the stream, and nowhere else.
func TestStreamRepeatsAndReorders(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			delivers(t, func(d *delivering) {
				random, ofTable := mathrand.New(mathrand.NewPCG(seed, 1)), mathrand.New(mathrand.NewPCG(seed, 2))
				var mu sync.Mutex // of the table's
				owners := []webhook.Owner{{PartnerID: 5, AccountID: 71}, {PartnerID: 5, AccountID: 72}, {PartnerID: 6, AccountID: 81}}
				hooks := map[string]webhook.Owner{}
				for i, o := range append([]webhook.Owner{{PartnerID: 5}, {PartnerID: 6}}, owners...) {
					url := fmt.Sprintf("https://r%d.example.com", i)
					hooks[url] = o
					d.hook(o, url, answers(ok, time.Duration(random.IntN(2000))*time.Millisecond))
				}
				var all []effects.Event
				bySubject := map[webhook.Owner][]effects.Event{}
				for range 30 {
					o := owners[random.IntN(len(owners))]
					e := d.written(o, fmt.Sprint("se-", o.AccountID), 1)
					all, bySubject[o] = append(all, e...), append(bySubject[o], e...)
				}
				quiet := time.Now().Add(2 * time.Minute)
				d.store.Table.Trouble = func(string, any) (trouble dynamotest.Trouble) {
					mu.Lock()
					defer mu.Unlock()
					if time.Now().Before(quiet) {
						switch ofTable.IntN(20) {
						case 0:
							trouble.Err = dynamotest.Throttled()
						case 1:
							trouble.Lost = dynamotest.Throttled()
						case 2:
							trouble.Left = 1
						}
					}
					return trouble
				}
				rest := all
				for len(rest) > 0 {
					n := min(len(rest), 1+random.IntN(10))
					batch := slices.Clone(rest[:n])
					for runs := 1 + random.IntN(5); runs > 0; {
						random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
						if _, err := d.dispatcher.Dispatch(d.Context(), batch); err == nil {
							runs--
						}
						time.Sleep(time.Second)
					}
					rest = rest[n:]
				}
				time.Sleep(15 * time.Minute)
				d.faults() // the table's
				for url, o := range hooks {
					want := map[string][]effects.Event{}
					for owner, events := range bySubject {
						if subject := fmt.Sprint("se-", owner.AccountID); owner.PartnerID == o.PartnerID && (o.AccountID == 0 || owner == o) {
							want[subject] = events
						}
					}
					d.inOrder(url, want)
					for _, a := range d.arrivals(url) {
						if want[a.subject] == nil {
							d.Errorf("%s, of %v, got an event of %s", url, o, a.subject)
						}
					}
				}
			})
		})
	}
}
