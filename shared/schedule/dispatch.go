// Package schedule checks the connections that are due. The Dispatcher finds them
// every minute and sends a message for each to a queue; the Worker receives the
// messages and makes the checks. The table decides what is due, the queue only
// transports it: a lost message is sent again, and a duplicate does nothing.
package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/metrics"
)

// Store is what the dispatcher needs of the store.
type Store interface {
	Breakers
	// Due lists the connections of a lane that are due, the longest overdue first,
	// and counts the malformed entries, which it skips.
	Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) (due []connection.Due, malformed int, err error)
	// SaveBreaker writes a breaker. It returns fault.State when the breaker has
	// changed since it was read.
	SaveBreaker(ctx context.Context, b *health.Breaker) error
	// ListPartners reads a page of partners by id, without those that cannot be read. The next
	// page begins after next; zero: nothing follows.
	ListPartners(ctx context.Context, after int64, limit int) (partners []account.Partner, next int64, err error)
	// InsertEvents writes events, each unless it is there already.
	InsertEvents(ctx context.Context, fx effects.Effects) error
}

// Queue carries messages to the worker.
type Queue interface {
	// Backlog returns about how many messages the queue holds: waiting, delayed or in
	// work. The number may be a minute old.
	Backlog(ctx context.Context) (int, error)
	// Send sends messages, each with its delay in whole seconds. It returns an error
	// if it could not send some; their connections are still due at the next pass.
	Send(ctx context.Context, messages []Delayed) error
}

// Delayed is a message and how long the queue holds it back.
type Delayed struct {
	Message Message
	Delay   time.Duration
}

// Dispatcher sends messages for the connections that are due.
type Dispatcher struct {
	Store  Store
	Timing health.Timing
	Now    func() time.Time
	// Window is the time from one pass to the next.
	Window time.Duration
	// Production and Sandbox share neither queue nor capacity: nothing in the sandbox
	// delays a check in production.
	Production, Sandbox Traffic
	// Rounds come after the checks of each pass; nil: there are none.
	Rounds *Rounds
}

// Traffic is a queue with its workers, and how many checks may start through it in
// a minute, over all of its lanes.
type Traffic struct {
	Queue     Queue
	PerMinute int
}

// credentialPace is the time between two checks with one API key, whichever
// connections share it: the ten calls a minute that the carrier grants to a
// credential where it limits at all (infra/docs/auspost.md, "Track: GET
// /shipping/v1/track", and "Known traps" 15).
const credentialPace = 6 * time.Second

// probeChoice is from how many due connections a probe is chosen, each time the next
// one: a broken row or secret must not keep a breaker open.
const probeChoice = 10

// maxRead is how many entries of a lane one pass reads at most, or twice its
// capacity where that is more: enough to see the partners and API keys behind a
// large backlog of another.
const maxRead = 50_000

// Pass reports what one pass did.
type Pass struct {
	Due       int `json:"due"`       // found, within maxRead
	Sent      int `json:"sent"`      // messages for checks
	Rounds    int `json:"rounds"`    // messages for rounds of parcels
	Probes    int `json:"probes"`    // of open breakers, among those sent
	Controls  int `json:"controls"`  // control checks, among those sent
	Backlog   int `json:"backlog"`   // in both queues of checks before the pass
	Malformed int `json:"malformed"` // entries of the index that were skipped
	Told      int `json:"told"`      // partners that an announcement of an outage has reached
}

// RunPass sends messages for the connections that are due: through each Traffic at
// most as many as may start within the window, spread evenly over it by their
// delays. A carrier whose breaker is open gets one probe each ProbeEvery; its
// connections stay due. Two dispatchers at once send duplicate messages, which do no
// harm, and one probe. A failure in one lane does not keep the other lanes from
// being sent; the error joins all failures.
//
// After that it sends messages for the rounds of parcels that are due: see Rounds. In the end
// it tells partners of outages: see announce, whose failures are not RunPass's.
func (d *Dispatcher) RunPass(ctx context.Context) (Pass, error) {
	breakers, err := d.Store.Breakers(ctx)
	if err != nil {
		return Pass{}, fmt.Errorf("reading the breakers: %w", err)
	}
	var production []connection.Lane
	for _, name := range carrier.Names() {
		production = append(production, connection.Lane(name))
	}
	var report Pass
	now := d.Now()
	err = errors.Join(
		d.send(ctx, d.Production, production, breakers, now, &report),
		d.send(ctx, d.Sandbox, []connection.Lane{connection.SandboxLane}, breakers, now, &report),
	)
	if d.Rounds != nil {
		err = errors.Join(err, d.Rounds.send(ctx, d.Window, breakers, d.Now(), &report))
	}
	d.announce(ctx, breakers, &report)
	return report, err
}

// send sends what is due in lanes that share a Traffic: each lane gets an equal part
// of the capacity, and the others get what it does not need.
func (d *Dispatcher) send(ctx context.Context, t Traffic, lanes []connection.Lane, breakers map[carrier.Name]health.Breaker, now time.Time, report *Pass) error {
	backlog, capacity, err := t.capacity(ctx, d.Window)
	if err != nil {
		return err
	}
	report.Backlog += backlog
	if lanes[0] != connection.SandboxLane {
		metrics.Add(ctx, metrics.QueueRoom, "", int64(capacity))
	}
	sent, err := t.sendInTurn(ctx, lanes, capacity, turnOf(now, d.Window), func(lane connection.Lane) (urgent, regular []Delayed, err error) {
		return d.planLane(ctx, lane, breakers[lane.Carrier()], now, capacity, report)
	})
	report.Sent += sent
	return err
}

// capacity returns how many messages the queue holds, and how many checks or rounds may
// start in a window: see capacityOf.
func (t Traffic) capacity(ctx context.Context, window time.Duration) (backlog, capacity int, err error) {
	if backlog, err = t.Queue.Backlog(ctx); err != nil {
		return 0, 0, fmt.Errorf("reading the queue's length: %w", err)
	}
	return backlog, capacityOf(window, t.PerMinute, backlog), nil
}

// turnOf returns the number of a window.
func turnOf(now time.Time, window time.Duration) int {
	return int(now.Unix() / max(int64(window/time.Second), 1))
}

// sendInTurn sends what plan finds in lanes: urgent messages, and as many of the regular
// ones as there is capacity for. The lanes take turns, and another one comes first with each
// turn: the capacity may not suffice for one message of each. It returns how many it has
// sent, those with the shortest delay first.
func (t Traffic) sendInTurn(ctx context.Context, lanes []connection.Lane, capacity, turn int, plan func(connection.Lane) (urgent, regular []Delayed, err error)) (sent int, err error) {
	var errs []error
	var messages []Delayed
	var regular [][]Delayed
	for _, lane := range lanes {
		urgent, others, err := plan(lane)
		if err != nil {
			errs = append(errs, fmt.Errorf("lane %s: %w", lane, err))
		}
		messages = append(messages, urgent...)
		regular = append(regular, others)
	}
	if len(regular) > 0 {
		first := turn % len(regular)
		regular = slices.Concat(regular[first:], regular[:first])
	}
	takeInTurn(regular, capacity, func(m Delayed) bool {
		messages = append(messages, m)
		return true
	})
	if len(messages) == 0 {
		return 0, errors.Join(errs...)
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return cmp.Compare(a.Delay, b.Delay) })
	if err := t.Queue.Send(ctx, messages); err != nil {
		return 0, errors.Join(append(errs, fmt.Errorf("sending: %w", err))...)
	}
	return len(messages), errors.Join(errs...)
}

// capacityOf returns how many checks may start in a window: at least one, unless the
// queue is too long. The queue's length may be a minute old, and a healthy queue
// holds up to a window's worth. So the workers lag only if it holds more than two
// minutes' worth, and the excess is subtracted.
func capacityOf(window time.Duration, perMinute, backlog int) int {
	perWindow := max(int(time.Duration(perMinute)*window/time.Minute), 1)
	return max(perWindow-max(backlog-2*max(perMinute, perWindow), 0), 0)
}

// planLane finds what is due in a lane. urgent is a probe or a control check, which is
// sent whatever the capacity; of regular, at most capacity messages, the first ones go
// first. While the carrier's breaker is open, there is only a probe.
func (d *Dispatcher) planLane(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time, capacity int, report *Pass) (urgent, regular []Delayed, err error) {
	if lane != connection.SandboxLane {
		if b.Open {
			metrics.Add(ctx, metrics.BreakerOpen, string(lane), 1)
			urgent, err = d.planProbe(ctx, lane, b, now, report)
			return urgent, nil, err
		}
		metrics.Add(ctx, metrics.BreakerOpen, string(lane), 0)
	}
	control, err := d.claimControl(ctx, lane, b, now)
	if err != nil {
		return nil, nil, err
	}
	if control != nil {
		first, _ := slots(lane, control.CredentialID, now)
		m := message(lane, *control)
		m.Control = true
		urgent = []Delayed{{Message: m, Delay: time.Duration(first) * time.Second}}
		report.Controls++
	}
	if capacity <= 0 {
		return urgent, nil, nil
	}
	due, malformed, err := d.Store.Due(ctx, lane, now, max(maxRead, 2*capacity))
	report.Malformed += malformed
	if err != nil {
		return urgent, nil, fmt.Errorf("finding due connections: %w", err)
	}
	measureOldest(ctx, lane, due, now)
	report.Due += len(due)
	if control != nil { // connections with the same API key wait for the next pass
		due = slices.DeleteFunc(due, func(c connection.Due) bool { return c.CredentialID == control.CredentialID })
	}
	regular = spread(d.Window, lane, due, now, capacity)
	d.limitVotes(regular)
	return urgent, regular, nil
}

// planProbe plans the probe of an open breaker; none before its time.
func (d *Dispatcher) planProbe(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time, report *Pass) ([]Delayed, error) {
	if now.Before(b.ProbeAt) {
		return nil, nil
	}
	due, malformed, err := d.Store.Due(ctx, lane, now, probeChoice)
	report.Malformed += malformed
	if err != nil {
		return nil, fmt.Errorf("finding a probe: %w", err)
	}
	measureOldest(ctx, lane, due, now)
	if len(due) == 0 {
		return nil, nil
	}
	probed := b.Probed(now, d.Timing)
	if ok, err := d.claim(ctx, &probed); !ok {
		return nil, err
	}
	report.Due++
	report.Probes++
	m := message(lane, due[probed.Version%int64(len(due))])
	m.Probe = true
	return []Delayed{{Message: m}}, nil
}

// measureOldest measures for how long the first of the due connections has been due. A
// pass that does not read a lane, because the queue is full or no probe is due, makes no
// value.
func measureOldest(ctx context.Context, lane connection.Lane, due []connection.Due, now time.Time) {
	var age time.Duration
	if len(due) > 0 {
		age = max(now.Sub(due[0].DueAt), 0)
	}
	metrics.Add(ctx, metrics.OldestDue, string(lane), int64(age/time.Second))
}

// claim saves a breaker, and reports whether this dispatcher was the first to do so.
func (d *Dispatcher) claim(ctx context.Context, b *health.Breaker) (bool, error) {
	err := d.Store.SaveBreaker(ctx, b)
	if fault.Is(err, fault.State) {
		return false, nil
	}
	return err == nil, err
}

func message(lane connection.Lane, c connection.Due) Message {
	return Message{AccountID: c.AccountID, ConnectionID: c.ConnectionID, CredentialID: c.CredentialID, PartnerID: c.PartnerID, Lane: lane}
}

// spread chooses n of the due connections, and gives each a second of the window: of
// its credential's slots the one with the fewest starts. The partners take turns, so
// that none gets more than an equal part while others wait; of each partner the
// longest overdue go first. A connection without a free slot stays for a later pass.
func spread(window time.Duration, lane connection.Lane, due []connection.Due, now time.Time, n int) []Delayed {
	starts := make([]int, window/time.Second) // in each second of the window
	type slot struct {
		credential string
		second     int
	}
	taken := map[slot]bool{}
	var messages []Delayed
	takeInTurn(byPartner(due), n, func(c connection.Due) bool {
		first, pace := slots(lane, c.CredentialID, now)
		best := -1
		for s := first; s < len(starts); s += pace {
			if (best < 0 || starts[s] < starts[best]) && !taken[slot{c.CredentialID, s}] {
				best = s
			}
		}
		if best < 0 {
			return false
		}
		starts[best]++
		taken[slot{c.CredentialID, best}] = lane != connection.SandboxLane
		messages = append(messages, Delayed{Message: message(lane, c), Delay: time.Duration(best) * time.Second})
		return true
	})
	return messages
}

// slots returns the seconds of the window in which a credential may be used: the
// first one and the distance between them. They depend on the credential and the
// time alone, so that neither the next pass nor another dispatcher comes too close.
// The sandbox may use every second: it calls no carrier.
func slots(lane connection.Lane, credentialID string, now time.Time) (first, pace int) {
	if lane == connection.SandboxLane {
		return 0, 1
	}
	const every = int64(credentialPace / time.Second)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(credentialID))
	return int((every - (now.Unix()+int64(hash.Sum32()))%every) % every), int(every)
}

// byPartner groups due connections by partner. Each group, and the list of groups by
// their first connections, has the longest overdue first.
func byPartner(due []connection.Due) [][]connection.Due {
	due = slices.Clone(due)
	slices.SortStableFunc(due, func(a, b connection.Due) int { return a.DueAt.Compare(b.DueAt) })
	var groups [][]connection.Due
	at := map[int64]int{}
	for _, c := range due {
		i, known := at[c.PartnerID]
		if !known {
			i = len(groups)
			at[c.PartnerID] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// takeInTurn takes one element of each list in turn until it has n or the lists are
// empty. So each list has an equal part of n, and the others get what it does not
// need. take reports whether it took the element; if not, its list tries the next.
func takeInTurn[T any](lists [][]T, n int, take func(T) bool) {
	lists = slices.Clone(lists)
	for n > 0 && len(lists) > 0 {
		rest := lists[:0]
		for _, list := range lists {
			took := false
			for len(list) > 0 && !took && n > 0 {
				took = take(list[0])
				list = list[1:]
			}
			if took {
				n--
			}
			if len(list) > 0 {
				rest = append(rest, list)
			}
		}
		lists = rest
	}
}
