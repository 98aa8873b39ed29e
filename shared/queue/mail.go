package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"carrierlink/shared/mail"
	"carrierlink/shared/secret"
)

// Sealer is what the queue of mails needs of seal.Sealer.
type Sealer interface {
	Seal(ctx context.Context, owner string, plain []byte) ([]byte, error)
	Open(ctx context.Context, owner string, sealed []byte) ([]byte, error)
}

// Mails is the queue of mails.
type Mails struct {
	queue
	sealer Sealer
}

// NewMails returns the queue with a URL.
func NewMails(api API, url string, sealer Sealer) Mails { return Mails{queue{api, url}, sealer} }

// mailMessage is a message of the queue of mails.
type mailMessage struct {
	ID        string    `json:"id"`
	Kind      mail.Kind `json:"kind"`
	AccountID int64     `json:"account_id"`
	Sealed    []byte    `json:"sealed"` // a mailContents
}

// mailContents is the part of a message that nobody can read or change on the way.
type mailContents struct {
	Token     string    `json:"token,omitempty"`
	To        string    `json:"to,omitempty"`
	CarrierID string    `json:"carrier_id,omitempty"`
	Browser   string    `json:"browser,omitempty"`
	At        time.Time `json:"at"`
}

// sealOwner is the owner of what is sealed: contents cannot be moved to another account's mail.
func (m *mailMessage) sealOwner() string {
	return "mail#" + m.ID + "#" + string(m.Kind) + "#" + strconv.FormatInt(m.AccountID, 10)
}

// Queue queues a mail of any kind but those about carriers, which EventBridge queues: of a
// message about them only CarrierID is sent. It fails as the sealer does, if SQS does not take
// the message, and for a message without an id.
func (q Mails) Queue(ctx context.Context, m mail.Message) error {
	if m.ID == "" {
		return errors.New("queueing a mail: it has no id")
	}
	plain, err := json.Marshal(mailContents{m.Token.Reveal(), m.To, m.CarrierID, m.Browser, m.At})
	if err != nil {
		return errors.New("queueing a mail: it cannot be encoded")
	}
	sent := mailMessage{ID: m.ID, Kind: m.Kind, AccountID: m.AccountID}
	if sent.Sealed, err = q.sealer.Seal(ctx, sent.sealOwner(), plain); err != nil {
		return fmt.Errorf("queueing a mail: %w", err)
	}
	if err := q.send(ctx, []message{{body: sent}}); err != nil {
		return fmt.Errorf("queueing a mail: %w", err)
	}
	return nil
}

// OpenMail reverses Queue. It fails with seal.ErrForged for a message that was not made by
// Queue, or is older than the keys of the sealer, and if the sealer fails. Its errors do not
// quote the message.
func OpenMail(ctx context.Context, sealer Sealer, body string) (mail.Message, error) {
	var sent mailMessage
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.ID == "" || sent.AccountID < 0 {
		return mail.Message{}, errors.New("the body is not a mail's")
	}
	plain, err := sealer.Open(ctx, sent.sealOwner(), sent.Sealed)
	if err != nil {
		return mail.Message{}, fmt.Errorf("opening a mail: %w", err)
	}
	var c mailContents
	if err := json.Unmarshal(plain, &c); err != nil {
		return mail.Message{}, errors.New("the contents are not a mail's")
	}
	return mail.Message{
		ID: sent.ID, Kind: sent.Kind, AccountID: sent.AccountID, To: c.To, Token: secret.New(c.Token), CarrierID: c.CarrierID, Browser: c.Browser, At: c.At,
	}, nil
}
