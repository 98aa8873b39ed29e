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
	// CredentialID and PartnerID are those of the entry of by_due, where the claim
	// keeps them.
	CredentialID string `json:"credential_id,omitempty"`
	PartnerID    int64  `json:"partner_id,omitempty"`
	// Probe: the breaker of the carrier is open, and this one may find out
	// whether it still should be.
	Probe bool `json:"probe,omitempty"`
	// Control: the connection is not due. Its check tells whether a refusal of
	// another one is the carrier's matter.
	Control bool `json:"control,omitempty"`
	// Silent: the check does not vote (health.VotesPerMinute).
	Silent bool `json:"silent,omitempty"`
}

// decode reads a message. A body that is not a message is an error; the error never quotes it.
func decode(body string) (Message, error) {
	var m Message
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.AccountID <= 0 || m.ConnectionID == "" || !slices.Contains(connection.Lanes(), m.Lane) {
		return m, errors.New("the message is not one of ours")
	}
	return m, nil
}
