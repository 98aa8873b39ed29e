package main

import (
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/mail"
)

// How often a connection is mailed about.
const (
	mailedAgainAfter = 24 * time.Hour
	brokenAgainAfter = time.Hour // if it breaks again after it has worked
)

// isState reports whether a mail is about the state of a connection.
func isState(k mail.Kind) bool { return k == mail.CarrierNeedsYou || k == mail.CarrierWorks }

// current reports whether what the mail says of a connection is still so: events may be late,
// in another order, and more than once. c is nil if the connection is gone.
func (o *order) current(c *connection.Connection) bool {
	switch o.Kind {
	case mail.CarrierNeedsYou:
		return c != nil && (c.Status == connection.ActionRequired || c.Status == connection.Restricted)
	case mail.CarrierWorks:
		return c != nil && c.Status == connection.Active
	case mail.ContractEnds:
		return c != nil && c.Status != connection.Disconnected && c.ContractValidTo == o.data.ValidTo
	default:
		return true
	}
}

// first reports whether a connection works for the first time: its owner was promised the
// result.
func (o *order) first() bool { return o.data.PreviousStatus == connection.PendingVerification }

// decide reports whether a mail is sent after the one before: news; else next is what to keep
// in its place. A mail that was sent already is not news. Of the state of a connection:
//   - that it needs somebody: once a day while it lasts, and again as soon as it has worked in
//     between, but not within the hour
//   - that it works: only to somebody who was told otherwise, and a day later at least. Who
//     repairs it at once has seen it on the page. It is kept as told all the same, so that the
//     next failure is news.
func decide(before mail.Sent, o *order, now time.Time) (next mail.Sent, news bool) {
	since := now.Sub(before.At)
	switch {
	case before.ID == o.ID:
		return before, false
	case o.Kind == mail.CarrierNeedsYou:
		told := before.Kind == mail.CarrierNeedsYou
		return before, told && since >= mailedAgainAfter || !told && since >= brokenAgainAfter
	case o.Kind != mail.CarrierWorks, o.first() && before.ID == "":
		return before, true
	case before.Kind != mail.CarrierNeedsYou:
		return before, false
	case since < mailedAgainAfter:
		return mail.Sent{ID: o.ID, Kind: o.Kind, At: before.At}, false
	}
	return before, true
}
