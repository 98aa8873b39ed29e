// Package webhooks stores the webhooks of partners and accounts.
package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/webhook"
)

// Store reads and writes webhooks.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// maxBatch is how many items a BatchGetItem reads at most.
const maxBatch = 100

// Webhooks reads the webhooks of many owners, in one call for each hundred. Owners without
// any are left out; so are those whose list cannot be read, which is logged and counted:
// nobody else's events wait for it.
func (s *Store) Webhooks(ctx context.Context, owners []webhook.Owner, now time.Time) (map[webhook.Owner]webhook.List, error) {
	lists := make(map[webhook.Owner]webhook.List, len(owners))
	wanted := make(map[kit.Key][]webhook.Owner, len(owners))
	var keys []kit.Key // each once: DynamoDB refuses duplicates
	for _, o := range owners {
		key := kit.WebhooksKey(o.PartnerID, o.AccountID)
		if wanted[key] == nil {
			keys = append(keys, key)
		}
		wanted[key] = append(wanted[key], o)
	}
	for batch := range slices.Chunk(keys, maxBatch) {
		found, err := s.table.BatchGet(ctx, batch)
		if err != nil {
			return nil, fmt.Errorf("reading webhooks: %w", err)
		}
		for key, it := range found {
			if kit.Gone(it, now) {
				continue
			}
			l, err := fromItem(it)
			if err != nil {
				metrics.Add(ctx, metrics.Malformed, "", 1)
				slog.ErrorContext(ctx, "webhooks cannot be read", slog.String("pk", key.PK), slog.String("error", err.Error()))
				continue
			}
			if slices.Contains(wanted[key], l.Owner) {
				lists[l.Owner] = l
			}
		}
	}
	return lists, nil
}

// WebhooksOf reads the webhooks of one owner. Without any the list is empty, with Version
// zero.
func (s *Store) WebhooksOf(ctx context.Context, o webhook.Owner, now time.Time) (webhook.List, error) {
	it, err := s.table.Get(ctx, kit.WebhooksKey(o.PartnerID, o.AccountID))
	if err != nil {
		return webhook.List{}, fmt.Errorf("reading webhooks: %w", err)
	}
	l, err := fromItem(it)
	switch {
	case kit.Gone(it, now), err == nil && l.Owner != o: // of a purged account with the same id
		return webhook.List{Owner: o}, nil
	case err != nil:
		return webhook.List{}, err
	}
	return l, nil
}

// SaveWebhooks writes a list in place of the version that was read, with the effects, and
// counts up l.Version. The runs of the webhooks in anew begin anew: see kit.RestartRuns.
//
// It returns *effects.Replay if the Idempotency-Key is taken; fault.State with
// webhook.ErrStale if the list, or the end of its account, has changed since; NotFound or
// State for the first webhook of an account that is gone or deleted.
func (s *Store) SaveWebhooks(ctx context.Context, l *webhook.List, fx effects.Effects, now time.Time, anew ...string) error {
	next := *l
	next.Version++
	parts := s.parts(l, &next, now)
	for _, id := range anew {
		parts = append(parts, s.table.Update(kit.PartRuns, kit.RestartRuns(webhook.Ref{Owner: l.Owner, ID: id}, now)))
	}
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch acct := refused[kit.PartAccount]; {
	case err != nil:
		return fmt.Errorf("saving webhooks: %w", err)
	case refused.Has(kit.PartAccount) && kit.Gone(acct, now):
		return account.ErrNotFound()
	case refused.Has(kit.PartAccount):
		return account.ErrDeleted()
	case refused.Has(kit.PartWebhooks):
		return fault.Busy(webhook.ErrStale)
	}
	*l = next
	return nil
}

// parts returns the parts that write next in place of l. A deleted account's items get
// their end once, so a list that nobody has found then must not be added: see EndFollow.
func (s *Store) parts(l, next *webhook.List, now time.Time) []kit.Part {
	if l.Version == 0 {
		own := s.table.Put(kit.PartWebhooks, item(next), kit.IfAbsent+" OR expires_at <= :now", kit.Item{":now": kit.NumberValue(now.Unix())})
		if l.AccountID == 0 {
			return []kit.Part{own}
		}
		e := kit.NewEdit(kit.AccountKey(l.AccountID))
		e.Exists(kit.AttrPK)
		e.Lacks(kit.AttrTTL)
		return []kit.Part{s.table.Check(kit.PartAccount, e), own}
	}
	own := s.table.Replace(kit.PartWebhooks, item(next), l.Version)
	put := own.Write.Put
	condition := *put.ConditionExpression + " AND attribute_not_exists(expires_at)"
	if !l.EndsAt.IsZero() {
		condition = *put.ConditionExpression + " AND expires_at = :ends"
		put.ExpressionAttributeValues[":ends"] = kit.NumberValue(l.EndsAt.Unix())
	}
	put.ConditionExpression = &condition
	return []kit.Part{own}
}

// RecordEffects writes effects without a change of the list: *effects.Replay if the
// Idempotency-Key is taken.
func (s *Store) RecordEffects(ctx context.Context, fx effects.Effects, now time.Time) error {
	if fx.Answer == nil && len(fx.Events) == 0 {
		return nil
	}
	if _, err := s.table.Commit(ctx, nil, fx, now); err != nil {
		return fmt.Errorf("recording an event: %w", err)
	}
	return nil
}

// SealedBefore finds the lists that have secrets or headers that were sealed before a time,
// the oldest first, at most limit (at least 1), as they are now. Those that cannot be read
// are skipped, logged and counted in malformed; those of a purged account are skipped. The
// index follows the table within a second or so.
func (s *Store) SealedBefore(ctx context.Context, at time.Time, limit int, now time.Time) (found []webhook.List, malformed int, err error) {
	in := s.table.DueQuery(kit.SealedPK, at.Add(-time.Millisecond)) // which includes its time
	in.Limit = kit.QueryLimit(maxBatch)
	for len(found) < limit {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, 0, fmt.Errorf("finding webhooks to seal again: %w", err)
		}
		some, unreadable, err := s.readEntries(ctx, out.Items, at, now)
		if err != nil {
			return nil, 0, fmt.Errorf("reading webhooks to seal again: %w", err)
		}
		found, malformed = append(found, some...), malformed+unreadable
		if len(out.LastEvaluatedKey) == 0 {
			break
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	return found[:min(limit, len(found))], malformed, nil
}

// readEntries reads the lists that entries of the index stand for.
func (s *Store) readEntries(ctx context.Context, entries []map[string]types.AttributeValue, at, now time.Time) (found []webhook.List, malformed int, err error) {
	if len(entries) == 0 {
		return nil, 0, nil
	}
	keys := make([]kit.Key, len(entries))
	for i, it := range entries {
		r := kit.Reader{It: it}
		keys[i] = r.Key()
	}
	items, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, 0, err
	}
	for _, key := range keys {
		if kit.Gone(items[key], now) {
			continue
		}
		switch l, err := fromItem(items[key]); {
		case err != nil:
			malformed++
			slog.ErrorContext(ctx, "webhooks cannot be read", slog.String("pk", key.PK), slog.String("error", err.Error()))
		case !l.SealedAt.IsZero() && l.SealedAt.Before(at): // else the index lags
			found = append(found, l)
		}
	}
	return found, malformed, nil
}
