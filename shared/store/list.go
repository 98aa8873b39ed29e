package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
)

// AccountByExternalID finds the account of a partner by the partner's own id
// for it, consistently. An id that nobody has, or only a purged account, is
// fault.NotFound.
func (s *Store) AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: externalKey(partnerID, externalID).item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return 0, fmt.Errorf("finding an account: %w", err)
	}
	if len(out.Item) == 0 || lapsed(out.Item, now) {
		return 0, account.ErrNotFound()
	}
	r := reader{it: out.Item}
	return r.int(attrAccountID), r.done(partExternal)
}

// ListAccounts reads a page of a partner's accounts in the order of their
// creation: those that the filter lets through, after a position (nil: from the
// first one), without the first skip of them, limit (at least 1) at most. next is where the
// page ends, nil when nothing comes after it. Accounts come without password
// hash; deleted ones are listed until their purge is due.
//
// What is skipped is read and paid for; a position is free. The indexes follow
// the table within a second or so: what has just changed may be listed as it
// was.
func (s *Store) ListAccounts(ctx context.Context, partnerID int64, f account.Filter, after *account.Position, skip, limit int, now time.Time) (accounts []account.Account, next *account.Position, err error) {
	from, to := createdRange(f, after)
	if from > to {
		return nil, nil, nil // DynamoDB refuses a range that is empty
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String(indexPartner),
		KeyConditionExpression:    aws.String("partner_pk = :pk AND created_key BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":pk": textValue(partnerPK(partnerID)), ":from": textValue(from), ":to": textValue(to)},
		ScanIndexForward:          &f.Ascending,
	}
	if f.Active != nil {
		in.IndexName = aws.String(indexActive)
		in.KeyConditionExpression = aws.String("active_pk = :pk AND created_key BETWEEN :from AND :to")
		in.ExpressionAttributeValues[":pk"] = textValue(activePK(partnerID, *f.Active))
	}
	for {
		// One more than asked for tells whether there is more.
		in.Limit = limitOf(skip + limit + 1 - len(accounts))
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("listing accounts: %w", err)
		}
		for _, it := range out.Items {
			a, err := readAccount(it)
			switch {
			case err != nil:
				return nil, nil, err
			case a.Purged(now):
			case skip > 0:
				skip--
			default:
				accounts = append(accounts, a)
			}
		}
		switch {
		case len(accounts) > limit:
			accounts = accounts[:limit]
			last := accounts[limit-1]
			return accounts, &account.Position{CreatedAt: last.CreatedAt, AccountID: last.ID}, nil
		case len(out.LastEvaluatedKey) == 0:
			return accounts, nil, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// limitOf is a limit as a Query takes it: at most maxQuery, which is more items
// than DynamoDB reads in one call (1 MB).
func limitOf(n int) *int32 {
	return aws.Int32(int32(min(n, maxQuery))) //nolint:gosec // maxQuery fits
}

const maxQuery = 100_000

// createdRange is the first and the last created_key that a filter and a
// position leave. Times between two milliseconds count as what is kept of them.
func createdRange(f account.Filter, after *account.Position) (from, to string) {
	from, to = createdKey(0, 0), createdKey(lastMilli, maxID)
	if !f.CreatedFrom.IsZero() {
		from = createdKey(f.CreatedFrom.Add(time.Millisecond-time.Nanosecond).UnixMilli(), 0)
	}
	if !f.CreatedUntil.IsZero() {
		to = createdKey(f.CreatedUntil.UnixMilli(), maxID)
	}
	switch {
	case after == nil:
	case f.Ascending:
		from = max(from, createdKey(after.CreatedAt.UnixMilli(), after.AccountID+1))
	default:
		to = min(to, createdKey(after.CreatedAt.UnixMilli(), after.AccountID-1))
	}
	return from, to
}

// maxID is as large as created_key has room for.
const maxID = 9_999_999_999

// ListConnections reads the connections of an account that are visible, the
// oldest first, and with them their snapshots by carrier id, nil without. An
// account that is absent has none.
func (s *Store) ListConnections(ctx context.Context, accountID int64, withSnapshots bool) ([]connection.Connection, map[string]connection.Snapshot, error) {
	last := skConnection
	if withSnapshots {
		last = skSnapshot
	}
	// One call for both: what stands between them, keys and numbers, is little.
	items, err := s.queryItems(ctx, accountPK(accountID), skConnection, last)
	if err != nil {
		return nil, nil, fmt.Errorf("listing connections: %w", err)
	}
	var connections []connection.Connection
	var packed []item
	listed := map[string]bool{}
	for _, it := range items {
		r := reader{it: it}
		sk := r.text(attrSK)
		if strings.HasPrefix(sk, skSnapshot) {
			packed = append(packed, it)
		}
		if !strings.HasPrefix(sk, skConnection) {
			continue
		}
		c, err := readConnection(it)
		if err != nil {
			return nil, nil, err
		}
		if c.Visible() {
			connections = append(connections, c)
			listed[c.ID] = true
		}
	}
	slices.SortFunc(connections, byAge)
	if !withSnapshots {
		return connections, nil, nil
	}
	snapshots := map[string]connection.Snapshot{}
	for _, it := range packed {
		r := reader{it: it}
		id := strings.TrimPrefix(r.text(attrSK), skSnapshot)
		snap, err := readSnapshot(it)
		if err := errors.Join(err, r.done("snapshot")); err != nil {
			return nil, nil, err
		}
		if listed[id] {
			snapshots[id] = snap
		}
	}
	return connections, snapshots, nil
}

// AllConnections reads all connections of an account, intents and disconnected
// ones too, the oldest first. One whose PurgeAt is over may be among them. An
// account that is absent has none.
func (s *Store) AllConnections(ctx context.Context, accountID int64) ([]connection.Connection, error) {
	items, err := s.queryItems(ctx, accountPK(accountID), skConnection, skConnection)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	connections := make([]connection.Connection, len(items))
	for i, it := range items {
		if connections[i], err = readConnection(it); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(connections, byAge)
	return connections, nil
}

func byAge(a, b connection.Connection) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// queryItems reads all items of a partition whose sort keys stand between two
// prefixes, what begins with them included, consistently.
func (s *Store) queryItems(ctx context.Context, pk, first, last string) ([]item, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{":pk": textValue(pk), ":first": textValue(first), ":last": textValue(last + "~")},
	}
	var items []item
	for {
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			items = append(items, it)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}
