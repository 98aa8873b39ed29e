package schedule

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/health"
)

// Where no peer fits, a control check goes to another connection whose next check
// comes within controlAhead, which covers the whole schedule: one of the next
// controlChoice, or of ten and a hundred times as many if none of those fits.
const (
	controlAhead  = 8 * 24 * time.Hour
	controlChoice = 100
)

// claimControl chooses the connection that this pass checks although it is not due:
// a refusal of another connection waits for the carrier's answer to it. It notes
// the check in the breaker first, so that of two dispatchers one sends it. nil: no
// control check.
func (d *Dispatcher) claimControl(ctx context.Context, lane connection.Lane, b health.Breaker, now time.Time) (*connection.Due, error) {
	doubt, peer, wanted := b.Control(now, d.Timing)
	if !wanted {
		return nil, nil
	}
	var chosen *connection.Due
	if peer != nil {
		chosen = &connection.Due{AccountID: peer.AccountID, ConnectionID: peer.ConnectionID, CredentialID: peer.CredentialID, PartnerID: peer.PartnerID}
	} else {
		var err error
		if chosen, err = d.findControl(ctx, lane, b, doubt, now); chosen == nil || err != nil {
			return nil, err
		}
	}
	noted := b.WithControl(chosen.ConnectionID, now)
	if ok, err := d.claim(ctx, &noted); !ok {
		return nil, err
	}
	return chosen, nil
}

// findControl reads which connections of the schedule fit a control check, and
// returns one of them, another one in each minute; nil if there is none.
func (d *Dispatcher) findControl(ctx context.Context, lane connection.Lane, b health.Breaker, doubt health.Doubt, now time.Time) (*connection.Due, error) {
	for limit := controlChoice; limit <= 100*controlChoice; limit *= 10 {
		list, _, err := d.Store.Due(ctx, lane, now.Add(controlAhead), limit)
		if err != nil {
			return nil, fmt.Errorf("finding a connection for a control check: %w", err)
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

// limitVotes lets about health.VotesPerMinute of a lane's checks vote, spread evenly
// over the window.
func (d *Dispatcher) limitVotes(messages []Delayed) {
	n, votes := len(messages), max(int(health.VotesPerMinute*d.Window/time.Minute), 1)
	if n <= votes {
		return
	}
	slices.SortStableFunc(messages, func(a, b Delayed) int { return int(a.Delay - b.Delay) })
	for i := range messages {
		messages[i].Message.Silent = i*votes/n == (i-1)*votes/n && i > 0
	}
}
