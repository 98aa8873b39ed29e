package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// Follow makes the connections of an account stand as it stands: paused while it
// is disabled, without a secret while it is deleted. It goes by what the account
// says now, so that it may be run again, and by several at once, after whatever
// crash. An account that changes meanwhile is followed where it went.
//
// One whose purge is due, or that is gone, is purged.
//
// Errors: fault.State when somebody is at work on one of the connections, or the
// account keeps changing: the reconciler comes back to it.
func (s *Service) Follow(ctx context.Context, accountID int64) error {
	const tries = 4
	var err error
	for range tries {
		var account account.Account
		account, err = s.Store.Account(ctx, accountID, time.Time{})
		if at, is := s.purged(account, err); is {
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

// eachConnection does something to each connection of an account. What one of them
// can not do keeps no other from it, but the account from being done; a
// fault.Precondition ends it, because the account is another one by now.
func (s *Service) eachConnection(ctx context.Context, accountID int64, do func(Connection) error) error {
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

// follow makes the connections follow the account that was read.
func (s *Service) follow(ctx context.Context, account account.Account) error {
	if !account.Following {
		return nil
	}
	err := s.eachConnection(ctx, account.ID, func(conn Connection) error {
		return s.retried(ctx, conn, false, func(conn Connection) error { return s.followOne(ctx, conn, account) })
	})
	if err != nil {
		return err
	}
	if err := s.Store.EndFollow(ctx, account); err != nil {
		return fmt.Errorf("noting that the account was followed: %w", err)
	}
	return nil
}

// followOne makes one connection stand as its account does. The secret is
// touched only while the row says so.
func (s *Service) followOne(ctx context.Context, conn Connection, acct account.Account) error {
	standing := acct.Standing()
	if conn.Status == Disconnected {
		return s.disconnectedFollows(ctx, conn, acct)
	}
	if !conn.Visible() || conn.Standing == standing && conn.PurgeAt.Equal(acct.PurgeAt) && conn.Work != WorkFollow {
		return nil
	}
	if err := s.idle(&conn); err != nil {
		return err
	}
	follow := func(conn *Connection) error {
		conn.Standing, conn.PurgeAt = standing, acct.PurgeAt
		conn.Work, conn.LeaseUntil = NoWork, time.Time{}
		return moved(s.Store.FollowConnection(ctx, conn, acct))
	}
	if standing != account.StandingDeleted && conn.Standing != account.StandingDeleted && conn.Work == NoWork {
		return follow(&conn) // the secret stays as it is
	}
	fresh := conn.Standing != account.StandingDeleted && conn.Work != WorkFollow
	conn.Work, conn.LeaseUntil = WorkFollow, s.Lease(ctx)
	if err := s.Store.FollowConnection(ctx, &conn, acct); err != nil {
		return moved(err)
	}
	if err := s.secretFollows(ctx, conn, acct, fresh); err != nil {
		return err
	}
	held := conn
	err := follow(&conn)
	if fault.Is(err, fault.Precondition) {
		// The next try need not wait for this one's lease.
		held.LeaseUntil = time.Time{}
		if freed := s.Store.SaveConnection(ctx, &held); freed != nil {
			return fmt.Errorf("giving the lease back: %w", freed)
		}
	}
	return err
}

// disconnectedFollows lets the row of an unlinked connection go with its account,
// where it would have stayed longer; a restore gives it the time that it had.
func (s *Service) disconnectedFollows(ctx context.Context, conn Connection, account account.Account) error {
	end := conn.DisconnectedAt.Add(HistoryKept)
	if account.Deleted() && account.PurgeAt.Before(end) {
		end = account.PurgeAt
	}
	if end = end.Truncate(time.Second); conn.PurgeAt.Equal(end) {
		return nil
	}
	if err := s.idle(&conn); err != nil {
		return err
	}
	conn.PurgeAt = end
	return moved(s.Store.FollowConnection(ctx, &conn, account))
}

// secretFollows deletes or restores the secret, as the account stands; fresh
// tells that nobody has begun to before. A secret that is gone for good stays so:
// the next check of the connection will tell.
func (s *Service) secretFollows(ctx context.Context, conn Connection, account account.Account, fresh bool) error {
	if !fresh || !account.Deleted() {
		// For another deletion too: the date of one that is scheduled does not change.
		if err := s.Vault.Restore(ctx, conn.AccountID, conn.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("restoring the secret: %w", err)
		}
	}
	if account.Deleted() {
		const day = 24 * time.Hour
		days := int((account.PurgeAt.Sub(s.Now()) + day - 1) / day)
		if err := s.Vault.Delete(ctx, conn.AccountID, conn.ID, max(days, 1)); err != nil {
			return fmt.Errorf("deleting the secret: %w", err)
		}
		return nil
	}
	return s.align(ctx, conn) // a change may have been cut off by the deletion
}

// Report is what a run of the reconciler did.
type Report struct {
	LinksUndone      int `json:"links_undone"`      // intents, with their secrets
	ChangesSettled   int `json:"changes_settled"`   // of credentials: finished or undone
	UnlinksFinished  int `json:"unlinks_finished"`  // secrets of unlinked connections
	AccountsFollowed int `json:"accounts_followed"` // accounts whose connections now stand as they do
	Malformed        int `json:"malformed"`         // entries of the index that nobody can read: skipped
	Busy             int `json:"busy"`              // somebody else is at it
	Failed           int `json:"failed"`
	Left             int `json:"left"` // for the next run: there was no time
}

// Reconcile finishes or undoes what crashes have left, at most limit of it, and
// stops while there is still time to say so. The error joins what failed; the
// rest was done all the same.
func (s *Service) Reconcile(ctx context.Context, limit int) (Report, error) {
	var report Report
	left, malformed, err := s.Store.Unfinished(ctx, s.Now(), limit)
	report.Malformed = malformed
	if err != nil {
		return report, fmt.Errorf("finding what is unfinished: %w", err)
	}
	var errs []error
	for i, u := range left {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastTime || ctx.Err() != nil {
			report.Left = len(left) - i
			break
		}
		err := s.settle(ctx, u, &report)
		switch {
		case err == nil, fault.Is(err, fault.NotFound): // gone meanwhile
		case fault.Is(err, fault.State), fault.Is(err, fault.Precondition):
			report.Busy++
		default:
			report.Failed++
			errs = append(errs, fmt.Errorf("settling %d %s: %w", u.AccountID, u.ConnectionID, err))
		}
	}
	return report, errors.Join(errs...)
}

// leastTime is what settling one thing may take.
const leastTime = 2 * time.Second

// settle finishes or undoes one thing, under a lease of its own.
func (s *Service) settle(ctx context.Context, u Unfinished, report *Report) error {
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
	unfinished := conn.Status == Linking || conn.Work != NoWork
	if !unfinished || conn.LeaseUntil.After(s.Now()) {
		return nil // somebody was faster, or is at it
	}
	if conn.Work == WorkFollow {
		account, err := s.Store.Account(ctx, u.AccountID, time.Time{})
		if at, is := s.purged(account, err); is {
			return s.purgeConnection(ctx, conn, at)
		}
		if err != nil {
			return err
		}
		// Counted with its account, which is in the list too.
		return s.retried(ctx, conn, false, func(conn Connection) error { return s.followOne(ctx, conn, account) })
	}
	if conn.Work == WorkCredentials {
		if _, err := s.settled(ctx, conn); err != nil {
			return err
		}
		report.ChangesSettled++
		return nil
	}
	conn.LeaseUntil = s.Lease(ctx)
	if err := s.Store.SaveConnection(ctx, &conn); err != nil {
		return err
	}
	if conn.Status == Linking {
		// Nobody was told of it, so nobody misses it.
		if err := s.Vault.Delete(ctx, conn.AccountID, conn.ID, 0); err != nil {
			return fmt.Errorf("deleting the secret of an intent: %w", err)
		}
		if err := s.Store.DropLink(ctx, conn); err != nil {
			return fmt.Errorf("dropping an intent: %w", err)
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
