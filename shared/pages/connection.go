package pages

import (
	"slices"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// ConnectionPage is all about one connection.
type ConnectionPage struct {
	Frame      Frame
	Connection *connection.Connection
	State      State
	FormID     string
	// Contract is from the carrier's latest good answer; nil: there is none.
	Contract *connection.Contract
	// History are the checks of the last 90 days, the latest first. HistoryCut says that there
	// are older ones.
	History    []connection.HistoryEntry
	HistoryCut bool
	// What could not be read. The page shows the rest.
	NoContract, NoHistory bool
	// What the page offers besides what the state allows: a session that the partner opened
	// may neither see a secret nor disconnect, and the operator may have turned secrets off.
	MayReveal, OwnerOnly bool
	NoMail               bool // mail is off
}

func (p *ConnectionPage) frame() Frame {
	f := p.Frame
	f.failed = p.NoContract || p.NoHistory
	return f
}

// asksForKey reports whether a new key is what the connection needs.
func (p *ConnectionPage) asksForKey() bool {
	return p.State.MayChange && p.Connection.Status == connection.ActionRequired
}

// productsOpen is how many products of a contract are shown without a click.
const productsOpen = 12

// products are the products of the contract, those that are valid first.
func (p *ConnectionPage) products() []connection.Product {
	all := slices.Clone(p.Contract.Products)
	slices.SortStableFunc(all, func(a, b connection.Product) int {
		switch {
		case a.Expired == b.Expired:
			return 0
		case a.Expired:
			return 1
		}
		return -1
	})
	return all
}

// DisconnectPage asks whether a connection shall be disconnected.
type DisconnectPage struct {
	Frame      Frame
	Connection *connection.Connection
	FormID     string
}

// RollbackPage asks whether the previous key shall be used again.
type RollbackPage struct {
	Frame      Frame
	Connection *connection.Connection
	FormID     string
	Refused    *fault.Diagnosis // why the carrier does not accept the previous key; nil: it was not asked
	Existing   string           // the connection that has the previous number now; empty for none
}

// RevealedPage shows the credentials of a connection.
type RevealedPage struct {
	Frame             Frame
	Connection        *connection.Connection
	APIKey, APISecret string
	NoMail            bool // mail is off
}

// revealHint says beforehand what showing a secret brings with it.
func (p *ConnectionPage) revealHint() string {
	if p.NoMail {
		return "We may ask for your password first."
	}
	return "We may ask for your password first, and send you an email that they were shown."
}
