package account

import "time"

// Filter limits and orders a list of a partner's accounts.
type Filter struct {
	Active       *bool     // nil: both
	CreatedFrom  time.Time // inclusive; zero: from the first
	CreatedUntil time.Time // inclusive; zero: to the last
	Ascending    bool      // oldest first; otherwise newest first
}

// Position is the last account of a page: the next page begins after it.
type Position struct {
	CreatedAt time.Time
	AccountID int64
}

// Matches reports whether an account passes the filter.
func (f Filter) Matches(a Account) bool {
	return (f.Active == nil || *f.Active == a.Active) &&
		(f.CreatedFrom.IsZero() || !a.CreatedAt.Before(f.CreatedFrom)) &&
		(f.CreatedUntil.IsZero() || !a.CreatedAt.After(f.CreatedUntil))
}
