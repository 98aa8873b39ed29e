package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/store"
)

// held tells who holds an identifier; what a purged account holds is free.
func (m *Memory) held(h holder, ok bool, now time.Time) bool {
	a := m.accounts[h.account]
	return ok && !a.Purged(now)
}

func emailOf(a carrier.Account) emailID { return emailID{a.Environment, a.EmailKey} }

// taken is the conflicts of an account's email and external id with those of
// others than itself.
func (m *Memory) taken(a carrier.Account, itself int64, now time.Time) fault.List {
	var conflicts fault.List
	ask := func(field string, h holder, ok bool) {
		if !m.held(h, ok, now) || h.account == itself {
			return
		}
		if h.partner != a.PartnerID {
			h.account = 0
		}
		conflicts = append(conflicts, carrier.IdentifierTaken(field, h.account))
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
func (m *Memory) hold(a carrier.Account) {
	if a.ExternalID != "" {
		m.externals[externalID{a.PartnerID, a.ExternalID}] = holder{a.ID, a.PartnerID}
	}
	if a.EmailKey != "" {
		m.emails[emailOf(a)] = holder{a.ID, a.PartnerID}
	}
}

// holdsAll tells whether the account's identifiers are its own.
func (m *Memory) holdsAll(a carrier.Account) bool {
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
		return 0, carrier.NoAccount()
	}
	return h.account, nil
}

// ListAccounts is store.Store's.
func (m *Memory) ListAccounts(ctx context.Context, partnerID int64, f carrier.AccountFilter, after *carrier.Position, skip, limit int, now time.Time) ([]carrier.Account, *carrier.Position, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("listing accounts: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	order := func(a, b carrier.Position) int {
		c := cmp.Or(milli(a.CreatedAt).Compare(milli(b.CreatedAt)), cmp.Compare(a.AccountID, b.AccountID))
		if f.Ascending {
			return c
		}
		return -c
	}
	var found []carrier.Account
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
	slices.SortFunc(found, func(a, b carrier.Account) int { return order(position(a), position(b)) })
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

func position(a carrier.Account) carrier.Position {
	return carrier.Position{CreatedAt: a.CreatedAt, AccountID: a.ID}
}

// ListConnections is store.Store's.
func (m *Memory) ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]carrier.Connection, map[string]carrier.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("listing connections: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var connections []carrier.Connection
	var snapshots map[string]carrier.Snapshot
	if withSnapshots {
		snapshots = map[string]carrier.Snapshot{}
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
func (m *Memory) AllConnections(ctx context.Context, accountID int64) ([]carrier.Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.connectionsOf(accountID), nil
}

// connectionsOf is all connections of an account, the oldest first.
func (m *Memory) connectionsOf(accountID int64) []carrier.Connection {
	connections := []carrier.Connection{}
	for _, id := range m.owned[accountID] {
		connections = append(connections, keptConnection(m.connections[connectionID{accountID, id}]))
	}
	slices.SortFunc(connections, byAge)
	return connections
}

func byAge(a, b carrier.Connection) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// UpdateAccount is store.Store's.
func (m *Memory) UpdateAccount(ctx context.Context, c store.AccountChange, now time.Time) (*carrier.IdempotencyRecord, error) {
	shown := c.New // but for what does not count
	shown.ID, shown.PartnerID, shown.CreatedAt = c.Old.ID, c.Old.PartnerID, c.Old.CreatedAt
	shown.PurgeAt, shown.CarriersCount, shown.Version = c.Old.PurgeAt, c.Old.CarriersCount, c.Old.Version
	same := keptAccount(shown).Same(keptAccount(c.Old))
	if same && c.Idempotency == nil {
		return nil, nil // nothing to do, and no answer to keep
	}
	return m.once(ctx, "updating an account", c.Idempotency, now, func() error {
		a, err := m.present(c.Old.ID, now)
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return carrier.AccountDeleted()
		case a.Version != c.Old.Version:
			return carrier.AccountChanged()
		case same:
			return nil
		case c.New.OriginCountryCode != a.OriginCountryCode && a.CarriersCount > 0:
			return carrier.CountryFixed()
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
func (m *Memory) SetAccountActive(ctx context.Context, a carrier.Account, pinned, active bool, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error) {
	return m.once(ctx, "enabling or disabling an account", rec, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case a.Deleted():
			return carrier.AccountDeleted()
		case a.Active != active:
			a.Active, a.ModifiedAt = active, now
			m.follow(&a, now)
			m.change(a, a.Version)
		}
		return nil
	})
}

// DeleteAccount is store.Store's.
func (m *Memory) DeleteAccount(ctx context.Context, a carrier.Account, pinned bool, purgeAt time.Time, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error) {
	return m.once(ctx, "deleting an account", rec, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case !a.Deleted():
			m.wasActive[a.ID] = a.Active
			a.Active, a.PurgeAt, a.ModifiedAt = false, purgeAt, now
			m.follow(&a, now)
			m.change(a, a.Version)
		}
		return nil
	})
}

// RestoreAccount is store.Store's.
func (m *Memory) RestoreAccount(ctx context.Context, a carrier.Account, pinned bool, rec *carrier.IdempotencyRecord, now time.Time) (*carrier.IdempotencyRecord, error) {
	return m.once(ctx, "restoring an account", rec, now, func() error {
		a, err := m.presentAt(a, pinned, now)
		switch {
		case err != nil:
			return err
		case !a.Deleted():
			return carrier.AccountNotDeleted()
		case !m.holdsAll(a):
			return carrier.NoAccount()
		}
		a.Active, a.PurgeAt, a.ModifiedAt = m.wasActive[a.ID], time.Time{}, now
		m.follow(&a, now)
		m.change(a, a.Version)
		return nil
	})
}

// follow marks an account whose connections have to follow it.
func (m *Memory) follow(a *carrier.Account, now time.Time) {
	a.Following = true
	m.due.set(dueEntry{queue: repairs, id: connectionID{account: a.ID}, at: milli(now)})
}

// once makes a change and keeps its answer, unless the idempotency key has one
// already.
func (m *Memory) once(ctx context.Context, what string, rec *carrier.IdempotencyRecord, now time.Time, change func() error) (*carrier.IdempotencyRecord, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if rec != nil {
		if existing := m.notClaimable(*rec, now); existing != nil {
			return existing, nil
		}
	}
	if err := change(); err != nil {
		return nil, err
	}
	if rec != nil {
		m.keep(*rec)
	}
	return nil, nil // done: there is no earlier record
}

// present is an account that is there.
func (m *Memory) present(id int64, now time.Time) (carrier.Account, error) {
	a, ok := m.accounts[id]
	if !ok || a.Purged(now) {
		return carrier.Account{}, carrier.NoAccount()
	}
	return a, nil
}

// presentAt is present, of the version that was read if the change is pinned.
func (m *Memory) presentAt(read carrier.Account, pinned bool, now time.Time) (carrier.Account, error) {
	a, err := m.present(read.ID, now)
	if err == nil && pinned && a.Version != read.Version {
		err = carrier.AccountChanged()
	}
	return a, err
}

// change keeps the next version of an account.
func (m *Memory) change(a carrier.Account, version int64) {
	a.Version = version + 1
	m.accounts[a.ID] = keptAccount(a)
}
