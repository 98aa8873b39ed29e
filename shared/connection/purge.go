package connection

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// purge takes away what there still is of an account whose purge is due, or whose
// item is gone, and that its connections have not followed: their secrets are
// deleted at once, as nobody can restore the account any more, and all of its
// items get an end. What one of the connections can not do keeps no other from it,
// but the account from being done: the reconciler comes back to it and fails
// until it is.
//
// Errors: fault.State when somebody is at work on one of the connections; Internal.
func (s *Service) purge(ctx context.Context, accountID int64, at time.Time) error {
	err := s.eachConnection(ctx, accountID, func(conn Connection) error { return s.purgeConnection(ctx, conn, at) })
	if err != nil {
		return err
	}
	if err := s.Store.EndPurge(ctx, accountID, at); err != nil {
		return fmt.Errorf("ending a purge: %w", err)
	}
	return nil
}

// purgeConnection deletes the secret of one connection, and ends its row. An
// intent is the reconciler's to undo.
func (s *Service) purgeConnection(ctx context.Context, conn Connection, at time.Time) error {
	return s.retried(ctx, conn, false, func(conn Connection) error {
		ended := conn.Work == NoWork && !conn.PurgeAt.IsZero() && !conn.PurgeAt.After(at)
		gone := conn.Status == Disconnected || conn.Standing == account.StandingDeleted
		if conn.Status == Linking || ended && gone {
			return nil
		}
		if err := s.idle(&conn); err != nil {
			return err
		}
		if conn.Work != NoWork || !gone {
			// The row first: the schedule uses the secret no more.
			conn.Work, conn.LeaseUntil = WorkFollow, s.Lease(ctx)
			if err := s.Store.SaveConnection(ctx, &conn); err != nil {
				return moved(err)
			}
			if err := s.Vault.Delete(ctx, conn.AccountID, conn.ID, 0); err != nil {
				return fmt.Errorf("deleting the secret: %w", err)
			}
		}
		if conn.Visible() {
			conn.Standing = account.StandingDeleted
		}
		conn.Work, conn.LeaseUntil, conn.PurgeAt = NoWork, time.Time{}, at
		return moved(s.Store.SaveConnection(ctx, &conn))
	})
}

// purged tells whether an account's purge is due, and since when, by what was read
// of it; one that is gone is as of now.
func (s *Service) purged(account account.Account, read error) (at time.Time, is bool) {
	now := s.Now()
	if fault.Is(read, fault.NotFound) {
		return now.Truncate(time.Second), true
	}
	return account.PurgeAt, read == nil && account.Purged(now)
}
