// Package mail has the mails that people get: which there are, whom they go to and what
// they say. Functions queue a Message; send-mail renders and sends it.
package mail

import (
	"time"

	"carrierlink/shared/secret"
)

// Kind is a kind of mail.
type Kind string

// The kinds. Those with a link carry the text of the token that the link has.
const (
	Invitation      Kind = "invitation"       // link: set a password
	Reset           Kind = "reset"            // link: set a new password
	PasswordChanged Kind = "password_changed" // notice
	VerifyEmail     Kind = "verify_email"     // link, to the new address
	EmailChanging   Kind = "email_changing"   // notice to the old address
	EmailChanged    Kind = "email_changed"    // notice to the old address
	NewSignIn       Kind = "new_sign_in"      // notice: a browser that was not seen before
	SecretShown     Kind = "secret_shown"     // notice: the carrier secret was shown on the page

	CarrierNeedsYou Kind = "carrier_needs_you" // from carrier_action_required and carrier_restricted
	CarrierWorks    Kind = "carrier_works"     // from carrier_recovered
	ContractEnds    Kind = "contract_ends"     // from carrier_contract_expiring
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		Invitation, Reset, PasswordChanged, VerifyEmail, EmailChanging, EmailChanged, NewSignIn, SecretShown, CarrierNeedsYou, CarrierWorks, ContractEnds,
	}
}

// Message asks for one mail. It is queued without an address: send-mail reads the account.
// What must not be read by others, the address To and the token, is sealed on the way.
type Message struct {
	ID        string // unique; a message that is delivered twice is sent once where that can be told
	Kind      Kind
	AccountID int64 // zero: nobody; the message is dropped. It exists so that time tells nothing
	// To is the address if it is not the account's: the new one of VerifyEmail, the old one of
	// EmailChanged. Empty: the account's.
	To    string
	Token secret.Text // of the link
	// CarrierID, Nickname and Days are of the carriers' mails; the first two of SecretShown, too.
	CarrierID string
	Nickname  string    // of the connection; may be empty
	Days      int       // until the contract ends
	Browser   string    // of NewSignIn: its family, such as "Firefox on Windows"
	At        time.Time // when it happened
}

// ExpiresAt is when the link of a mail stops working; zero for a mail without one. The lives
// are those of the tokens: see package signin.
func (m *Message) ExpiresAt() time.Time {
	switch m.Kind {
	case Invitation:
		return m.At.Add(7 * 24 * time.Hour)
	case Reset:
		return m.At.Add(30 * time.Minute)
	case VerifyEmail:
		return m.At.Add(24 * time.Hour)
	default:
		return time.Time{}
	}
}

// Sent is a mail that was sent.
type Sent struct {
	ID   string // of its message, or of the event that it is about
	Kind Kind
	At   time.Time // when it was sent
}
