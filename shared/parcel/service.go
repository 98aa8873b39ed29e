package parcel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
	"carrierlink/shared/tracking"
)

// MaxTogether is how many parcels one request may register.
const MaxTogether = 1000

// Store keeps parcels.
type Store interface {
	tracking.Connections
	// RegisterParcels registers parcels of one connection, each unless it is registered
	// already, and makes the round due. move lets parcels of another connection of the
	// carrier move to this one. The result has, by number, why a parcel was not
	// registered: ErrTooManyParcels or ErrTooManyToday.
	RegisterParcels(ctx context.Context, parcels []Parcel, r Round, move bool, limit int, now time.Time) (refused map[string]error, err error)
	// StopParcel removes an active parcel, if there is one.
	StopParcel(ctx context.Context, accountID int64, name carrier.Name, number string) error
	// ListParcels reads a page of parcels, ordered by carrier and number. next is what the
	// next page begins after; empty at the end.
	ListParcels(ctx context.Context, l Listing, now time.Time) (found []Parcel, next string, err error)
}

// Listing selects a page of an account's parcels.
type Listing struct {
	AccountID    int64
	Since        time.Time // parcels registered before it are those of another account
	Carrier      carrier.Name
	ConnectionID string
	Number       string
	Active       *bool
	Status       tracking.Status
	After        string // Next of the page before
	Limit        int    // at least 1
}

// Matches reports whether a parcel passes the filters of the listing.
func (l *Listing) Matches(p *Parcel) bool {
	return !p.RegisteredAt.Before(l.Since) && (l.Carrier == "" || l.Carrier == p.Carrier) && (l.ConnectionID == "" || l.ConnectionID == p.ConnectionID) &&
		(l.Number == "" || l.Number == p.Number) && (l.Active == nil || *l.Active == p.Active()) && (l.Status == "" || l.Status == p.Status)
}

// Service registers parcels.
type Service struct {
	Store  Store
	Timing health.Timing
	// Limit is how many parcels an account may have registered, and may register in a
	// day (UTC).
	Limit int
	Now   func() time.Time
}

// Target is what parcels are registered for: a connection, or any connection to a carrier.
type Target struct {
	Account    account.Account
	Connection *connection.Connection // the one asked for; nil if the account does not have it
	Carrier    carrier.Name           // if set, Connection is ignored
}

// Start registers tracking numbers, cleaned and different. The result has why a number was
// not registered. Registering a number again changes nothing, but a connection that is
// named becomes the one through which the carrier is asked. It returns fault.NotFound for
// a connection that the account does not have.
func (s *Service) Start(ctx context.Context, to Target, numbers []string) (map[string]error, error) {
	conn := to.Connection
	if to.Carrier != "" {
		linked, _, err := s.Store.ListConnections(ctx, to.Account.ID, false)
		if err != nil {
			return nil, fmt.Errorf("reading the connections: %w", err)
		}
		conn = tracking.Choose(linked, to.Carrier)
	}
	if conn == nil || !conn.Visible() {
		return nil, connection.ErrNoConnection()
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	now := s.Now().Truncate(time.Millisecond).UTC()
	due := FirstLook(conn.ID, now, s.Timing)
	parcels := make([]Parcel, len(numbers))
	for i, n := range numbers {
		parcels[i] = Parcel{
			AccountID: conn.AccountID, PartnerID: conn.PartnerID, Carrier: conn.Carrier, Number: n, ConnectionID: conn.ID, RegisteredAt: now,
			Status: tracking.NotYet, NextLookAt: due, Brand: brandOf(conn, n),
			// Not 1: the version of a parcel that was stopped must not come back, or a look that
			// has begun before would be recorded.
			Version: now.UnixMilli(),
		}
	}
	round := NewRound(conn, due)
	round.RegisteredAt = now
	refused, err := s.Store.RegisterParcels(ctx, parcels, round, to.Carrier == "", s.Limit, now)
	if err != nil {
		return nil, fmt.Errorf("registering parcels: %w", err)
	}
	return refused, nil
}

// Stop ends the registration of a number, if there is one. It returns fault.NotFound for a
// connection that the account never had.
func (s *Service) Stop(ctx context.Context, of Target, number string) error {
	name := of.Carrier
	if name == "" {
		if of.Connection == nil || of.Connection.Status == connection.Linking {
			return connection.ErrNoConnection()
		}
		name = of.Connection.Carrier
	}
	if err := s.Store.StopParcel(ctx, of.Account.ID, name, number); err != nil {
		return fmt.Errorf("stopping a parcel: %w", err)
	}
	return nil
}

// List reads a page of an account's parcels.
func (s *Service) List(ctx context.Context, l Listing) (found []Parcel, next string, err error) {
	if l.Limit < 1 {
		return nil, "", errors.New("a page has no room")
	}
	return s.Store.ListParcels(ctx, l, s.Now())
}

// Position is the place of a parcel in the list: see Listing.After.
func (p *Parcel) Position() string { return string(p.Carrier) + "#" + p.Number }

// Distinct returns the numbers without repetitions, in their order.
func Distinct(numbers []string) []string {
	var all []string
	seen := make(map[string]bool, len(numbers))
	for _, n := range numbers {
		if !seen[n] {
			all = append(all, n)
		}
		seen[n] = true
	}
	return slices.Clip(all)
}
