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
	"carrierlink/shared/invocation"
)

// Carrier reads a charge account from the carrier. check counts the checks of the
// connection from 1.
type Carrier interface {
	GetAccount(ctx context.Context, account ChargeAccount, check int) Reading
}

// Carriers are the carriers of both environments. The sandbox's is the simulator,
// which runs in process.
type Carriers carrier.PerEnvironment[Carrier]

// Ask makes one check with the carrier of the environment and packs a good answer.
// An answer too large to store counts as unreadable. An unknown environment is
// carrier.OutcomeMalformed, and no carrier is called.
func (c Carriers) Ask(ctx context.Context, env carrier.Environment, account ChargeAccount, check int, now time.Time) (Reading, *Snapshot) {
	of, err := carrier.PerEnvironment[Carrier](c).Of(env)
	if err != nil {
		return Reading{Outcome: carrier.OutcomeMalformed, Cause: err}, nil
	}
	reading := of.GetAccount(ctx, account, check)
	if reading.Outcome == carrier.OutcomeUnauthorized {
		reading.Hint = HintFor(account.Credentials)
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

// Store keeps connections. Every write of a row has the condition that its Version is
// the one that was read: otherwise it is fault.State, or NotFound if the row is gone.
// After a write *conn is what is stored. Effects are written in the transaction of the
// row; if the Idempotency-Key is taken nothing is written, and the error is
// *effects.Replay.
type Store interface {
	Calls

	// Connection reads one, whatever its status; fault.NotFound.
	Connection(ctx context.Context, accountID int64, connectionID string) (Connection, error)
	// Snapshot reads the carrier's last good answer; nil for none.
	Snapshot(ctx context.Context, accountID int64, connectionID string) (*Snapshot, error)

	// BeginLink writes the intent: fault.CarrierConflict if another connection has
	// the number, State if a concurrent link was faster, NotFound or Inactive for
	// the account.
	BeginLink(ctx context.Context, conn *Connection, o LinkOptions) error
	// FinishLink writes row, history, snapshot and effects: fault.NotFound,
	// Inactive or State for the account.
	FinishLink(ctx context.Context, conn *Connection, entry *HistoryEntry, snap *Snapshot, fx effects.Effects, now time.Time) error
	// DropLink deletes an intent and releases its account number.
	DropLink(ctx context.Context, conn Connection) error

	// ClaimCheck takes the lease of the connection that was read for one check, and a
	// call of the carrier (nil: none), or neither: fault.State if another process has
	// the lease, RateLimited if no call is left.
	ClaimCheck(ctx context.Context, conn Connection, call *Call, until, now time.Time) (Connection, error)
	// ClaimDue takes the lease of a due connection for one check, and sets when it
	// is due again if that check is never recorded: fault.State if it is not due or
	// leased, ErrPostponed if its row cannot be read.
	ClaimDue(ctx context.Context, d Due, until, now time.Time, t health.Timing) (Connection, error)
	// RecordCheck writes row, history and snapshot (nil: none) and releases the
	// lease.
	RecordCheck(ctx context.Context, conn *Connection, entry *HistoryEntry, snap *Snapshot, fx effects.Effects, now time.Time) error

	// SaveConnection writes the row.
	SaveConnection(ctx context.Context, conn *Connection) error
	// ChangeConnection writes the row and the update: fault.CarrierConflict if
	// another connection has the new number.
	ChangeConnection(ctx context.Context, conn *Connection, u Update, fx effects.Effects, now time.Time) error
	// Unlink writes the row of a disconnected connection, releases its number,
	// deletes its snapshot and decrements the account's count of connections.
	Unlink(ctx context.Context, conn *Connection, fx effects.Effects, now time.Time) error

	// Account reads an account; fault.NotFound, also once its purge is due by now.
	// The zero time reads it regardless of its purge.
	Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error)
	// AllConnections reads all rows of an account, whatever their status.
	AllConnections(ctx context.Context, accountID int64) ([]Connection, error)
	// FollowConnection writes the row if the account is still the one that was read;
	// otherwise fault.Precondition.
	FollowConnection(ctx context.Context, conn *Connection, account account.Account, fx effects.Effects, now time.Time) error
	// EndFollow records that all connections have followed the account:
	// fault.Precondition if the account is no longer the one that was read.
	EndFollow(ctx context.Context, account account.Account) error
	// EndPurge sets the end of everything that is left of a purged account.
	EndPurge(ctx context.Context, accountID int64, at time.Time) error
	// Unfinished lists what crashes may have left, and counts the entries that
	// cannot be read.
	Unfinished(ctx context.Context, now time.Time, limit int) (found []Unfinished, malformed int, err error)

	// CountChecks adds checks to the carrier's tally of the minute.
	CountChecks(ctx context.Context, name carrier.Name, checks []health.Check, now time.Time) error
	// Tallies reads the carrier's last minutes.
	Tallies(ctx context.Context, name carrier.Name, now time.Time) ([]health.Tally, error)
	// Breakers reads the breakers of all carriers.
	Breakers(ctx context.Context) (map[carrier.Name]health.Breaker, error)
	// SaveBreaker writes a breaker: fault.State if it is no longer the one that was
	// read.
	SaveBreaker(ctx context.Context, b *health.Breaker) error
}

// Update is what is written together with a changed row.
type Update struct {
	Unchanged      bool          // the row keeps its content and Version
	OldNumber      string        // the previous account number; empty if it is the same
	AllowDuplicate bool          // another connection of the account may have the new number
	Entry          *HistoryEntry // nil: none
	Snapshot       *Snapshot     // nil: keeps the stored one
}

// Vault keeps credentials by version. A secret or version that does not exist, or is
// scheduled for deletion, is fault.NotFound; fault.State means that another process is
// changing the secret.
type Vault interface {
	Create(ctx context.Context, accountID int64, connectionID, token string, c Credentials) (version string, err error)
	Get(ctx context.Context, accountID int64, connectionID, version string) (Credentials, error)
	// Stage adds a version beside the current one.
	Stage(ctx context.Context, accountID int64, connectionID, token string, c Credentials) (version string, err error)
	// Align makes a version the current one, leaves none pending, and keeps the previous
	// one; "" for none.
	Align(ctx context.Context, accountID int64, connectionID, version, previous string) error
	// DropPrevious stops keeping a version as the previous one, if it is.
	DropPrevious(ctx context.Context, accountID int64, connectionID, version string) error
	// Delete schedules the deletion; with 0 days it deletes at once.
	Delete(ctx context.Context, accountID int64, connectionID string, days int) error
	// Restore cancels a scheduled deletion.
	Restore(ctx context.Context, accountID int64, connectionID string) error
}

// Service links, checks, changes and unlinks connections.
type Service struct {
	Store Store
	Vault Vault
	Carriers
	// Compare compares two answers about the same account.
	Compare func(before, after []byte) ([]Difference, error)
	// Contracts parses stored answers. Only ReadCarrierAccount needs it.
	Contracts ContractParser
	Timing    health.Timing
	// CallsPerMinute limits the checks, changes and rollbacks that callers may make
	// with the same credentials. The schedule has a rate of its own.
	CallsPerMinute int
	// LinksPerMinute limits the links and validations of an account.
	LinksPerMinute int
	Now            func() time.Time
	Random         io.Reader // of ids
	// Jitter returns a number from 0 to 1 that spreads the checks of a connection.
	// Nil is math/rand/v2.
	Jitter func(connectionID string) float64
}

// undoTime is how long undoing a failed change may take.
const undoTime = 2 * time.Second

// Lease returns when a lease taken now expires: see invocation.Lease.
func (s *Service) Lease(ctx context.Context) time.Time { return invocation.Lease(ctx, s.Now()) }

func (s *Service) observe(connectionID string, r Reading, trigger Trigger, b health.Breaker) Observation {
	return Observation{Reading: r, Trigger: trigger, Now: s.Now(), Breaker: b, Timing: s.Timing, Jitter: s.jitter(connectionID)}
}

func (s *Service) jitter(connectionID string) float64 {
	if s.Jitter == nil {
		return rand.Float64() //nolint:gosec // spreads a schedule
	}
	return s.Jitter(connectionID)
}

// LinkRequest is a request to link a charge account, after Preflight.
type LinkRequest struct {
	Account        account.Account
	ChargeAccount  ChargeAccount
	Nickname       string
	AllowDuplicate bool
	VerifyLater    bool // link even if the carrier is down
	RefreshPolicy  RefreshPolicy
	ExternalID     string
	Metadata       map[string]string
	Holders        []string // the connections that have this number now
	Effects        effects.For[*Connection]
}

// Link verifies a charge account with its carrier, then writes the intent, the secret
// and the active row, in this order. After a refusal nothing is stored, nor after an
// outage unless VerifyLater is set: then the status is PendingVerification. A link that is
// refused after that is undone at once. If a step fails otherwise, the next link of the
// number or the reconciler cleans up once the lease has expired: until then a call may
// still arrive.
//
// Errors: fault.CarrierConflict with ExistingCarrierID for a linked number; State with
// RetryAfter while the same number is being linked; RateLimited when the account has
// used its LinksPerMinute; those of Reading.Err; NotFound, Inactive or State for an
// account that has changed meanwhile; *effects.Replay.
func (s *Service) Link(ctx context.Context, req LinkRequest) (*Connection, error) {
	conn, err := s.abandonedIntent(ctx, req.Account.ID, req.Holders, req.AllowDuplicate)
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
	options := LinkOptions{AllowDuplicate: req.AllowDuplicate, TakeOver: conn != nil}
	if conn == nil {
		id, err := NewID(s.Random)
		if err != nil {
			return nil, fmt.Errorf("making a carrier_id: %w", err)
		}
		conn = &Connection{ID: id, CreatedAt: now}
	}
	fillIntent(conn, req, now)
	// Each attempt has its own token, even when it takes an intent over: a token means
	// one value for good, and the credentials may differ from the last attempt's.
	if conn.SecretVersion, err = NewSecretVersion(s.Random); err != nil {
		return nil, fmt.Errorf("naming the secret's version: %w", err)
	}
	conn.LeaseUntil, conn.WorkSince = s.Lease(ctx), time.Time{}
	if err := s.Store.BeginLink(ctx, conn, options); err != nil {
		return nil, fmt.Errorf("writing the intent: %w", s.explainConflict(ctx, req.Account.ID, err))
	}
	intent := *conn
	conn.SecretVersion, err = s.Vault.Create(ctx, conn.AccountID, conn.ID, conn.SecretVersion, req.ChargeAccount.Credentials)
	if err != nil {
		return nil, fmt.Errorf("storing the credentials: %w", err)
	}
	conn.Status, conn.LeaseUntil = PendingVerification, time.Time{}
	entry := conn.Record(s.observe(conn.ID, reading, TriggerLink, health.Breaker{}))
	if snap != nil {
		conn.ContractHash = SnapshotHash(reading.Raw)
	}
	reports := append([]effects.Report{conn.report(effects.CarrierConnected, nil)}, conn.checkReports(Connection{}, reading, nil, s.Now())...)
	fx, err := req.Effects.Reporting(conn, s.Random, s.Now(), reports...)
	if err != nil {
		return nil, err
	}
	if err := s.Store.FinishLink(ctx, conn, &entry, snap, fx, s.Now()); err != nil {
		err = fmt.Errorf("activating the connection: %w", err)
		var replay *effects.Replay
		if kind := fault.KindOf(err); kind == fault.Overloaded || kind == fault.Internal && !errors.As(err, &replay) {
			return nil, err // the write may still arrive
		}
		if undone := s.undoLink(ctx, intent); undone != nil {
			err = fmt.Errorf("%w; and undoing it: %v", err, undone) //nolint:errorlint // its kind must not decide the answer
		}
		return nil, err
	}
	conn.measureCheck(ctx)
	return conn, nil
}

// AskNew asks the carrier about a charge account that is not linked yet:
// fault.RateLimited when the account has used its LinksPerMinute.
func (s *Service) AskNew(ctx context.Context, account account.Account, charge ChargeAccount) (Reading, *Snapshot, error) {
	charge.BeforeRetry = func(ctx context.Context) error {
		return Allow(ctx, s.Store, Call{Allowance: AccountAllowance(UseLinking, account.ID), Limit: s.LinksPerMinute}, s.Now())
	}
	if err := charge.BeforeRetry(ctx); err != nil {
		return Reading{}, nil, err
	}
	reading, snap := s.Ask(ctx, account.Environment, charge, 1, s.Now())
	return reading, snap, nil
}

// holders are the connections of an account that have an account number.
type holders struct {
	linked    string      // the id of a connection; empty for none
	linking   bool        // another request is linking the number
	abandoned *Connection // an intent whose lease has expired
}

// readHolders reads the connections that the table lists for a number.
func (s *Service) readHolders(ctx context.Context, accountID int64, ids []string) (holders, error) {
	var h holders
	for _, id := range slices.Sorted(slices.Values(ids)) {
		conn, err := s.Store.Connection(ctx, accountID, id)
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			return holders{}, fmt.Errorf("reading the holder of the number: %w", err)
		case conn.Status == Disconnected: // it has released the number meanwhile
		case conn.Status != Linking:
			h.linked = id
		case conn.LeaseUntil.After(s.Now()):
			h.linking = true
		default:
			h.abandoned = &conn
		}
	}
	return h, nil
}

// LinkedID returns the carrier_id under which the account has linked a number; empty
// for none. ids are the connections that the table lists for the number; intents do
// not count.
func (s *Service) LinkedID(ctx context.Context, accountID int64, ids []string) (string, error) {
	h, err := s.readHolders(ctx, accountID, ids)
	return h.linked, err
}

// abandonedIntent returns the intent that a link of a number takes over; nil for none.
// It fails with ErrAlreadyLinked, unless duplicates are allowed, and ErrBeingLinked.
func (s *Service) abandonedIntent(ctx context.Context, accountID int64, ids []string, duplicate bool) (*Connection, error) {
	h, err := s.readHolders(ctx, accountID, ids)
	switch {
	case err != nil:
		return nil, err
	case h.linked != "" && !duplicate:
		return nil, ErrAlreadyLinked(h.linked)
	case h.linking:
		return nil, ErrBeingLinked()
	}
	return h.abandoned, nil
}

// explainConflict reads the connection that a CarrierConflict of the store names. It
// returns ErrAlreadyLinked if that is linked, ErrBeingLinked if it is an intent, which
// callers must not see, or has gone, and otherwise the error of the read. It returns any
// other err as it is.
func (s *Service) explainConflict(ctx context.Context, accountID int64, err error) error {
	refusal := fault.Of(err)[0]
	if refusal.Kind != fault.CarrierConflict {
		return err
	}
	if _, held := s.abandonedIntent(ctx, accountID, []string{refusal.ExistingCarrierID}, false); held != nil {
		return held
	}
	return ErrBeingLinked()
}

// fillIntent writes the request into the row of the intent.
func fillIntent(conn *Connection, req LinkRequest, now time.Time) {
	conn.AccountID, conn.PartnerID, conn.Environment = req.Account.ID, req.Account.PartnerID, req.Account.Environment
	conn.Carrier, conn.AccountNumber = req.ChargeAccount.Carrier, req.ChargeAccount.Number
	conn.Nickname, conn.ExternalID, conn.Metadata = req.Nickname, req.ExternalID, req.Metadata
	conn.RefreshPolicy = req.RefreshPolicy
	conn.Status, conn.Standing = Linking, account.StandingActive
	conn.setCredentials(req.ChargeAccount.Credentials, now)
	conn.ModifiedAt = now
}

// setCredentials sets what a row keeps of its credentials.
func (c *Connection) setCredentials(of Credentials, now time.Time) {
	c.APIKeyLastFour, c.CredentialID, c.CredentialsUpdatedAt = of.APIKey.LastFour(), CredentialID(of.APIKey), now
}

// retryStale runs a change of a row that other processes may change at the same time. It
// calls write up to four times: again if the write only collided with others, and with the
// current row if that has another version than conn; a pinned change is ErrChanged then.
// Any other fault.State, such as a lost claim of an Idempotency-Key, is returned.
func (s *Service) retryStale(ctx context.Context, conn Connection, pinned bool, write func(Connection) error) error {
	const attempts = 4
	for n := 1; ; n++ {
		err := write(conn)
		var stale staleError
		if !errors.As(err, &stale) || n == attempts {
			return err
		}
		if errors.Is(err, fault.ErrCollision) {
			continue
		}
		current, err := s.Store.Connection(ctx, conn.AccountID, conn.ID)
		if err != nil {
			return fmt.Errorf("reading the connection again: %w", err)
		}
		switch {
		case current.Version == conn.Version:
			return stale.error
		case pinned:
			return ErrChanged()
		}
		conn = current
	}
}

// staleError marks the store's fault.State of a write of a row, for retryStale.
type staleError struct{ error }

func (e staleError) Unwrap() error { return e.error }

func staleRow(err error) error {
	if fault.Is(err, fault.State) {
		return staleError{err}
	}
	return err
}
