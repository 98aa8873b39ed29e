package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
)

const day = 24 * time.Hour

// keyWarnings are how many days before its end a key is reported, the largest first.
var keyWarnings = []int{7, 1} // never changes

// nextWarning returns when the next api_key_expiring is due, after a time; zero if there is
// none. A partner's key has none, because its events are in the audit log only.
func (k *APIKey) nextWarning(after time.Time) time.Time {
	if k.ExpiresAt.IsZero() || k.AccountID == 0 {
		return time.Time{}
	}
	for _, days := range keyWarnings {
		if at := k.ExpiresAt.Add(-time.Duration(days) * day); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// warning returns which of keyWarnings a key has reached; false if its end is further away,
// or past.
func (k *APIKey) warning(now time.Time) (days int, ok bool) {
	for _, d := range keyWarnings {
		if !now.Before(k.ExpiresAt.Add(-time.Duration(d) * day)) {
			days, ok = d, true
		}
	}
	return days, ok && now.Before(k.ExpiresAt)
}

// Expiring counts what ReportExpiring did.
type Expiring struct {
	Reported  int `json:"reported"`  // keys that expire soon
	Malformed int `json:"malformed"` // unreadable keys, skipped
	Busy      int `json:"busy"`      // changed, deleted, or reported by another run meanwhile
	Failed    int `json:"failed"`
	Left      int `json:"left"` // for the next run, because time ran out
}

// reserve is the time that must be left to report another key.
const reserve = 2 * time.Second

// ReportExpiring reports keys that expire in 7 days or in 1, each at most once for each: at
// most limit keys. It begins no other key when time runs out. A key that was not looked at in
// time is reported late, or not at all if it has expired. The error joins all failures;
// everything else was done.
func (s *Service) ReportExpiring(ctx context.Context, limit int) (Expiring, error) {
	var report Expiring
	found, malformed, err := s.Store.ExpiringKeys(ctx, s.now(), limit)
	report.Malformed = malformed
	if err != nil {
		return report, fmt.Errorf("listing keys that expire: %w", err)
	}
	var errs []error
	for i := range found {
		if invocation.EndsWithin(ctx, reserve) {
			report.Left = len(found) - i
			break
		}
		reported, err := s.reportKey(ctx, &found[i])
		switch {
		case fault.Is(err, fault.State):
			report.Busy++
		case err != nil:
			report.Failed++
			errs = append(errs, fmt.Errorf("reporting the end of the key %d of %d: %w", found[i].ID, found[i].AccountID, err))
		case reported:
			report.Reported++
		}
	}
	return report, errors.Join(errs...)
}

// reportKey writes a report of the end of a key, unless it has ended, and when the next one
// is due.
func (s *Service) reportKey(ctx context.Context, k *APIKey) (reported bool, err error) {
	now := s.now()
	fx := effects.Effects{By: effects.By{Actor: effects.Schedule}}
	days, soon := k.warning(now)
	if soon {
		fx, err = fx.With(s.Random, now, k.report(effects.APIKeyExpiring, func(d *keyData) { d.ExpiresInDays = days }))
		if err != nil {
			return false, err
		}
	}
	return soon, s.Store.SaveKeyWarning(ctx, *k, k.nextWarning(now), fx, now)
}
