// Package linking is the use case that every check of a charge account shares:
// link, read and (later) validate, change, verify and refresh. It keeps two
// stores in step, the table and the vault, so that whatever call the process
// dies after, a repeat finishes the work: a row that names the secret is there
// before the secret is, and becomes active after it.
package linking

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Carrier asks a carrier for a charge account. check counts the checks of the
// connection from 1.
type Carrier interface {
	GetAccount(ctx context.Context, account carrier.ChargeAccount, check int) carrier.Reading
}

// Store keeps connections.
type Store interface {
	// Connection reads one; fault.NotFound.
	Connection(ctx context.Context, accountID int64, connectionID string) (carrier.Connection, error)
	// BeginLink writes the intent: fault.CarrierConflict when another connection
	// holds the number, State when a twin was faster, NotFound or Inactive for
	// the account.
	BeginLink(ctx context.Context, conn *carrier.Connection, o carrier.LinkOptions) error
	// FinishLink writes row, snapshot and stored answer at once: fault.State
	// when the row is no longer the one that BeginLink wrote.
	FinishLink(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot, answer *carrier.IdempotencyRecord) error
	// ClaimCheck leases the connection for one check: fault.State when another
	// process is at it.
	ClaimCheck(ctx context.Context, conn carrier.Connection, until, now time.Time) (carrier.Connection, error)
	// RecordCheck writes row and snapshot and frees the lease.
	RecordCheck(ctx context.Context, conn *carrier.Connection, snap *carrier.Snapshot) error
}

// Vault keeps credentials.
type Vault interface {
	Create(ctx context.Context, accountID int64, connectionID, version string, c carrier.Credentials) error
	Get(ctx context.Context, accountID int64, connectionID string) (carrier.Credentials, error)
}

// Linker links and checks connections.
type Linker struct {
	Store      Store
	Vault      Vault
	Production Carrier
	Sandbox    Carrier // the simulator in process: sandbox accounts reach no carrier
	RefusalGap time.Duration
	Now        func() time.Time
	Random     io.Reader // of ids
}

// leaseWithoutDeadline is the lease of a request that has no deadline: the
// longest that a function runs.
const leaseWithoutDeadline = 30 * time.Second

// Lease is until when the work of ctx counts as running: its deadline.
func (l *Linker) Lease(ctx context.Context) time.Time {
	now := l.Now()
	if d, ok := ctx.Deadline(); ok {
		// The deadline is the wall clock's; Now may be a passed one.
		return now.Add(time.Until(d))
	}
	return now.Add(leaseWithoutDeadline)
}

// LinkRequest is what a merchant asks to link, after Preflight.
type LinkRequest struct {
	Account        carrier.Account
	ChargeAccount  carrier.ChargeAccount
	Nickname       string
	AllowDuplicate bool
	VerifyLater    bool // keep it although the carrier is down
	RefreshPolicy  carrier.RefreshPolicy
	ExternalID     string
	Metadata       map[string]string
	LinkedAs       []string // connections that hold this number now
	// Answer makes the record of the answer that is stored with the change; nil
	// without an idempotency key.
	Answer func(*carrier.Connection) (*carrier.IdempotencyRecord, error)
}

// Link verifies a charge account with its carrier and keeps it: the intent, the
// secret, then the active row. A refusal or an outage keeps nothing, unless
// VerifyLater says that an outage may: then the status is PendingVerification.
//
// Errors: fault.CarrierConflict (linked already, with ExistingCarrierID), State
// with RetryAfter (a twin is at work), those of carrier.Reading.Err, NotFound or
// Inactive for an account that went away meanwhile.
func (l *Linker) Link(ctx context.Context, req LinkRequest) (*carrier.Connection, error) {
	abandoned, err := l.holder(ctx, req)
	if err != nil {
		return nil, err
	}
	reading, snap := l.ask(ctx, req.Account.Environment, req.ChargeAccount, 1)
	now := l.Now()
	if reading.Outcome != carrier.OutcomeOK && (!req.VerifyLater || !reading.Outcome.IsOutage()) {
		return nil, reading.Err()
	}
	conn := abandoned
	options := carrier.LinkOptions{AllowDuplicate: req.AllowDuplicate, TakeOver: abandoned != nil}
	if conn == nil {
		id, err := carrier.NewConnectionID(l.Random)
		if err != nil {
			return nil, fmt.Errorf("making a carrier_id: %w", err)
		}
		conn = &carrier.Connection{ID: id, CreatedAt: now}
	}
	fill(conn, req, now)
	// Another version at each try, a take-over too: one stands for one value for
	// good, and this try's credentials may be others than the last one's.
	if conn.SecretVersion, err = carrier.NewSecretVersion(l.Random); err != nil {
		return nil, fmt.Errorf("naming the secret's version: %w", err)
	}
	conn.LeaseUntil = l.Lease(ctx)
	if err := l.Store.BeginLink(ctx, conn, options); err != nil {
		if list := fault.Of(err); list[0].Kind == fault.CarrierConflict {
			// Somebody was faster: what the other one is decides the answer.
			req.LinkedAs = []string{list[0].ExistingCarrierID}
			if _, conflict := l.holder(ctx, req); conflict != nil {
				return nil, conflict
			}
		}
		return nil, fmt.Errorf("writing the intent: %w", err)
	}
	if err := l.Vault.Create(ctx, conn.AccountID, conn.ID, conn.SecretVersion, req.ChargeAccount.Credentials); err != nil {
		return nil, fmt.Errorf("keeping the credentials: %w", err)
	}
	conn.Status, conn.LeaseUntil = carrier.PendingVerification, time.Time{}
	conn.Record(reading, carrier.TriggerLink, now, l.RefusalGap, rand.Float64()) //nolint:gosec // spreads a schedule
	var answer *carrier.IdempotencyRecord
	if req.Answer != nil {
		if answer, err = req.Answer(conn); err != nil {
			return nil, err
		}
	}
	if err := l.Store.FinishLink(ctx, conn, snap, answer); err != nil {
		return nil, fmt.Errorf("activating the connection: %w", err)
	}
	return conn, nil
}

// holder looks at who holds the number: another connection is a conflict unless
// duplicates are allowed; an intent that a crash left is returned, to be taken
// over; one at work asks to come back.
func (l *Linker) holder(ctx context.Context, req LinkRequest) (*carrier.Connection, error) {
	ids := slices.Clone(req.LinkedAs)
	slices.Sort(ids)
	var live string
	var busy error
	var abandoned *carrier.Connection
	for _, id := range ids {
		conn, err := l.Store.Connection(ctx, req.Account.ID, id)
		switch {
		case fault.Is(err, fault.NotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading the holder of the number: %w", err)
		case conn.Status != carrier.Linking:
			live = id
		case conn.LeaseUntil.After(l.Now()):
			busy = &fault.Error{
				Kind: fault.State, Field: "account_number", Message: "This charge account is being linked by another request.",
				RetryAfter: conn.LeaseUntil.Sub(l.Now()),
			}
		default:
			abandoned = &conn
		}
	}
	if live != "" && !req.AllowDuplicate {
		return nil, &fault.Error{
			Kind: fault.CarrierConflict, Field: "account_number", ExistingCarrierID: live,
			Message: "This charge account is linked already; allow_duplicate_account_number links it once more.",
		}
	}
	if busy != nil {
		return nil, busy
	}
	return abandoned, nil
}

// fill writes the request into the row of the intent.
func fill(conn *carrier.Connection, req LinkRequest, now time.Time) {
	conn.AccountID, conn.PartnerID = req.Account.ID, req.Account.PartnerID
	conn.Carrier, conn.AccountNumber = req.ChargeAccount.Carrier, req.ChargeAccount.Number
	conn.Nickname, conn.ExternalID, conn.Metadata = req.Nickname, req.ExternalID, req.Metadata
	conn.RefreshPolicy = req.RefreshPolicy
	conn.Status = carrier.Linking
	conn.APIKeyLastFour, conn.CredentialsUpdatedAt = req.ChargeAccount.Credentials.APIKey.LastFour(), now
	conn.ModifiedAt = now
}

// ask makes one check with the carrier of the environment, and packs a good
// answer. One too large to keep counts as unreadable.
func (l *Linker) ask(ctx context.Context, env carrier.Environment, account carrier.ChargeAccount, check int) (carrier.Reading, *carrier.Snapshot) {
	c := l.Production
	if env == carrier.Sandbox {
		c = l.Sandbox
	}
	reading := c.GetAccount(ctx, account, check)
	if reading.Outcome != carrier.OutcomeOK {
		return reading, nil
	}
	snap, err := carrier.NewSnapshot(reading.Raw, l.Now())
	if err != nil {
		reading.Outcome, reading.Cause = carrier.OutcomeUnreadable, err
		return reading, nil
	}
	return reading, &snap
}

// Checked is what a check came to.
type Checked struct {
	Connection carrier.Connection
	Snapshot   *carrier.Snapshot // the new one; nil unless the reading is good
	Reading    carrier.Reading
}

// ErrBusy is the cause when another process holds the lease of a connection.
var ErrBusy = errors.New("another check is running")

// Check asks the carrier about a connection now and records what it says. Only
// one check of a connection runs at a time: else fault.State with ErrBusy as
// its cause. A refusal or an outage is no error: it stands in Reading.
func (l *Linker) Check(ctx context.Context, env carrier.Environment, conn carrier.Connection, trigger carrier.Trigger) (Checked, error) {
	claimed, err := l.Store.ClaimCheck(ctx, conn, l.Lease(ctx), l.Now())
	if fault.Is(err, fault.State) {
		return Checked{}, &fault.Error{Kind: fault.State, Message: "This connection is being checked.", Cause: ErrBusy, RetryAfter: time.Second}
	}
	if err != nil {
		return Checked{}, fmt.Errorf("claiming the check: %w", err)
	}
	credentials, err := l.Vault.Get(ctx, claimed.AccountID, claimed.ID)
	if err != nil {
		// What we can not read is our fault, not the link's: nothing is recorded but
		// the end of the lease, and a missing secret must not look like a missing
		// connection.
		claimed.LeaseUntil = time.Time{}
		return Checked{}, &fault.Error{Kind: fault.Internal, Cause: errors.Join(
			fmt.Errorf("reading the credentials of %s: %w", claimed.ID, err), l.Store.RecordCheck(ctx, &claimed, nil))}
	}
	account := carrier.ChargeAccount{Carrier: claimed.Carrier, Number: claimed.AccountNumber, Credentials: credentials}
	reading, snap := l.ask(ctx, env, account, claimed.Checks+1)
	claimed.LeaseUntil = time.Time{}
	claimed.Record(reading, trigger, l.Now(), l.RefusalGap, rand.Float64()) //nolint:gosec // spreads a schedule
	if err := l.Store.RecordCheck(ctx, &claimed, snap); err != nil {
		return Checked{}, fmt.Errorf("recording the check: %w", err)
	}
	return Checked{Connection: claimed, Snapshot: snap, Reading: reading}, nil
}
