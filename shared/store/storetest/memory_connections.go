package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
)

func idOf(c *connection.Connection) connectionID { return connectionID{c.AccountID, c.ID} }

// write keeps the next version of a row.
func (m *Memory) write(conn *connection.Connection) {
	conn.Version++
	id := idOf(conn)
	if _, there := m.connections[id]; !there {
		m.owned[id.account] = append(m.owned[id.account], id.id)
	}
	c := keptConnection(*conn)
	m.connections[id] = c
	switch {
	case c.Status == connection.Linking || c.Work != connection.NoWork:
		m.due.set(dueEntry{queue: repairs, id: id, at: c.LeaseUntil})
	case c.Scheduled():
		m.due.set(dueEntry{queue: string(c.Lane()), id: id, at: c.NextRefreshAt, credential: c.CredentialID, partner: c.PartnerID})
	default:
		m.due.remove(id)
	}
}

// keepCheck keeps what a check has brought.
func (m *Memory) keepCheck(id connectionID, entry *connection.HistoryEntry, snap *connection.Snapshot) {
	if entry != nil {
		m.history[id] = append(m.history[id], keptEntry(*entry))
	}
	if snap != nil {
		m.snapshots[id] = keptSnapshot(*snap)
	}
}

// read says why a row is not the one that was read; nil if it is.
func (m *Memory) read(conn *connection.Connection) error {
	old, there := m.connections[idOf(conn)]
	switch {
	case !there:
		return connection.ErrNoConnection()
	case old.Version != conn.Version:
		return connection.ErrMoved()
	}
	return nil
}

func numberOf(c *connection.Connection, number string) numberID {
	return numberID{c.AccountID, store.Number{Carrier: c.Carrier, Number: number}}
}

// mayHold says why a connection may not hold its account number.
func (m *Memory) mayHold(c *connection.Connection, duplicate bool) error {
	held := m.numbers[numberOf(c, c.AccountNumber)]
	switch {
	case slices.Contains(held, c.ID) || len(held) == 0:
		return nil
	case !duplicate:
		return connection.ErrNumberHeld(held[0])
	case m.Caps.Duplicates > 0 && len(held) >= m.Caps.Duplicates:
		return connection.ErrTooManyDuplicates(m.Caps.Duplicates)
	}
	return nil
}

// The two counts of a day.
const (
	made = iota
	unlinked
)

// day is what an account has linked and unlinked in a day.
func (m *Memory) day(accountID int64, now time.Time) *[2]int {
	id := linksID{accountID, now.UTC().Format(time.DateOnly)}
	if m.links[id] == nil {
		m.links[id] = new([2]int)
	}
	return m.links[id]
}

// mayLink says why an account may have no connection more.
func (m *Memory) mayLink(a account.Account, now time.Time) error {
	switch {
	case m.Caps.Connections > 0 && a.CarriersCount >= m.Caps.Connections:
		return connection.ErrTooManyConnections(m.Caps.Connections)
	case m.Caps.LinksPerDay > 0 && m.day(a.ID, now)[made] >= m.Caps.LinksPerDay:
		return connection.ErrTooManyLinks(m.Caps.LinksPerDay)
	}
	return nil
}

func (m *Memory) holdNumber(c *connection.Connection) {
	n := numberOf(c, c.AccountNumber)
	delete(m.numberEnds, n)
	if !slices.Contains(m.numbers[n], c.ID) {
		m.numbers[n] = append(m.numbers[n], c.ID)
		slices.Sort(m.numbers[n])
	}
}

func (m *Memory) dropNumber(c *connection.Connection, number string) {
	n := numberOf(c, number)
	m.numbers[n] = slices.DeleteFunc(m.numbers[n], func(id string) bool { return id == c.ID })
	if len(m.numbers[n]) == 0 {
		delete(m.numbers, n)
		delete(m.numberEnds, n)
	}
}

// BeginLink is store.Store's.
func (m *Memory) BeginLink(ctx context.Context, conn *connection.Connection, o connection.LinkOptions) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("beginning a link: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, known := m.accounts[conn.AccountID]
	old, there := m.connections[idOf(conn)]
	held := m.mayHold(conn, o.AllowDuplicate)
	switch {
	case !known:
		return account.ErrNotFound()
	case !a.Active:
		return account.ErrInactive(a.Deleted())
	case m.Caps.Connections > 0 && a.CarriersCount >= m.Caps.Connections:
		return connection.ErrTooManyConnections(m.Caps.Connections)
	case held != nil:
		return held
	case m.mayLink(a, conn.ModifiedAt) != nil:
		return m.mayLink(a, conn.ModifiedAt)
	case !o.TakeOver && there, o.TakeOver && (!there || old.Version != conn.Version || old.Status != connection.Linking):
		return connection.ErrMoved()
	}
	m.holdNumber(conn)
	conn.Status = connection.Linking
	m.write(conn)
	return nil
}

// FinishLink is store.Store's.
func (m *Memory) FinishLink(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "finishing a link", fx, now, func() error {
		a, known := m.accounts[conn.AccountID]
		switch {
		case !known:
			return account.ErrNotFound()
		case a.Deleted():
			return account.ErrDeleted()
		case !a.Active:
			return account.ErrInactive(false)
		case m.mayLink(a, conn.ModifiedAt) != nil:
			return m.mayLink(a, conn.ModifiedAt)
		case m.read(conn) != nil:
			return connection.ErrMoved()
		}
		m.day(a.ID, conn.ModifiedAt)[made]++
		a.CarriersCount++
		m.accounts[conn.AccountID] = a
		conn.LeaseUntil = time.Time{}
		m.write(conn)
		m.keepCheck(idOf(conn), entry, snap)
		return nil
	})
}

// DropLink is store.Store's.
func (m *Memory) DropLink(ctx context.Context, conn connection.Connection) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("dropping a link: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := idOf(&conn)
	if err := m.read(&conn); err != nil {
		return err
	}
	if m.connections[id].Status != connection.Linking {
		return connection.ErrMoved()
	}
	m.dropNumber(&conn, conn.AccountNumber)
	delete(m.connections, id)
	m.due.remove(id)
	m.owned[id.account] = slices.DeleteFunc(m.owned[id.account], func(other string) bool { return other == id.id })
	return nil
}

// ClaimCheck is store.Store's.
func (m *Memory) ClaimCheck(ctx context.Context, conn connection.Connection, until, now time.Time) (connection.Connection, error) {
	if err := ctx.Err(); err != nil {
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := idOf(&conn)
	c, there := m.connections[id]
	switch {
	case !there || c.Status == connection.Disconnected || over(c.PurgeAt, now):
		return connection.Connection{}, connection.ErrNoConnection()
	case c.LeaseUntil.After(milli(now)):
		return connection.Connection{}, connection.ErrLeased(c.LeaseUntil.Sub(now))
	case c.Version != conn.Version || c.Status == connection.Linking || c.Work != connection.NoWork:
		return connection.Connection{}, connection.ErrMoved()
	}
	return m.claim(id, until), nil
}

// ClaimDue is store.Store's.
func (m *Memory) ClaimDue(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (connection.Connection, error) {
	if err := ctx.Err(); err != nil {
		return connection.Connection{}, fmt.Errorf("claiming a connection: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := connectionID{d.AccountID, d.ConnectionID}
	c, there := m.connections[key]
	switch {
	case !there || !c.Visible() || over(c.PurgeAt, now):
		return connection.Connection{}, connection.ErrNoConnection()
	case c.LeaseUntil.After(milli(now)):
		return connection.Connection{}, connection.ErrLeased(c.LeaseUntil.Sub(now))
	case !c.Scheduled() || c.NextRefreshAt.After(milli(now)):
		return connection.Connection{}, connection.ErrNotDue()
	}
	c.Unrecorded++
	if c.Unrecorded > 1 {
		c.Version++ // it is put off by a write of its own
	}
	c.NextRefreshAt = milli(t.ClaimedUntil(c.Unrecorded, until, now))
	m.connections[key] = c
	m.due.set(dueEntry{queue: string(c.Lane()), id: key, at: c.NextRefreshAt, credential: d.CredentialID, partner: d.PartnerID})
	return m.claim(key, until), nil
}

// claim takes the lease.
func (m *Memory) claim(id connectionID, until time.Time) connection.Connection {
	c := m.connections[id]
	c.LeaseUntil = milli(until)
	c.Version++
	m.connections[id] = c
	return keptConnection(c)
}

// RecordCheck is store.Store's.
func (m *Memory) RecordCheck(ctx context.Context, conn *connection.Connection, entry *connection.HistoryEntry, snap *connection.Snapshot, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "recording a check", fx, now, func() error {
		if err := m.read(conn); err != nil {
			return err
		}
		conn.LeaseUntil = time.Time{}
		m.write(conn)
		m.keepCheck(idOf(conn), entry, snap)
		return nil
	})
}

// SaveConnection is store.Store's.
func (m *Memory) SaveConnection(ctx context.Context, conn *connection.Connection) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("saving a connection: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.read(conn); err != nil {
		return err
	}
	m.write(conn)
	return nil
}

// ChangeConnection is store.Store's.
func (m *Memory) ChangeConnection(ctx context.Context, conn *connection.Connection, c connection.Update, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "changing a connection", fx, now, func() error {
		renumbered := c.OldNumber != "" && c.OldNumber != conn.AccountNumber
		if err := m.read(conn); err != nil {
			return err
		}
		if renumbered {
			if err := m.mayHold(conn, c.AllowDuplicate); err != nil {
				return err
			}
			m.holdNumber(conn)
			m.dropNumber(conn, c.OldNumber)
		}
		if !c.Unchanged {
			m.write(conn)
		}
		m.keepCheck(idOf(conn), c.Entry, c.Snapshot)
		if c.Unchanged {
			return errUnchanged
		}
		return nil
	})
}

// Unlink is store.Store's.
func (m *Memory) Unlink(ctx context.Context, conn *connection.Connection, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "unlinking a connection", fx, now, func() error {
		a, known := m.accounts[conn.AccountID]
		if !known {
			return account.ErrNotFound()
		}
		if err := m.read(conn); err != nil {
			return err
		}
		day := m.day(a.ID, conn.DisconnectedAt)
		if m.Caps.LinksPerDay > 0 && day[unlinked] >= m.Caps.LinksPerDay {
			return connection.ErrTooManyUnlinks(m.Caps.LinksPerDay)
		}
		day[unlinked]++
		a.CarriersCount--
		m.accounts[conn.AccountID] = a
		m.write(conn)
		m.dropNumber(conn, conn.AccountNumber)
		delete(m.snapshots, idOf(conn))
		return nil
	})
}

// FollowConnection is store.Store's.
func (m *Memory) FollowConnection(ctx context.Context, conn *connection.Connection, account account.Account) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("following an account: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.readAccount(account); err != nil {
		return err
	}
	if err := m.read(conn); err != nil {
		return err
	}
	m.write(conn)
	if conn.Visible() {
		m.numberEnds[numberOf(conn, conn.AccountNumber)] = second(conn.PurgeAt)
	}
	return nil
}

// EndFollow is store.Store's.
func (m *Memory) EndFollow(ctx context.Context, account account.Account) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ending an account's mark: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.readAccount(account); err != nil {
		return err
	}
	a := m.accounts[account.ID]
	a.Following = false
	m.accounts[a.ID] = a
	m.due.remove(connectionID{account: a.ID})
	return nil
}

// EndPurge is store.Store's.
func (m *Memory) EndPurge(ctx context.Context, accountID int64, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ending what is left of an account: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, known := m.accounts[accountID]; known {
		a.Following = false
		if a.PurgeAt.IsZero() || a.PurgeAt.After(second(at)) {
			a.PurgeAt = second(at)
		}
		m.accounts[accountID] = a
	}
	for id, c := range m.connections {
		if id.account == accountID && c.Status != connection.Linking && c.Work == connection.NoWork && !c.Scheduled() && (c.PurgeAt.IsZero() || c.PurgeAt.After(second(at))) {
			c.PurgeAt = second(at)
			m.connections[id] = c
		}
	}
	for n := range m.numbers {
		if n.account == accountID {
			m.numberEnds[n] = second(at)
		}
	}
	m.due.remove(connectionID{account: accountID})
	return nil
}

// readAccount says why an account is not the one that was read; nil if it is.
func (m *Memory) readAccount(acct account.Account) error {
	a, known := m.accounts[acct.ID]
	switch {
	case !known:
		return account.ErrNotFound()
	case a.Version != acct.Version:
		return account.ErrChanged()
	}
	return nil
}
