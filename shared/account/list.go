package account

import (
	"time"
)

// Filter is what a list of a partner's accounts is narrowed to.
type Filter struct {
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

// Matches tells whether the filter keeps an account.
func (f Filter) Matches(a Account) bool {
	return (f.Active == nil || *f.Active == a.Active) &&
		(f.CreatedFrom.IsZero() || !a.CreatedAt.Before(f.CreatedFrom)) &&
		(f.CreatedUntil.IsZero() || !a.CreatedAt.After(f.CreatedUntil))
}
