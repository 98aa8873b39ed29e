package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/store"
	"carrierlink/shared/tracking"
)

// Memory is a store for unit tests: it holds to every condition that the table
// does, and keeps what the table keeps, times to the millisecond. It is safe
// for concurrent use, and shares no memory with its callers.
type Memory struct {
	Caps connection.Caps // as store.Store's

	mu          sync.Mutex
	partners    map[int64]account.Partner
	accounts    map[int64]account.Account
	wasActive   map[int64]bool // of deleted accounts
	keys        map[keyID]*keyRecord
	emails      map[emailID]holder
	externals   map[externalID]holder
	connections map[connectionID]connection.Connection
	owned       map[int64][]string // the connections of each account
	snapshots   map[connectionID]connection.Snapshot
	numbers     map[numberID][]string // in order
	numberEnds  map[numberID]time.Time
	due         dueIndex
	history     map[connectionID][]connection.HistoryEntry // the newest last
	breakers    map[carrier.Name]health.Breaker
	tallies     map[tallyID]health.Tally
	links       map[linksID]*[2]int
	calls       map[connection.Allowance][]time.Time // the newest first
	tracking    map[trackingID]tracking.Cached
	idempotency map[idempotencyID]effects.Record
	events      map[int64][]Told
}

type (
	keyID struct {
		partner, account int64 // the owner: the other one is zero
		hash             string
	}
	keyRecord struct {
		key    account.APIKey
		window time.Time
		used   int
	}
	holder     struct{ account, partner int64 }
	externalID struct {
		partner int64
		id      string
	}
	connectionID struct {
		account int64
		id      string
	}
	numberID struct {
		account int64
		number  store.Number
	}
	tallyID struct {
		carrier carrier.Name
		minute  time.Time
	}
	// linksID is a day of an account: what it has linked, and unlinked.
	linksID struct {
		account int64
		day     string
	}
	emailID struct {
		environment carrier.Environment
		key         string
	}
	trackingID struct {
		connection connectionID
		number     string
	}
	idempotencyID struct{ scope, key string }
)

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		Caps:        connection.Caps{Keys: account.MaxKeys},
		links:       map[linksID]*[2]int{},
		partners:    map[int64]account.Partner{},
		accounts:    map[int64]account.Account{},
		wasActive:   map[int64]bool{},
		keys:        map[keyID]*keyRecord{},
		emails:      map[emailID]holder{},
		externals:   map[externalID]holder{},
		connections: map[connectionID]connection.Connection{},
		owned:       map[int64][]string{},
		snapshots:   map[connectionID]connection.Snapshot{},
		numbers:     map[numberID][]string{},
		numberEnds:  map[numberID]time.Time{},
		due:         dueIndex{queues: map[string]*dueQueue{}, current: map[connectionID]*dueEntry{}},
		history:     map[connectionID][]connection.HistoryEntry{},
		breakers:    map[carrier.Name]health.Breaker{},
		tallies:     map[tallyID]health.Tally{},
		calls:       map[connection.Allowance][]time.Time{},
		tracking:    map[trackingID]tracking.Cached{},
		idempotency: map[idempotencyID]effects.Record{},
		events:      map[int64][]Told{},
	}
}

func ownerOf(k account.APIKey) keyID {
	if k.AccountID != 0 {
		return keyID{account: k.AccountID, hash: k.Hash}
	}
	return keyID{partner: k.PartnerID, hash: k.Hash}
}

// UseKey is store.Store's.
func (m *Memory) UseKey(ctx context.Context, u account.KeyUse) (account.KeyUsed, error) {
	if err := ctx.Err(); err != nil {
		return account.KeyUsed{}, fmt.Errorf("using an API key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.keys[keyID{u.PartnerID, u.AccountID, u.Hash}]
	if r == nil || r.key.Expired(milli(u.Now)) {
		return account.KeyUsed{}, account.ErrKeyNotValid()
	}
	if window := u.Now.Truncate(store.RateWindow); r.window.Before(window) {
		r.window, r.used = window, 0
	}
	reset := r.window.Add(store.RateWindow).Sub(u.Now)
	if r.used >= u.Limit {
		return account.KeyUsed{Key: keptKey(r.key), Used: u.Limit, Reset: reset}, account.ErrKeyLimited(u.Limit, reset)
	}
	r.used++
	r.key.LastUsedOn = u.Now.UTC().Truncate(24 * time.Hour)
	return account.KeyUsed{Key: keptKey(r.key), Used: r.used, Reset: reset}, nil
}

// FindAccount is store.Store's.
func (m *Memory) FindAccount(ctx context.Context, accountID int64, now time.Time) (*account.Account, error) {
	l, err := m.Load(ctx, accountID, store.Want{Now: now})
	return l.Account, err
}

// Load is store.Store's.
func (m *Memory) Load(ctx context.Context, accountID int64, w store.Want) (store.Loaded, error) {
	if err := ctx.Err(); err != nil {
		return store.Loaded{}, fmt.Errorf("reading an account: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var l store.Loaded
	if a, ok := m.accounts[accountID]; ok && !a.Purged(w.Now) {
		a = keptAccount(a)
		l.Account = &a
	}
	id := connectionID{accountID, w.ConnectionID}
	if c, ok := m.connections[id]; ok && !over(c.PurgeAt, w.Now) {
		c = keptConnection(c)
		l.Connection = &c
		if w.Snapshot {
			l.Snapshot = m.snapshot(id)
		}
	}
	if w.Number != nil {
		if n := (numberID{accountID, *w.Number}); !over(m.numberEnds[n], w.Now) {
			l.LinkedAs = slices.Clone(m.numbers[n])
		}
	}
	if w.Breakers {
		l.Breakers = m.allBreakers()
	}
	if w.Idempotency != nil {
		l.Idempotency = m.record(*w.Idempotency, w.Now)
	}
	return l, nil
}

// Account is store.Store's.
func (m *Memory) Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error) {
	if err := ctx.Err(); err != nil {
		return account.Account{}, fmt.Errorf("reading an account: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.present(accountID, now)
	if err != nil {
		return account.Account{}, err
	}
	return keptAccount(a), nil
}

// Snapshot is store.Store's.
func (m *Memory) Snapshot(ctx context.Context, accountID int64, id string) (*connection.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot(connectionID{accountID, id}), nil
}

// snapshot is nil if there is none.
func (m *Memory) snapshot(id connectionID) *connection.Snapshot {
	s, ok := m.snapshots[id]
	if !ok {
		return nil
	}
	s = keptSnapshot(s)
	return &s
}

// Connection is store.Store's.
func (m *Memory) Connection(ctx context.Context, accountID int64, id string) (connection.Connection, error) {
	if err := ctx.Err(); err != nil {
		return connection.Connection{}, fmt.Errorf("reading a connection: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.connections[connectionID{accountID, id}]
	if !ok {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	return keptConnection(c), nil
}

// CreateAccount is store.Store's.
func (m *Memory) CreateAccount(ctx context.Context, n account.NewAccount, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "creating an account", fx, now, func() error {
		a := n.Account
		if conflicts := m.taken(a, 0, now); len(conflicts) > 0 {
			return conflicts
		}
		if _, ok := m.accounts[a.ID]; ok || m.keys[ownerOf(n.Key)] != nil {
			return fmt.Errorf("creating an account: %w", account.ErrIDTaken)
		}
		a.Version, a.Following = 1, false
		m.accounts[a.ID] = keptAccount(a)
		m.keys[ownerOf(n.Key)] = &keyRecord{key: keptKey(n.Key)}
		m.hold(a)
		return nil
	})
}

// CreatePartner is store.Store's.
func (m *Memory) CreatePartner(ctx context.Context, p account.Partner, k account.APIKey, fx effects.Effects, now time.Time) error {
	return m.commit(ctx, "creating a partner", fx, now, func() error {
		if _, ok := m.partners[p.ID]; ok || m.keys[ownerOf(k)] != nil {
			return fmt.Errorf("creating a partner: %w", account.ErrIDTaken)
		}
		m.partners[p.ID] = p
		m.keys[ownerOf(k)] = &keyRecord{key: keptKey(k)}
		return nil
	})
}

// notClaimable is the record that stands in the way of another, nil if none.
func (m *Memory) notClaimable(rec effects.Record, now time.Time) *effects.Record {
	old, ok := m.idempotency[idempotencyID{rec.Scope, rec.Key}]
	abandoned := !old.Finished() && !old.LeaseUntil.IsZero() && !old.LeaseUntil.After(milli(now))
	if !ok || old.Expired(now) || abandoned {
		return nil
	}
	old = keptIdempotency(old)
	return &old
}

// record is the record under the same scope and key, nil if none counts.
func (m *Memory) record(rec effects.Record, now time.Time) *effects.Record {
	old, ok := m.idempotency[idempotencyID{rec.Scope, rec.Key}]
	if !ok || old.Expired(now) {
		return nil
	}
	old = keptIdempotency(old)
	return &old
}

// Idempotency is store.Store's.
func (m *Memory) Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading an idempotency record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record(rec, now), nil
}

func (m *Memory) keep(rec effects.Record) {
	m.idempotency[idempotencyID{rec.Scope, rec.Key}] = keptIdempotency(rec)
}

func (m *Memory) ourClaim(rec effects.Record) bool {
	old, ok := m.idempotency[idempotencyID{rec.Scope, rec.Key}]
	return ok && old.ClaimID == rec.ClaimID && !old.Finished()
}

// ClaimIdempotency is store.Store's.
func (m *Memory) ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("claiming an idempotency key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if existing := m.notClaimable(rec, now); existing != nil && !m.ourClaim(rec) {
		return &effects.Replay{Record: *existing}
	} else if existing == nil {
		m.keep(rec)
	}
	return nil
}

// ReleaseIdempotency is store.Store's.
func (m *Memory) ReleaseIdempotency(ctx context.Context, rec effects.Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("releasing an idempotency key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ourClaim(rec) {
		delete(m.idempotency, idempotencyID{rec.Scope, rec.Key})
	}
	return nil
}

// milli is a time as the table keeps it.
func milli(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// second is a time as the table keeps the end of an item.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(t.Unix(), 0).UTC()
}

// over tells whether an end has come; there is none if it is zero.
func over(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// The kept forms are copies as they come back from the table.

func keptTexts(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

func keptKey(k account.APIKey) account.APIKey {
	k.Scopes = slices.Clone(k.Scopes)
	k.ExpiresAt, k.CreatedAt = milli(k.ExpiresAt), milli(k.CreatedAt)
	return k
}

func keptAccount(a account.Account) account.Account {
	a.Metadata = keptTexts(a.Metadata)
	a.CreatedAt, a.ModifiedAt = milli(a.CreatedAt), milli(a.ModifiedAt)
	a.PurgeAt = second(a.PurgeAt)
	return a
}

func keptConnection(c connection.Connection) connection.Connection {
	c.Metadata = keptTexts(c.Metadata)
	for _, t := range []*time.Time{
		&c.LastCheck.At, &c.VerifiedAt, &c.FirstRefusedAt, &c.NextRefreshAt, &c.RefreshRequestedAt, &c.VerifyCalledAt, &c.CredentialsUpdatedAt,
		&c.Previous.Until, &c.LeaseUntil, &c.CreatedAt, &c.ModifiedAt, &c.DisconnectedAt,
	} {
		*t = milli(*t)
	}
	c.PurgeAt = second(c.PurgeAt)
	return c
}

func keptSnapshot(s connection.Snapshot) connection.Snapshot {
	return connection.Snapshot{Packed: bytesOrNil(s.Packed), At: milli(s.At)}
}

func keptIdempotency(r effects.Record) effects.Record {
	r.PayloadMAC, r.Sealed = bytesOrNil(r.PayloadMAC), bytesOrNil(r.Sealed)
	r.LeaseUntil = milli(r.LeaseUntil)
	r.ExpiresAt = second(r.ExpiresAt)
	return r
}

func bytesOrNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return slices.Clone(b)
}
