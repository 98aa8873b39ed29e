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
	"carrierlink/shared/invocation"
)

// UnlinkedSecretDays is how long the operator can still restore the secret of an
// unlinked connection: the shortest time that AWS offers.
const UnlinkedSecretDays = 7

// ChangeRequest is a change of a connection.
type ChangeRequest struct {
	Connection     Connection   // as it was read
	Credentials    *Credentials // nil keeps the stored ones
	Number         string       // empty keeps the stored one
	AllowDuplicate bool         // another connection of the account may have the number
	Pinned         bool         // changes the version that was read and no later one
	// Edit changes fields that need no check with the carrier.
	Edit    func(*Connection)
	By      effects.By // recorded as who had the credentials read
	Effects effects.For[*Connection]
}

// Change changes a connection. New credentials and a new number are verified with the
// carrier first; after a refusal or an outage nothing has changed. If the request
// repeats what is stored, it is only verified: a good answer is recorded, and a rollback
// restores what it would have restored before.
//
// Errors: those of Reading.Err; fault.CarrierConflict if another connection has the
// number; RateLimited when the calls with the credentials are used up; State with
// RetryAfter while another change runs; Precondition if a pinned connection has
// changed; NotFound; *effects.Replay.
func (s *Service) Change(ctx context.Context, req ChangeRequest) (*Connection, error) {
	if req.Credentials == nil && (req.Number == "" || req.Number == req.Connection.AccountNumber) {
		return s.editLocal(ctx, req)
	}
	conn := req.Connection
	if err := s.requireIdle(conn); err != nil {
		return nil, err
	}
	if req.Credentials == nil {
		if err := conn.Held(s.Now()); err != nil {
			return nil, err
		}
	}
	account := ChargeAccount{Carrier: conn.Carrier, Number: conn.AccountNumber}
	if req.Number != "" {
		account.Number = req.Number
	}
	credentialID := conn.CredentialID
	if req.Credentials != nil {
		credentialID = CredentialID(req.Credentials.APIKey)
	}
	var reads effects.Effects
	var err error
	if credentialID == conn.CredentialID {
		if reads, err = conn.ReadsSecret(req.By, readForChange, s.Random, s.Now()); err != nil {
			return nil, err
		}
	}
	account.BeforeRetry = s.takeCall(conn, credentialID, reads)
	if err := account.BeforeRetry(ctx); err != nil {
		return nil, err
	}
	stored := req.Credentials == nil
	if !stored {
		account.Credentials = *req.Credentials
		if stored, err = s.isStored(ctx, conn, account.Credentials); err != nil {
			return nil, err
		}
	} else if account.Credentials, err = ReadCredentials(ctx, s.Vault, conn, s.Now()); err != nil {
		return nil, explainUnreadable(conn, err)
	}
	check, unchanged := 1, stored && account.Number == conn.AccountNumber // new credentials or a new number start with check 1
	if unchanged {
		check = conn.ChecksWithCredentials + 1
	}
	reading, snap := s.Ask(ctx, conn.Environment, account, check, s.Now())
	if err := reading.Err(); err != nil {
		return nil, err
	}
	if unchanged {
		return s.recordVerified(ctx, req, reading, snap)
	}
	return s.replaceCredentials(ctx, conn, replacement{
		account: account, kind: effects.CarrierUpdated, fresh: true, reading: reading, snapshot: snap, duplicate: req.AllowDuplicate, pinned: req.Pinned, edit: req.Edit, effects: req.Effects,
		version: func(ctx context.Context) (string, error) {
			if stored {
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

// isStored reports whether the connection has exactly this key and secret, so that no
// version is staged for what is there. Stored credentials that cannot be read count as
// different, so that the change repairs them.
func (s *Service) isStored(ctx context.Context, conn Connection, c Credentials) (bool, error) {
	if CredentialID(c.APIKey) != conn.CredentialID {
		return false, nil
	}
	stored, err := ReadCredentials(ctx, s.Vault, conn, s.Now())
	if fault.Is(err, fault.Overloaded) {
		return false, explainUnreadable(conn, err)
	}
	return err == nil && stored.Equal(c), nil
}

// recordVerified records that the carrier accepts the stored credentials, and applies
// the edit. A running check keeps its lease and is recorded afterwards.
func (s *Service) recordVerified(ctx context.Context, req ChangeRequest, reading Reading, snap *Snapshot) (*Connection, error) {
	var next Connection
	err := s.retryStale(ctx, req.Connection, req.Pinned, func(row Connection) error {
		if err := s.requireUnchanged(row, req.Connection); err != nil {
			return err
		}
		row, err := s.finishChange(ctx, row)
		if err != nil {
			return err
		}
		next = row
		entry := next.Record(s.observe(next.ID, reading, TriggerManual, health.Breaker{}))
		fresh, err := s.noteContract(ctx, &next, row, reading, snap, &entry)
		if err != nil {
			return err
		}
		s.applyEdit(&next, req.Edit)
		reports := append(next.changeReports(row, effects.CarrierUpdated), next.checkReports(row, reading, entry.Changes, s.Now())...)
		fx, err := req.Effects.Reporting(&next, s.Random, s.Now(), reports...)
		if err != nil {
			return err
		}
		return staleRow(s.Store.ChangeConnection(ctx, &next, Update{Entry: &entry, Snapshot: fresh}, fx, s.Now()))
	})
	if err != nil {
		return nil, fmt.Errorf("recording that the credentials are good: %w", err)
	}
	next.measureCheck(ctx)
	return &next, nil
}

// Rollback restores the credentials and the number that the latest change replaced, if
// the carrier accepts them. pinned and by as in ChangeRequest. Errors: those of Change;
// fault.State without RetryAfter if there is nothing to roll back to.
func (s *Service) Rollback(ctx context.Context, conn Connection, pinned bool, by effects.By, fx effects.For[*Connection]) (*Connection, error) {
	if err := s.requireIdle(conn); err != nil {
		return nil, err
	}
	previous := conn.Previous
	if !previous.Available(s.Now()) {
		return nil, ErrNothingToRollBack(previous)
	}
	reads, err := conn.ReadsSecret(by, readForRollback, s.Random, s.Now())
	if err != nil {
		return nil, err
	}
	takeCall := s.takeCall(conn, previous.CredentialID, reads)
	if err := takeCall(ctx); err != nil {
		return nil, err
	}
	old := conn
	old.SecretVersion = previous.SecretVersion
	credentials, err := ReadCredentials(ctx, s.Vault, old, s.Now())
	if fault.Is(err, fault.NotFound) {
		return nil, ErrPreviousGone(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the previous credentials: %w", err)
	}
	account := ChargeAccount{Carrier: conn.Carrier, Number: previous.AccountNumber, Credentials: credentials, BeforeRetry: takeCall}
	reading, snap := s.Ask(ctx, conn.Environment, account, conn.ChecksWithCredentials+1, s.Now())
	if err := reading.Err(); err != nil {
		return nil, err
	}
	restored, err := s.replaceCredentials(ctx, conn, replacement{
		account: account, kind: effects.CarrierRolledBack, reading: reading, snapshot: snap, pinned: pinned, effects: fx, edit: func(*Connection) {},
		version: func(context.Context) (string, error) { return previous.SecretVersion, nil },
	})
	if fault.Is(err, fault.CarrierConflict) {
		err = ErrPreviousNumberLinked(fault.Of(err)[0].ExistingCarrierID)
	}
	return restored, err
}

// editLocal changes fields that need no check with the carrier, of whatever version the row
// has. A running check keeps its lease and is recorded afterwards. An edit without a
// difference writes only the answer.
func (s *Service) editLocal(ctx context.Context, req ChangeRequest) (*Connection, error) {
	var changed Connection
	err := s.retryStale(ctx, req.Connection, req.Pinned, func(conn Connection) error {
		if !conn.Visible() {
			return ErrNoConnection()
		}
		if err := s.requireIdle(conn); err != nil {
			return err
		}
		var err error
		if changed, err = s.finishChange(ctx, conn); err != nil {
			return err
		}
		differs := s.applyEdit(&changed, req.Edit)
		fx, err := req.Effects.Reporting(&changed, s.Random, s.Now(), changed.changeReports(conn, effects.CarrierUpdated)...)
		if err != nil || !differs && fx.Answer == nil {
			return err
		}
		return staleRow(s.Store.ChangeConnection(ctx, &changed, Update{Unchanged: !differs}, fx, s.Now()))
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// applyEdit applies an edit and reports whether the connection differs. A new policy
// reschedules the next check.
func (s *Service) applyEdit(conn *Connection, edit func(*Connection)) (differs bool) {
	before := *conn
	edit(conn)
	if conn.Same(before) {
		return false
	}
	conn.ModifiedAt = s.Now()
	if conn.RefreshPolicy != before.RefreshPolicy && conn.Status != ActionRequired {
		conn.Reschedule(s.Now(), s.Timing, s.jitter(conn.ID))
	}
	return true
}

// requireIdle is fault.Busy while another process works on the secret. Work whose lease
// has expired is finished by the next write.
func (s *Service) requireIdle(conn Connection) error {
	if conn.Work != NoWork && conn.LeaseUntil.After(s.Now()) {
		return fault.Busy(nil)
	}
	return nil
}

func explainUnreadable(conn Connection, err error) error {
	if fault.Is(err, fault.NotFound) {
		return Reading{Outcome: carrier.OutcomeNoCredentials, Cause: err}.Err()
	}
	return fmt.Errorf("reading the credentials of %s: %w", conn.ID, err)
}

// replacement has the verified credentials and number that replace a connection's.
type replacement struct {
	account   ChargeAccount
	version   func(context.Context) (string, error) // of the secret; stages it if it is new
	kind      effects.EventType                     // carrier_updated or carrier_rolled_back
	fresh     bool                                  // the credentials were never checked before
	reading   Reading
	snapshot  *Snapshot
	duplicate bool
	pinned    bool
	edit      func(*Connection)
	effects   effects.For[*Connection]
}

// replaceCredentials changes the credentials in four steps: the row takes a lease for
// WorkCredentials, the version of the secret is staged, the row names it, the labels of
// the secret are moved. The third step makes the change.
func (s *Service) replaceCredentials(ctx context.Context, conn Connection, r replacement) (*Connection, error) {
	claimed, err := s.claimWork(ctx, conn, r.pinned)
	if err != nil {
		return nil, err
	}
	next, err := s.writeReplacement(ctx, claimed, r)
	if err != nil {
		if undone := s.undoChange(ctx, claimed); undone != nil {
			err = fmt.Errorf("%w; and undoing it: %v", err, undone) //nolint:errorlint // its kind must not decide the answer
		}
		return nil, err
	}
	// The change is made. If moving the labels fails the reconciler moves them.
	if err := s.alignAndRelease(ctx, next); err != nil {
		slog.WarnContext(ctx, "credentials changed; secret labels not yet updated", slog.Int64("account_id", next.AccountID), slog.String("carrier_id", next.ID), slog.String("error", err.Error()))
	}
	return next, nil
}

func (s *Service) writeReplacement(ctx context.Context, claimed Connection, r replacement) (*Connection, error) {
	version, err := r.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("storing the credentials: %w", err)
	}
	now := s.Now()
	next := claimed
	next.Previous = PreviousCredentials{
		SecretVersion: claimed.SecretVersion, AccountNumber: claimed.AccountNumber, LastFour: claimed.APIKeyLastFour, CredentialID: claimed.CredentialID,
		Until: now.Add(PreviousKept),
	}
	next.SecretVersion, next.AccountNumber = version, r.account.Number
	next.setCredentials(r.account.Credentials, now)
	if r.fresh {
		next.ChecksWithCredentials = 0
	}
	if next.AccountNumber != claimed.AccountNumber {
		next.WarnedOf, next.WarnedDays = "", 0
	}
	entry := next.Record(s.observe(next.ID, r.reading, TriggerManual, health.Breaker{}))
	fresh, err := s.noteContract(ctx, &next, claimed, r.reading, r.snapshot, &entry)
	if err != nil {
		return nil, err
	}
	s.applyEdit(&next, r.edit)
	reports := append(next.changeReports(claimed, r.kind), next.checkReports(claimed, r.reading, entry.Changes, s.Now())...)
	fx, err := r.effects.Reporting(&next, s.Random, s.Now(), reports...)
	if err != nil {
		return nil, err
	}
	update := Update{OldNumber: claimed.AccountNumber, AllowDuplicate: r.duplicate, Entry: &entry, Snapshot: fresh}
	if err := s.Store.ChangeConnection(ctx, &next, update, fx, s.Now()); err != nil {
		return nil, fmt.Errorf("changing the connection: %w", s.explainConflict(ctx, next.AccountID, err))
	}
	next.measureCheck(ctx)
	return &next, nil
}

// undoChange removes the version that a failed change has staged, and ends the work.
// The write that names that version may have succeeded, or may still arrive. Rewriting
// the row first settles whether that write counts: either it comes too late, or ours
// fails. If anything fails here, the reconciler finishes the work.
func (s *Service) undoChange(ctx context.Context, claimed Connection) error {
	ctx, cancel := invocation.Cleanup(ctx, undoTime)
	defer cancel()
	if err := s.Store.SaveConnection(ctx, &claimed); err != nil {
		return fmt.Errorf("keeping the work on the secret: %w", err)
	}
	return s.alignAndRelease(ctx, &claimed)
}

// claimWork takes the lease of the connection for WorkCredentials. A check that is
// running cannot be recorded any more.
func (s *Service) claimWork(ctx context.Context, conn Connection, pinned bool) (Connection, error) {
	var claimed Connection
	err := s.retryStale(ctx, conn, pinned, func(row Connection) error {
		if err := s.requireUnchanged(row, conn); err != nil {
			return err
		}
		// Staging moves the pending label, which may be all that keeps the row's current
		// version alive.
		row, err := s.finishChange(ctx, row)
		if err != nil {
			return err
		}
		claimed = row
		claimed.beginWork(WorkCredentials, s.Lease(ctx))
		return staleRow(s.Store.SaveConnection(ctx, &claimed))
	})
	return claimed, err
}

// requireUnchanged fails if the row has other credentials or another number than the
// connection that the carrier was asked about, or another process works on its secret.
func (s *Service) requireUnchanged(row, asked Connection) error {
	switch {
	case !row.Visible():
		return ErrNoConnection()
	case row.SecretVersion != asked.SecretVersion || row.AccountNumber != asked.AccountNumber:
		return fault.Busy(nil)
	}
	if err := s.requireIdle(row); err != nil {
		return err
	}
	if row.Standing == account.StandingDeleted || row.Work == WorkFollow {
		return ErrFollowing()
	}
	return nil
}

// finishChange takes over a change of credentials whose lease has expired, and moves the
// labels of the secret to the version that the row names. It returns any other row as
// it is.
func (s *Service) finishChange(ctx context.Context, conn Connection) (Connection, error) {
	if conn.Work != WorkCredentials || conn.LeaseUntil.After(s.Now()) {
		return conn, nil
	}
	conn.beginWork(WorkCredentials, s.Lease(ctx))
	if err := s.Store.SaveConnection(ctx, &conn); err != nil {
		return conn, fmt.Errorf("taking over an unfinished change: %w", staleRow(err))
	}
	if err := s.alignAndRelease(ctx, &conn); err != nil {
		return conn, fmt.Errorf("finishing a change: %w", err)
	}
	return conn, nil
}

// align moves the labels of the secret to the version that the row names. It ignores a
// missing secret, which the next check reports.
func (s *Service) align(ctx context.Context, conn Connection) error {
	if err := s.Vault.Align(ctx, conn.AccountID, conn.ID, conn.SecretVersion, conn.Previous.SecretVersion); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("moving the labels of the secret: %w", err)
	}
	return nil
}

// alignAndRelease makes the secret agree with the row, and ends the work on it. Previous
// credentials that can no longer be rolled back to are given up.
func (s *Service) alignAndRelease(ctx context.Context, conn *Connection) error {
	if conn.previousEnded(s.Now()) {
		conn.Previous.SecretVersion = ""
	}
	if err := s.align(ctx, *conn); err != nil {
		return err
	}
	return s.release(ctx, conn)
}

// release ends the work on a connection.
func (s *Service) release(ctx context.Context, conn *Connection) error {
	done := *conn
	done.endWork()
	if err := s.Store.SaveConnection(ctx, &done); err != nil {
		return fmt.Errorf("ending the work on the secret: %w", err)
	}
	*conn = done
	return nil
}

// RequestRefresh makes the connection due now: the next pass of the schedule checks it.
func (s *Service) RequestRefresh(ctx context.Context, conn Connection, pinned bool, fx effects.For[*Connection]) (*Connection, error) {
	return s.editLocal(ctx, ChangeRequest{Connection: conn, Pinned: pinned, Effects: fx, Edit: func(c *Connection) {
		c.NextRefreshAt, c.RefreshRequestedAt = s.Now(), s.Now()
		if c.Held(s.Now()) != nil {
			c.NextRefreshAt = c.HeldUntil
		}
	}})
}

// Unlink disconnects a connection, then schedules the deletion of its secret. Its row
// stays as long as its history. A pinned connection is unlinked only in the version that
// was read. Errors: fault.NotFound, also for an unlinked connection; State with
// RetryAfter while its credentials are being changed; Precondition if a pinned
// connection has changed.
func (s *Service) Unlink(ctx context.Context, conn Connection, pinned bool, fx effects.For[*Connection]) error {
	var row Connection
	err := s.retryStale(ctx, conn, pinned, func(conn Connection) error {
		if conn.Status == Disconnected && conn.Work == WorkUnlink {
			row = conn // a repeat, which only has to finish the work
			return nil
		}
		if !conn.Visible() {
			return ErrNoConnection()
		}
		if err := s.requireIdle(conn); err != nil {
			return err
		}
		now := s.Now()
		row = conn
		row.beginWork(WorkUnlink, s.Lease(ctx))
		row.Status, row.StatusReason = Disconnected, ""
		row.DisconnectedAt, row.ModifiedAt, row.PurgeAt = now, now, now.Add(HistoryKept)
		row.NextRefreshAt, row.RefreshRequestedAt = time.Time{}, time.Time{}
		row.Previous, row.ContractHash = PreviousCredentials{}, ""
		made, err := fx.Reporting(&row, s.Random, s.Now(), row.report(effects.CarrierDisconnected, nil))
		if err != nil {
			return err
		}
		return staleRow(s.Store.Unlink(ctx, &row, made, now))
	})
	if err != nil {
		return err
	}
	if err := s.finishUnlink(ctx, row); err != nil {
		slog.WarnContext(ctx, "connection unlinked; secret not yet deleted", slog.Int64("account_id", row.AccountID), slog.String("carrier_id", row.ID), slog.String("error", err.Error()))
	}
	return nil
}

// finishUnlink schedules the deletion of the secret of a disconnected connection.
func (s *Service) finishUnlink(ctx context.Context, row Connection) error {
	if err := s.Vault.Delete(ctx, row.AccountID, row.ID, UnlinkedSecretDays); err != nil {
		return fmt.Errorf("deleting the secret: %w", err)
	}
	return s.release(ctx, &row)
}
