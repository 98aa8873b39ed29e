package pages

import (
	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/parcel"
	"carrierlink/shared/tracking"
)

// OverviewPage is the first page of an account.
type OverviewPage struct {
	Frame    Frame
	Carriers []CarrierLine
	Keys     []account.APIKey // that end soon, the earliest first
	Parcels  []parcel.Parcel  // under way, the latest first
	// MoreParcels says that there are more parcels under way than shown.
	MoreParcels bool
	// TooManyParcels says that there are so many that the latest cannot be told.
	TooManyParcels bool
	// What could not be read. The page shows the rest.
	NoCarriers, NoKeys, NoParcels bool
}

// CarrierLine is a connection in a list, with its state.
type CarrierLine struct {
	Connection connection.Connection
	State      State
}

// How long before it happens the overview says what changes.
const (
	ContractWarnedDays = 60
	KeyWarnedDays      = 30
)

// troubled are the connections that do not work, those first whose turn is the merchant's.
func (p *OverviewPage) troubled() []CarrierLine {
	var yours, others []CarrierLine
	for _, l := range p.Carriers {
		switch {
		case l.State.Turn == TurnYou:
			yours = append(yours, l)
		case !l.State.Works():
			others = append(others, l)
		}
	}
	return append(yours, others...)
}

// ending are the connections whose contracts end soon.
func (p *OverviewPage) ending() []CarrierLine {
	var all []CarrierLine
	for _, l := range p.Carriers {
		if ContractEnds(p.Frame, &l.Connection, ContractWarnedDays) != "" {
			all = append(all, l)
		}
	}
	return all
}

func (p *OverviewPage) frame() Frame {
	f := p.Frame
	f.failed = p.NoCarriers || p.NoKeys || p.NoParcels
	return f
}

// numberOf returns a connection's number with its carrier.
func numberOf(c *connection.Connection) string {
	return c.Carrier.FriendlyName() + " " + c.AccountNumber
}

func carrierPath(id string) string { return "/portal/carriers/" + id }

// parcelWords says how far a parcel is.
func parcelWords(s tracking.Status) string {
	switch s {
	case tracking.Accepted:
		return "Handed over"
	case tracking.InTransit:
		return "On its way"
	case tracking.Delivered:
		return "Delivered"
	case tracking.Exception:
		return "Needs a look"
	case tracking.Attempted:
		return "Delivery was tried"
	case tracking.Collection:
		return "Waiting to be collected"
	case tracking.NotYet:
		return "Not scanned yet"
	case tracking.Unknown:
	}
	return "Unknown"
}
