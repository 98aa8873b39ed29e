package carrier

import "time"

// AccountFilter is what a list of a partner's accounts is narrowed to.
type AccountFilter struct {
	Active       *bool     // nil: both
	CreatedFrom  time.Time // inclusive; zero: from the first
	CreatedUntil time.Time // inclusive; zero: to the last
	Ascending    bool      // by creation; else the newest first
}

// Position is where a page of a list ends: the next page begins after it.
type Position struct {
	CreatedAt time.Time
	AccountID int64
}
