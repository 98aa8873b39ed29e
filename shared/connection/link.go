package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Carrier asks a carrier for a charge account. check counts the checks of the
// connection from 1.
type Carrier interface {
	GetAccount(ctx context.Context, account ChargeAccount, check int) Reading
}

// Carriers are the carriers of both environments. The sandbox's is the simulator
// in process: sandbox accounts reach no carrier.
type Carriers carrier.PerEnvironment[Carrier]

// Ask makes one check with the carrier of the environment, and packs a good
// answer. One too large to keep counts as unreadable. A row without a known
// environment asks nobody: carrier.OutcomeMalformed.
func (c Carriers) Ask(ctx context.Context, env carrier.Environment, account ChargeAccount, check int, now time.Time) (Reading, *Snapshot) {
	of, err := carrier.PerEnvironment[Carrier](c).Of(env)
	if err != nil {
		return Reading{Outcome: carrier.OutcomeMalformed, Cause: err}, nil
	}
	reading := of.GetAccount(ctx, account, check)
	if reading.Outcome == carrier.OutcomeUnauthorized {
		reading.Hint = HintAt(account.Credentials)
	}
	if reading.Outcome != carrier.OutcomeOK {
		return reading, nil
	}
	snap, err := NewSnapshot(reading.Raw, now)
	if err != nil {
		reading.Outcome, reading.Cause = carrier.OutcomeUnreadable, err
		return reading, nil
	}
	return reading, &snap
}

// Store keeps connections. Every write of a row is on the condition that its
// Version is the one that was read: else fault.State, or NotFound where it is
// gone. After it *conn is what is stored. Effects are written with the row: nothing
// is, and the error is *effects.Replay, when the Idempotency-Key is taken.
type Store interface {
	Calls

	// Connection reads one, whatever its status; fault.NotFound.
	Connection(ctx context.Context, accountID int64, connectionID string) (Connection, error)
	// Snapshot reads the carrier's last good answer; nil for none.
	Snapshot(ctx context.Context, accountID int64, connectionID string) (*Snapshot, error)

	// BeginLink writes the intent: fault.CarrierConflict when another connection
	// holds the number, State when a twin was faster, NotFound or Inactive for
	// the account.
	BeginLink(ctx context.Context, conn *Connection, o LinkOptions) error
	// FinishLink writes row, history, snapshot and effects at once: fault.NotFound,
	// Inactive or State for the account.
	FinishLink(ctx context.Context, conn *Connection, entry *HistoryEntry, snap *Snapshot, fx effects.Effects, now time.Time) error
	// DropLink takes an intent away, and with it the account number.
	DropLink(ctx context.Context, conn Connection) error

	// ClaimCheck leases the connection that was read for one check: fault.State
	// when another process is at it.
	ClaimCheck(ctx context.Context, conn Connection, until, now time.Time) (Connection, error)
	// ClaimDue leases the connection for one check if it is due, and makes it due
	// again for when that is never recorded: fault.State if it is not due, or
	// somebody is at it; connection.ErrPostponed if nobody can read the row.
	ClaimDue(ctx context.Context, d Due, until, now time.Time, t health.Timing) (Connection, error)
	// RecordCheck writes row, history and snapshot (nil: none) and frees the
	// lease.
	RecordCheck(ctx context.Context, conn *Connection, entry *HistoryEntry, snap *Snapshot, fx effects.Effects, now time.Time) error

	// SaveConnection writes the row as it is.
	SaveConnection(ctx context.Context, conn *Connection) error
	// ChangeConnection writes the row and what goes with it at once:
	// fault.CarrierConflict when another connection holds the new number.
	ChangeConnection(ctx context.Context, conn *Connection, c Update, fx effects.Effects, now time.Time) error
	// Unlink writes the row of a disconnected connection, gives its number up,
	// counts it out of its account and drops its snapshot.
	Unlink(ctx context.Context, conn *Connection, fx effects.Effects, now time.Time) error

	// Account reads an account; fault.NotFound, for one whose purge is due too
	// (by the zero time none is).
	Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error)
	// AllConnections reads all of an account's rows, whatever their status.
	AllConnections(ctx context.Context, accountID int64) ([]Connection, error)
	// FollowConnection writes the row while the account is still the one that
	// was read: else fault.Precondition.
	FollowConnection(ctx context.Context, conn *Connection, account account.Account) error
	// EndFollow notes that all connections have followed: fault.Precondition
	// when the account is no longer the one that was read.
	EndFollow(ctx context.Context, account account.Account) error
	// EndPurge ends what there still is of an account that is purged.
	EndPurge(ctx context.Context, accountID int64, at time.Time) error
	// Unfinished lists what a crash may have left, and counts the entries that
	// nobody can read.
	Unfinished(ctx context.Context, now time.Time, limit int) (found []Unfinished, malformed int, err error)

	// CountChecks adds checks to the carrier's tally of the minute.
	CountChecks(ctx context.Context, name carrier.Name, checks []health.Check, now time.Time) error
	// Tallies reads the carrier's last minutes.
	Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error)
	// Breakers reads the breakers of all carriers.
	Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error)
	// SaveBreaker writes a breaker: fault.State when it is no longer the one
	// that was read.
	SaveBreaker(ctx context.Context, b *health.Breaker) error
}

// Vault keeps credentials, by version. fault.NotFound says that there is no
// such secret or version, or that it is scheduled for deletion; fault.State
// that somebody else is changing the secret.
type Vault interface {
	Create(ctx context.Context, accountID int64, connectionID, token string, c Credentials) (version string, err error)
	Get(ctx context.Context, accountID int64, connectionID, version string) (Credentials, error)
	// Stage adds a version beside the current one.
	Stage(ctx context.Context, accountID int64, connectionID, token string, c Credentials) (version string, err error)
	// Align makes a version the current one, and leaves none pending.
	Align(ctx context.Context, accountID int64, connectionID, version string) error
	// Delete schedules the deletion; with no days it is done at once.
	Delete(ctx context.Context, accountID int64, connectionID string, days int) error
	// Restore cancels a deletion that is scheduled.
	Restore(ctx context.Context, accountID int64, connectionID string) error
}

// Service links, checks, changes and unlinks connections.
type Service struct {
	Store Store
	Vault Vault
	Carriers
	// Changes tells how two answers about one account differ.
	Changes func(before, after []byte) ([]Difference, error)
	// Contracts reads the answers that are kept. Only ReadCarrierAccount needs it.
	Contracts ContractParser
	Timing    health.Timing
	// CallsPerMinute is how often callers may have the carrier asked with one
	// credential: checks, changes and rollbacks. What the schedule asks is not
	// counted: it has a rate of its own.
	CallsPerMinute int
	// LinksPerMinute is how often one account may link.
	LinksPerMinute int
	Now            func() time.Time
	Random         io.Reader // of ids
}

// leaseWithoutDeadline is the lease of a request that has no deadline: the
// longest that a function runs.
const leaseWithoutDeadline = 30 * time.Second

// leaseMargin is for what happens after the deadline: a call that was sent just
// before it arrives, and a change that failed is undone. Clocks differ, too.
const leaseMargin = 2 * time.Second

// Lease is until when the work of ctx counts as running: its deadline, and a
// margin.
func (s *Service) Lease(ctx context.Context) time.Time {
	now := s.Now()
	if d, ok := ctx.Deadline(); ok {
		// The deadline is the wall clock's; Now may be a passed one.
		return now.Add(time.Until(d) + leaseMargin)
	}
	return now.Add(leaseWithoutDeadline)
}

// observation is a reading in the circumstances of now.
func (s *Service) observation(r Reading, trigger Trigger, b health.Breaker) Observation {
	return Observation{
		Reading: r, Trigger: trigger, Now: s.Now(), Breaker: b, Timing: s.Timing,
		Jitter: jitter(),
	}
}

func jitter() float64 { return rand.Float64() } //nolint:gosec // spreads a schedule

// LinkRequest is what a merchant asks to link, after Preflight.
type LinkRequest struct {
	Account        account.Account
	ChargeAccount  ChargeAccount
	Nickname       string
	AllowDuplicate bool
	VerifyLater    bool // keep it although the carrier is down
	RefreshPolicy  RefreshPolicy
	ExternalID     string
	Metadata       map[string]string
	LinkedAs       []string // connections that hold this number now
	Effects        effects.For[*Connection]
}

// Link verifies a charge account with its carrier and keeps it: the intent, the
// secret, then the active row. A refusal or an outage keeps nothing, unless
// VerifyLater says that an outage may: then the status is PendingVerification.
// What a failure after that leaves is the reconciler's, or the next try's, to take
// away: until the lease is over a call may yet arrive.
//
// Errors: fault.CarrierConflict (linked already, with ExistingCarrierID), State
// with RetryAfter (a twin is at work), RateLimited when the account has linked
// and validated too often, those of connection.Reading.Err, NotFound or Inactive for
// an account that went away meanwhile; *effects.Replay.
func (s *Service) Link(ctx context.Context, req LinkRequest) (*Connection, error) {
	abandoned, err := s.holder(ctx, req.Account.ID, req.LinkedAs, req.AllowDuplicate)
	if err != nil {
		return nil, err
	}
	reading, snap, err := s.AskNew(ctx, req.Account, req.ChargeAccount)
	if err != nil {
		return nil, err
	}
	if reading.Outcome != carrier.OutcomeOK && (!req.VerifyLater || !reading.Outcome.IsOutage()) {
		return nil, reading.Err()
	}
	now := s.Now()
	conn := abandoned
	options := LinkOptions{AllowDuplicate: req.AllowDuplicate, TakeOver: abandoned != nil}
	if conn == nil {
		id, err := NewID(s.Random)
		if err != nil {
			return nil, fmt.Errorf("making a carrier_id: %w", err)
		}
		conn = &Connection{ID: id, CreatedAt: now}
	}
	fill(conn, req, now)
	// Another token at each try, a take-over too: one stands for one value for
	// good, and this try's credentials may be others than the last one's.
	if conn.SecretVersion, err = NewSecretVersion(s.Random); err != nil {
		return nil, fmt.Errorf("naming the secret's version: %w", err)
	}
	conn.LeaseUntil = s.Lease(ctx)
	if err := s.Store.BeginLink(ctx, conn, options); err != nil {
		return nil, fmt.Errorf("writing the intent: %w", s.conflict(ctx, req.Account.ID, err))
	}
	conn.SecretVersion, err = s.Vault.Create(ctx, conn.AccountID, conn.ID, conn.SecretVersion, req.ChargeAccount.Credentials)
	if err != nil {
		return nil, fmt.Errorf("keeping the credentials: %w", err)
	}
	conn.Status, conn.LeaseUntil = PendingVerification, time.Time{}
	entry := conn.Record(s.observation(reading, TriggerLink, health.Breaker{}))
	if snap != nil {
		conn.ContractHash = SnapshotHash(reading.Raw)
	}
	fx, err := req.Effects.Of(conn)
	if err != nil {
		return nil, err
	}
	if err := s.Store.FinishLink(ctx, conn, &entry, snap, fx, s.Now()); err != nil {
		return nil, fmt.Errorf("activating the connection: %w", err)
	}
	return conn, nil
}

// AskNew asks the carrier about a charge account that the account has not linked,
// within the account's allowance: fault.RateLimited when it is used up.
func (s *Service) AskNew(ctx context.Context, account account.Account, charge ChargeAccount) (Reading, *Snapshot, error) {
	charge.Again = func(ctx context.Context) error {
		return Allow(ctx, s.Store, AccountAllowance(UseLinking, account.ID), s.LinksPerMinute, s.Now())
	}
	if err := charge.Again(ctx); err != nil {
		return Reading{}, nil, err
	}
	reading, snap := s.Ask(ctx, account.Environment, charge, 1, s.Now())
	return reading, snap, nil
}

// holders is who holds a number.
type holders struct {
	live      string      // a connection; empty for none
	atWork    bool        // another request is linking it
	abandoned *Connection // an intent that a crash left
}

// holders looks at the connections that the table names as a number's.
func (s *Service) holders(ctx context.Context, accountID int64, ids []string) (holders, error) {
	var h holders
	for _, id := range slices.Sorted(slices.Values(ids)) {
		conn, err := s.Store.Connection(ctx, accountID, id)
		switch {
		case fault.Is(err, fault.NotFound):
			continue
		case err != nil:
			return holders{}, fmt.Errorf("reading the holder of the number: %w", err)
		case conn.Status == Disconnected: // it has given the number up since
			continue
		case conn.Status != Linking:
			h.live = id
		case conn.LeaseUntil.After(s.Now()):
			h.atWork = true
		default:
			h.abandoned = &conn
		}
	}
	return h, nil
}

// LinkedAs is the carrier_id under which the account has linked a number, empty
// for none. ids are those that the table names as the number's; what is only
// being linked does not count.
func (s *Service) LinkedAs(ctx context.Context, accountID int64, ids []string) (string, error) {
	h, err := s.holders(ctx, accountID, ids)
	return h.live, err
}

// holder looks at who holds a number: another connection is a conflict unless
// duplicates are allowed; an intent that a crash left is returned, to be taken
// over; one at work asks to come back.
func (s *Service) holder(ctx context.Context, accountID int64, ids []string, duplicate bool) (*Connection, error) {
	h, err := s.holders(ctx, accountID, ids)
	switch {
	case err != nil:
		return nil, err
	case h.live != "" && !duplicate:
		return nil, ErrAlreadyLinked(h.live)
	case h.atWork:
		return nil, ErrBeingLinked()
	}
	return h.abandoned, nil
}

// conflict is what a CarrierConflict of the store comes to: the holder may be an
// intent, which the caller is not to know of. Any other error stays as it is.
func (s *Service) conflict(ctx context.Context, accountID int64, err error) error {
	refusal := fault.Of(err)[0]
	if refusal.Kind != fault.CarrierConflict {
		return err
	}
	if _, held := s.holder(ctx, accountID, []string{refusal.ExistingCarrierID}, false); held != nil {
		return held
	}
	return ErrBeingLinked()
}

// fill writes the request into the row of the intent.
func fill(conn *Connection, req LinkRequest, now time.Time) {
	conn.AccountID, conn.PartnerID, conn.Environment = req.Account.ID, req.Account.PartnerID, req.Account.Environment
	conn.Carrier, conn.AccountNumber = req.ChargeAccount.Carrier, req.ChargeAccount.Number
	conn.Nickname, conn.ExternalID, conn.Metadata = req.Nickname, req.ExternalID, req.Metadata
	conn.RefreshPolicy = req.RefreshPolicy
	conn.Status, conn.Standing = Linking, account.StandingActive
	known(conn, req.ChargeAccount.Credentials)
	conn.CredentialsUpdatedAt = now
	conn.ModifiedAt = now
}

// known writes what a row may know of credentials.
func known(conn *Connection, c Credentials) {
	conn.APIKeyLastFour, conn.CredentialID = c.APIKey.LastFour(), CredentialID(c.APIKey)
}

// retried runs a change of a row that somebody else may change at the same
// time: when the version has moved on, try is given the row that is there now,
// or a pinned change is too late: fault.Precondition. One that is still as it was
// read was refused for something else, such as a claim of an Idempotency-Key that
// is gone.
func (s *Service) retried(ctx context.Context, conn Connection, pinned bool, try func(Connection) error) error {
	const tries = 4
	for n := 1; ; n++ {
		err := try(conn)
		var moved *movedError
		if !errors.As(err, &moved) || n == tries {
			return err
		}
		now, err := s.Store.Connection(ctx, conn.AccountID, conn.ID)
		if err != nil {
			return fmt.Errorf("reading the connection again: %w", err)
		}
		switch {
		case now.Version == conn.Version:
			return moved.State
		case pinned:
			return ErrChanged()
		}
		conn = now
	}
}

// movedError is the store's fault.State for a row that is another one than was
// read.
type movedError struct{ State error }

func (e *movedError) Error() string { return e.State.Error() }

func (e *movedError) Unwrap() error { return e.State }

// moved marks a fault.State as the store's, for retried.
func moved(err error) error {
	if fault.Is(err, fault.State) {
		return &movedError{err}
	}
	return err
}
