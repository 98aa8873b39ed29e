package connection_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/vault/vaulttest"
)

// goexit is the death of a process: nothing after it is done.
func goexit() { runtime.Goexit() }

// inProcess runs act in a goroutine that can die, and waits for it.
func inProcess(act func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	<-done
}

// useCase is a request: it can come again.
type useCase struct {
	name  string
	setUp func(*testing.T, *world)
	act   func(context.Context, *world, *connection.Service) error
}

// of runs something of the connection that holds a number, or that held it when
// the same request came before.
func of(n string, do func(context.Context, *world, *connection.Service, connection.Connection) error) func(context.Context, *world, *connection.Service) error {
	return func(ctx context.Context, w *world, s *connection.Service) error {
		rows, err := s.Store.AllConnections(ctx, accountID)
		if err != nil {
			return err
		}
		for _, c := range rows {
			// As the handlers have it: an unlink is finished by another one.
			if (w.again[n] == c.ID || w.again[n] == "" && c.AccountNumber == n) && (c.Visible() || c.Work == connection.WorkUnlink) {
				if w.again != nil {
					w.again[n] = c.ID
				}
				return do(ctx, w, s, c)
			}
		}
		return fault.New(fault.NotFound, "no such carrier")
	}
}

func linkOf(n, which string, edit func(*connection.LinkRequest)) func(context.Context, *world, *connection.Service) error {
	return func(ctx context.Context, _ *world, s *connection.Service) error {
		req := connection.LinkRequest{
			Account: merchant(accountID), Nickname: "Main", RefreshPolicy: connection.RefreshDaily, ChargeAccount: chargeAccount(n, which),
		}
		rows, err := s.Store.AllConnections(ctx, accountID)
		if err != nil {
			return err
		}
		for _, c := range rows {
			if c.AccountNumber == n && c.Status != connection.Disconnected {
				req.Holders = append(req.Holders, c.ID)
			}
		}
		if edit != nil {
			edit(&req)
		}
		_, err = s.Link(ctx, req)
		return err
	}
}

func changeOf(n, to, which string) func(context.Context, *world, *connection.Service) error {
	return of(n, func(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
		_, err := s.Change(ctx, change(c, to, which))
		return err
	})
}

func linked(t *testing.T, w *world) { t.Helper(); w.link(t) }

func changedTwice(t *testing.T, w *world) {
	t.Helper()
	w.changed(t, w.changed(t, w.link(t), "", "two"), "", "three")
}

// pastRollback is a connection whose last change can no longer be rolled back.
func pastRollback(t *testing.T, w *world) {
	t.Helper()
	changedTwice(t, w)
	w.clock = w.clock.Add(connection.PreviousKept)
}

func follow(ctx context.Context, _ *world, s *connection.Service) error {
	return s.Follow(ctx, accountID)
}

func reconcile(ctx context.Context, _ *world, s *connection.Service) error {
	_, err := s.Reconcile(ctx, 100)
	return err
}

func rollback(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.Rollback(ctx, c, false, effects.By{}, nil)
	return err
}

func verify(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.Verify(ctx, c, health.Breaker{}, effects.By{}, nil)
	return err
}

func readCheck(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.Check(ctx, c, connection.TriggerRead, health.Breaker{}, effects.By{}, nil)
	return err
}

func refresh(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.Refresh(ctx, connection.Due{AccountID: accountID, ConnectionID: c.ID}, health.Breaker{})
	return err
}

func requestRefresh(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.RequestRefresh(ctx, c, false, nil)
	return err
}

func unlink(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	return s.Unlink(ctx, c, false, nil)
}

// rename changes nickname and policy.
func rename(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
	_, err := s.Change(ctx, connection.ChangeRequest{Connection: c, Edit: func(c *connection.Connection) {
		c.Nickname, c.RefreshPolicy = c.Nickname+"'", connection.RefreshHourly
	}})
	return err
}

// crashed prepares what an operation leaves when it dies after its n-th call, with its
// lease expired.
func crashed(before func(*testing.T, *world), n int, act func(context.Context, *world, *connection.Service) error) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		before(t, w)
		w.dies(n, func() { _ = act(context.Background(), w, w.Service) })
		w.clock = w.clock.Add(time.Minute)
	}
}

func useCases() []useCase {
	nothing := func(*testing.T, *world) {}
	down := func(_ *testing.T, w *world) { w.production.answers(bad(carrier.OutcomeUnavailable)) }
	two := func(t *testing.T, w *world) { t.Helper(); w.link(t); w.linkAs(t, number2, "other") }
	both := changeOf(number, number2, "two")
	return []useCase{
		{"link", nothing, linkOf(number, "one", nil)},
		{"link for later", down, linkOf(number, "one", func(r *connection.LinkRequest) { r.VerifyLater = true })},
		{"link a duplicate", linked, linkOf(number, "one", func(r *connection.LinkRequest) { r.AllowDuplicate = true })},
		{"take an intent over", crashed(nothing, 4, linkOf(number, "one", nil)), linkOf(number, "two", nil)},
		{"rename", linked, of(number, rename)},
		{"change credentials", linked, changeOf(number, "", "two")},
		{"change credentials again", changedTwice, changeOf(number, "", "four")},
		{"change the number", linked, changeOf(number, number2, "")},
		{"change both", linked, both},
		{"change to a number that is held", two, both},
		{"change what was left of a change", crashed(linked, 5, changeOf(number, "", "two")), changeOf(number, "", "three")},
		{"change without a secret", func(t *testing.T, w *world) { t.Helper(); w.loses(t, w.link(t).ID) }, changeOf(number, "", "two")},
		{"rollback", changedTwice, of(number, rollback)},
		{"rollback of the number", func(t *testing.T, w *world) { t.Helper(); w.changed(t, w.link(t), number2, "") }, of(number2, rollback)},
		{"verify", linked, of(number, verify)},
		{"verify what was left of a change", crashed(linked, 5, changeOf(number, "", "two")), of(number, verify)},
		{"read", func(t *testing.T, w *world) {
			t.Helper()
			w.link(t)
			w.production.answers(good(number))
			w.production.reading.Raw = []byte(`{"new":1}`)
		}, of(number, readCheck)},
		{"refresh", func(t *testing.T, w *world) { t.Helper(); w.link(t); w.clock = w.clock.AddDate(0, 0, 3) }, of(number, refresh)},
		{"refresh in an outage", func(t *testing.T, w *world) {
			t.Helper()
			w.link(t)
			w.clock = w.clock.AddDate(0, 0, 3)
			w.production.answers(bad(carrier.OutcomeTimeout))
		}, of(number, refresh)},
		{"check past the rollback", pastRollback, func(ctx context.Context, w *world, s *connection.Service) error {
			if err := of(number, refresh)(ctx, w, s); err != nil && unexpected(err) {
				return err
			}
			return reconcile(ctx, w, s)
		}},
		{"give up the previous credentials", func(t *testing.T, w *world) {
			t.Helper()
			pastRollback(t, w)
			if err := of(number, refresh)(t.Context(), w, w.Service); err != nil {
				t.Fatal(err)
			}
		}, reconcile},
		{"request a refresh", linked, of(number, requestRefresh)},
		{"unlink", linked, of(number, unlink)},
		{"unlink what was left of a change", crashed(linked, 5, changeOf(number, "", "two")), of(number, unlink)},
		{"disable", func(t *testing.T, w *world) { t.Helper(); two(t, w); w.enabled(t, false) }, follow},
		{"enable", func(t *testing.T, w *world) {
			t.Helper()
			two(t, w)
			w.enabled(t, false)
			w.followed(t)
			w.enabled(t, true)
		}, follow},
		{"delete", func(t *testing.T, w *world) { t.Helper(); two(t, w); w.deleted(t, 20) }, follow},
		{"delete what was left of a change", func(t *testing.T, w *world) {
			t.Helper()
			crashed(linked, 5, changeOf(number, "", "two"))(t, w)
			w.deleted(t, 20)
		}, follow},
		{"restore", func(t *testing.T, w *world) { t.Helper(); two(t, w); w.deleted(t, 20); w.followed(t); w.restored(t) }, follow},
		{"restore what was left of a change and a deletion", func(t *testing.T, w *world) {
			t.Helper()
			crashed(linked, 5, changeOf(number, "", "two"))(t, w)
			w.deleted(t, 20)
			w.followed(t)
			w.restored(t)
		}, follow},
		{"delete for another time", func(t *testing.T, w *world) {
			t.Helper()
			two(t, w)
			w.deleted(t, 10)
			w.followed(t)
			w.restored(t)
			w.deleted(t, 25)
		}, follow},
		{"delete for another time what was left of a deletion", func(t *testing.T, w *world) {
			t.Helper()
			w.link(t)
			w.deleted(t, 29)
			w.dies(4, func() { _ = w.Follow(context.Background(), accountID) })
			w.clock = w.clock.Add(time.Minute)
			w.restored(t)
			w.deleted(t, 8)
		}, follow},
		{"reconcile an intent", crashed(nothing, 4, linkOf(number, "one", nil)), reconcile},
		{"reconcile a staged version", crashed(linked, 4, changeOf(number, "", "two")), reconcile},
		{"reconcile a change", crashed(linked, 5, changeOf(number, "", "two")), reconcile},
		{"reconcile an unlinked one", crashed(linked, 2, of(number, unlink)), reconcile},
		{"reconcile a deletion", func(t *testing.T, w *world) {
			t.Helper()
			two(t, w)
			w.deleted(t, 20)
			crashed(func(*testing.T, *world) {}, 4, follow)(t, w)
		}, reconcile},
	}
}

func (w *world) followed(t *testing.T) {
	t.Helper()
	if err := w.Follow(context.Background(), accountID); err != nil {
		t.Fatal(err)
	}
}

// vaults are the variants that AWS permits.
func vaults() []*vaulttest.Memory {
	return []*vaulttest.Memory{{}, {KeepsUnlabelled: true}, {EndsPending: true}, {KeepsUnlabelled: true, EndsPending: true}}
}

// failures are the ways in which the n-th call of a process fails.
var failures = []struct {
	name string
	hook func(n int) hook
}{
	{"the process dies after call", func(n int) hook {
		return nth(n, func(do func() error) error {
			_ = do()
			goexit()
			return nil
		})
	}},
	{"no answer to call", func(n int) hook {
		return nth(n, func(do func() error) error {
			_ = do()
			return errLost
		})
	}},
	{"nothing comes of call", func(n int) hook {
		return nth(n, func(func() error) error { return errLost })
	}},
}

var errLost = errors.New("no answer")

// nth makes one call otherwise.
func nth(n int, how func(do func() error) error) hook {
	calls := 0
	return func(_ context.Context, _ string, do func() error) error {
		if calls++; calls == n {
			return how(do)
		}
		return do()
	}
}

// TestEveryFailure: after a process has died after any of its calls, or got no answer to
// it, the same request after the lease, the reconciler, or both leave everything either
// as before or done.
func TestEveryFailure(t *testing.T) {
	type after struct {
		name  string
		steps []func(context.Context, *world, *connection.Service) error
	}
	for _, u := range useCases() {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			recoveries := []after{
				{"the same again", []func(context.Context, *world, *connection.Service) error{u.act}},
				{"reconciled", []func(context.Context, *world, *connection.Service) error{reconcile}},
				{"the same again, reconciled", []func(context.Context, *world, *connection.Service) error{u.act, reconcile}},
				{"reconciled, the same again", []func(context.Context, *world, *connection.Service) error{reconcile, u.act}},
			}
			calls := -1
			for n := 1; calls < 0 || n <= calls; n++ {
				for i, f := range failures {
					for _, r := range recoveries {
						v := (n + i) % len(vaults())
						w := newWorldOver(t, vaults()[v])
						w.again = map[string]string{}
						u.setUp(t, w)
						made := 0
						breaks := f.hook(n)
						w.on = func(ctx context.Context, name string, do func() error) error {
							made++
							return breaks(ctx, name, do)
						}
						inProcess(func() { _ = u.act(context.Background(), w, w.Service) })
						if made < n {
							calls = made
						}
						w.on = nil
						w.clock = w.clock.Add(time.Minute)
						for _, step := range r.steps {
							if err := step(context.Background(), w, w.Service); err != nil && unexpected(err) {
								t.Errorf("%s %d, then %s: %v", f.name, n, r.name, err)
							}
						}
						wrong := w.broken(t)
						if r.name == "reconciled" && u.name == "change without a secret" {
							// Nobody but the merchant has the credentials.
							wrong = slices.DeleteFunc(wrong, func(s string) bool { return strings.Contains(s, "credentials are not there") })
						}
						if len(wrong) > 0 {
							t.Fatalf("%s %d, then %s (vault %d):\n%s", f.name, n, r.name, v, strings.Join(wrong, "\n"))
						}
					}
				}
			}
		})
	}
}

// unexpected reports whether a repeated request must not get this answer.
func unexpected(err error) bool {
	kinds := []fault.Kind{fault.NotFound, fault.State, fault.CarrierConflict, fault.RateLimited}
	return !slices.Contains(kinds, fault.KindOf(err))
}

// TestInterleavings runs processes concurrently. Each stops before every call until a
// seeded choice lets it go on; some are killed, and the clock runs. After the reconciler
// everything has to be consistent.
func TestInterleavings(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	for shard := range 8 {
		t.Run(strconv.Itoa(shard), func(t *testing.T) {
			t.Parallel()
			for i := shard; i < rounds; i += 8 {
				interleave(t, uint64(i))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// operations are the operations on the account of a test, in any order.
func operations() []useCase {
	// An account's change and what follows are two steps of one process.
	changing := func(change func(*world) error) func(context.Context, *world, *connection.Service) error {
		return func(ctx context.Context, w *world, s *connection.Service) error {
			if err := change(w); err != nil {
				return err
			}
			return s.Follow(ctx, accountID)
		}
	}
	get := func(w *world) account.Account {
		a, _ := w.memory.Account(context.Background(), accountID, w.clock)
		return a
	}
	enable := func(active bool) func(*world) error {
		return func(w *world) error {
			err := w.memory.SetAccountActive(context.Background(), get(w), false, active, effects.Effects{}, w.clock)
			return err
		}
	}
	return []useCase{
		{name: "link", act: linkOf(number, "three", nil)},
		{name: "link the second", act: linkOf(number2, "four", nil)},
		{name: "link a duplicate", act: linkOf(number, "five", func(r *connection.LinkRequest) { r.AllowDuplicate = true })},
		{name: "rename", act: of(number, rename)},
		{name: "credentials", act: changeOf(number, "", "six")},
		{name: "credentials of the second", act: changeOf(number2, "", "seven")},
		{name: "number", act: changeOf(number, number2, "")},
		{name: "number back", act: changeOf(number2, number, "")},
		{name: "both", act: changeOf(number, number2, "eight")},
		{name: "both pinned", act: of(number, func(ctx context.Context, _ *world, s *connection.Service, c connection.Connection) error {
			req := change(c, number2, "nine")
			req.Pinned = true
			_, err := s.Change(ctx, req)
			return err
		})},
		{name: "rollback", act: of(number, rollback)},
		{name: "rollback of the second", act: of(number2, rollback)},
		{name: "verify", act: of(number, verify)},
		{name: "read", act: of(number, readCheck)},
		{name: "refresh", act: of(number, refresh)},
		{name: "refresh of the second", act: of(number2, refresh)},
		{name: "request a refresh", act: of(number, requestRefresh)},
		{name: "unlink", act: of(number, unlink)},
		{name: "unlink the second", act: of(number2, unlink)},
		{name: "disable", act: changing(enable(false))},
		{name: "enable", act: changing(enable(true))},
		{name: "delete", act: changing(func(w *world) error {
			err := w.memory.DeleteAccount(context.Background(), get(w), false, w.clock.AddDate(0, 0, 7+w.clock.Second()%20), effects.Effects{}, w.clock)
			return err
		})},
		{name: "restore", act: changing(func(w *world) error {
			err := w.memory.RestoreAccount(context.Background(), get(w), false, effects.Effects{}, w.clock)
			return err
		})},
		{name: "reconcile", act: reconcile},
	}
}

// process is one that is stopped before every call.
type process struct {
	name    string
	asks    chan string // the call that it is about to make; closed at its end
	goes    chan bool   // go on, or die
	started time.Time
	next    string
}

// The life of a process: calls fail at its deadline, what undoes a failure has a
// little longer, and then it is dead.
const (
	deadline = 28 * time.Second
	death    = 30 * time.Second
)

func interleave(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 5))
	w := newWorldOver(t, vaults()[random.IntN(len(vaults()))])
	var story []string
	tell := func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) }

	w.link(t)
	if random.IntN(2) == 0 {
		w.linkAs(t, number2, "other")
	}
	if random.IntN(2) == 0 {
		w.changed(t, w.row(t, w.linked(t, number)[0]), "", "two")
	}
	if random.IntN(3) == 0 {
		w.clock = w.clock.AddDate(0, 0, 2)
	}
	w.memory.Table.Lag(random.IntN(4))
	ops := operations()
	start := func() *process {
		op := ops[random.IntN(len(ops))]
		p := &process{name: op.name, asks: make(chan string), goes: make(chan bool), started: w.clock}
		on := hook(func(ctx context.Context, name string, do func() error) error {
			p.asks <- name
			if !<-p.goes {
				goexit()
			}
			if _, undoing := ctx.Deadline(); !undoing && w.clock.Sub(p.started) >= deadline {
				return context.DeadlineExceeded
			}
			return do()
		})
		go func() {
			defer close(p.asks)
			if err := op.act(context.Background(), w, w.process(&on)); err != nil && fault.KindOf(err) == fault.Internal && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("seed %d: %s: %v", seed, op.name, err)
			}
		}()
		return p
	}
	var running []*process
	wait := func(p *process) { // until its next call, or its end
		var more bool
		if p.next, more = <-p.asks; !more {
			tell("%s ends", p.name)
			running = slices.DeleteFunc(running, func(other *process) bool { return other == p })
		}
	}
	begin := 2 + random.IntN(3)
	for begin > 0 || len(running) > 0 {
		if begin > 0 && (len(running) == 0 || random.IntN(4) == 0 && len(running) < 3) {
			begin--
			p := start()
			running = append(running, p)
			tell("%s begins", p.name)
			wait(p)
			continue
		}
		p := running[random.IntN(len(running))]
		switch {
		case random.IntN(12) == 0:
			by := time.Duration(random.IntN(20)) * time.Second
			w.clock = w.clock.Add(by)
			tell("%v pass", by)
		case random.IntN(40) == 0, w.clock.Sub(p.started) >= death:
			tell("%s dies before %s", p.name, p.next)
			p.goes <- false
			wait(p)
		default:
			tell("%s: %s", p.name, p.next)
			p.goes <- true
			wait(p)
		}
		if random.IntN(30) == 0 {
			w.production.reading = nil
			if random.IntN(3) == 0 {
				w.production.answers(bad(carrier.OutcomeUnauthorized))
			}
		}
	}
	w.clock = w.clock.Add(time.Hour)
	w.memory.Table.Lag(0)
	w.reconciled(t)
	if wrong := w.broken(t); len(wrong) > 0 || t.Failed() {
		t.Errorf("seed %d:\n%s\n\n%s", seed, strings.Join(wrong, "\n"), strings.Join(story, "\n"))
	}
}
