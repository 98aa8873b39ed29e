package connection

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// purge removes what is left of an account that is gone or whose purge is due: it deletes
// the secrets of its connections at once, as the account cannot be restored any more, and
// sets the end of all its items.
//
// Errors: fault.State if another process works on one of the connections; Internal. The
// reconciler tries again.
func (s *Service) purge(ctx context.Context, accountID int64, at time.Time) error {
	err := s.forEachConnection(ctx, accountID, func(conn Connection) error { return s.purgeConnection(ctx, conn, at) })
	if err != nil {
		return err
	}
	if err := s.Store.EndPurge(ctx, accountID, at); err != nil {
		return fmt.Errorf("ending a purge: %w", err)
	}
	return nil
}

// purgeConnection deletes the secret of a connection and ends its row. Intents are undone
// by the reconciler.
func (s *Service) purgeConnection(ctx context.Context, conn Connection, at time.Time) error {
	return s.retryStale(ctx, conn, false, func(conn Connection) error {
		ended := conn.Work == NoWork && !conn.PurgeAt.IsZero() && !conn.PurgeAt.After(at)
		gone := conn.Status == Disconnected || conn.Standing == account.StandingDeleted
		if conn.Status == Linking || ended && gone {
			return nil
		}
		if err := s.requireIdle(conn); err != nil {
			return err
		}
		if conn.Work != NoWork || !gone {
			// The row first, so that the schedule no longer uses the secret.
			conn.beginWork(WorkFollow, s.Lease(ctx))
			if err := s.Store.SaveConnection(ctx, &conn); err != nil {
				return staleRow(err)
			}
			if err := s.Vault.Delete(ctx, conn.AccountID, conn.ID, 0); err != nil {
				return fmt.Errorf("deleting the secret: %w", err)
			}
		}
		if conn.Visible() {
			conn.Standing = account.StandingDeleted
		}
		conn.endWork()
		conn.PurgeAt = at
		return staleRow(s.Store.SaveConnection(ctx, &conn))
	})
}

// purgeDue reports whether an account, as it was read, has to be purged, and since when:
// now if it is gone.
func (s *Service) purgeDue(account account.Account, read error) (at time.Time, due bool) {
	now := s.Now()
	if fault.Is(read, fault.NotFound) {
		return now.Truncate(time.Second), true
	}
	return account.PurgeAt, read == nil && account.Purged(now)
}
