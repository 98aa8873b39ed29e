package keys

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// RateWindow is the length of a rate window. Windows are the minutes of the clock.
const RateWindow = time.Minute

// keyAttempts bounds the writes of one UseKey. Within a minute one write counts the
// call; opening a minute takes two, and three if another call opens it in between.
// More are needed only if clocks differ at the end of a minute.
const keyAttempts = 6

// UseKey checks that a key is valid, counts the call in the key's minute and notes the
// day, in one conditional write; the first call of a minute takes a second one.
//
// The minute only moves forward: a process whose clock is behind counts in the minute
// that others have opened. So clock skew never lets more than Limit calls through in a
// minute.
//
// It returns fault.Unauthorized for a key that is absent, deleted or expired;
// fault.RateLimited with RetryAfter over the limit (KeyUsed is filled, with Used =
// Limit); and fault.State if too many calls use the key at once.
func (s *Store) UseKey(ctx context.Context, u account.KeyUse) (account.KeyUsed, error) {
	window, open := u.Now.Truncate(RateWindow).Unix(), false
	for range keyAttempts {
		it, counted, err := s.useKey(ctx, u, window, open)
		if err != nil {
			return account.KeyUsed{}, fmt.Errorf("using an API key: %w", err)
		}
		if len(it) == 0 {
			return account.KeyUsed{}, account.ErrKeyNotValid()
		}
		k, err := FromItem(it)
		if err != nil {
			return account.KeyUsed{}, err
		}
		r := kit.Reader{It: it}
		stored, used := r.Int(kit.AttrWindow), int(r.Int(kit.AttrUsed))
		if err := r.Done("API key"); err != nil {
			return account.KeyUsed{}, err
		}
		now := account.KeyUsed{Key: k, Used: used, Reset: time.Unix(stored, 0).Add(RateWindow).Sub(u.Now)}
		switch {
		case counted:
			return now, nil
		case !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(u.Now.Truncate(time.Millisecond)):
			return account.KeyUsed{}, account.ErrKeyNotValid()
		case stored < window:
			open = true
		case stored == window && used >= u.Limit:
			now.Used = u.Limit
			return now, account.ErrKeyLimited(u.Limit, now.Reset)
		default: // another call opened this minute, or a later one
			window, open = stored, false
		}
	}
	return account.KeyUsed{}, fault.Busy(fmt.Errorf("API key not counted in %d attempts", keyAttempts))
}

// useKey tries one write. It returns the item as changed if the call was counted, else
// as it is (nil if absent).
func (s *Store) useKey(ctx context.Context, u account.KeyUse, window int64, open bool) (it kit.Item, counted bool, err error) {
	e := kit.NewEdit(kit.APIKeyKey(u.PartnerID, u.AccountID, u.Hash))
	e.LacksOr(kit.AttrValidUntil, ">", kit.TimeValue(u.Now))
	e.Set(kit.AttrLastDay, kit.TextValue(u.Now.UTC().Format(time.DateOnly)))
	if open {
		e.Exists(kit.AttrPK)
		e.LacksOr(kit.AttrWindow, "<", kit.NumberValue(window))
		e.Set(kit.AttrWindow, kit.NumberValue(window))
		e.Set(kit.AttrUsed, kit.NumberValue(1))
	} else {
		e.Compares(kit.AttrWindow, "=", kit.NumberValue(window))
		e.Compares(kit.AttrUsed, "<", kit.NumberValue(int64(u.Limit)))
		e.Add(kit.AttrUsed, 1)
	}
	it, refused, err := s.table.WriteEdit(ctx, e)
	return it, !refused, err
}
