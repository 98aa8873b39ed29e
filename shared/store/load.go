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

// Want is what to read beside an account.
type Want struct {
	// Now is when it is asked: what has expired by then is absent. The zero
	// value expires nothing.
	Now          time.Time
	ConnectionID string             // the connection with this carrier_id
	Snapshot     bool               // that connection's snapshot too
	Number       *connection.Number // which connections of the account hold this number
	// Idempotency is the record under this one's Scope and Key.
	Idempotency *effects.Record
	Breakers    bool // the breakers of all carriers
}

// Loaded is what was found; nil means that there is none.
type Loaded struct {
	Account    *account.Account
	Connection *connection.Connection // as it is, one that is not Visible included
	Snapshot   *connection.Snapshot
	LinkedAs   []string // carrier_ids that hold the number, in order, intents included
	// Idempotency is the record that is there and has not expired, finished or not.
	Idempotency *effects.Record
	Breakers    map[carrier.Name]health.Breaker // nil if not wanted
}

// Load reads an account and what is asked for beside it, consistently, in one
// call. What is absent is no error; an account or a connection whose purge is due
// is absent.
// Items are read one by one: a snapshot may be of the check after the row, an
// account as the request that has just finished the idempotency record left it.
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
		keys = append(keys, breakers.BreakerKeys()...)
	}
	found, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return Loaded{}, fmt.Errorf("reading an account: %w", err)
	}
	for k, it := range found {
		if kit.Lapsed(it, w.Now) {
			delete(found, k)
		}
	}
	var l Loaded
	var errs [6]error
	l.Account, errs[0] = kit.Optional(found[keys[0]], accounts.Read)
	l.Connection, errs[1] = kit.Optional(found[kit.ConnectionKey(accountID, w.ConnectionID)], connections.Read)
	l.Snapshot, errs[2] = kit.Optional(found[kit.SnapshotKey(accountID, w.ConnectionID)], connections.ReadSnapshot)
	if w.Number != nil {
		l.LinkedAs, errs[3] = connections.ReadHolders(found[kit.NumberKey(accountID, *w.Number)])
	}
	if w.Idempotency != nil {
		if it := found[kit.IdempotencyKey(w.Idempotency.Scope, w.Idempotency.Key)]; len(it) > 0 {
			l.Idempotency, errs[4] = kit.ReadIdempotency(it)
		}
	}
	if w.Breakers {
		l.Breakers, errs[5] = breakers.ReadBreakers(found)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Loaded{}, err
	}
	return l, nil
}
