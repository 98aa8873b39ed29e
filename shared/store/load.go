package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/health"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/breakers"
	"carrierlink/shared/store/connections"
	"carrierlink/shared/store/kit"
)

// Want says what to read with an account.
type Want struct {
	Now          time.Time          // items that have expired by now are absent; zero: none has
	ConnectionID string             // the connection with this carrier_id
	Snapshot     bool               // the snapshot of that connection
	Number       *connection.Number // the holders of this number
	Idempotency  *effects.Record    // the record of this Scope and Key
	Breakers     bool               // the breakers of all carriers
}

// Loaded is what was found. What is absent, or was not wanted, is nil.
type Loaded struct {
	Account     *account.Account
	Connection  *connection.Connection // of whatever status: it may not be Visible
	Snapshot    *connection.Snapshot
	LinkedAs    []string        // carrier_ids of the holders of the number, in order, intents included
	Idempotency *effects.Record // an answer or a claim
	Breakers    map[carrier.Name]health.Breaker
}

// Loader is the part of Store that LoadInto calls.
type Loader interface {
	Load(ctx context.Context, accountID int64, w Want) (Loaded, error)
}

// LoadInto returns a function that loads what is wanted into l, and returns the
// account: auth.Merchant calls it while it checks the API key.
func (w Want) LoadInto(l *Loaded, from Loader) func(ctx context.Context, accountID int64) (*account.Account, error) {
	return func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		*l, err = from.Load(ctx, accountID, w)
		return l.Account, err
	}
}

// Load reads an account and what is wanted with it, consistently, in one call. An
// account or a connection whose purge is due is absent.
//
// Items are read one by one, not as of one moment: a snapshot may be newer than the
// row, an account newer than the idempotency record.
func (s *Store) Load(ctx context.Context, accountID int64, w Want) (Loaded, error) {
	keys := []kit.Key{kit.AccountKey(accountID)}
	if w.ConnectionID != "" {
		keys = append(keys, kit.ConnectionKey(accountID, w.ConnectionID))
		if w.Snapshot {
			keys = append(keys, kit.SnapshotKey(accountID, w.ConnectionID))
		}
	}
	if w.Number != nil {
		keys = append(keys, kit.NumberKey(accountID, *w.Number))
	}
	if w.Idempotency != nil {
		keys = append(keys, kit.IdempotencyKey(w.Idempotency.Scope, w.Idempotency.Key))
	}
	if w.Breakers {
		keys = append(keys, breakers.Keys()...)
	}
	found, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return Loaded{}, fmt.Errorf("reading an account: %w", err)
	}
	for k, it := range found {
		if kit.Gone(it, w.Now) {
			delete(found, k)
		}
	}
	var l Loaded
	var errs [6]error
	if it := found[keys[0]]; it != nil {
		l.Account = new(account.Account)
		*l.Account, errs[0] = accounts.FromItem(it)
	}
	if it := found[kit.ConnectionKey(accountID, w.ConnectionID)]; it != nil {
		l.Connection = new(connection.Connection)
		*l.Connection, errs[1] = connections.FromItem(it)
	}
	if it := found[kit.SnapshotKey(accountID, w.ConnectionID)]; it != nil {
		l.Snapshot = new(connection.Snapshot)
		*l.Snapshot, errs[2] = connections.SnapshotFromItem(it)
	}
	if w.Number != nil {
		l.LinkedAs, errs[3] = connections.HoldersFromItem(found[kit.NumberKey(accountID, *w.Number)])
	}
	if w.Idempotency != nil {
		if it := found[kit.IdempotencyKey(w.Idempotency.Scope, w.Idempotency.Key)]; it != nil {
			l.Idempotency, errs[4] = kit.IdempotencyFromItem(it)
		}
	}
	if w.Breakers {
		l.Breakers, errs[5] = breakers.FromItems(found)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Loaded{}, err
	}
	return l, nil
}
