package schedule

import (
	"encoding/json"
	"errors"
	"slices"

	"carrierlink/shared/connection"
)

// Message asks for the check of one connection.
type Message struct {
	AccountID    int64           `json:"account_id"`
	ConnectionID string          `json:"carrier_id"`
	Lane         connection.Lane `json:"lane"`
	// CredentialID and PartnerID come from the entry of by_due; the claim keeps them
	// there.
	CredentialID string `json:"credential_id,omitempty"`
	PartnerID    int64  `json:"partner_id,omitempty"`
	// Probe marks the one check that is made while the carrier's breaker is open.
	Probe bool `json:"probe,omitempty"`
	// Control marks a check of a connection that is not due: it shows whether the
	// refusal of another connection is the carrier's fault.
	Control bool `json:"control,omitempty"`
	// Silent marks a check that does not vote (health.VotesPerMinute).
	Silent bool `json:"silent,omitempty"`
}

// decode parses a message. A body that is not a message is an error, which never
// quotes it.
func decode(body string) (Message, error) {
	var m Message
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.AccountID <= 0 || m.ConnectionID == "" || !slices.Contains(connection.Lanes(), m.Lane) {
		return m, errors.New("the message is not one of ours")
	}
	return m, nil
}
