package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// page is how many entries of the index ExpiringKeys reads at a time, and one BatchGetItem
// reads keys.
const page = 100

// ExpiringKeys finds the keys whose WarnAt has come, the earliest first, at most limit (at
// least 1), as they are now. Keys that cannot be read are skipped, logged and counted in
// malformed; those of a deleted account are skipped. The index follows the table within a
// second or so.
func (s *Store) ExpiringKeys(ctx context.Context, now time.Time, limit int) (found []account.APIKey, malformed int, err error) {
	in := s.table.DueQuery(kit.ExpiringPK, now)
	in.Limit = kit.QueryLimit(page)
	for len(found) < limit {
		out, err := s.table.API.Query(ctx, in)
		if err != nil {
			return nil, 0, fmt.Errorf("finding keys that expire: %w", err)
		}
		some, unreadable, err := s.readEntries(ctx, out.Items, now)
		if err != nil {
			return nil, 0, fmt.Errorf("reading keys that expire: %w", err)
		}
		found, malformed = append(found, some...), malformed+unreadable
		if len(out.LastEvaluatedKey) == 0 {
			break
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	return found[:min(limit, len(found))], malformed, nil
}

// readEntries reads the keys that entries of the index stand for.
func (s *Store) readEntries(ctx context.Context, entries []map[string]types.AttributeValue, now time.Time) (found []account.APIKey, malformed int, err error) {
	if len(entries) == 0 {
		return nil, 0, nil
	}
	own := make([]kit.Key, len(entries))
	for i, it := range entries {
		r := kit.Reader{It: it}
		own[i] = r.Key()
	}
	items, err := s.table.BatchGet(ctx, own)
	if err != nil {
		return nil, 0, err
	}
	for _, key := range own {
		r := kit.Reader{It: items[key]}
		if r.Text(kit.AttrDuePK) != kit.ExpiringPK || items[key][kit.AttrTTL] != nil {
			continue // the index lags, or the account is deleted
		}
		k, err := FromItem(items[key])
		if err == nil && r.Text(kit.AttrDueKey) != kit.RepairKey(k.WarnAt) {
			err = errors.New("attribute due_key has another form")
		}
		switch {
		case err != nil:
			malformed++
			slog.ErrorContext(ctx, "an API key cannot be read", slog.String("pk", key.PK), slog.String("sk", key.SK), slog.String("error", err.Error()))
		case !k.WarnAt.After(now): // else the index lags
			found = append(found, k)
		}
	}
	return found, malformed, nil
}

// SaveKeyWarning writes when the next report of a key's end is due, zero for never, with the
// effects. It returns fault.State if the key has changed since it was read, or is gone.
func (s *Store) SaveKeyWarning(ctx context.Context, k account.APIKey, next time.Time, fx effects.Effects, now time.Time) error {
	e := kit.NewEdit(kit.APIKeyKey(k.PartnerID, k.AccountID, k.Hash))
	e.Compares(kit.AttrDuePK, "=", kit.TextValue(kit.ExpiringPK))
	e.Compares(kit.AttrDueKey, "=", kit.TextValue(kit.RepairKey(k.WarnAt)))
	if next.IsZero() {
		e.Remove(kit.AttrDuePK)
		e.Remove(kit.AttrDueKey)
	} else {
		e.Set(kit.AttrDueKey, kit.TextValue(kit.RepairKey(next)))
	}
	refused, err := s.table.Commit(ctx, []kit.Part{s.table.Update(kit.PartKey, e)}, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("reporting the end of an API key: %w", err)
	case refused.Has(kit.PartKey):
		return fault.Busy(nil)
	}
	return nil
}
