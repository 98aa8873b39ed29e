package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// Follow brings the connections of an account into line with it: paused while it is
// disabled, without secrets while it is deleted. It acts on what the account says now,
// so it may be repeated, or run concurrently, after any crash. If the account changes
// meanwhile, its new state is followed. An account that is gone, or whose purge is due,
// is purged.
//
// Errors: fault.State if another process works on one of the connections, or the account
// keeps changing: the reconciler tries again.
func (s *Service) Follow(ctx context.Context, accountID int64) error {
	const attempts = 4
	var err error
	for range attempts {
		var account account.Account
		account, err = s.Store.Account(ctx, accountID, time.Time{})
		if at, due := s.purgeDue(account, err); due {
			return s.purge(ctx, accountID, at)
		}
		if err != nil {
			return fmt.Errorf("reading the account: %w", err)
		}
		if err = s.follow(ctx, account); !fault.Is(err, fault.Precondition) {
			return err
		}
	}
	return fault.Busy(err)
}

// forEachConnection calls do for each connection of an account, also after failures,
// which it returns. A fault.Precondition ends it, because the account has changed.
func (s *Service) forEachConnection(ctx context.Context, accountID int64, do func(Connection) error) error {
	rows, err := s.Store.AllConnections(ctx, accountID)
	if err != nil {
		return fmt.Errorf("reading the connections of the account: %w", err)
	}
	var busy error
	var failed []error
	for _, conn := range rows {
		err := do(conn)
		switch {
		case err == nil, fault.Is(err, fault.NotFound):
		case fault.Is(err, fault.Precondition):
			return err
		case fault.Is(err, fault.State):
			busy = err
		default:
			failed = append(failed, fmt.Errorf("%s: %w", conn.ID, err))
		}
	}
	if len(failed) > 0 {
		return &fault.Error{Kind: fault.Internal, Cause: errors.Join(failed...)}
	}
	return busy
}

// follow brings the connections into line with the account that was read.
func (s *Service) follow(ctx context.Context, account account.Account) error {
	if !account.Following {
		return nil
	}
	err := s.forEachConnection(ctx, account.ID, func(conn Connection) error { return s.followAccount(ctx, conn, account) })
	if err != nil {
		return err
	}
	if err := s.Store.EndFollow(ctx, account); err != nil {
		return fmt.Errorf("recording that the account was followed: %w", err)
	}
	return nil
}

// byReconciler are the effects of a connection that follows its account. The account's
// own change, which somebody asked for, has been made before.
var byReconciler = effects.Effects{By: effects.By{Actor: effects.Reconciler}}

// followAccount brings one connection into line with its account.
func (s *Service) followAccount(ctx context.Context, conn Connection, acct account.Account) error {
	return s.retryStale(ctx, conn, false, func(conn Connection) error {
		if conn.Status == Disconnected {
			return s.followDisconnected(ctx, conn, acct)
		}
		return s.followVisible(ctx, conn, acct)
	})
}

// followVisible pauses, deletes or restores a connection. It changes the secret only
// while the row has the lease for WorkFollow.
func (s *Service) followVisible(ctx context.Context, conn Connection, acct account.Account) error {
	standing := acct.Standing()
	if !conn.Visible() || conn.Standing == standing && conn.PurgeAt.Equal(acct.PurgeAt) && conn.Work != WorkFollow {
		return nil
	}
	if err := s.requireIdle(conn); err != nil {
		return err
	}
	deletionScheduled := conn.Work == WorkFollow || conn.Standing == account.StandingDeleted
	secretStays := standing != account.StandingDeleted && conn.Standing != account.StandingDeleted && conn.Work == NoWork
	if !secretStays {
		conn.beginWork(WorkFollow, s.Lease(ctx))
		if err := s.Store.FollowConnection(ctx, &conn, acct, effects.Effects{}, s.Now()); err != nil {
			return staleRow(err)
		}
		if err := s.updateSecret(ctx, conn, acct, deletionScheduled); err != nil {
			return err
		}
	}
	held := conn
	conn.Standing, conn.PurgeAt = standing, acct.PurgeAt
	conn.endWork()
	err := staleRow(s.Store.FollowConnection(ctx, &conn, acct, byReconciler, s.Now()))
	if !secretStays && fault.Is(err, fault.Precondition) {
		// The next attempt need not wait for this lease.
		held.LeaseUntil = time.Time{}
		if freed := s.Store.SaveConnection(ctx, &held); freed != nil {
			return fmt.Errorf("releasing the lease: %w", freed)
		}
	}
	return err
}

// followDisconnected ends the row of an unlinked connection with its account, if that
// ends sooner; a restore of the account undoes that.
func (s *Service) followDisconnected(ctx context.Context, conn Connection, account account.Account) error {
	end := conn.DisconnectedAt.Add(HistoryKept)
	if account.Deleted() && account.PurgeAt.Before(end) {
		end = account.PurgeAt
	}
	if end = end.Truncate(time.Second); conn.PurgeAt.Equal(end) {
		return nil
	}
	if err := s.requireIdle(conn); err != nil {
		return err
	}
	conn.PurgeAt = end
	return staleRow(s.Store.FollowConnection(ctx, &conn, account, byReconciler, s.Now()))
}

// updateSecret deletes or restores the secret, as its account is; deletionScheduled says
// that its deletion may be scheduled already. It ignores a missing secret, which the next
// check reports.
func (s *Service) updateSecret(ctx context.Context, conn Connection, account account.Account, deletionScheduled bool) error {
	if deletionScheduled || !account.Deleted() {
		// Before another deletion too: the date of a scheduled one cannot be changed.
		if err := s.Vault.Restore(ctx, conn.AccountID, conn.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("restoring the secret: %w", err)
		}
	}
	if !account.Deleted() {
		return s.align(ctx, conn) // the deletion may have interrupted a change
	}
	const day = 24 * time.Hour
	days := int((account.PurgeAt.Sub(s.Now()) + day - 1) / day)
	if err := s.Vault.Delete(ctx, conn.AccountID, conn.ID, max(days, 1)); err != nil {
		return fmt.Errorf("deleting the secret: %w", err)
	}
	return nil
}

// Report counts what a run of the reconciler did.
type Report struct {
	LinksUndone      int `json:"links_undone"`      // intents and their secrets
	ChangesSettled   int `json:"changes_settled"`   // changes of credentials, finished or undone
	UnlinksFinished  int `json:"unlinks_finished"`  // secrets of unlinked connections deleted
	AccountsFollowed int `json:"accounts_followed"` // accounts whose connections were brought into line
	Malformed        int `json:"malformed"`         // unreadable entries of the index, skipped
	Busy             int `json:"busy"`              // another process works on it
	Failed           int `json:"failed"`
	Left             int `json:"left"` // for the next run, because time ran out
}

// Reconcile finishes or undoes at most limit things that crashes have left. It stops
// early enough to report. The error joins all failures; everything else was done.
func (s *Service) Reconcile(ctx context.Context, limit int) (Report, error) {
	var report Report
	found, malformed, err := s.Store.Unfinished(ctx, s.Now(), limit)
	report.Malformed = malformed
	if err != nil {
		return report, fmt.Errorf("listing what is unfinished: %w", err)
	}
	defer func() { report.measure(ctx, found, s.Now()) }()
	var errs []error
	for i, u := range found {
		if invocation.EndsWithin(ctx, reserve) {
			report.Left = len(found) - i
			break
		}
		err := s.reconcileOne(ctx, u, &report)
		switch {
		case err == nil, fault.Is(err, fault.NotFound): // gone meanwhile
		case fault.Is(err, fault.State), fault.Is(err, fault.Precondition):
			report.Busy++
		default:
			report.Failed++
			errs = append(errs, fmt.Errorf("reconciling %d %s: %w", u.AccountID, u.ConnectionID, err))
		}
	}
	return report, errors.Join(errs...)
}

// measure adds the metrics of a run that found this, the oldest first.
func (r Report) measure(ctx context.Context, found []Unfinished, now time.Time) {
	var age time.Duration
	for _, u := range found {
		if !u.DueAt.IsZero() {
			age = max(age, now.Sub(u.DueAt))
		}
	}
	metrics.Add(ctx, metrics.OldestRepair, "", int64(age/time.Second))
	for _, c := range []struct {
		metric metrics.Metric
		n      int
	}{{metrics.RepairsBusy, r.Busy}, {metrics.RepairsLeft, r.Left}, {metrics.Malformed, r.Malformed}} {
		if c.n > 0 {
			metrics.Add(ctx, c.metric, "", int64(c.n))
		}
	}
}

// reserve is the time that must be left to begin another reconcileOne.
const reserve = 2 * time.Second

// reconcileOne finishes or undoes one thing, under a lease of its own.
func (s *Service) reconcileOne(ctx context.Context, u Unfinished, report *Report) error {
	if u.ConnectionID == "" {
		if err := s.Follow(ctx, u.AccountID); err != nil {
			return err
		}
		report.AccountsFollowed++
		return nil
	}
	conn, err := s.Store.Connection(ctx, u.AccountID, u.ConnectionID)
	if err != nil {
		return err
	}
	if conn.Work == NoWork && conn.previousEnded(s.Now()) && !conn.LeaseUntil.After(s.Now()) {
		conn.Work, conn.LeaseUntil = WorkCredentials, time.Time{} // which a check may have left
	}
	unfinished := conn.Status == Linking || conn.Work != NoWork
	if !unfinished || conn.LeaseUntil.After(s.Now()) {
		return nil // another process was faster or is working on it
	}
	if conn.Work == WorkFollow {
		account, err := s.Store.Account(ctx, u.AccountID, time.Time{})
		if at, due := s.purgeDue(account, err); due {
			return s.purgeConnection(ctx, conn, at)
		}
		if err != nil {
			return err
		}
		return s.followAccount(ctx, conn, account) // the report counts its account, which is listed too
	}
	if conn.Work == WorkCredentials {
		if _, err := s.finishChange(ctx, conn); err != nil {
			return err
		}
		report.ChangesSettled++
		return nil
	}
	conn.beginWork(conn.Work, s.Lease(ctx))
	if err := s.Store.SaveConnection(ctx, &conn); err != nil {
		return err
	}
	if conn.Status == Linking {
		if err := s.dropIntent(ctx, conn); err != nil {
			return err
		}
		report.LinksUndone++
		return nil
	}
	if err := s.finishUnlink(ctx, conn); err != nil {
		return err
	}
	report.UnlinksFinished++
	return nil
}

// undoLink drops the intent of a link that was refused. It writes the row first: an intent
// that another request has taken over stays, with its secret. If anything fails here, the
// reconciler drops the intent.
func (s *Service) undoLink(ctx context.Context, intent Connection) error {
	ctx, cancel := invocation.Cleanup(ctx, undoTime)
	defer cancel()
	if err := s.Store.SaveConnection(ctx, &intent); err != nil {
		return fmt.Errorf("keeping the intent: %w", err)
	}
	return s.dropIntent(ctx, intent)
}

func (s *Service) dropIntent(ctx context.Context, intent Connection) error {
	if err := s.Vault.Delete(ctx, intent.AccountID, intent.ID, 0); err != nil {
		return fmt.Errorf("deleting the secret of an intent: %w", err)
	}
	if err := s.Store.DropLink(ctx, intent); err != nil {
		return fmt.Errorf("dropping an intent: %w", err)
	}
	return nil
}
