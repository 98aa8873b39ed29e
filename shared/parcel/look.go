package parcel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/invocation"
	"carrierlink/shared/tracking"
)

// Rounds is what Looker needs of the store.
type Rounds interface {
	tracking.Connections
	Account(ctx context.Context, accountID int64, now time.Time) (account.Account, error)
	// ClaimRound leases a round that is due: fault.NotFound or State if there is nothing
	// to do.
	ClaimRound(ctx context.Context, d connection.Due, until, now time.Time, t health.Timing) (Round, error)
	// RoundParcels reads the first parcels of a round, at most limit of each brand.
	RoundParcels(ctx context.Context, r Round, limit int) (found []Parcel, more bool, err error)
	// RecordLooks writes parcels and their events. What has changed since it was read stays
	// as it is.
	RecordLooks(ctx context.Context, looks []Look, by effects.By, now time.Time) error
	// EndRound ends the lease of a round, with the effects: done returns it as it will be, and whether it
	// remains.
	EndRound(ctx context.Context, claimed Round, fx effects.Effects, now time.Time, done func(Round) (next Round, keep bool)) error
}

// Tracker asks the carrier about parcels: tracking.Service.Look.
type Tracker interface {
	Look(ctx context.Context, env carrier.Environment, conn *connection.Connection, numbers []string) (map[string]tracking.Answer, error)
}

// Look is what a look at a parcel has found.
type Look struct {
	Parcel Parcel         // as it will be, with the Version that was read
	Event  *effects.Event // nil for none
	Remove bool           // the account is deleted: nothing remains of the parcel
}

// Looker looks at parcels that are due.
type Looker struct {
	Store   Rounds
	Tracker Tracker
	// Describe returns the data of an event: the tracking object, at most
	// effects.MaxEventData bytes of JSON.
	Describe func(conn *connection.Connection, a tracking.Answer, now time.Time) any
	Timing   health.Timing
	Now      func() time.Time
	Random   io.Reader
}

const (
	// callTime is what a call of the carrier and its record may take.
	callTime = 5 * time.Second
	// leaseMargin is added to the moment when Lambda ends the process.
	leaseMargin = 500 * time.Millisecond
	// leaseWithoutDeadline is for callers without one, which are tests.
	leaseWithoutDeadline = 30 * time.Second
	// indexLag is longer than by_due usually follows the table.
	indexLag = 5 * time.Second
	// mostBackoff is the longest pause after calls without an answer.
	mostBackoff = time.Hour
)

// Look makes a round that is due: it looks at its parcels, ten with each call of the
// carrier, as many as the allowance and the time permit, and records what it finds.
// A carrier that does not answer is no error; the parcels stay due.
//
// Where there is nothing to do, because the round is gone, not due or leased, that is no error
// either. After an error the round is due again by itself, later after each failure.
func (s *Looker) Look(ctx context.Context, d connection.Due) error {
	began := s.Now()
	r, err := s.Store.ClaimRound(ctx, d, s.lease(ctx), began, s.Timing)
	switch {
	case fault.Is(err, fault.State), fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return fmt.Errorf("claiming a round: %w", err)
	}
	done := round{Looker: s, Round: r, began: began, keep: true}
	if err = invocation.Recovering(func() error { return done.run(ctx) }); err != nil {
		done.failed = true
	}
	end, cancel := invocation.Cleanup(ctx, callTime)
	defer cancel()
	fx, readsErr := done.readings()
	return errors.Join(err, readsErr, s.Store.EndRound(end, r, fx, s.Now(), done.next))
}

// lease returns when the lease of a round ends: after Lambda has ended this process.
func (s *Looker) lease(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return s.Now().Add(time.Until(d) + invocation.Margin + leaseMargin)
	}
	return s.Now().Add(leaseWithoutDeadline)
}

// round is a round that is being made.
type round struct {
	*Looker
	Round

	began  time.Time
	failed bool          // a call brought no answer
	answer bool          // a call brought one
	wait   time.Duration // until a call is allowed
	more   bool          // parcels are still due
	keep   bool          // there are parcels, or there may be
	conn   *connection.Connection
	reads  int // of its credentials, at most
}

// readings counts the readings of the round, and reports those of an earlier day; also those
// of today, if the round may not remain.
func (r *round) readings() (effects.Effects, error) {
	fx := effects.Effects{By: bySchedule()}
	conn := r.conn
	if conn == nil { // it does not work, or is gone; what is reported of it is in the round
		conn = &connection.Connection{ID: r.ConnectionID, Carrier: r.Carrier, PartnerID: r.PartnerID, AccountID: r.AccountID}
	}
	now := r.Now()
	r.Reads.Count += r.reads
	var reports []effects.Report
	if ended, ok := r.Reads.Turn(r.reads, now); ok {
		reports = append(reports, conn.ReportReads(connection.ReadForParcels, ended))
	}
	if !r.keep && r.Reads.Count > 0 {
		reports = append(reports, conn.ReportReads(connection.ReadForParcels, r.Reads))
		r.Reads.Count = 0
	}
	return fx.With(r.Random, now, reports...)
}

// next returns the round as it will be. stored is as it is now. The index may be late, so one
// that finds nothing is removed only if the one before, and no registration since, was empty too.
func (r *round) next(stored Round) (next Round, keep bool) {
	now := r.Now()
	next = stored
	next.CredentialID, next.Reads = r.CredentialID, r.Reads
	switch {
	case r.failed:
		next.Failures++
		backoff := min(time.Minute<<min(next.Failures-1, 6), mostBackoff)
		next.DueAt = now.Add(max(r.Timing.Scale(backoff), r.wait))
	case r.wait > 0:
		next.DueAt = now.Add(r.wait)
	case r.more:
		next.DueAt = now
	default:
		next.DueAt = NextRound(r.ConnectionID, now, r.Timing)
	}
	if r.answer && !r.failed {
		next.Failures = 0
	}
	first := FirstLook(r.ConnectionID, stored.RegisteredAt, r.Timing)
	fresh := first.After(r.began.Add(-indexLag))
	if fresh && !r.failed && first.Before(next.DueAt) {
		next.DueAt = first
	}
	next.Empty = !r.keep && !fresh
	return next, !next.Empty || !stored.Empty
}

// run makes the round. A failure is one of ours; that of the carrier is noted.
func (r *round) run(ctx context.Context) error {
	acct, err := r.Store.Account(ctx, r.AccountID, r.began)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || acct.Deleted() {
		return r.drop(ctx, nil)
	}
	var conn *connection.Connection
	if acct.Active {
		if conn, err = r.connection(ctx); err != nil {
			return err
		}
	}
	if conn == nil {
		return r.rest(ctx)
	}
	r.conn, r.CredentialID = conn, conn.CredentialID
	const most = tracking.LooksPerMinute * tracking.MaxNumbers
	parcels, more, err := r.Store.RoundParcels(ctx, r.Round, most)
	if err != nil {
		return err
	}
	foreign := func(p Parcel) bool { return p.RegisteredAt.Before(acct.CreatedAt) } // of an account that was purged, with the same id
	if slices.ContainsFunc(parcels, foreign) {
		return r.drop(ctx, foreign)
	}
	r.keep = len(parcels) > 0 || more
	batches := r.batches(parcels)
	r.more = more && len(batches) > 0 && due(parcels[len(parcels)-1], r.began)
	for i, batch := range batches {
		if i == tracking.LooksPerMinute || invocation.EndsWithin(ctx, callTime) {
			r.more = true
			return nil
		}
		if stop, err := r.look(ctx, acct.Environment, conn, batch); stop || err != nil {
			return err
		}
	}
	return nil
}

func due(p Parcel, now time.Time) bool { return !p.NextLookAt.After(now) }

// connection returns the connection through which the carrier is asked: the round's, or if
// it was unlinked another one to the same carrier. nil while none works: the parcels wait.
func (r *round) connection(ctx context.Context) (*connection.Connection, error) {
	linked, _, err := r.Store.ListConnections(ctx, r.AccountID, false)
	if err != nil {
		return nil, fmt.Errorf("reading the connections: %w", err)
	}
	var conn *connection.Connection
	if i := slices.IndexFunc(linked, func(c connection.Connection) bool { return c.ID == r.ConnectionID }); i >= 0 {
		conn = &linked[i]
	} else if conn, err = r.replacement(ctx, linked); err != nil {
		return nil, err
	}
	if conn == nil || !conn.ShownStatus().Works() {
		return nil, nil
	}
	return conn, nil
}

// replacement returns the connection that takes the place of one that was unlinked.
func (r *round) replacement(ctx context.Context, linked []connection.Connection) (*connection.Connection, error) {
	parcels, more, err := r.Store.RoundParcels(ctx, r.Round, 1)
	if err != nil {
		return nil, err
	}
	if len(parcels) == 0 {
		r.keep = more
		return nil, nil
	}
	return tracking.Choose(linked, parcels[0].Carrier), nil
}

// rest is a round without a connection that works: parcels end when their time is over, and
// the others stay due. Once a day each goes to the end of the line, so that all have their
// turn.
func (r *round) rest(ctx context.Context) error {
	parcels, more, err := r.Store.RoundParcels(ctx, r.Round, tracking.LooksPerMinute*tracking.MaxNumbers)
	if err != nil {
		return err
	}
	r.keep = len(parcels) > 0 || more
	var looks []Look
	for _, p := range parcels {
		switch {
		case r.expired(p):
			looks = append(looks, Look{Parcel: ended(p, EndExpired, r.began)})
		case r.began.Sub(p.NextLookAt) > r.Timing.Scale(24*time.Hour):
			p.NextLookAt = r.began
			looks = append(looks, Look{Parcel: p})
		}
	}
	r.more = more && len(looks) == len(parcels)
	for some := range slices.Chunk(looks, tracking.MaxNumbers) {
		if err := r.Store.RecordLooks(ctx, some, bySchedule(), r.Now()); err != nil {
			return err
		}
	}
	return nil
}

// expired reports whether the time is over for which a parcel is looked at.
func (r *round) expired(p Parcel) bool {
	return !r.began.Before(p.RegisteredAt.Add(r.Timing.Scale(TrackedFor)))
}

// drop removes parcels of which nobody is told any more; of nil, all.
func (r *round) drop(ctx context.Context, of func(Parcel) bool) error {
	for !invocation.EndsWithin(ctx, callTime/2) {
		parcels, more, err := r.Store.RoundParcels(ctx, r.Round, tracking.LooksPerMinute*tracking.MaxNumbers)
		if err != nil {
			return err
		}
		r.keep = of != nil || more || len(parcels) > 0
		var looks []Look
		for _, p := range parcels {
			if of == nil || of(p) {
				looks = append(looks, Look{Parcel: p, Remove: true})
			}
		}
		if len(looks) == 0 {
			return nil
		}
		for some := range slices.Chunk(looks, tracking.MaxNumbers) {
			if err := r.Store.RecordLooks(ctx, some, bySchedule(), r.Now()); err != nil {
				return err
			}
		}
		if r.more = more || of != nil; !more {
			return nil
		}
	}
	r.more = true
	return nil
}

func bySchedule() effects.By { return effects.By{Actor: effects.Schedule} }

// batches returns what the calls of the carrier are about, the earliest due first: ten
// parcels of one brand, at least one of them due. Others that may come early fill it
// up. Parcels that must be asked about with few others, or alone, are in batches of their
// own, which come last. After failures another batch comes first, so that none holds up the
// others.
func (r *round) batches(parcels []Parcel) [][]Parcel {
	slices.SortFunc(parcels, byDue)
	type kind struct {
		brand  carrier.Name
		beside int
	}
	var all [][]Parcel
	open := map[kind]int{} // the place of the unfinished batch
	for _, p := range parcels {
		isDue, most := due(p, r.began), cmp.Or(p.Beside, tracking.MaxNumbers)
		k := kind{p.Brand, p.Beside}
		switch i, ok := open[k]; {
		case !isDue && (p.Beside > 0 || !p.MayComeEarly(r.began)):
		case ok && len(all[i]) < most:
			all[i] = append(all[i], p)
		case isDue:
			open[k] = len(all)
			all = append(all, []Parcel{p})
		}
	}
	slices.SortStableFunc(all, func(a, b []Parcel) int { return cmp.Compare(min(a[0].Beside, 1), min(b[0].Beside, 1)) })
	if len(all) > 0 {
		first := r.Failures % len(all)
		all = slices.Concat(all[first:], all[:first])
	}
	return all
}

// look makes one call of the carrier about parcels, and records what it says. stop reports
// that no further call should be made now.
func (r *round) look(ctx context.Context, env carrier.Environment, conn *connection.Connection, parcels []Parcel) (stop bool, err error) {
	numbers := make([]string, 0, len(parcels))
	for _, p := range parcels {
		if !r.expired(p) {
			numbers = append(numbers, p.Number)
		}
	}
	var answers map[string]tracking.Answer
	if len(numbers) > 0 {
		r.reads++
		if answers, err = r.Tracker.Look(ctx, env, conn, numbers); err != nil {
			return true, err
		}
	}
	now := r.Now()
	refused := 0 // together
	for _, a := range answers {
		if errors.Is(a.Err, tracking.ErrAskAlone) {
			refused++
		}
	}
	unasked := 0 // or not answered
	var failure error
	looks := make([]Look, 0, len(parcels))
	for _, p := range parcels {
		a := answers[p.Number]
		switch {
		case r.expired(p):
			looks = append(looks, Look{Parcel: ended(p, EndExpired, now)})
			continue
		case !unanswered(a):
			p.Beside = besideNext(&p, a, len(numbers), refused)
			l, err := r.see(conn, p, a, now)
			if err != nil {
				return true, err
			}
			looks = append(looks, l)
			continue
		}
		unasked++
		if failure == nil || fault.Is(a.Err, fault.RateLimited) {
			failure = a.Err
		}
		if !fault.Is(a.Err, fault.RateLimited) { // the others need not wait for it
			p.NextLookAt = nextLook(r.ConnectionID, now, lookOnBoardEvery, r.Timing)
			looks = append(looks, Look{Parcel: p})
		}
	}
	if unasked > 0 && unasked == len(numbers) {
		r.note(ctx, conn, failure)
		return true, nil
	}
	r.answer = true
	if err := r.Store.RecordLooks(ctx, looks, bySchedule(), now); err != nil {
		return true, err
	}
	if fault.Is(failure, fault.RateLimited) {
		r.note(ctx, conn, failure)
		return true, nil
	}
	return false, nil
}

// unanswered reports whether an answer says nothing about a parcel: the carrier was not
// asked, or has not answered.
func unanswered(a tracking.Answer) bool {
	return a.Fault == "" && (a.Tracking == nil || a.Stale) && !errors.Is(a.Err, tracking.ErrAskAlone)
}

// note notes that a call brought no answer.
func (r *round) note(ctx context.Context, conn *connection.Connection, failure error) {
	var wait time.Duration
	if f, ok := errors.AsType[*fault.Error](failure); ok {
		wait = f.RetryAfter
	}
	if fault.Is(failure, fault.RateLimited) { // the allowance is used up
		r.wait = max(wait, time.Millisecond)
		return
	}
	r.failed, r.wait = true, min(wait, mostBackoff)
	slog.WarnContext(ctx, "parcels without an answer", slog.Int64("account_id", r.AccountID), slog.String("carrier_id", conn.ID),
		slog.Int("failures", r.Failures+1), slog.String("error", fmt.Sprint(failure)))
}

// see returns the look at a parcel about which the carrier has answered.
func (r *round) see(conn *connection.Connection, p Parcel, a tracking.Answer, now time.Time) (Look, error) {
	older := !a.Live && a.At.Before(p.LookedAt) // than what is known
	p.LookedAt, p.Brand = now, brandOf(conn, p.Number)
	p.NextLookAt = nextLook(r.ConnectionID, now, interval(a.Tracking), r.Timing)
	if errors.Is(a.Err, tracking.ErrAskAlone) {
		p.NextLookAt, r.more = now, true // the culprit keeps the others waiting no longer than the allowance
		return Look{Parcel: p}, nil
	}
	// A number that the carrier refused together with others and still does not know stays alone,
	// and has a call of its own: those are fewer.
	if p.Beside == 1 {
		p.NextLookAt = nextLook(r.ConnectionID, now, aloneInterval(now.Sub(p.RegisteredAt), r.Timing), r.Timing)
	}
	if older {
		return Look{Parcel: p}, nil
	}
	if a.Tracking == nil || a.Fault != "" {
		if a.Fault == tracking.NumberNotTracked && p.Statuses == "" {
			p = ended(p, EndNotTracked, now)
		}
		return Look{Parcel: p}, nil
	}
	l := Look{Parcel: p}
	if l.Parcel.observe(a.Tracking) {
		at := now.Truncate(time.Millisecond)
		if !at.After(p.ChangedAt) { // clocks differ
			at = p.ChangedAt.Add(time.Millisecond)
		}
		fx, err := effects.Effects{}.With(r.Random, at, effects.Report{
			Type: effects.Track, PartnerID: p.PartnerID, AccountID: p.AccountID, Subject: effects.TrackSubject(string(p.Carrier), p.Number), Data: r.Describe(conn, a, now),
		})
		if err != nil {
			return Look{}, fmt.Errorf("reporting a parcel: %w", err)
		}
		l.Event, l.Parcel.ChangedAt = &fx.Events[0], at
	}
	if end := endOf(a.Tracking); end != "" {
		l.Parcel = ended(l.Parcel, end, now)
	}
	return l, nil
}

func ended(p Parcel, why End, now time.Time) Parcel {
	p.End, p.EndedAt, p.NextLookAt = why, now, time.Time{}
	return p
}
