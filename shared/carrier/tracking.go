package carrier

import "time"

// CachedTracking is what was known of one tracking number a while ago.
type CachedTracking struct {
	Number    string
	At        time.Time
	Body      []byte // in whatever form its keeper gives it
	ExpiresAt time.Time
}
