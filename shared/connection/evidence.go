package connection

import (
	"time"

	"carrierlink/shared/health"
)

// doubt is the connection's, as it was first refused.
func (c *Connection) doubt() health.Doubt {
	return health.Doubt{AccountID: c.AccountID, ConnectionID: c.ID, CredentialID: c.CredentialID, Since: c.FirstRefusedAt, At: c.LastCheck.At}
}

// Comparable tells whether the connection is one to compare others with: the
// schedule checks it, and it was well within VoteWithin.
func (c *Connection) Comparable(now time.Time) bool {
	return c.Status.Works() && c.Scheduled() && c.RefreshPolicy != RefreshOff && now.Sub(c.VerifiedAt) <= health.VoteWithin
}
