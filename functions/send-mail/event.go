package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/mail"
	"carrierlink/shared/queue"
)

// order is a message of the queue: a mail, with what an event says of a connection if it is
// about one.
type order struct {
	mail.Message
	data eventData
}

// eventData is what this function reads of the data of a connection's events.
type eventData struct {
	CarrierID      string            `json:"carrier_id"`
	PreviousStatus connection.Status `json:"previous_status"`
	Diagnosis      *fault.Diagnosis  `json:"diagnosis"`
	ValidTo        string            `json:"valid_to"`
	ExpiresInDays  int               `json:"expires_in_days"`
}

// busEvent is an event as a rule of the bus passes it on.
type busEvent struct {
	Type   effects.EventType `json:"detail-type"`
	Detail struct {
		EventID   string    `json:"event_id"`
		CreatedAt time.Time `json:"created_at"`
		AccountID int64     `json:"account_id"`
		Data      eventData `json:"data"`
	} `json:"detail"`
}

// errMalformed marks what will never be a mail: its message becomes a dead letter.
var errMalformed = errors.New("the message is malformed")

// readOrder reads the body of a message: one of queue.Mails, or an event.
func readOrder(ctx context.Context, sealer queue.Sealer, body string) (order, error) {
	if !strings.Contains(body, `"detail-type"`) {
		m, err := queue.OpenMail(ctx, sealer, body)
		return order{Message: m}, err
	}
	var e busEvent
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return order{}, errMalformed // the error may quote the event
	}
	kind, ok := kindOf(e.Type)
	d := e.Detail
	if !ok || d.EventID == "" || d.AccountID <= 0 || d.Data.CarrierID == "" {
		return order{}, errMalformed
	}
	return order{mail.Message{ID: d.EventID, Kind: kind, AccountID: d.AccountID, CarrierID: d.Data.CarrierID, Days: d.Data.ExpiresInDays, At: d.CreatedAt}, d.Data}, nil
}

// kindOf returns the mail that an event asks for. The rule of the bus has the same types.
func kindOf(t effects.EventType) (mail.Kind, bool) {
	switch t {
	case effects.CarrierActionRequired, effects.CarrierRestricted:
		return mail.CarrierNeedsYou, true
	case effects.CarrierRecovered:
		return mail.CarrierWorks, true
	case effects.CarrierContractExpiring:
		return mail.ContractEnds, true
	default:
		return "", false
	}
}
