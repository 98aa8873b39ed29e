package connection

import (
	"io"
	"time"

	"carrierlink/shared/effects"
)

// Why stored credentials are read: the reason of secret_read.
const (
	readForSchedule = "schedule"
	readForChange   = "change"
	readForRollback = "rollback"
	ReadForTracking = "tracking"
	ReadForParcels  = "parcels"
)

// readReasons are the reasons of the checks that callers ask for.
var readReasons = map[Trigger]string{TriggerManual: "verify", TriggerRead: "read"} // never changes

// secretRead is the data of secret_read.
type secretRead struct {
	CarrierID   string `json:"carrier_id"`
	CarrierCode string `json:"carrier_code"`
	Reason      string `json:"reason"`
	Day         string `json:"day,omitempty"`   // of the schedule's readings
	Reads       int    `json:"reads,omitempty"` // by the schedule on that day
}

// ReadsSecret returns the effects that record that the connection's credentials are read.
func (c *Connection) ReadsSecret(by effects.By, reason string, random io.Reader, now time.Time) (effects.Effects, error) {
	return effects.Effects{By: by}.With(random, now, c.secretReport(secretRead{Reason: reason}))
}

func (c *Connection) secretReport(data secretRead) effects.Report {
	data.CarrierID, data.CarrierCode = c.ID, string(c.Carrier)
	return effects.Report{Type: effects.SecretRead, PartnerID: c.PartnerID, AccountID: c.AccountID, Subject: c.ID, Data: data}
}

// Reads counts the schedule's readings of credentials on a day.
type Reads struct {
	Day   string // YYYY-MM-DD, UTC; empty before the first
	Count int
}

// Turn begins the count anew on a later day, with n readings of the new day that it has
// counted already, and returns the count of the day before; false if there is none.
func (r *Reads) Turn(n int, now time.Time) (ended Reads, ok bool) {
	today := now.UTC().Format(time.DateOnly)
	if r.Day >= today {
		return Reads{}, false
	}
	ended = Reads{r.Day, r.Count - n}
	*r = Reads{today, n}
	return ended, ended.Day != "" && ended.Count > 0
}

// ReportReads reports the schedule's readings of a day.
func (c *Connection) ReportReads(reason string, of Reads) effects.Report {
	return c.secretReport(secretRead{Reason: reason, Day: of.Day, Reads: of.Count})
}

// noteReads reports the readings of an earlier day. The claim of each check has counted its
// reading before that was made.
func (c *Connection) noteReads(now time.Time) []effects.Report {
	if ended, ok := c.Reads.Turn(1, now); ok {
		return []effects.Report{c.ReportReads(readForSchedule, ended)}
	}
	return nil
}
