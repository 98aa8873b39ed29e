package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/invocation"
)

// Resealer is a Sealer that knows when its key has changed; seal.Sealer is one.
type Resealer interface {
	Sealer
	// SettledSince returns since when nothing is sealed with an older key any more, or the
	// zero time while there was one key only.
	SettledSince(ctx context.Context) (time.Time, error)
}

// Resealed counts what Reseal did.
type Resealed struct {
	Done      int `json:"sealed_again"`
	Malformed int `json:"malformed"` // lists that cannot be read, and with secrets that cannot be opened
}

// resealTime is how long sealing a list again may take: nothing is begun later.
const resealTime = 2 * time.Second

// Reseal seals again, with the current key of the service secret, what older keys have
// sealed: they are dropped two days after their successor is used, and webhooks live longer.
// It looks at limit lists (at least 1), or as many as ctx has time for. A list that changes
// meanwhile is left to the next call.
func (s *Service) Reseal(ctx context.Context, sealer Resealer, limit int) (Resealed, error) {
	var done Resealed
	since, err := sealer.SettledSince(ctx)
	if err != nil || since.IsZero() {
		return done, err
	}
	lists, malformed, err := s.Store.SealedBefore(ctx, since, limit, s.now())
	done.Malformed = malformed
	if err != nil {
		return done, err
	}
	for _, l := range lists {
		if invocation.EndsWithin(ctx, resealTime) {
			break
		}
		if err := s.resealList(ctx, sealer, &l, since); err != nil {
			done.Malformed++
			slog.ErrorContext(ctx, "webhooks cannot be sealed again",
				slog.Int64("partner_id", l.PartnerID), slog.Int64("account_id", l.AccountID), slog.String("error", err.Error()))
			continue
		}
		done.Done++
	}
	return done, nil
}

// resealList seals the secrets and headers of a list again. What cannot be opened stays as it
// is, and keeps the list among those that are looked at, behind the others.
func (s *Service) resealList(ctx context.Context, sealer Resealer, l *List, since time.Time) error {
	now := s.now()
	var failed error
	for i := range l.Webhooks {
		w := &l.Webhooks[i]
		ref := Ref{l.Owner, w.ID}
		for n := range w.Secrets {
			failed = errors.Join(failed, reseal(ctx, sealer, ref.sealed(SecretPart), &w.Secrets[n].Sealed))
		}
		if len(w.Headers) > 0 {
			failed = errors.Join(failed, reseal(ctx, sealer, ref.sealed(HeadersPart), &w.Headers))
		}
	}
	if l.SealedAt = now; failed != nil {
		l.SealedAt = since.Add(-time.Millisecond)
	}
	if err := s.Store.SaveWebhooks(ctx, l, effects.Effects{}, now); err != nil && !errors.Is(err, ErrStale) {
		return errors.Join(failed, fmt.Errorf("saving what was sealed again: %w", err))
	}
	return failed
}

func reseal(ctx context.Context, sealer Resealer, owner string, sealed *[]byte) error {
	plain, err := sealer.Open(ctx, owner, *sealed)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	again, err := sealer.Seal(ctx, owner, plain)
	if err == nil {
		*sealed = again
	}
	return err
}
