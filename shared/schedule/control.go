package schedule

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Where nothing is known of others, a connection to compare with is looked for
// among those whose next check comes within controlAhead, which are all that the
// schedule has: among the next controlChoice first, and ten and a hundred times as
// many if one merchant has all of those.
const (
	controlAhead  = 8 * 24 * time.Hour
	controlChoice = 100
	controlMost   = 100 * controlChoice
)

// control is the connection that is checked in this pass although it is not due,
// because a refusal of another one waits for the carrier's answer to somebody
// else; nil for none. Its check is noted in the breaker, so that two dispatchers
// send one.
func (d *Dispatcher) control(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time) (*connection.Due, error) {
	doubt, peer, wanted := b.Control(now, d.Timing)
	if !wanted {
		return nil, nil
	}
	var chosen *connection.Due
	if peer != nil {
		chosen = &connection.Due{AccountID: peer.AccountID, ConnectionID: peer.ConnectionID, CredentialID: peer.CredentialID, PartnerID: peer.PartnerID}
	} else {
		var err error
		if chosen, err = d.stranger(ctx, lane, b, doubt, now); chosen == nil || err != nil {
			return nil, err
		}
	}
	tried := b.WithControl(chosen.ConnectionID, now)
	err := d.Store.SaveBreaker(ctx, &tried)
	if fault.Is(err, fault.State) { // another dispatcher's, or something has been learned
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("noting a control check: %w", err)
	}
	return chosen, nil
}

// stranger is a connection of somebody else, of whom nothing is known; another one
// in each minute. nil: there is none.
func (d *Dispatcher) stranger(ctx context.Context, lane connection.Lane, b health.Breaker, doubt health.Doubt, now time.Time) (*connection.Due, error) {
	for limit := controlChoice; limit <= controlMost; limit *= 10 {
		list, _, err := d.Store.Due(ctx, lane, now.Add(controlAhead), limit)
		if err != nil {
			return nil, fmt.Errorf("finding one to compare with: %w", err)
		}
		full := len(list) >= limit
		list = slices.DeleteFunc(list, func(c connection.Due) bool { return !b.FitsControl(doubt, c.Peer()) })
		if len(list) > 0 {
			return &list[int(now.Unix()/60)%len(list)], nil
		}
		if !full {
			break
		}
	}
	return nil, nil
}

// sample lets about health.VotesPerMinute of a lane's checks vote, spread evenly
// over the window.
func (d *Dispatcher) sample(messages []Delayed) {
	n, most := len(messages), max(int(health.VotesPerMinute*d.Window/time.Minute), 1)
	if n <= most {
		return
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return int(a.Delay - b.Delay) })
	for i := range messages {
		messages[i].Message.Silent = i*most/n == (i-1)*most/n && i > 0
	}
}
