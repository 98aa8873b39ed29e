package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// held tells who holds an identifier; what a purged account holds is free.
func (m *Memory) held(h holder, ok bool, now time.Time) bool {
	a := m.accounts[h.account]
	return ok && !a.Purged(now)
}

func emailOf(a account.Account) emailID { return emailID{a.Environment, a.EmailKey} }

// taken is the conflicts of an account's email and external id with those of
// others than itself.
func (m *Memory) taken(a account.Account, itself int64, now time.Time) fault.List {
	var conflicts fault.List
	ask := func(field string, h holder, ok bool) {
		if !m.held(h, ok, now) || h.account == itself {
			return
		}
		if h.partner != a.PartnerID {
			h.account = 0
		}
		conflicts = append(conflicts, account.ErrIdentifierTaken(field, h.account))
	}
	if h, ok := m.externals[externalID{a.PartnerID, a.ExternalID}]; a.ExternalID != "" {
		ask("external_account_id", h, ok)
	}
	if h, ok := m.emails[emailOf(a)]; a.EmailKey != "" {
		ask("email", h, ok)
	}
	return conflicts
}

// hold takes the account's identifiers.
func (m *Memory) hold(a account.Account) {
	if a.ExternalID != "" {
		m.externals[externalID{a.PartnerID, a.ExternalID}] = holder{a.ID, a.PartnerID}
	}
	if a.EmailKey != "" {
		m.emails[emailOf(a)] = holder{a.ID, a.PartnerID}
	}
}

// holdsAll tells whether the account's identifiers are its own.
func (m *Memory) holdsAll(a account.Account) bool {
	return (a.ExternalID == "" || m.externals[externalID{a.PartnerID, a.ExternalID}].account == a.ID) &&
		(a.EmailKey == "" || m.emails[emailOf(a)].account == a.ID)
}

// AccountByExternalID is store.Store's.
func (m *Memory) AccountByExternalID(ctx context.Context, partnerID int64, id string, now time.Time) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("finding an account: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.externals[externalID{partnerID, id}]
	if !m.held(h, ok, now) {
		return 0, account.ErrNotFound()
	}
	return h.account, nil
}

// ListAccounts is store.Store's.
func (m *Memory) ListAccounts(ctx context.Context, partnerID int64, f account.Filter, after *account.Position, skip, limit int, now time.Time) ([]account.Account, *account.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("listing accounts: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	order := func(a, b account.Position) int {
		c := cmp.Or(milli(a.CreatedAt).Compare(milli(b.CreatedAt)), cmp.Compare(a.AccountID, b.AccountID))
		if f.Ascending {
			return c
		}
		return -c
	}
	var found []account.Account
	for _, a := range m.accounts {
		switch {
		case a.PartnerID != partnerID, a.Purged(now), f.Active != nil && *f.Active != a.Active,
			!f.CreatedFrom.IsZero() && a.CreatedAt.Before(f.CreatedFrom),
			!f.CreatedUntil.IsZero() && a.CreatedAt.After(f.CreatedUntil),
			after != nil && order(position(a), *after) <= 0:
			continue
		}
		a = keptAccount(a)
		a.PasswordHash, a.Following = "", false
		found = append(found, a)
	}
	slices.SortFunc(found, func(a, b account.Account) int { return order(position(a), position(b)) })
	found = found[min(skip, len(found)):]
	if len(found) == 0 {
		return nil, nil, nil
	}
	if len(found) <= limit {
		return found, nil, nil
	}
	next := position(found[limit-1])
	return found[:limit], &next, nil
}

func position(a account.Account) account.Position {
	return account.Position{CreatedAt: a.CreatedAt, AccountID: a.ID}
}

// ListConnections is store.Store's.
func (m *Memory) ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("listing connections: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var connections []connection.Connection
	var snapshots map[string]connection.Snapshot
	if withSnapshots {
		snapshots = map[string]connection.Snapshot{}
	}
	for _, c := range m.connectionsOf(accountID) {
		if !c.Visible() {
			continue
		}
		connections = append(connections, c)
		if snap := m.snapshot(connectionID{accountID, c.ID}); snap != nil && withSnapshots {
			snapshots[c.ID] = *snap
		}
	}
	return connections, snapshots, nil
}

// AllConnections is store.Store's.
func (m *Memory) AllConnections(ctx context.Context, accountID int64) ([]connection.Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.connectionsOf(accountID), nil
}

// connectionsOf is all connections of an account, the oldest first.
func (m *Memory) connectionsOf(accountID int64) []connection.Connection {
	connections := []connection.Connection{}
	for _, id := range m.owned[accountID] {
		connections = append(connections, keptConnection(m.connections[connectionID{accountID, id}]))
	}
	slices.SortFunc(connections, byAge)
	return connections
}

func byAge(a, b connection.Connection) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// UpdateAccount is store.Store's.
func (m *Memory) UpdateAccount(ctx context.Context, c account.Update, fx effects.Effects, now time.Time) error {
	shown := c.New // but for what does not count
	shown.ID, shown.PartnerID, shown.CreatedAt = c.Old.ID, c.Old.PartnerID, c.Old.CreatedAt
	shown.PurgeAt, shown.CarriersCount, shown.Version = c.Old.PurgeAt, c.Old.CarriersCount, c.Old.Version
	same := keptAccount(shown).Same(keptAccount(c.Old))
	if same && fx.Answer == nil {
		return nil // nothing to do, and no answer to keep
	}
	return m.commit(ctx, "updating an account", fx, now, func() error {
		a, err := m.present(c.Old.ID, now)
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return account.ErrDeleted()
		case a.Version != c.Old.Version:
			return account.ErrChanged()
		case same:
			return errUnchanged
		case c.New.OriginCountryCode != a.OriginCountryCode && a.CarriersCount > 0:
			return account.ErrCountryFixed()
		}
		next := c.New
		next.ID, next.PartnerID, next.CreatedAt = a.ID, a.PartnerID, a.CreatedAt
		next.PurgeAt, next.CarriersCount, next.Following = a.PurgeAt, a.CarriersCount, a.Following
		if next.PasswordHash == c.Old.PasswordHash {
			next.PasswordHash = a.PasswordHash // an account as a list shows it has none
		}
		if conflicts := m.taken(next, a.ID, now); len(conflicts) > 0 {
			return conflicts
		}
		if a.ExternalID != next.ExternalID {
			delete(m.externals, externalID{a.PartnerID, a.ExternalID})
		}
		if emailOf(a) != emailOf(next) {
			delete(m.emails, emailOf(a))
		}
		m.hold(next)
		if next.Active != c.Old.Active {
			m.follow(&next, now)
		}
		m.change(next, a.Version)
		return nil
	})
}

// SetAccountActive is store.Store's.
func (m *Memory) SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "enabling or disabling an account", fx, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return account.ErrDeleted()
		case a.Active == active:
			return errUnchanged
		}
		a.Active, a.ModifiedAt = active, now
		m.follow(&a, now)
		m.change(a, a.Version)
		return nil
	})
}

// DeleteAccount is store.Store's.
func (m *Memory) DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "deleting an account", fx, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return errUnchanged
		}
		m.wasActive[a.ID] = a.Active
		a.Active, a.PurgeAt, a.ModifiedAt = false, purgeAt, now
		m.follow(&a, now)
		m.change(a, a.Version)
		return nil
	})
}

// RestoreAccount is store.Store's.
func (m *Memory) RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "restoring an account", fx, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case !a.Deleted():
			return account.ErrNotDeleted()
		case !m.holdsAll(a):
			return account.ErrNotFound()
		}
		a.Active, a.PurgeAt, a.ModifiedAt = m.wasActive[a.ID], time.Time{}, now
		m.follow(&a, now)
		m.change(a, a.Version)
		return nil
	})
}

// follow marks an account whose connections have to follow it.
func (m *Memory) follow(a *account.Account, now time.Time) {
	a.Following = true
	m.due.set(dueEntry{queue: repairs, id: connectionID{account: a.ID}, at: milli(now)})
}

// present is an account that is there.
func (m *Memory) present(id int64, now time.Time) (account.Account, error) {
	a, ok := m.accounts[id]
	if !ok || a.Purged(now) {
		return account.Account{}, account.ErrNotFound()
	}
	return a, nil
}

// presentAt is present, of the version that was read if the change is pinned.
func (m *Memory) presentAt(read account.Account, pinned bool, now time.Time) (account.Account, error) {
	a, err := m.present(read.ID, now)
	if err == nil && pinned && a.Version != read.Version {
		err = account.ErrChanged()
	}
	return a, err
}

// change keeps the next version of an account.
func (m *Memory) change(a account.Account, version int64) {
	a.Version = version + 1
	m.accounts[a.ID] = keptAccount(a)
}
