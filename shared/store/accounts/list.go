package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/account"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/kit"
)

// AccountByExternalID reads the id of the account that has a partner's external id,
// consistently. It returns fault.NotFound if no account has it, or if the purge of the
// one that has it is due.
func (s *Store) AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error) {
	out, err := s.table.API.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table.Name, Key: kit.ExternalKey(partnerID, externalID).Item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return 0, fmt.Errorf("finding an account: %w", err)
	}
	if kit.Gone(out.Item, now) {
		return 0, account.ErrNotFound()
	}
	r := kit.Reader{It: out.Item}
	return r.Int(kit.AttrAccountID), r.Done(kit.PartExternal)
}

// ListAccounts reads a page of a partner's accounts by the time of their creation, the
// newest first unless f.Ascending: at most limit (at least 1) that pass the filter, from
// after a position (nil: the start), without the first skip. next is where the page
// ends, nil if nothing follows. Accounts come without password hash and email key;
// deleted ones are listed until their purge is due.
//
// Skipped accounts are read and paid for; a position costs nothing. The indexes follow
// the table within a second or so: an account that has just changed may be listed as
// it was.
func (s *Store) ListAccounts(ctx context.Context, partnerID int64, f account.Filter, after *account.Position, skip, limit int, now time.Time) (accounts []account.Account, next *account.Position, err error) {
	from, to := createdRange(f, after)
	if from > to {
		return nil, nil, nil // DynamoDB refuses an empty range
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table.Name, IndexName: aws.String(kit.IndexPartner),
		KeyConditionExpression:    aws.String("partner_pk = :pk AND created_key BETWEEN :from AND :to"),
		ExpressionAttributeValues: kit.Item{":pk": kit.TextValue(kit.PartnerPK(partnerID)), ":from": kit.TextValue(from), ":to": kit.TextValue(to)},
		ScanIndexForward:          &f.Ascending,
	}
	if f.Active != nil {
		in.IndexName = aws.String(kit.IndexActive)
		in.KeyConditionExpression = aws.String("active_pk = :pk AND created_key BETWEEN :from AND :to")
		in.ExpressionAttributeValues[":pk"] = kit.TextValue(kit.ActivePK(partnerID, *f.Active))
	}
	items, more, err := s.table.QueryPage(ctx, in, skip, limit, now)
	if err != nil {
		return nil, nil, fmt.Errorf("listing accounts: %w", err)
	}
	if accounts, err = kit.FromItems(items, FromItem); err == nil && more {
		last := accounts[limit-1]
		next = &account.Position{CreatedAt: last.CreatedAt, AccountID: last.ID}
	}
	return accounts, next, err
}

// maxBatch is how many items one BatchGetItem reads at most.
const maxBatch = 100

// ExternalIDs reads the external ids of accounts, consistently, by their account ids: in one
// call for each 100 of them; 0 is no account. Accounts that are absent, whose purge is due, or that have no
// external id are not in the map. It names each account's partner, because ids of purged
// accounts become free. An account that cannot be read is counted, logged and left out.
func (s *Store) ExternalIDs(ctx context.Context, accountIDs []int64, now time.Time) (map[account.Owned]string, error) {
	ids := map[account.Owned]string{}
	distinct := slices.Compact(slices.Sorted(slices.Values(accountIDs))) // DynamoDB refuses duplicates
	if len(distinct) > 0 && distinct[0] == 0 {
		distinct = distinct[1:]
	}
	for batch := range slices.Chunk(distinct, maxBatch) {
		keys := make([]kit.Key, len(batch))
		for i, id := range batch {
			keys[i] = kit.AccountKey(id)
		}
		found, err := s.table.BatchGet(ctx, keys)
		if err != nil {
			return nil, fmt.Errorf("reading accounts: %w", err)
		}
		for _, it := range found {
			if of, id := ExternalID(ctx, it, now); id != "" {
				ids[of] = id
			}
		}
	}
	return ids, nil
}

// ExternalID reads whose account an item is, and its external id: empty if it has none, or
// is gone. One that cannot be read counts as gone, and is counted and logged.
func ExternalID(ctx context.Context, it kit.Item, now time.Time) (of account.Owned, id string) {
	if kit.Gone(it, now) {
		return of, ""
	}
	a, err := FromItem(it)
	if err != nil {
		own := kit.Reader{It: it}
		metrics.Add(ctx, metrics.Malformed, "", 1)
		slog.ErrorContext(ctx, "an account cannot be read", slog.String("key", own.Key().PK), slog.String("error", err.Error()))
		return of, ""
	}
	return account.Owned{PartnerID: a.PartnerID, AccountID: a.ID}, a.ExternalID
}

// createdRange returns the first and the last created_key that a filter and a position
// allow. The table keeps times to the millisecond.
func createdRange(f account.Filter, after *account.Position) (from, to string) {
	from, to = kit.CreatedKey(0, 0), kit.CreatedKey(kit.LastMilli, maxID)
	if !f.CreatedFrom.IsZero() {
		from = kit.CreatedKey(f.CreatedFrom.Add(time.Millisecond-time.Nanosecond).UnixMilli(), 0)
	}
	if !f.CreatedUntil.IsZero() {
		to = kit.CreatedKey(f.CreatedUntil.UnixMilli(), maxID)
	}
	switch {
	case after == nil:
	case f.Ascending:
		from = max(from, kit.CreatedKey(after.CreatedAt.UnixMilli(), after.AccountID+1))
	default:
		to = min(to, kit.CreatedKey(after.CreatedAt.UnixMilli(), after.AccountID-1))
	}
	return from, to
}

// maxID is the largest id that created_key has room for.
const maxID = 9_999_999_999
