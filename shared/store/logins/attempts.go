package logins

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"carrierlink/shared/signin"
	"carrierlink/shared/store/kit"
)

// The item of a throttle holds the times of the latest attempts, and each attempt shifts them,
// as the calls of an allowance do (kit.Call): so one conditional write is exact, whatever the
// callers' clocks and however many come at once.

func attempt(ago int) string { return kit.AttrCall + strconv.Itoa(ago) }

// registers returns how many attempts the limit looks back.
func registers(l signin.Limit) int {
	n := 1
	for _, p := range l.Pauses {
		n = max(n, p.Attempts)
	}
	return n
}

// TakeAttempt counts an attempt, unless it has to wait: then it returns for how long.
func (s *Store) TakeAttempt(ctx context.Context, t signin.Throttle, now time.Time) (wait time.Duration, err error) {
	l := t.Use.Limit()
	e := kit.NewEdit(kit.ThrottleKey(t))
	for ago := registers(l); ago > 1; ago-- {
		e.SetFromOr(attempt(ago), attempt(ago-1), kit.NumberValue(0))
	}
	e.Set(attempt(1), kit.TimeValue(now))
	e.Set(kit.AttrTTL, kit.NumberValue(now.Add(l.Within+attemptsKept).Unix()))
	var allowed []func()
	for _, p := range l.Pauses {
		allowed = append(allowed, func() {
			if p.Attempts > 0 {
				e.LacksOr(attempt(p.Attempts), "<=", kit.TimeValue(now.Add(-l.Within)))
			}
			if p.Pause > 0 {
				e.LacksOr(attempt(1), "<=", kit.TimeValue(now.Add(-p.Pause)))
			}
		})
	}
	if len(allowed) == 1 {
		allowed[0]()
	} else {
		e.Either(allowed...)
	}
	it, refused, err := s.table.WriteEdit(ctx, e)
	if err != nil || !refused {
		if err != nil {
			err = fmt.Errorf("counting an attempt: %w", err)
		}
		return 0, err
	}
	r := kit.Reader{It: it}
	for i, p := range l.Pauses {
		own := r.Time(attempt(1)).Add(p.Pause).Sub(now)
		if p.Attempts > 0 {
			own = max(own, r.Time(attempt(p.Attempts)).Add(l.Within).Sub(now))
		}
		if i == 0 || own < wait {
			wait = own
		}
	}
	return max(wait, time.Millisecond), r.Done("attempts") // by another clock it may be none
}

// ReturnAttempt takes back the latest attempt.
func (s *Store) ReturnAttempt(ctx context.Context, t signin.Throttle, _ time.Time) error {
	e := kit.NewEdit(kit.ThrottleKey(t))
	e.Exists(kit.AttrPK)
	n := registers(t.Use.Limit())
	for ago := 1; ago < n; ago++ {
		e.SetFromOr(attempt(ago), attempt(ago+1), kit.NumberValue(0))
	}
	e.Remove(attempt(n))
	if _, _, err := s.table.WriteEdit(ctx, e); err != nil {
		return fmt.Errorf("taking back an attempt: %w", err)
	}
	return nil
}

// ForgetAttempts forgets all attempts.
func (s *Store) ForgetAttempts(ctx context.Context, t signin.Throttle, now time.Time) error {
	l := t.Use.Limit()
	e := kit.NewEdit(kit.ThrottleKey(t))
	for ago := range registers(l) {
		e.Remove(attempt(ago + 1))
	}
	e.Set(kit.AttrTTL, kit.NumberValue(now.Add(l.Within+attemptsKept).Unix()))
	if _, _, err := s.table.WriteEdit(ctx, e); err != nil {
		return fmt.Errorf("forgetting attempts: %w", err)
	}
	return nil
}
