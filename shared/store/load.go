package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// Number is a charge account number of a carrier.
type Number struct {
	Carrier carrier.Name
	Number  string
}

// Want is what to read beside an account.
type Want struct {
	// Now is when it is asked: what has expired by then is absent. The zero
	// value expires nothing.
	Now          time.Time
	ConnectionID string  // the connection with this carrier_id
	Snapshot     bool    // that connection's snapshot too
	Number       *Number // which connections of the account hold this number
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
	keys := []key{accountKey(accountID)}
	if w.ConnectionID != "" {
		keys = append(keys, connectionKey(accountID, w.ConnectionID))
		if w.Snapshot {
			keys = append(keys, snapshotKey(accountID, w.ConnectionID))
		}
	}
	if w.Number != nil {
		keys = append(keys, numberKey(accountID, *w.Number))
	}
	if w.Idempotency != nil {
		keys = append(keys, idempotencyKey(w.Idempotency.Scope, w.Idempotency.Key))
	}
	if w.Breakers {
		keys = append(keys, breakerKeys()...)
	}
	found, err := s.batchGet(ctx, keys)
	if err != nil {
		return Loaded{}, fmt.Errorf("reading an account: %w", err)
	}
	for k, it := range found {
		if lapsed(it, w.Now) {
			delete(found, k)
		}
	}
	var l Loaded
	var errs [6]error
	l.Account, errs[0] = optional(found[keys[0]], readAccount)
	l.Connection, errs[1] = optional(found[connectionKey(accountID, w.ConnectionID)], readConnection)
	l.Snapshot, errs[2] = optional(found[snapshotKey(accountID, w.ConnectionID)], readSnapshot)
	if w.Number != nil {
		l.LinkedAs, errs[3] = readHolders(found[numberKey(accountID, *w.Number)])
	}
	if w.Idempotency != nil {
		if it := found[idempotencyKey(w.Idempotency.Scope, w.Idempotency.Key)]; len(it) > 0 {
			l.Idempotency, errs[4] = readIdempotency(it)
		}
	}
	if w.Breakers {
		l.Breakers, errs[5] = readBreakers(found)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Loaded{}, err
	}
	return l, nil
}

// FindAccount is Load of the account alone, nil for none.
func (s *Store) FindAccount(ctx context.Context, accountID int64, now time.Time) (*account.Account, error) {
	l, err := s.Load(ctx, accountID, Want{Now: now})
	return l.Account, err
}

func optional[T any](it item, read func(item) (T, error)) (*T, error) {
	if len(it) == 0 {
		return nil, nil // absent is what the caller asks about
	}
	v, err := read(it)
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// batchGet reads items by their keys. DynamoDB may leave some for another call;
// after six calls that is fault.Overloaded.
func (s *Store) batchGet(ctx context.Context, keys []key) (map[key]item, error) {
	ask := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, k := range keys {
		ask.Keys = append(ask.Keys, k.item())
	}
	in := &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{s.table: ask}}
	found := make(map[key]item, len(keys))
	for n := 0; ; n++ {
		out, err := s.api.BatchGetItem(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, items := range out.Responses {
			for _, it := range items {
				r := reader{it: it}
				found[key{r.text(attrPK), r.text(attrSK)}] = it
			}
		}
		if len(out.UnprocessedKeys) == 0 {
			return found, nil
		}
		if n+1 == attempts {
			return nil, fault.Throttled(fmt.Errorf("items left unread after %d calls", attempts))
		}
		if err := s.backoff(ctx, n); err != nil {
			return nil, fault.Throttled(fmt.Errorf("items left unread: %w", err))
		}
		in.RequestItems = out.UnprocessedKeys
	}
}

// one reads one item, consistently; nil if it is not there. Functions that read
// several items at other times do without the code of GetItem.
func (s *Store) one(ctx context.Context, k key) (item, error) {
	found, err := s.batchGet(ctx, []key{k})
	return found[k], err
}

// Account reads an account, consistently. One that is absent, or whose purge is
// due, is fault.NotFound.
func (s *Store) Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: accountKey(accountID).item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return account.Account{}, fmt.Errorf("reading an account: %w", err)
	}
	return present(out.Item, now)
}

// Connection reads one connection, consistently, as it is: an intent or a
// disconnected one too. One that the account does not have is fault.NotFound;
// one whose PurgeAt is over may be there still.
func (s *Store) Connection(ctx context.Context, accountID int64, connectionID string) (connection.Connection, error) {
	it, err := s.one(ctx, connectionKey(accountID, connectionID))
	if err != nil {
		return connection.Connection{}, fmt.Errorf("reading a connection: %w", err)
	}
	if len(it) == 0 {
		return connection.Connection{}, connection.ErrNoConnection()
	}
	return readConnection(it)
}

// Snapshot reads the snapshot of a connection, consistently; nil if there is
// none.
func (s *Store) Snapshot(ctx context.Context, accountID int64, connectionID string) (*connection.Snapshot, error) {
	it, err := s.one(ctx, snapshotKey(accountID, connectionID))
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return optional(it, readSnapshot)
}
