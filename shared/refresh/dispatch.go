package refresh

import (
	"cmp"
	"context"
	"fmt"
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

// Pass is what one pass did.
type Pass struct {
	Due     int `json:"due"`     // found, up to what may be sent
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
	slots := int(time.Duration(d.PerMinute) * d.Window / time.Minute)
	room := slots - backlog
	var due []found
	var messages []Delayed
	for _, lane := range carrier.Lanes() {
		b, open := breakers[lane.Carrier()], false
		limit := room
		if lane != carrier.SandboxLane && b.Open {
			open, limit = true, 1
			if now.Before(b.ProbeAt) {
				continue
			}
		}
		if limit <= 0 {
			continue
		}
		list, err := d.Due.Due(ctx, lane, now, limit)
		if err != nil {
			return report, fmt.Errorf("finding what is due: %w", err)
		}
		report.Due += len(list)
		if !open {
			for _, c := range list {
				due = append(due, found{lane, c})
			}
			continue
		}
		if len(list) == 0 {
			continue
		}
		probed := b.Probed(now, d.Timing)
		err = d.Due.SaveBreaker(ctx, &probed)
		switch {
		case fault.Is(err, fault.State): // another dispatcher's probe, or it has closed
		case err != nil:
			return report, fmt.Errorf("noting a probe: %w", err)
		default:
			messages = append(messages, Delayed{Message: message(lane, list[0], true)})
			report.Probes++
		}
	}
	messages = append(messages, d.spread(due, min(room, len(due)))...)
	if len(messages) == 0 {
		return report, nil
	}
	if err := d.Queue.Send(ctx, messages); err != nil {
		return report, fmt.Errorf("sending: %w", err)
	}
	report.Sent = len(messages)
	return report, nil
}

type found struct {
	lane carrier.Lane
	carrier.DueConnection
}

func message(lane carrier.Lane, c carrier.DueConnection, probe bool) Message {
	return Message{AccountID: c.AccountID, CarrierID: c.ConnectionID, Lane: lane, Probe: probe}
}

// spread gives each of the n that were due first a start within the window: the
// steps between them are those at which PerMinute is used up, and two of one
// credential are credentialPace apart. What has no room is left for a later
// pass.
func (d *Dispatcher) spread(due []found, n int) []Delayed {
	slices.SortStableFunc(due, func(a, b found) int { return a.DueAt.Compare(b.DueAt) })
	step := time.Minute / time.Duration(max(d.PerMinute, 1))
	next := map[string]time.Duration{} // by credential: its next start
	var messages []Delayed
	for _, c := range due {
		if len(messages) == n {
			break
		}
		start := max(time.Duration(len(messages))*step, next[c.CredentialID])
		if start >= d.Window {
			continue
		}
		if c.lane != carrier.SandboxLane {
			next[c.CredentialID] = start.Truncate(time.Second) + credentialPace
		}
		messages = append(messages, Delayed{Message: message(c.lane, c.DueConnection, false), Delay: start.Truncate(time.Second)})
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return cmp.Compare(a.Delay, b.Delay) })
	return messages
}
