package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/account"
	"carrierlink/shared/store/kit"
)

// AccountByExternalID finds the account of a partner by the partner's own id
// for it, consistently. An id that nobody has, or only a purged account, is
// fault.NotFound.
func (s *Store) AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error) {
	out, err := s.table.API.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table.Name, Key: kit.ExternalKey(partnerID, externalID).Item(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return 0, fmt.Errorf("finding an account: %w", err)
	}
	if len(out.Item) == 0 || kit.Lapsed(out.Item, now) {
		return 0, account.ErrNotFound()
	}
	r := kit.Reader{It: out.Item}
	return r.Int(kit.AttrAccountID), r.Done(kit.PartExternal)
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
	for {
		// One more than asked for tells whether there is more.
		in.Limit = kit.LimitOf(skip + limit + 1 - len(accounts))
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("listing accounts: %w", err)
		}
		for _, it := range out.Items {
			a, err := Read(it)
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

// createdRange is the first and the last created_key that a filter and a
// position leave. Times between two milliseconds count as what is kept of them.
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

// maxID is as large as created_key has room for.
const maxID = 9_999_999_999
