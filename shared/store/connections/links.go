// Package connections stores connections, their history, snapshots and account
// numbers.
package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// Store reads and writes connections.
//
// A method that writes a row writes it as conn says, and then sets conn to what is
// stored, with Version one higher. It returns fault.NotFound if the row is gone, and
// fault.State if it is not the version that was read; a method with effects returns
// *effects.Replay if the Idempotency-Key is taken. With an error nothing is written.
type Store struct {
	table *kit.Table
	// Caps are enforced by the transactions that link and unlink. Set them before the
	// first call.
	Caps connection.Caps
}

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{table: t} }

// BeginLink writes the intent: a row with the status connection.Linking and the
// connection's lease, and its id among the holders of the account number.
//
// A new intent has Version 0 and an id that is not in use. With TakeOver conn is the
// abandoned intent as it was read, with a new lease; the caller has checked that the
// old lease is over.
//
// It returns fault.NotFound if the account is absent, fault.Inactive if it is disabled
// or deleted, fault.CarrierConflict with ExistingCarrierID if it holds the number
// already, and fault.State if one of Caps is reached, another request took the intent
// over, or a new id is taken.
func (s *Store) BeginLink(ctx context.Context, conn *connection.Connection, o connection.LinkOptions) error {
	next := later(conn)
	next.Status = connection.Linking
	row := s.table.Insert(kit.PartConnection, Item(&next))
	if o.TakeOver {
		row = s.table.Put(kit.PartConnection, Item(&next), "#version = :version AND #status = :linking", kit.Item{
			":version": kit.NumberValue(conn.Version), ":linking": kit.TextValue(string(connection.Linking)),
		})
		row.Write.Put.ExpressionAttributeNames = map[string]string{"#version": kit.AttrVersion, "#status": kit.AttrStatus}
	}
	acct := kit.NewEdit(kit.AccountKey(conn.AccountID))
	acct.Compares(kit.AttrActive, "=", kit.BoolValue(true))
	s.hasRoom(acct)
	parts := []kit.Part{s.table.Check(kit.PartAccount, acct), s.holdNumber(&next, o.AllowDuplicate), row}
	if s.Caps.LinksPerDay > 0 {
		parts = append(parts, s.table.Check(kit.PartDay, s.dayHasRoom(conn.AccountID, conn.ModifiedAt, kit.AttrMade)))
	}
	refused, err := s.table.Transact(ctx, parts)
	switch {
	case err != nil:
		return fmt.Errorf("beginning a link: %w", err)
	case refused.Has(kit.PartAccount) && len(refused[kit.PartAccount]) == 0:
		return account.ErrNotFound()
	case refused.Has(kit.PartAccount) && active(refused[kit.PartAccount]):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.Has(kit.PartAccount):
		return account.ErrInactive(refused[kit.PartAccount][kit.AttrTTL] != nil)
	case refused.Has(kit.PartNumber):
		return s.numberRefused(refused[kit.PartNumber], o.AllowDuplicate)
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case refused.Has(kit.PartConnection):
		return fault.Busy(nil)
	}
	*conn = next
	return nil
}

// active tells whether the item of an account says that it is active.
func active(acct kit.Item) bool {
	r := kit.Reader{It: acct}
	return r.Bool(kit.AttrActive)
}

// hasRoom adds the condition that an account may have one more connection.
func (s *Store) hasRoom(account *kit.Edit) {
	if s.Caps.Connections > 0 {
		account.LacksOr(kit.AttrCarriers, "<", kit.NumberValue(int64(s.Caps.Connections)))
	}
}

// dayHasRoom returns an edit of an account's counts of the day, on the condition that
// one of them (links or unlinkings) is below its cap.
func (s *Store) dayHasRoom(accountID int64, now time.Time, attr string) *kit.Edit {
	e := kit.NewEdit(kit.LinksKey(accountID, now))
	e.LacksOr(attr, "<", kit.NumberValue(int64(s.Caps.LinksPerDay)))
	return e
}

// countDay returns the part that counts a link or an unlinking of the day; none if they
// have no cap. The item expires when its day is over by any clock.
func (s *Store) countDay(accountID int64, now time.Time, attr string) []kit.Part {
	if s.Caps.LinksPerDay == 0 {
		return nil
	}
	e := s.dayHasRoom(accountID, now, attr)
	e.Add(attr, 1)
	e.Set(kit.AttrTTL, kit.NumberValue(now.Add(48*time.Hour).Unix()))
	return []kit.Part{s.table.Update(kit.PartDay, e)}
}

// holdNumber returns the part that adds the connection to the holders of its account
// number, on the condition that it is the only one unless duplicates are allowed. It
// also removes the end that a deletion of the account, undone since, may have set.
func (s *Store) holdNumber(c *connection.Connection, duplicate bool) kit.Part {
	e := kit.NewEdit(kit.NumberKey(c.AccountID, connection.Number{Carrier: c.Carrier, Number: c.AccountNumber}))
	e.Include(kit.AttrCarrierIDs, kit.TextSet(c.ID))
	e.Remove(kit.AttrTTL)
	switch {
	case !duplicate:
		e.LacksOrContains(kit.AttrCarrierIDs, kit.TextValue(c.ID))
	case s.Caps.Duplicates > 0:
		e.HasRoom(kit.AttrCarrierIDs, kit.TextValue(c.ID), s.Caps.Duplicates)
	}
	return s.table.Update(kit.PartNumber, e)
}

// numberRefused returns why a connection cannot hold a number.
func (s *Store) numberRefused(holders kit.Item, duplicate bool) error {
	if duplicate {
		return connection.ErrTooManyDuplicates(s.Caps.Duplicates)
	}
	ids, err := HoldersFromItem(holders)
	switch {
	case err != nil:
		return err
	case len(ids) == 0:
		return errors.New("an account number without holders was refused")
	}
	return connection.ErrAlreadyLinked(ids[0])
}

// commitWithoutNumber commits parts together with one that removes the connection from
// the holders of a number of its carrier. The item is deleted with its last holder:
// the first attempt assumes that the connection is the last, and the refusal tells
// which other holders there are.
func (s *Store) commitWithoutNumber(ctx context.Context, c *connection.Connection, accountNumber string, parts []kit.Part, fx effects.Effects, now time.Time) (kit.Refusals, error) {
	k := kit.NumberKey(c.AccountID, connection.Number{Carrier: c.Carrier, Number: accountNumber})
	only := kit.NewEdit(k)
	only.Compares(kit.AttrCarrierIDs, "=", kit.TextSet(c.ID))
	drop := []kit.Part{s.table.Remove(kit.PartOldNumber, only)}
	for range kit.Attempts {
		refused, err := s.table.Commit(ctx, append(slices.Clone(parts), drop...), fx, now)
		old, is := refused[kit.PartOldNumber]
		if delete(refused, kit.PartOldNumber); err != nil || !is || len(refused) > 0 {
			return refused, err
		}
		ids, err := HoldersFromItem(old)
		if err != nil {
			return nil, err
		}
		switch {
		case len(old) == 0:
			drop = nil
		case len(ids) == 0: // version 0.3 left numbers without holders
			empty := kit.NewEdit(k)
			empty.Lacks(kit.AttrCarrierIDs)
			drop = []kit.Part{s.table.Remove(kit.PartOldNumber, empty)}
		case len(ids) == 1 && ids[0] == c.ID:
			drop = []kit.Part{s.table.Remove(kit.PartOldNumber, only)}
		default:
			one := kit.NewEdit(k)
			one.Exclude(kit.AttrCarrierIDs, kit.TextSet(c.ID))
			one.Exists(kit.AttrCarrierIDs)
			one.Compares(kit.AttrCarrierIDs, "<>", kit.TextSet(c.ID))
			drop = []kit.Part{s.table.Update(kit.PartOldNumber, one)}
		}
	}
	return nil, fault.Busy(fmt.Errorf("the holders of a number changed in each of %d attempts", kit.Attempts))
}

// FinishLink makes the intent a connection. In one transaction it writes the row
// without its lease, the first entry of its history (nil: no check was made), its
// snapshot (nil: none yet), the account's count of carriers, and the effects.
//
// It returns fault.NotFound if the account is gone, fault.Inactive if it is disabled, and
// fault.State if it is deleted, if one of Caps is reached, or if the intent or the claim
// was taken over.
func (s *Store) FinishLink(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	next := freed(conn)
	acct := kit.NewEdit(kit.AccountKey(conn.AccountID))
	acct.Add(kit.AttrCarriers, 1)
	acct.Compares(kit.AttrActive, "=", kit.BoolValue(true))
	s.hasRoom(acct)
	parts := []kit.Part{s.replace(&next), s.table.Update(kit.PartAccount, acct)}
	parts = append(parts, s.countDay(conn.AccountID, conn.ModifiedAt, kit.AttrMade)...)
	parts = append(parts, s.checkParts(&next, entry, snap)...)
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("finishing a link: %w", err)
	case refused.Has(kit.PartAccount) && active(refused[kit.PartAccount]):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.Has(kit.PartAccount) && len(refused[kit.PartAccount]) == 0:
		return account.ErrNotFound()
	case refused.Has(kit.PartAccount) && refused[kit.PartAccount][kit.AttrTTL] != nil:
		return account.ErrDeleted()
	case refused.Has(kit.PartAccount):
		return account.ErrInactive(false)
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case len(refused) > 0:
		return fault.Busy(nil)
	}
	*conn = next
	return nil
}

// DropLink deletes an intent: its row, on the condition that it is the version that was
// read, and its id among the holders of the account number. It returns fault.NotFound
// if the row is gone, and fault.State if it is another version or not an intent.
func (s *Store) DropLink(ctx context.Context, conn connection.Connection) error {
	row := kit.NewEdit(kit.ConnectionKey(conn.AccountID, conn.ID))
	row.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
	row.Compares(kit.AttrStatus, "=", kit.TextValue(string(connection.Linking)))
	refused, err := s.commitWithoutNumber(ctx, &conn, conn.AccountNumber, []kit.Part{s.table.Remove(kit.PartConnection, row)}, effects.Effects{}, time.Time{})
	if err != nil {
		return fmt.Errorf("dropping a link: %w", err)
	}
	return rowRefused(refused)
}

// SaveConnection writes the row, its lease and its work included.
func (s *Store) SaveConnection(ctx context.Context, conn *connection.Connection) error {
	next := later(conn)
	// The request token of a transaction keeps the SDK's repeat after a lost answer from
	// being refused because of the first attempt.
	refused, err := s.table.Transact(ctx, []kit.Part{s.replace(&next)})
	if err != nil {
		return fmt.Errorf("saving a connection: %w", err)
	}
	if err := rowRefused(refused); err != nil {
		return err
	}
	*conn = next
	return nil
}

// ChangeConnection writes the row, its lease and its work included, and in the same
// transaction what belongs to the change: it holds the new account number in place of
// the old one, and writes an entry of the history, the snapshot and the effects. Of an
// Unchanged update it writes only the answer, and Version stays.
//
// It returns fault.State also if the claim was taken over, and fault.CarrierConflict with
// ExistingCarrierID if another connection of the account holds the new number.
func (s *Store) ChangeConnection(ctx context.Context, conn *connection.Connection, c connection.Update, fx effects.Effects, now time.Time) error {
	next := later(conn)
	parts := []kit.Part{s.replace(&next)}
	if c.Unchanged {
		row := kit.NewEdit(kit.ConnectionKey(conn.AccountID, conn.ID))
		row.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
		next, parts, fx = *conn, []kit.Part{s.table.Check(kit.PartConnection, row)}, fx.AnswerOnly()
	}
	write := func() (kit.Refusals, error) { return s.table.Commit(ctx, parts, fx, now) }
	if c.OldNumber != "" && c.OldNumber != next.AccountNumber {
		parts = append(parts, s.holdNumber(&next, c.AllowDuplicate))
		write = func() (kit.Refusals, error) { return s.commitWithoutNumber(ctx, &next, c.OldNumber, parts, fx, now) }
	}
	parts = append(parts, s.checkParts(&next, c.Entry, c.Snapshot)...)
	refused, err := write()
	switch {
	case err != nil:
		return fmt.Errorf("changing a connection: %w", err)
	case refused.Has(kit.PartConnection):
		return rowRefused(refused)
	case refused.Has(kit.PartNumber):
		return s.numberRefused(refused[kit.PartNumber], c.AllowDuplicate)
	}
	*conn = next
	return nil
}

// Unlink writes the row with the status disconnected. In the same transaction it gives
// up the account number, lowers the account's count of carriers, deletes the snapshot
// and writes the effects.
//
// It returns fault.NotFound also if the account is gone (it may be disabled or deleted),
// and fault.State also if the account's unlinkings of the day have reached Caps.
func (s *Store) Unlink(ctx context.Context, conn *connection.Connection, fx effects.Effects, now time.Time) error {
	next := later(conn)
	acct := kit.NewEdit(kit.AccountKey(conn.AccountID))
	acct.Add(kit.AttrCarriers, -1)
	acct.Exists(kit.AttrPK)
	parts := []kit.Part{
		s.replace(&next),
		s.table.Update(kit.PartAccount, acct),
		s.table.Remove(kit.PartSnapshot, kit.NewEdit(kit.SnapshotKey(conn.AccountID, conn.ID))),
	}
	parts = append(parts, s.countDay(conn.AccountID, conn.DisconnectedAt, kit.AttrUnlinked)...)
	refused, err := s.commitWithoutNumber(ctx, &next, next.AccountNumber, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("unlinking a connection: %w", err)
	case refused.Has(kit.PartAccount):
		return account.ErrNotFound()
	case refused.Has(kit.PartConnection):
		return rowRefused(refused)
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyUnlinks(s.Caps.LinksPerDay)
	}
	*conn = next
	return nil
}

// later returns the connection's next version.
func later(c *connection.Connection) connection.Connection {
	next := *c
	next.Version++
	return next
}

// freed returns the connection's next version, without a lease.
func freed(c *connection.Connection) connection.Connection {
	next := later(c)
	next.LeaseUntil = time.Time{}
	return next
}

// replace returns the part that writes the next version of a row in place of the one
// before.
func (s *Store) replace(next *connection.Connection) kit.Part {
	return s.table.Replace(kit.PartConnection, Item(next), next.Version-1)
}

// checkParts returns the parts that store the results of a check; nil for those that it
// does not have.
func (s *Store) checkParts(c *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot) []kit.Part {
	var parts []kit.Part
	if entry != nil {
		parts = append(parts, s.table.Put(kit.PartHistory, historyItem(c, *entry), "", nil))
	}
	if snap != nil {
		parts = append(parts, s.table.Put(kit.PartSnapshot, snapshotItem(c, *snap), "", nil))
	}
	return parts
}

// rowRefused returns why a row is not the version that was read; nil if it is.
func rowRefused(refused kit.Refusals) error {
	switch old, is := refused[kit.PartConnection]; {
	case !is:
		return nil
	case len(old) == 0:
		return connection.ErrNoConnection()
	}
	return fault.Busy(nil)
}

// Connection reads a connection of whatever status, consistently: an intent, a
// disconnected one, and possibly one whose PurgeAt is over. One that the account does
// not have is fault.NotFound.
func (s *Store) Connection(ctx context.Context, accountID int64, connectionID string) (connection.Connection, error) {
	it, err := s.table.Get(ctx, kit.ConnectionKey(accountID, connectionID))
	if err != nil {
		return connection.Connection{}, fmt.Errorf("reading a connection: %w", err)
	}
	if len(it) == 0 {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	return FromItem(it)
}

// Snapshot reads the snapshot of a connection, consistently; nil if it has none.
func (s *Store) Snapshot(ctx context.Context, accountID int64, connectionID string) (*connection.Snapshot, error) {
	it, err := s.table.Get(ctx, kit.SnapshotKey(accountID, connectionID))
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	if len(it) == 0 {
		return nil, nil
	}
	snap, err := SnapshotFromItem(it)
	return &snap, err
}
