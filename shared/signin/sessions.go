package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/secret"
)

// valid reports whether a session has not ended by itself, nor with an epoch.
func (s *Service) valid(session *Session, epoch int64, now time.Time) bool {
	return session.Epoch == epoch && now.Before(session.CreatedAt.Add(s.Longest)) && now.Before(session.LastSeenAt.Add(s.Idle))
}

// Visit checks the cookie of a request and reads what its page needs in one call of the
// table; every few minutes it makes another one, which notes that the session is in use.
// carrierID may be empty or no carrier_id. Errors: fault.Unauthorized for a session that is
// absent, ended or of another epoch, for an account that is disabled, deleted or gone, and for a
// session that a partner opened which is disabled.
func (s *Service) Visit(ctx context.Context, cookie secret.Text, carrierID string, from Client) (*Visit, error) {
	ref, partnerID, ok := parseCookie(cookie)
	if !ok {
		return nil, ErrSignedOut()
	}
	if _, err := connection.ParseID(carrierID); err != nil {
		carrierID = ""
	}
	now := s.now()
	v, err := s.Store.Visit(ctx, ref, partnerID, carrierID, now)
	if err != nil {
		return nil, fmt.Errorf("reading a visit: %w", err)
	}
	if v == nil || v.Account.PartnerID != partnerID || v.Account.Standing() != account.StandingActive || !s.valid(&v.Session, v.Login.Epoch, now) {
		return nil, ErrSignedOut()
	}
	if v.Session.Method == MethodPartner && !v.Partner.DisabledAt.IsZero() {
		return nil, ErrSignedOut()
	}
	v.By = from.by(v.Account.ID)
	if now.Sub(v.Session.LastSeenAt) < seenEvery {
		return v, nil
	}
	switch there, err := s.Store.Seen(ctx, ref, now); {
	case err != nil: // no reason to refuse the page: the next one writes it
		slog.WarnContext(ctx, "use of a session not noted", slog.String("error", err.Error()))
	case !there:
		return nil, ErrSignedOut()
	default:
		v.Session.LastSeenAt = now
	}
	return v, nil
}

// SignOut ends the session of a cookie, if it has one.
func (s *Service) SignOut(ctx context.Context, cookie secret.Text) error {
	ref, _, ok := parseCookie(cookie)
	if !ok {
		return nil
	}
	return s.Store.EndSession(ctx, ref)
}

// Sessions lists the sessions of the account that are valid now, the latest first.
func (s *Service) Sessions(ctx context.Context, v *Visit) ([]Session, error) {
	all, err := s.Store.SessionsOf(ctx, v.Account.ID)
	if err != nil {
		return nil, err
	}
	now := s.now()
	all = slices.DeleteFunc(all, func(own Session) bool { return !s.valid(&own, v.Login.Epoch, now) })
	slices.SortFunc(all, func(a, b Session) int {
		return cmp.Or(b.LastSeenAt.Compare(a.LastSeenAt), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Hash, b.Hash))
	})
	return all, nil
}

// SignOutOthers ends all sessions and starts another one for this browser. Errors:
// fault.Forbidden for a visit that is not confirmed or is a partner's.
func (s *Service) SignOutOthers(ctx context.Context, v *Visit, from Client) (Started, error) {
	now := s.now()
	if err := mayChange(v, now); err != nil {
		return Started{}, err
	}
	return s.renew(ctx, v, s.change(v), from, now, v.report(effects.LoginSessionsEnded, loginData{}))
}

// change returns a change that ends the sessions of a visit's login.
func (s *Service) change(v *Visit) Change {
	return Change{Account: account.Update{Old: v.Account, New: v.Account}, Login: &v.Login, Advance: true}
}

// EndSessions ends all sessions of an account, and its links. Errors: fault.State for a
// deleted account; NotFound; *effects.Replay.
func (s *Service) EndSessions(ctx context.Context, a account.Account, fx effects.Effects) error {
	now := s.now()
	fx, err := fx.With(s.Random, now, report(&a, effects.LoginSessionsEnded, loginData{}))
	if err != nil {
		return err
	}
	return s.Store.ChangeLogin(ctx, Change{Account: account.Update{Old: a, New: a}, Advance: true}, fx, now)
}

// mayChange returns fault.Forbidden for a visit that may not change how its owner signs in.
func mayChange(v *Visit, now time.Time) error {
	switch {
	case v.Session.Method != MethodPassword:
		return ErrByPartner()
	case !v.Confirmed(now):
		return ErrNotConfirmed()
	}
	return nil
}

// renew writes a change and lets the session of a visit go on under a new text.
func (s *Service) renew(ctx context.Context, v *Visit, c Change, from Client, now time.Time, reports ...effects.Report) (Started, error) {
	old := v.Session.Ref()
	c.Replace = &old
	next := v.Session
	next.LastSeenAt = now
	return s.write(ctx, v.Successor, next, c, from, now, reports...)
}

// start writes a change and starts a session in it. Beside it the session of the cookie that
// the browser had ends, and those beyond MaxSessions do, the oldest first. openedBy is the
// partner's key.
func (s *Service) start(ctx context.Context, m Method, c Change, had secret.Text, from Client, now time.Time, openedBy int64, reports ...effects.Report) (Started, error) {
	a := &c.Account.New
	all, err := s.Store.SessionsOf(ctx, a.ID)
	if err != nil {
		return Started{}, err
	}
	ended := func(own *Session) int {
		if s.valid(own, c.Login.Epoch, now) {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b Session) int {
		return cmp.Or(cmp.Compare(ended(&a), ended(&b)), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Hash, b.Hash))
	})
	// A transaction has room for as many; what is more than that, the next sign-in removes.
	for i := range min(max(len(all)-MaxSessions+1, 0), MaxSessions) {
		c.End = append(c.End, all[i].Ref())
	}
	if ref, _, ok := parseCookie(had); ok && !slices.Contains(c.End, ref) {
		c.End = append(c.End, ref)
	}
	next := Session{
		AccountID: a.ID, PartnerID: a.PartnerID, Method: m, CreatedAt: now, LastSeenAt: now, EndsAt: now.Add(s.Longest).Truncate(time.Second),
		Browser: from.browser(), IP: network(from.IP, 48),
	}
	if m == MethodPassword {
		next.ConfirmedAt = now
	}
	reports = append(reports, report(a, effects.LoginSignedIn, loginData{Method: m, Browser: next.Browser, APIKeyID: openedBy}))
	return s.write(ctx, secret.Text{}, next, c, from, now, reports...)
}

// write writes a change with a session under a text, zero for a random one, and its reports.
func (s *Service) write(ctx context.Context, text secret.Text, next Session, c Change, from Client, now time.Time, reports ...effects.Report) (Started, error) {
	if text.IsZero() {
		var err error
		if text, err = newCookie(s.Random, &c.Account.New); err != nil {
			return Started{}, err
		}
	}
	next.Hash, next.Epoch = digest(text), c.Login.Epoch
	if c.Advance {
		next.Epoch++
	}
	c.Start = &next
	fx, err := effects.Effects{By: from.by(next.AccountID)}.With(s.Random, now, reports...)
	if err != nil {
		return Started{}, err
	}
	if err := s.Store.ChangeLogin(ctx, c, fx.After(c.Account.Old.ModifiedAt), now); err != nil {
		return Started{}, fmt.Errorf("starting a session: %w", err)
	}
	return Started{text, next}, nil
}

// changeTries is how often a change is tried that concurrent requests overtake.
const changeTries = 4

// retried tries a change again, which reads what it needs, while others overtake it.
func retried[T any](change func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, err := change()
		if err == nil || n == changeTries || !isStale(err) {
			return v, err
		}
	}
}

func isStale(err error) bool { return errors.Is(err, ErrStale) }
