package connection

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// UnlinkedSecretDays is how long the secret of an unlinked connection can still
// be brought back by the operator: the shortest time that AWS has.
const UnlinkedSecretDays = 7

// ChangeRequest is a change of a connection.
type ChangeRequest struct {
	Connection  Connection   // as it was read
	Credentials *Credentials // nil: those that it has
	Number      string       // empty: the one that it has
	// AllowDuplicate: another connection of the account may hold the number.
	AllowDuplicate bool
	// Pinned: of the version that was read, and no later one.
	Pinned bool
	// Edit changes what no carrier has to be asked about.
	Edit    func(*Connection)
	Effects effects.For[*Connection]
}

// Change changes a connection. New credentials and another number are verified
// with the carrier first: a refusal or an outage leaves everything as it was. The
// credentials that it has already, with its number, are verified only: a good
// answer is recorded, and what a rollback brings back stays.
//
// Errors: those of connection.Reading.Err; fault.CarrierConflict for a number that
// another connection holds; RateLimited when the carrier was asked too often with
// the credentials; State with RetryAfter while another change runs;
// Precondition for a pinned one that came too late; NotFound; *effects.Replay.
func (s *Service) Change(ctx context.Context, req ChangeRequest) (*Connection, error) {
	if req.Credentials == nil && (req.Number == "" || req.Number == req.Connection.AccountNumber) {
		return s.edit(ctx, req)
	}
	conn := req.Connection
	if err := s.idle(&conn); err != nil {
		return nil, err
	}
	account := ChargeAccount{Carrier: conn.Carrier, Number: conn.AccountNumber}
	if req.Number != "" {
		account.Number = req.Number
	}
	credentialID := conn.CredentialID
	if req.Credentials != nil {
		credentialID = CredentialID(req.Credentials.APIKey)
	}
	var err error
	if account.Again, err = s.allowed(ctx, conn, credentialID); err != nil {
		return nil, err
	}
	check, stays := 1, false // what is new to the carrier has its first check
	if req.Credentials != nil {
		account.Credentials = *req.Credentials
		if stays, err = s.stays(ctx, conn, account); err != nil {
			return nil, err
		}
	} else if account.Credentials, err = s.Vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion); err != nil {
		return nil, s.unreadable(conn, err)
	}
	if stays {
		check = conn.Checks + 1
	}
	reading, snap := s.Ask(ctx, conn.Environment, account, check, s.Now())
	if err := reading.Err(); err != nil {
		return nil, err
	}
	if stays {
		return s.reverified(ctx, req, reading, snap)
	}
	return s.replace(ctx, conn, replacement{
		account: account, fresh: true, reading: reading, snapshot: snap, duplicate: req.AllowDuplicate, pinned: req.Pinned, edit: req.Edit, effects: req.Effects,
		version: func(ctx context.Context) (string, error) {
			if req.Credentials == nil {
				return conn.SecretVersion, nil
			}
			token, err := NewSecretVersion(s.Random)
			if err != nil {
				return "", fmt.Errorf("naming the secret's version: %w", err)
			}
			return s.Vault.Stage(ctx, conn.AccountID, conn.ID, token, *req.Credentials)
		},
	})
}

// stays tells whether a charge account is the one that the connection has, to the
// secret. Credentials that nobody can read any more are not the same: the change
// mends them.
func (s *Service) stays(ctx context.Context, conn Connection, account ChargeAccount) (bool, error) {
	if account.Number != conn.AccountNumber || CredentialID(account.Credentials.APIKey) != conn.CredentialID {
		return false, nil
	}
	stored, err := s.Vault.Get(ctx, conn.AccountID, conn.ID, conn.SecretVersion)
	if fault.Is(err, fault.Overloaded) {
		return false, s.unreadable(conn, err)
	}
	return err == nil && stored.Equal(account.Credentials), nil
}

// reverified records that the carrier accepts what the connection has, and makes
// the edit. A check that is running keeps its lease, and is recorded after it.
func (s *Service) reverified(ctx context.Context, req ChangeRequest, reading Reading, snap *Snapshot) (*Connection, error) {
	var next Connection
	err := s.retried(ctx, req.Connection, req.Pinned, func(row Connection) error {
		if err := s.workable(row, req.Connection); err != nil {
			return err
		}
		row, err := s.settled(ctx, row)
		if err != nil {
			return err
		}
		next = row
		entry := next.Record(s.observation(reading, TriggerManual, health.Breaker{}))
		fresh, err := s.compare(ctx, &next, row, reading, snap, &entry)
		if err != nil {
			return err
		}
		s.apply(&next, req.Edit)
		fx, err := req.Effects.Of(&next)
		if err != nil {
			return err
		}
		return moved(s.Store.ChangeConnection(ctx, &next, Update{Entry: &entry, Snapshot: fresh}, fx, s.Now()))
	})
	if err != nil {
		return nil, fmt.Errorf("recording that the credentials are good: %w", err)
	}
	return &next, nil
}

// Rollback brings the credentials, and the number, back that the last change
// replaced, once the carrier accepts them. Errors: those of Change; fault.State
// without RetryAfter where there is nothing to roll back to.
func (s *Service) Rollback(ctx context.Context, conn Connection, fx effects.For[*Connection]) (*Connection, error) {
	if err := s.idle(&conn); err != nil {
		return nil, err
	}
	if !conn.Previous.Available(s.Now()) {
		return nil, ErrNothingToRollBack(conn.Previous)
	}
	again, err := s.allowed(ctx, conn, conn.Previous.CredentialID)
	if err != nil {
		return nil, err
	}
	version := conn.Previous.SecretVersion
	credentials, err := s.Vault.Get(ctx, conn.AccountID, conn.ID, version)
	if fault.Is(err, fault.NotFound) {
		return nil, ErrPreviousGone(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the previous credentials: %w", err)
	}
	account := ChargeAccount{Carrier: conn.Carrier, Number: conn.Previous.AccountNumber, Credentials: credentials, Again: again}
	reading, snap := s.Ask(ctx, conn.Environment, account, conn.Checks+1, s.Now())
	if err := reading.Err(); err != nil {
		return nil, err
	}
	return s.replace(ctx, conn, replacement{
		account: account, reading: reading, snapshot: snap, effects: fx, edit: func(*Connection) {},
		version: func(context.Context) (string, error) { return version, nil },
	})
}

// edit changes what no carrier has to be asked about, of whatever version of the
// row there is. A check that is running keeps its lease, and is recorded after it.
// An edit that changes nothing writes nothing but the answer.
func (s *Service) edit(ctx context.Context, req ChangeRequest) (*Connection, error) {
	var changed Connection
	err := s.retried(ctx, req.Connection, req.Pinned, func(conn Connection) error {
		if !conn.Visible() {
			return ErrNoCarrier()
		}
		if err := s.idle(&conn); err != nil {
			return err
		}
		var err error
		if changed, err = s.settled(ctx, conn); err != nil {
			return err
		}
		differs := s.apply(&changed, req.Edit)
		fx, err := req.Effects.Of(&changed)
		if err != nil || !differs && fx.Answer == nil {
			return err
		}
		return moved(s.Store.ChangeConnection(ctx, &changed, Update{Unchanged: !differs}, fx, s.Now()))
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// apply makes an edit, and tells whether it has changed anything; another policy
// makes another schedule.
func (s *Service) apply(conn *Connection, edit func(*Connection)) (differs bool) {
	before := *conn
	edit(conn)
	if conn.Same(before) {
		return false
	}
	conn.ModifiedAt = s.Now()
	if conn.RefreshPolicy != before.RefreshPolicy && conn.Status != ActionRequired {
		conn.Reschedule(s.Now(), s.Timing, jitter())
	}
	return true
}

// idle tells whether nobody is at work on the secret. A lease that is over has
// no owner any more: what it left is brought into line by whoever writes next.
func (s *Service) idle(conn *Connection) error {
	if conn.Work != NoWork && conn.LeaseUntil.After(s.Now()) {
		return ErrBeingChanged()
	}
	return nil
}

// unreadable is why credentials could not be read.
func (s *Service) unreadable(conn Connection, err error) error {
	if fault.Is(err, fault.NotFound) {
		return Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	return fmt.Errorf("reading the credentials of %s: %w", conn.ID, err)
}

// replacement is what takes the place of a connection's credentials and number,
// verified.
type replacement struct {
	account   ChargeAccount
	version   func(context.Context) (string, error) // of the secret, made if need be
	fresh     bool                                  // credentials that had no check before
	reading   Reading
	snapshot  *Snapshot
	duplicate bool
	pinned    bool
	edit      func(*Connection)
	effects   effects.For[*Connection]
}

// replace swaps the credentials: the row says that somebody is at work on them,
// the version is there, the row names it, the secret's labels follow. Until the
// row names it nothing has changed; from then on all has.
func (s *Service) replace(ctx context.Context, conn Connection, r replacement) (*Connection, error) {
	claimed, err := s.claimWork(ctx, conn, r.pinned)
	if err != nil {
		return nil, err
	}
	next, err := s.swap(ctx, claimed, r)
	if err != nil {
		if undone := s.undo(ctx, claimed); undone != nil {
			err = fmt.Errorf("%w; and undoing it: %v", err, undone) //nolint:errorlint // its kind must not decide the answer
		}
		return nil, err
	}
	// The change is made. What is left is housekeeping, and the reconciler's if
	// it fails.
	if err := s.alignAndFree(ctx, next); err != nil {
		slog.WarnContext(ctx, "credentials were changed, and their labels not yet", slog.String("carrier_id", next.ID), slog.String("error", err.Error()))
	}
	return next, nil
}

func (s *Service) swap(ctx context.Context, claimed Connection, r replacement) (*Connection, error) {
	version, err := r.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("keeping the credentials: %w", err)
	}
	now := s.Now()
	next := claimed
	next.Previous = PreviousCredentials{
		SecretVersion: claimed.SecretVersion, AccountNumber: claimed.AccountNumber, LastFour: claimed.APIKeyLastFour, CredentialID: claimed.CredentialID,
		Until: now.Add(PreviousKept),
	}
	next.SecretVersion, next.AccountNumber, next.CredentialsUpdatedAt = version, r.account.Number, now
	known(&next, r.account.Credentials)
	if r.fresh {
		next.Checks = 0
	}
	entry := next.Record(s.observation(r.reading, TriggerManual, health.Breaker{}))
	fresh, err := s.compare(ctx, &next, claimed, r.reading, r.snapshot, &entry)
	if err != nil {
		return nil, err
	}
	s.apply(&next, r.edit)
	fx, err := r.effects.Of(&next)
	if err != nil {
		return nil, err
	}
	change := Update{OldNumber: claimed.AccountNumber, AllowDuplicate: r.duplicate, Entry: &entry, Snapshot: fresh}
	if err := s.Store.ChangeConnection(ctx, &next, change, fx, s.Now()); err != nil {
		return nil, fmt.Errorf("changing the connection: %w", s.conflict(ctx, next.AccountID, err))
	}
	return &next, nil
}

// undo leaves no version pending that a failed change has staged, and ends the
// work. The write that was to name that version may have arrived all the same, or
// may yet: one more write of the row shuts it out, or is refused by it. Then, as
// with whatever else fails here, the reconciler looks at the row.
func (s *Service) undo(ctx context.Context, claimed Connection) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	if err := s.Store.SaveConnection(ctx, &claimed); err != nil {
		return fmt.Errorf("keeping the work on the secret: %w", err)
	}
	return s.alignAndFree(ctx, &claimed)
}

// claimWork takes the connection's lease for work on its credentials. A check
// that is running is overtaken: its record will fail.
func (s *Service) claimWork(ctx context.Context, conn Connection, pinned bool) (Connection, error) {
	var claimed Connection
	err := s.retried(ctx, conn, pinned, func(row Connection) error {
		if err := s.workable(row, conn); err != nil {
			return err
		}
		// The version that the row names may be held by the very label that the next
		// one takes.
		row, err := s.settled(ctx, row)
		if err != nil {
			return err
		}
		claimed = row
		claimed.Work, claimed.LeaseUntil = WorkCredentials, s.Lease(ctx)
		return moved(s.Store.SaveConnection(ctx, &claimed))
	})
	return claimed, err
}

// workable tells whether a row is still the one about which the carrier was asked,
// and nobody is at work on its secret.
func (s *Service) workable(row, asked Connection) error {
	switch {
	case !row.Visible():
		return ErrNoCarrier()
	case row.SecretVersion != asked.SecretVersion || row.AccountNumber != asked.AccountNumber:
		// Another change was faster: what was asked of the carrier is history.
		return ErrOvertaken()
	}
	if err := s.idle(&row); err != nil {
		return err
	}
	if row.Standing == account.StandingDeleted || row.Work == WorkFollow {
		return ErrFollowing()
	}
	return nil
}

// settled brings the labels of a secret into line with the row that a crash has
// left at work on it, once its lease is over. Any other row is returned as it is.
func (s *Service) settled(ctx context.Context, conn Connection) (Connection, error) {
	if conn.Work != WorkCredentials || conn.LeaseUntil.After(s.Now()) {
		return conn, nil
	}
	conn.LeaseUntil = s.Lease(ctx)
	if err := s.Store.SaveConnection(ctx, &conn); err != nil {
		return conn, fmt.Errorf("taking an unfinished change over: %w", moved(err))
	}
	if err := s.alignAndFree(ctx, &conn); err != nil {
		return conn, fmt.Errorf("settling an unfinished change: %w", err)
	}
	return conn, nil
}

// align brings the labels of the secret into line with the row. A secret that is
// gone has none: its next check will tell.
func (s *Service) align(ctx context.Context, conn Connection) error {
	if err := s.Vault.Align(ctx, conn.AccountID, conn.ID, conn.SecretVersion); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("moving the labels of the secret: %w", err)
	}
	return nil
}

// alignAndFree brings the labels of the secret into line with the row, and ends
// the work on it.
func (s *Service) alignAndFree(ctx context.Context, conn *Connection) error {
	if err := s.align(ctx, *conn); err != nil {
		return err
	}
	return s.free(ctx, conn)
}

// free ends the work on a connection.
func (s *Service) free(ctx context.Context, conn *Connection) error {
	done := *conn
	done.Work, done.LeaseUntil = NoWork, time.Time{}
	if err := s.Store.SaveConnection(ctx, &done); err != nil {
		return fmt.Errorf("ending the work on the secret: %w", err)
	}
	*conn = done
	return nil
}

// RequestRefresh makes the connection due now, whatever its schedule: the
// schedule's next pass takes it.
func (s *Service) RequestRefresh(ctx context.Context, conn Connection, fx effects.For[*Connection]) (*Connection, error) {
	return s.edit(ctx, ChangeRequest{Connection: conn, Effects: fx, Edit: func(c *Connection) {
		c.NextRefreshAt, c.RefreshRequestedAt = s.Now(), s.Now()
	}})
}

// Unlink takes a connection away: at once for everybody, its secret scheduled
// for deletion, its row kept as long as its history. pinned: the version that was
// read, and no later one. Errors: fault.NotFound, also for one that is unlinked;
// State with RetryAfter while its credentials are being changed; Precondition for
// a pinned one that came too late.
func (s *Service) Unlink(ctx context.Context, conn Connection, pinned bool, fx effects.For[*Connection]) error {
	var row Connection
	err := s.retried(ctx, conn, pinned, func(conn Connection) error {
		if conn.Status == Disconnected && conn.Work == WorkUnlink {
			row = conn // a repeat: what is left is done below
			return nil
		}
		if !conn.Visible() {
			return ErrNoCarrier()
		}
		if err := s.idle(&conn); err != nil {
			return err
		}
		now := s.Now()
		row = conn
		row.Status, row.StatusReason, row.Work, row.LeaseUntil = Disconnected, "", WorkUnlink, s.Lease(ctx)
		row.DisconnectedAt, row.ModifiedAt, row.PurgeAt = now, now, now.Add(HistoryKept)
		row.NextRefreshAt, row.RefreshRequestedAt = time.Time{}, time.Time{}
		row.Previous, row.ContractHash = PreviousCredentials{}, ""
		made, err := fx.Of(&row)
		if err != nil {
			return err
		}
		return moved(s.Store.Unlink(ctx, &row, made, now))
	})
	if err != nil {
		return err
	}
	if err := s.finishUnlink(ctx, row); err != nil {
		slog.WarnContext(ctx, "a connection was unlinked, and its secret is still there", slog.String("carrier_id", row.ID), slog.String("error", err.Error()))
	}
	return nil
}

// finishUnlink is what comes after the row says that the connection is gone.
func (s *Service) finishUnlink(ctx context.Context, row Connection) error {
	if err := s.Vault.Delete(ctx, row.AccountID, row.ID, UnlinkedSecretDays); err != nil {
		return fmt.Errorf("deleting the secret: %w", err)
	}
	return s.free(ctx, &row)
}
