package refresh

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Due is what the dispatcher needs of the store.
type Due interface {
	Breakers
	// Due lists the connections of a lane that are due, those due first first.
	Due(ctx context.Context, lane carrier.Lane, now time.Time, limit int) ([]carrier.DueConnection, error)
	// SaveBreaker writes a breaker: fault.State when it is no longer the one
	// that was read.
	SaveBreaker(ctx context.Context, b *carrier.Breaker) error
}

// Queue carries messages to the worker.
type Queue interface {
	// Backlog is about how many messages are in the queue, waiting, delayed or
	// being worked on.
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

// Dispatcher sends what is due to the queue.
type Dispatcher struct {
	Due    Due
	Queue  Queue
	Timing carrier.Timing
	Now    func() time.Time
	// PerMinute is how many checks are begun in a minute, over all carriers.
	PerMinute int
	// Window is the time from one pass to the next.
	Window time.Duration
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

// Pass is what one pass did.
type Pass struct {
	Due     int `json:"due"`     // found, as far as was looked
	Sent    int `json:"sent"`    //
	Probes  int `json:"probes"`  // of open breakers, among those sent
	Backlog int `json:"backlog"` // in the queue before
}

// Pass sends messages for what is due, spread evenly over the window by their
// delays: at most as many as may begin in it, less those that the queue still
// holds. A carrier whose breaker is open gets one probe each ProbeEvery; what is
// due of it stays due. Two dispatchers at once send messages twice, which does
// no harm, and one probe.
func (d *Dispatcher) Pass(ctx context.Context) (Pass, error) {
	now := d.Now()
	breakers, err := d.Due.Breakers(ctx)
	if err != nil {
		return Pass{}, fmt.Errorf("reading the breakers: %w", err)
	}
	backlog, err := d.Queue.Backlog(ctx)
	if err != nil {
		return Pass{}, fmt.Errorf("looking at the queue: %w", err)
	}
	report := Pass{Backlog: backlog}
	var open []carrier.Breaker
	var lanes []carrier.Lane // of no open breaker
	for _, lane := range carrier.Lanes() {
		if b := breakers[lane.Carrier()]; lane != carrier.SandboxLane && b.Open {
			open = append(open, b)
		} else {
			lanes = append(lanes, lane)
		}
	}
	var messages []Delayed
	for _, b := range open {
		probe, err := d.probe(ctx, b, now)
		if err != nil {
			return report, err
		}
		messages = append(messages, probe...)
	}
	report.Probes = len(messages)
	// One at least, however few a minute and many passes there are.
	room := max(int(time.Duration(d.PerMinute)*d.Window/time.Minute), 1) - backlog
	due, regular, err := d.regular(ctx, lanes, now, room)
	report.Due = due + report.Probes
	if err != nil {
		return report, err
	}
	messages = append(messages, regular...)
	if len(messages) == 0 {
		return report, nil
	}
	if err := d.Queue.Send(ctx, messages); err != nil {
		return report, fmt.Errorf("sending: %w", err)
	}
	report.Sent = len(messages)
	return report, nil
}

// probe is the message of an open breaker's probe, none before its time.
func (d *Dispatcher) probe(ctx context.Context, b carrier.Breaker, now time.Time) ([]Delayed, error) {
	if now.Before(b.ProbeAt) {
		return nil, nil
	}
	lane := carrier.Lane(b.Carrier)
	list, err := d.Due.Due(ctx, lane, now, probeChoice)
	if err != nil {
		return nil, fmt.Errorf("finding a probe: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	probed := b.Probed(now, d.Timing)
	err = d.Due.SaveBreaker(ctx, &probed)
	if fault.Is(err, fault.State) { // another dispatcher's probe, or it has closed
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("noting a probe: %w", err)
	}
	return []Delayed{{Message: message(lane, list[probed.Version%int64(len(list))], true)}}, nil
}

// regular finds what is due in some lanes, and makes room messages at most. As
// long as there is room it looks further: what one credential has more due than
// its turns must not hold up what is due behind it.
func (d *Dispatcher) regular(ctx context.Context, lanes []carrier.Lane, now time.Time, room int) (int, []Delayed, error) {
	if room <= 0 {
		return 0, nil, nil
	}
	for limit := room; ; limit *= 2 {
		var due []found
		more := false
		for _, lane := range lanes {
			list, err := d.Due.Due(ctx, lane, now, limit)
			if err != nil {
				return len(due), nil, fmt.Errorf("finding what is due: %w", err)
			}
			more = more || len(list) == limit
			for _, c := range list {
				due = append(due, found{lane, c})
			}
		}
		messages := d.spread(due, now, room)
		if len(messages) == room || !more {
			return len(due), messages, nil
		}
	}
}

type found struct {
	lane carrier.Lane
	carrier.DueConnection
}

func message(lane carrier.Lane, c carrier.DueConnection, probe bool) Message {
	return Message{AccountID: c.AccountID, CarrierID: c.ConnectionID, Lane: lane, Probe: probe}
}

// spread gives each of the n that were due first a second of the window to start
// in: of its credential's turns that with the fewest starts. Which seconds those
// are follows from the credential alone, so that neither the next pass nor
// another dispatcher comes too close. What has no turn is left for a later pass.
func (d *Dispatcher) spread(due []found, now time.Time, n int) []Delayed {
	slices.SortStableFunc(due, func(a, b found) int { return a.DueAt.Compare(b.DueAt) })
	starts := make([]int, d.Window/time.Second) // in each second of the window
	type turn struct {
		credential string
		second     int
	}
	taken := map[turn]bool{}
	var messages []Delayed
	for _, c := range due {
		if len(messages) == n {
			break
		}
		best := -1
		for s := range starts {
			if isTurn(c, now.Unix()+int64(s)) && !taken[turn{c.CredentialID, s}] && (best < 0 || starts[s] < starts[best]) {
				best = s
			}
		}
		if best < 0 {
			continue
		}
		starts[best]++
		taken[turn{c.CredentialID, best}] = c.lane != carrier.SandboxLane
		messages = append(messages, Delayed{Message: message(c.lane, c.DueConnection, false), Delay: time.Duration(best) * time.Second})
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return cmp.Compare(a.Delay, b.Delay) })
	return messages
}

// isTurn tells whether a connection's credential may be used in a second of the
// epoch: one in credentialPace. The sandbox has no carrier to spare.
func isTurn(c found, second int64) bool {
	const pace = int64(credentialPace / time.Second)
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(c.CredentialID))
	return c.lane == carrier.SandboxLane || (second+int64(hash.Sum32()))%pace == 0
}
