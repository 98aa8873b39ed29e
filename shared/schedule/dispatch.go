package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Due is what the dispatcher needs of the store.
type Store interface {
	Breakers
	// Due lists the connections of a lane that are due, those due first first,
	// and counts the entries that nobody can read.
	Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) (due []connection.Due, malformed int, err error)
	// SaveBreaker writes a breaker: fault.State when it is no longer the one
	// that was read.
	SaveBreaker(ctx context.Context, b *health.Breaker) error
}

// Queue carries messages to the worker.
type Queue interface {
	// Backlog is about how many messages are in the queue, waiting, delayed or
	// being worked on. It may be a minute old.
	Backlog(ctx context.Context) (int, error)
	// Send puts messages into the queue, each with its delay in whole seconds.
	// What could not be sent is an error, and due again at the next pass.
	Send(ctx context.Context, messages []Delayed) error
}

// Delayed is a message and how long the queue holds it back.
type Delayed struct {
	Message Message
	Delay   time.Duration
}

// Dispatcher sends what is due to the queues.
type Dispatcher struct {
	Store  Store
	Timing health.Timing
	Now    func() time.Time
	// Window is the time from one pass to the next.
	Window time.Duration
	// Production and Sandbox share neither a queue nor room: nothing that the
	// sandbox does holds a check of production up.
	Production, Sandbox Traffic
}

// Traffic is a queue with its workers, and how many checks may begin through it
// in a minute, over all of its lanes.
type Traffic struct {
	Queue     Queue
	PerMinute int
}

// credentialPace is the time between two checks with one API key, whatever
// connections share it: the ten calls a minute that the carrier grants to a
// credential where it limits at all (infra/docs/auspost.md, "GET
// /shipping/v1/track", and "Known traps" 15).
const credentialPace = 6 * time.Second

// probeChoice is from how many connections that are due a probe is taken, each
// time the next one: a row or a secret that is broken must not keep a breaker
// open.
const probeChoice = 10

// mostRead is how many entries of a lane one pass reads at most, or twice its
// room where that is more: so far it sees whom a large backlog of one partner or
// one API key would hide.
const mostRead = 50_000

// Pass is what one pass did.
type Pass struct {
	Due       int `json:"due"`       // found, as far as was looked
	Sent      int `json:"sent"`      //
	Probes    int `json:"probes"`    // of open breakers, among those sent
	Controls  int `json:"controls"`  // of connections that are not due, among those sent
	Backlog   int `json:"backlog"`   // in both queues before
	Malformed int `json:"malformed"` // entries of the index that nobody can read: skipped
}

// Pass sends messages for what is due, spread evenly over the window by their
// delays: of each Traffic at most as many as may begin in it. A carrier whose
// breaker is open gets one probe each ProbeEvery; what is due of it stays due.
// Two dispatchers at once send messages twice, which does no harm, and one
// probe. What fails in one lane keeps none of the others from being sent; the
// error joins it all.
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
	return report, errors.Join(
		d.send(ctx, d.Production, production, breakers, now, &report),
		d.send(ctx, d.Sandbox, []connection.Lane{connection.SandboxLane}, breakers, now, &report),
	)
}

// send sends what is due in some lanes, which share the traffic's room: each has
// an equal part of it, and what it does not need is the others'.
func (d *Dispatcher) send(ctx context.Context, t Traffic, lanes []connection.Lane, breakers map[carrier.Name]health.Breaker, now time.Time, report *Pass) error {
	backlog, err := t.Queue.Backlog(ctx)
	if err != nil {
		return fmt.Errorf("looking at the queue: %w", err)
	}
	report.Backlog += backlog
	room := d.room(t.PerMinute, backlog)
	var errs []error
	var messages []Delayed
	var regular [][]Delayed
	for _, lane := range lanes {
		p, err := d.lane(ctx, lane, breakers[lane.Carrier()], now, room)
		if err != nil {
			errs = append(errs, fmt.Errorf("lane %s: %w", lane, err))
		}
		report.Due += p.due
		report.Malformed += p.malformed
		report.Probes += len(p.probes)
		report.Controls += len(p.controls)
		messages = append(append(messages, p.probes...), p.controls...)
		regular = append(regular, p.regular)
	}
	// Where there is room for less than one of each lane, another one begins in
	// each window.
	first := int(now.Unix()/max(int64(d.Window/time.Second), 1)) % len(regular)
	regular = append(regular[first:], regular[:first]...)
	inTurn(regular, room, func(m Delayed) bool {
		messages = append(messages, m)
		return true
	})
	if len(messages) == 0 {
		return errors.Join(errs...)
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return cmp.Compare(a.Delay, b.Delay) })
	if err := t.Queue.Send(ctx, messages); err != nil {
		return errors.Join(append(errs, fmt.Errorf("sending: %w", err))...)
	}
	report.Sent += len(messages)
	return errors.Join(errs...)
}

// room is how many checks may begin in a window: one at least, however few a
// minute and many passes there are. The queue holds up to a window's worth when
// nothing is wrong, and its length may be that of a minute ago: only beyond two
// of them do the workers not keep up, and what is more is taken off.
func (d *Dispatcher) room(perMinute, backlog int) int {
	room := max(int(time.Duration(perMinute)*d.Window/time.Minute), 1)
	inMinute := max(perMinute, room) // what a queue's length of a minute ago may hold
	return max(room-max(backlog-2*inMinute, 0), 0)
}

// plan is what one lane has to send.
type plan struct {
	due, malformed int
	probes         []Delayed // sent, whatever room there is
	controls       []Delayed // likewise
	regular        []Delayed // sent as far as there is room, the first first
}

// lane finds what is due in one lane and makes room messages of it at most:
// while its carrier's breaker is open a probe alone.
func (d *Dispatcher) lane(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time, room int) (plan, error) {
	if lane != connection.SandboxLane && b.Open {
		return d.probe(ctx, lane, b, now)
	}
	var p plan
	control, err := d.control(ctx, lane, b, now)
	if err != nil {
		return plan{}, err
	}
	if control != nil {
		first, _ := turns(lane, control.CredentialID, now)
		m := message(lane, *control, false)
		m.Control = true
		p.controls = []Delayed{{Message: m, Delay: time.Duration(first) * time.Second}}
	}
	if room <= 0 {
		return p, nil
	}
	due, malformed, err := d.Store.Due(ctx, lane, now, max(mostRead, 2*room))
	p.malformed = malformed
	if err != nil {
		return p, fmt.Errorf("finding what is due: %w", err)
	}
	p.due = len(due)
	if control != nil { // what has the same API key waits for the next pass
		due = slices.DeleteFunc(due, func(c connection.Due) bool { return c.CredentialID == control.CredentialID })
	}
	p.regular = d.spread(lane, due, now, room)
	d.sample(p.regular)
	return p, nil
}

// probe is the message of an open breaker's probe, none before its time.
func (d *Dispatcher) probe(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time) (plan, error) {
	if now.Before(b.ProbeAt) {
		return plan{}, nil
	}
	list, malformed, err := d.Store.Due(ctx, lane, now, probeChoice)
	if err != nil {
		return plan{malformed: malformed}, fmt.Errorf("finding a probe: %w", err)
	}
	if len(list) == 0 {
		return plan{malformed: malformed}, nil
	}
	probed := b.Probed(now, d.Timing)
	err = d.Store.SaveBreaker(ctx, &probed)
	if fault.Is(err, fault.State) { // another dispatcher's probe, or it has closed
		return plan{malformed: malformed}, nil
	}
	if err != nil {
		return plan{malformed: malformed}, fmt.Errorf("noting a probe: %w", err)
	}
	chosen := list[probed.Version%int64(len(list))]
	return plan{due: 1, malformed: malformed, probes: []Delayed{{Message: message(lane, chosen, true)}}}, nil
}

func message(lane connection.Lane, c connection.Due, probe bool) Message {
	return Message{
		AccountID: c.AccountID, ConnectionID: c.ConnectionID, CredentialID: c.CredentialID, PartnerID: c.PartnerID, Lane: lane, Probe: probe,
	}
}

// spread chooses n of the connections that are due, and gives each a second of
// the window to start in: of its credential's turns that with the fewest starts.
// The partners take turns, so that no one of them has more than an equal part
// while others wait; each one's that were due first go first. What has no turn
// is left for a later pass.
func (d *Dispatcher) spread(lane connection.Lane, due []connection.Due, now time.Time, n int) []Delayed {
	starts := make([]int, d.Window/time.Second) // in each second of the window
	type turn struct {
		credential string
		second     int
	}
	taken := map[turn]bool{}
	var messages []Delayed
	inTurn(byPartner(due), n, func(c connection.Due) bool {
		first, pace := turns(lane, c.CredentialID, now)
		best := -1
		for s := first; s < len(starts); s += pace {
			if (best < 0 || starts[s] < starts[best]) && !taken[turn{c.CredentialID, s}] {
				best = s
			}
		}
		if best < 0 {
			return false
		}
		starts[best]++
		taken[turn{c.CredentialID, best}] = lane != connection.SandboxLane
		messages = append(messages, Delayed{Message: message(lane, c, false), Delay: time.Duration(best) * time.Second})
		return true
	})
	return messages
}

// turns are the seconds of the window in which a connection's credential may be
// used: the first, and how far apart. They follow from the credential alone, so
// that neither the next pass nor another dispatcher comes too close. The sandbox
// has no carrier to spare.
func turns(lane connection.Lane, credentialID string, now time.Time) (first, pace int) {
	if lane == connection.SandboxLane {
		return 0, 1
	}
	const every = int64(credentialPace / time.Second)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(credentialID))
	return int((every - (now.Unix()+int64(hash.Sum32()))%every) % every), int(every)
}

// byPartner sorts what is due by its partner: a list for each, those due first
// first, the list whose first was due first first.
func byPartner(due []connection.Due) [][]connection.Due {
	due = slices.Clone(due)
	slices.SortStableFunc(due, func(a, b connection.Due) int { return a.DueAt.Compare(b.DueAt) })
	var lists [][]connection.Due
	at := map[int64]int{}
	for _, c := range due {
		i, known := at[c.PartnerID]
		if !known {
			i = len(lists)
			at[c.PartnerID] = i
			lists = append(lists, nil)
		}
		lists[i] = append(lists[i], c)
	}
	return lists
}

// inTurn goes through several lists, taking one of each in turn until n are
// taken or none is left: so each list has an equal part of n, and what it has no
// use for is the others'. take tells whether one was taken; one that was not is
// passed over, and its list tries the next.
func inTurn[T any](lists [][]T, n int, take func(T) bool) {
	lists = slices.Clone(lists)
	for n > 0 && len(lists) > 0 {
		left := lists[:0]
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
				left = append(left, list)
			}
		}
		lists = left
	}
}
