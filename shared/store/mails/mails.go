// Package mails stores which mails were sent.
package mails

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/mail"
	"carrierlink/shared/store/kit"
)

// How long it is known that a mail was sent: longer than a message waits in the queue; and for
// the latest mail about the state of a connection, longer than most states last.
const (
	sentKept   = 5 * 24 * time.Hour
	latestKept = 400 * 24 * time.Hour
)

// Store reads and writes what was sent.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// SentMail reads, consistently, what was sent to an account: the mail of this id; or, with a
// carrierID, the latest one about the state of that connection, whatever its id. It is the
// zero value if there is none, or it has expired.
func (s *Store) SentMail(ctx context.Context, accountID int64, carrierID, id string, now time.Time) (mail.Sent, error) {
	it, err := s.table.Get(ctx, kit.MailKey(accountID, carrierID, id))
	if err != nil {
		return mail.Sent{}, fmt.Errorf("reading a sent mail: %w", err)
	}
	if kit.Gone(it, now) {
		return mail.Sent{}, nil
	}
	r := kit.Reader{It: it}
	return mail.Sent{ID: r.Text("mail_id"), Kind: mail.Kind(r.Text("kind")), At: r.Time("at")}, r.Done("sent mail")
}

// RecordMail records that a mail was sent; see SentMail. It does nothing if a later one about
// the same connection is recorded.
func (s *Store) RecordMail(ctx context.Context, accountID int64, carrierID string, sent mail.Sent) error {
	kept := sentKept
	if carrierID != "" {
		kept = latestKept
	}
	e := kit.NewEdit(kit.MailKey(accountID, carrierID, sent.ID))
	e.LacksOr("at", "<=", kit.TimeValue(sent.At))
	e.Set("mail_id", kit.TextValue(sent.ID))
	e.Set("kind", kit.TextValue(string(sent.Kind)))
	e.Set("at", kit.TimeValue(sent.At))
	e.Set(kit.AttrTTL, kit.NumberValue(sent.At.Add(kept).Unix()))
	if _, _, err := s.table.WriteEdit(ctx, e); err != nil {
		return fmt.Errorf("recording a sent mail: %w", err)
	}
	return nil
}
