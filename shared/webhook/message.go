package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Message asks for a run of a webhook. It carries no event: the table has what is to be
// done, so a message that is lost, late or repeated does no harm.
type Message struct {
	PartnerID int64  `json:"partner_id"`
	AccountID int64  `json:"account_id"`
	WebhookID string `json:"webhook_id"`
}

// MessageFor returns the message for a webhook.
func MessageFor(ref Ref) Message { return Message{ref.PartnerID, ref.AccountID, ref.ID} }

// DecodeMessage parses a message. A body that is not one is an error, which never quotes it.
func DecodeMessage(body string) (Ref, error) {
	var m Message
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.PartnerID <= 0 || m.AccountID < 0 {
		return Ref{}, errors.New("the message is not one of ours")
	}
	if _, err := ParseID(m.WebhookID); err != nil {
		return Ref{}, errors.New("the message is not one of ours")
	}
	return Ref{Owner{m.PartnerID, m.AccountID}, m.WebhookID}, nil
}

// Queue carries messages to the deliverer.
type Queue interface {
	// Backlog returns about how many messages the queue holds that may be worked on by now.
	Backlog(ctx context.Context) (int, error)
	// Send sends a message for each webhook, after a delay in whole seconds.
	Send(ctx context.Context, refs []Ref, delay time.Duration) error
}

// LongestDelay is how long a queue can hold a message back.
const LongestDelay = 15 * time.Minute

// Waker sends messages for the webhooks that are due: those whose message was lost, whose
// run has died, or whose next attempt was too far away for the queue.
type Waker struct {
	Store interface {
		// DueWebhooks finds the webhooks that are due, the longest overdue first, and
		// counts the entries that it skips.
		DueWebhooks(ctx context.Context, now time.Time, limit int) (due []Ref, malformed int, err error)
	}
	Deliveries Queue
	Now        func() time.Time
}

// maxBacklog is how many messages the queue may hold for a pass to add more. A webhook that
// is due has one there most often: with a queue that long, nothing is won by another.
const maxBacklog = 2000

// Pass sends a message for each webhook that is due, as far as the queue has room.
func (w *Waker) Pass(ctx context.Context) (sent, malformed int, err error) {
	backlog, err := w.Deliveries.Backlog(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the length of the delivery queue: %w", err)
	}
	if backlog >= maxBacklog {
		return 0, 0, nil
	}
	due, malformed, err := w.Store.DueWebhooks(ctx, w.Now(), maxBacklog-backlog)
	if err != nil || len(due) == 0 {
		return 0, malformed, err
	}
	if err := w.Deliveries.Send(ctx, due, 0); err != nil {
		return 0, malformed, fmt.Errorf("sending messages for due webhooks: %w", err)
	}
	return len(due), malformed, nil
}
