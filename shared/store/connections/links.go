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

// Store keeps connections, their history, snapshots and numbers.
type Store struct {
	table *kit.Table
	// Caps are held in the transaction that makes the thing. They are set before
	// the first call.
	Caps connection.Caps
}

// New makes one.
func New(t *kit.Table) *Store { return &Store{table: t} }

// BeginLink writes the intent: a row in state connection.Linking with the
// connection's lease, and its id beside the account number. On success conn is
// what is stored, Version one higher.
//
// A new intent has Version 0 and an id that nobody has. With TakeOver conn is
// the abandoned intent as it was read, with the new lease; the caller has seen
// that the old one is over.
//
// It returns fault.NotFound and fault.Inactive (disabled or deleted) for the
// account, fault.CarrierConflict with ExistingCarrierID when the account holds
// the number already, and fault.State when one of Caps is reached, or the row is
// not the one that conn says: somebody else took it over, or a new id is taken.
// Nothing is written then.
func (s *Store) BeginLink(ctx context.Context, conn *connection.Connection, o connection.LinkOptions) error {
	next := *conn
	next.Status = connection.Linking
	next.Version++

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
	case refused.Has(kit.PartAccount) && kit.Same(refused[kit.PartAccount][kit.AttrActive], kit.BoolValue(true)):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.Has(kit.PartAccount):
		return account.ErrInactive(refused[kit.PartAccount][kit.AttrTTL] != nil)
	case refused.Has(kit.PartNumber):
		return s.numberHeld(refused[kit.PartNumber], o.AllowDuplicate)
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case refused.Has(kit.PartConnection):
		return connection.ErrMoved()
	}
	*conn = next
	return nil
}

// hasRoom adds the condition that an account may have one connection more.
func (s *Store) hasRoom(account *kit.Edit) {
	if s.Caps.Connections > 0 {
		account.LacksOr(kit.AttrCarriers, "<", kit.NumberValue(int64(s.Caps.Connections)))
	}
}

// dayHasRoom is an edit of what an account has linked and unlinked in a day, on
// the condition that it may do so once more.
func (s *Store) dayHasRoom(accountID int64, now time.Time, attr string) *kit.Edit {
	e := kit.NewEdit(kit.LinksKey(accountID, now))
	e.LacksOr(attr, "<", kit.NumberValue(int64(s.Caps.LinksPerDay)))
	return e
}

// countDay is the part that counts a link or an unlinking of the day; none where
// they have no cap. The item ends when no clock can mean its day any more.
func (s *Store) countDay(accountID int64, now time.Time, attr string) []kit.Part {
	if s.Caps.LinksPerDay == 0 {
		return nil
	}
	e := s.dayHasRoom(accountID, now, attr)
	e.Add(attr, 1)
	e.Set(kit.AttrTTL, kit.NumberValue(now.Add(48*time.Hour).Unix()))
	return []kit.Part{s.table.Update(kit.PartDay, e)}
}

// holdNumber adds the connection to those that hold its account number: on the
// condition that there is no other, unless it may be one of several. The number
// loses the end that a deletion of the account, taken back since, may have given
// it.
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

// numberHeld says why a connection may not hold a number.
func (s *Store) numberHeld(holders kit.Item, duplicate bool) error {
	if duplicate {
		return connection.ErrTooManyDuplicates(s.Caps.Duplicates)
	}
	return alreadyLinked(holders)
}

// dropNumber makes the write with a part that takes the connection from those
// that hold a number of its carrier. The item goes with the last of them: that the
// connection is the last is taken for granted first, and the refusal tells who
// else there is.
func (s *Store) dropNumber(ctx context.Context, c *connection.Connection, accountNumber string, parts []kit.Part, fx effects.Effects, now time.Time) (kit.Refusals, error) {
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
		ids, err := ReadHolders(old)
		if err != nil {
			return nil, err
		}
		switch {
		case len(old) == 0:
			drop = nil // nobody holds it
		case len(ids) == 0: // of version 0.3, which left empty ones
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
	return nil, fault.Busy(fmt.Errorf("a number has other holders in each of %d attempts", kit.Attempts))
}

func alreadyLinked(holders kit.Item) error {
	ids, err := ReadHolders(holders)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errors.New("an account number is held by nobody, and refused")
	}
	return connection.ErrNumberHeld(ids[0])
}

// FinishLink turns the intent into a connection: in one transaction the row as
// conn says, the first entry of its history (nil: no check was made), its
// snapshot (nil: none yet), one more in the account's count of carriers, and the
// effects. The lease ends. On success conn is what is stored, Version one higher.
//
// It returns *effects.Replay when the Idempotency-Key is taken, fault.NotFound when
// the account is gone, fault.Inactive when it is disabled, and fault.State when it
// is deleted, when one of Caps is reached, or the intent or the claim is no longer
// the caller's. Nothing is written then.
func (s *Store) FinishLink(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	next := freed(conn)
	account := kit.NewEdit(kit.AccountKey(conn.AccountID))
	account.Add(kit.AttrCarriers, 1)
	account.Compares(kit.AttrActive, "=", kit.BoolValue(true))
	s.hasRoom(account)
	parts := []kit.Part{s.replace(&next, conn.Version), s.table.Update(kit.PartAccount, account)}
	parts = append(parts, s.countDay(conn.AccountID, conn.ModifiedAt, kit.AttrMade)...)
	parts = append(parts, s.checked(&next, entry, snap)...)
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("finishing a link: %w", err)
	case refused.Has(kit.PartAccount) && kit.Same(refused[kit.PartAccount][kit.AttrActive], kit.BoolValue(true)):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.Has(kit.PartAccount):
		return notActive(refused[kit.PartAccount])
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case len(refused) > 0:
		return connection.ErrMoved()
	}
	*conn = next
	return nil
}

// notActive says why an account has no use of a new connection.
func notActive(acct kit.Item) error {
	switch {
	case len(acct) == 0:
		return account.ErrNotFound()
	case acct[kit.AttrTTL] != nil:
		return account.ErrDeleted()
	}
	return account.ErrInactive(false)
}

// DropLink takes an intent away as if it had never been: its row, on the
// condition that it is the one that was read, and its id beside the account
// number. It returns fault.NotFound when the row is gone, and fault.State when
// it is another version, or no intent.
func (s *Store) DropLink(ctx context.Context, conn connection.Connection) error {
	row := kit.NewEdit(kit.ConnectionKey(conn.AccountID, conn.ID))
	row.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
	row.Compares(kit.AttrStatus, "=", kit.TextValue(string(connection.Linking)))
	refused, err := s.dropNumber(ctx, &conn, conn.AccountNumber, []kit.Part{s.table.Remove(kit.PartConnection, row)}, effects.Effects{}, time.Time{})
	if err != nil {
		return fmt.Errorf("dropping a link: %w", err)
	}
	return otherRow(refused)
}

// SaveConnection writes the row exactly as conn says, its lease and its work
// too. On success conn is what is stored, Version one higher. It returns
// fault.NotFound when the row is gone, and fault.State when it is another
// version than the one that was read.
func (s *Store) SaveConnection(ctx context.Context, conn *connection.Connection) error {
	next := later(conn)
	// A transaction: its request token keeps a repeat after a lost answer from being
	// refused by its own work.
	refused, err := s.table.Transact(ctx, []kit.Part{s.replace(&next, conn.Version)})
	if err != nil {
		return fmt.Errorf("saving a connection: %w", err)
	}
	if err := otherRow(refused); err != nil {
		return err
	}
	*conn = next
	return nil
}

// ChangeConnection writes the row exactly as conn says, its lease and its work
// too, and in the same transaction what belongs to the change: its account
// number in the place of the old one among those that are held, an entry of the
// history, the snapshot, and the effects, of an Unchanged one only the answer. On
// success conn is what is stored, Version one higher unless it is Unchanged.
//
// It returns *effects.Replay when the Idempotency-Key is taken, fault.NotFound when
// the row is gone, fault.State when it is another version than the one that was
// read or the claim is no longer the caller's, and fault.CarrierConflict with
// ExistingCarrierID when another connection of the account holds the new number.
// Nothing is written then.
func (s *Store) ChangeConnection(ctx context.Context, conn *connection.Connection, c connection.Update, fx effects.Effects, now time.Time) error {
	next := later(conn)
	parts := []kit.Part{s.replace(&next, conn.Version)}
	if c.Unchanged {
		row := kit.NewEdit(kit.ConnectionKey(conn.AccountID, conn.ID))
		row.Compares(kit.AttrVersion, "=", kit.NumberValue(conn.Version))
		next, parts, fx = *conn, []kit.Part{s.table.Check(kit.PartConnection, row)}, fx.AnswerOnly()
	}
	write := func() (kit.Refusals, error) { return s.table.Commit(ctx, parts, fx, now) }
	if c.OldNumber != "" && c.OldNumber != next.AccountNumber {
		parts = append(parts, s.holdNumber(&next, c.AllowDuplicate))
		write = func() (kit.Refusals, error) { return s.dropNumber(ctx, &next, c.OldNumber, parts, fx, now) }
	}
	parts = append(parts, s.checked(&next, c.Entry, c.Snapshot)...)
	refused, err := write()
	switch {
	case err != nil:
		return fmt.Errorf("changing a connection: %w", err)
	case refused.Has(kit.PartConnection):
		return otherRow(refused)
	case refused.Has(kit.PartNumber):
		return s.numberHeld(refused[kit.PartNumber], c.AllowDuplicate)
	}
	*conn = next
	return nil
}

// Unlink writes the row exactly as conn says, which is disconnected, and in the
// same transaction gives up its account number, takes it from the account's
// count of carriers and deletes its snapshot; the effects are written with it. On
// success conn is what is stored, Version one higher.
//
// It returns *effects.Replay when the Idempotency-Key is taken, fault.NotFound when
// the row or the account is gone (a disabled or deleted one will do), and
// fault.State when the account has unlinked as often in the day as Caps let it, or
// the row is another version than the one that was read. Nothing is written then.
func (s *Store) Unlink(ctx context.Context, conn *connection.Connection, fx effects.Effects, now time.Time) error {
	next := later(conn)
	acct := kit.NewEdit(kit.AccountKey(conn.AccountID))
	acct.Add(kit.AttrCarriers, -1)
	acct.Exists(kit.AttrPK)
	parts := []kit.Part{
		s.replace(&next, conn.Version),
		s.table.Update(kit.PartAccount, acct),
		s.table.Remove(kit.PartSnapshot, kit.NewEdit(kit.SnapshotKey(conn.AccountID, conn.ID))),
	}
	parts = append(parts, s.countDay(conn.AccountID, conn.DisconnectedAt, kit.AttrUnlinked)...)
	refused, err := s.dropNumber(ctx, &next, next.AccountNumber, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("unlinking a connection: %w", err)
	case refused.Has(kit.PartAccount):
		return account.ErrNotFound()
	case refused.Has(kit.PartConnection):
		return otherRow(refused)
	case refused.Has(kit.PartDay):
		return connection.ErrTooManyUnlinks(s.Caps.LinksPerDay)
	}
	*conn = next
	return nil
}

// later is the connection's next version.
func later(c *connection.Connection) connection.Connection {
	next := *c
	next.Version++
	return next
}

// freed is the connection's next version, without a lease.
func freed(c *connection.Connection) connection.Connection {
	next := later(c)
	next.LeaseUntil = time.Time{}
	return next
}

// replace is a part that writes the row on the condition of its version.
func (s *Store) replace(c *connection.Connection, version int64) kit.Part {
	p := s.table.Put(kit.PartConnection, Item(c), "#version = :version", kit.Item{":version": kit.NumberValue(version)})
	p.Write.Put.ExpressionAttributeNames = map[string]string{"#version": kit.AttrVersion}
	return p
}

// checked is the parts that keep what a check has brought, nil for nothing.
func (s *Store) checked(c *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot) []kit.Part {
	var parts []kit.Part
	if entry != nil {
		parts = append(parts, s.table.Put(kit.PartHistory, historyItem(c, *entry), "", nil))
	}
	if snap != nil {
		parts = append(parts, s.table.Put(kit.PartSnapshot, snapshotItem(c, *snap), "", nil))
	}
	return parts
}

// otherRow says why a row is not the one that was read; nil if it is.
func otherRow(refused kit.Refusals) error {
	switch old, is := refused[kit.PartConnection]; {
	case !is:
		return nil
	case len(old) == 0:
		return connection.ErrNoConnection()
	}
	return connection.ErrMoved()
}

// Connection reads one connection, consistently, as it is: an intent or a
// disconnected one too. One that the account does not have is fault.NotFound;
// one whose PurgeAt is over may be there still.
func (s *Store) Connection(ctx context.Context, accountID int64, connectionID string) (connection.Connection, error) {
	it, err := s.table.One(ctx, kit.ConnectionKey(accountID, connectionID))
	if err != nil {
		return connection.Connection{}, fmt.Errorf("reading a connection: %w", err)
	}
	if len(it) == 0 {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	return Read(it)
}

// Snapshot reads the snapshot of a connection, consistently; nil if there is
// none.
func (s *Store) Snapshot(ctx context.Context, accountID int64, connectionID string) (*connection.Snapshot, error) {
	it, err := s.table.One(ctx, kit.SnapshotKey(accountID, connectionID))
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return kit.Optional(it, ReadSnapshot)
}
