package store

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
)

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

	row := s.insert(partConnection, connectionItem(&next))
	if o.TakeOver {
		row = s.put(partConnection, connectionItem(&next), "#version = :version AND #status = :linking", item{
			":version": numberValue(conn.Version), ":linking": textValue(string(connection.Linking)),
		})
		row.write.Put.ExpressionAttributeNames = map[string]string{"#version": attrVersion, "#status": attrStatus}
	}
	acct := newEdit(accountKey(conn.AccountID))
	acct.compares(attrActive, "=", boolValue(true))
	s.hasRoom(acct)
	parts := []part{s.check(partAccount, acct), s.holdNumber(&next, o.AllowDuplicate), row}
	if s.Caps.LinksPerDay > 0 {
		parts = append(parts, s.check(partDay, s.dayHasRoom(conn.AccountID, conn.ModifiedAt, attrMade)))
	}
	refused, err := s.transact(ctx, parts)
	switch {
	case err != nil:
		return fmt.Errorf("beginning a link: %w", err)
	case refused.has(partAccount) && len(refused[partAccount]) == 0:
		return account.ErrNotFound()
	case refused.has(partAccount) && same(refused[partAccount][attrActive], boolValue(true)):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.has(partAccount):
		return account.ErrInactive(refused[partAccount][attrTTL] != nil)
	case refused.has(partNumber):
		return s.numberHeld(refused[partNumber], o.AllowDuplicate)
	case refused.has(partDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case refused.has(partConnection):
		return connection.ErrMoved()
	}
	*conn = next
	return nil
}

// hasRoom adds the condition that an account may have one connection more.
func (s *Store) hasRoom(account *edit) {
	if s.Caps.Connections > 0 {
		account.lacksOr(attrCarriers, "<", numberValue(int64(s.Caps.Connections)))
	}
}

// dayHasRoom is an edit of what an account has linked and unlinked in a day, on
// the condition that it may do so once more.
func (s *Store) dayHasRoom(accountID int64, now time.Time, attr string) *edit {
	e := newEdit(linksKey(accountID, now))
	e.lacksOr(attr, "<", numberValue(int64(s.Caps.LinksPerDay)))
	return e
}

// countDay is the part that counts a link or an unlinking of the day; none where
// they have no cap. The item ends when no clock can mean its day any more.
func (s *Store) countDay(accountID int64, now time.Time, attr string) []part {
	if s.Caps.LinksPerDay == 0 {
		return nil
	}
	e := s.dayHasRoom(accountID, now, attr)
	e.add(attr, 1)
	e.set(attrTTL, numberValue(now.Add(48*time.Hour).Unix()))
	return []part{s.update(partDay, e)}
}

// holdNumber adds the connection to those that hold its account number: on the
// condition that there is no other, unless it may be one of several. The number
// loses the end that a deletion of the account, taken back since, may have given
// it.
func (s *Store) holdNumber(c *connection.Connection, duplicate bool) part {
	e := newEdit(numberKey(c.AccountID, Number{c.Carrier, c.AccountNumber}))
	e.include(attrCarrierIDs, textSet(c.ID))
	e.remove(attrTTL)
	switch {
	case !duplicate:
		e.lacksOrContains(attrCarrierIDs, textValue(c.ID))
	case s.Caps.Duplicates > 0:
		e.hasRoom(attrCarrierIDs, textValue(c.ID), s.Caps.Duplicates)
	}
	return s.update(partNumber, e)
}

// numberHeld says why a connection may not hold a number.
func (s *Store) numberHeld(holders item, duplicate bool) error {
	if duplicate {
		return connection.ErrTooManyDuplicates(s.Caps.Duplicates)
	}
	return alreadyLinked(holders)
}

// dropNumber makes the write with a part that takes the connection from those
// that hold a number of its carrier. The item goes with the last of them: that the
// connection is the last is taken for granted first, and the refusal tells who
// else there is.
func (s *Store) dropNumber(ctx context.Context, c *connection.Connection, accountNumber string, parts []part, fx effects.Effects, now time.Time) (refusals, error) {
	k := numberKey(c.AccountID, Number{c.Carrier, accountNumber})
	only := newEdit(k)
	only.compares(attrCarrierIDs, "=", textSet(c.ID))
	drop := []part{s.remove(partOldNumber, only)}
	for range attempts {
		refused, err := s.commit(ctx, append(slices.Clone(parts), drop...), fx, now)
		old, is := refused[partOldNumber]
		if delete(refused, partOldNumber); err != nil || !is || len(refused) > 0 {
			return refused, err
		}
		ids, err := readHolders(old)
		if err != nil {
			return nil, err
		}
		switch {
		case len(old) == 0:
			drop = nil // nobody holds it
		case len(ids) == 0: // of version 0.3, which left empty ones
			empty := newEdit(k)
			empty.lacks(attrCarrierIDs)
			drop = []part{s.remove(partOldNumber, empty)}
		case len(ids) == 1 && ids[0] == c.ID:
			drop = []part{s.remove(partOldNumber, only)}
		default:
			one := newEdit(k)
			one.exclude(attrCarrierIDs, textSet(c.ID))
			one.exists(attrCarrierIDs)
			one.compares(attrCarrierIDs, "<>", textSet(c.ID))
			drop = []part{s.update(partOldNumber, one)}
		}
	}
	return nil, fault.Busy(fmt.Errorf("a number has other holders in each of %d attempts", attempts))
}

func alreadyLinked(holders item) error {
	ids, err := readHolders(holders)
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
	account := newEdit(accountKey(conn.AccountID))
	account.add(attrCarriers, 1)
	account.compares(attrActive, "=", boolValue(true))
	s.hasRoom(account)
	parts := []part{s.replace(&next, conn.Version), s.update(partAccount, account)}
	parts = append(parts, s.countDay(conn.AccountID, conn.ModifiedAt, attrMade)...)
	parts = append(parts, s.checked(&next, entry, snap)...)
	refused, err := s.commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("finishing a link: %w", err)
	case refused.has(partAccount) && same(refused[partAccount][attrActive], boolValue(true)):
		return connection.ErrTooManyConnections(s.Caps.Connections)
	case refused.has(partAccount):
		return notActive(refused[partAccount])
	case refused.has(partDay):
		return connection.ErrTooManyLinks(s.Caps.LinksPerDay)
	case len(refused) > 0:
		return connection.ErrMoved()
	}
	*conn = next
	return nil
}

// notActive says why an account has no use of a new connection.
func notActive(acct item) error {
	switch {
	case len(acct) == 0:
		return account.ErrNotFound()
	case acct[attrTTL] != nil:
		return account.ErrDeleted()
	}
	return account.ErrInactive(false)
}

// DropLink takes an intent away as if it had never been: its row, on the
// condition that it is the one that was read, and its id beside the account
// number. It returns fault.NotFound when the row is gone, and fault.State when
// it is another version, or no intent.
func (s *Store) DropLink(ctx context.Context, conn connection.Connection) error {
	row := newEdit(connectionKey(conn.AccountID, conn.ID))
	row.compares(attrVersion, "=", numberValue(conn.Version))
	row.compares(attrStatus, "=", textValue(string(connection.Linking)))
	refused, err := s.dropNumber(ctx, &conn, conn.AccountNumber, []part{s.remove(partConnection, row)}, effects.Effects{}, time.Time{})
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
	refused, err := s.transact(ctx, []part{s.replace(&next, conn.Version)})
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
	parts := []part{s.replace(&next, conn.Version)}
	if c.Unchanged {
		row := newEdit(connectionKey(conn.AccountID, conn.ID))
		row.compares(attrVersion, "=", numberValue(conn.Version))
		next, parts, fx = *conn, []part{s.check(partConnection, row)}, fx.AnswerOnly()
	}
	write := func() (refusals, error) { return s.commit(ctx, parts, fx, now) }
	if c.OldNumber != "" && c.OldNumber != next.AccountNumber {
		parts = append(parts, s.holdNumber(&next, c.AllowDuplicate))
		write = func() (refusals, error) { return s.dropNumber(ctx, &next, c.OldNumber, parts, fx, now) }
	}
	parts = append(parts, s.checked(&next, c.Entry, c.Snapshot)...)
	refused, err := write()
	switch {
	case err != nil:
		return fmt.Errorf("changing a connection: %w", err)
	case refused.has(partConnection):
		return otherRow(refused)
	case refused.has(partNumber):
		return s.numberHeld(refused[partNumber], c.AllowDuplicate)
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
	acct := newEdit(accountKey(conn.AccountID))
	acct.add(attrCarriers, -1)
	acct.exists(attrPK)
	parts := []part{
		s.replace(&next, conn.Version),
		s.update(partAccount, acct),
		s.remove(partSnapshot, newEdit(snapshotKey(conn.AccountID, conn.ID))),
	}
	parts = append(parts, s.countDay(conn.AccountID, conn.DisconnectedAt, attrUnlinked)...)
	refused, err := s.dropNumber(ctx, &next, next.AccountNumber, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("unlinking a connection: %w", err)
	case refused.has(partAccount):
		return account.ErrNotFound()
	case refused.has(partConnection):
		return otherRow(refused)
	case refused.has(partDay):
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
func (s *Store) replace(c *connection.Connection, version int64) part {
	p := s.put(partConnection, connectionItem(c), "#version = :version", item{":version": numberValue(version)})
	p.write.Put.ExpressionAttributeNames = map[string]string{"#version": attrVersion}
	return p
}

// checked is the parts that keep what a check has brought, nil for nothing.
func (s *Store) checked(c *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot) []part {
	var parts []part
	if entry != nil {
		parts = append(parts, s.put(partHistory, historyItem(c, *entry), "", nil))
	}
	if snap != nil {
		parts = append(parts, s.put(partSnapshot, snapshotItem(c, *snap), "", nil))
	}
	return parts
}

// otherRow says why a row is not the one that was read; nil if it is.
func otherRow(refused refusals) error {
	switch old, is := refused[partConnection]; {
	case !is:
		return nil
	case len(old) == 0:
		return connection.ErrNoConnection()
	}
	return connection.ErrMoved()
}
