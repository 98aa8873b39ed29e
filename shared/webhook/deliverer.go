package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
	"carrierlink/shared/outbound"
)

// Runs is what the deliverer needs of the store.
type Runs interface {
	// ClaimRun leases a webhook until a time: fault.State while another run has it, or
	// while it pauses.
	ClaimRun(ctx context.Context, ref Ref, until, now time.Time) (Run, error)
	// EndRun gives the lease back and writes run.Health. If the webhook has become another
	// one meanwhile, or the end is to wait for that and it was marked as due, it only
	// updates run, and returns true. It returns fault.State if another run has taken the
	// lease over.
	EndRun(ctx context.Context, run *Run, end End, now time.Time) (woken bool, err error)
	// ListPending reads what is pending, the oldest event first. more: there is more.
	ListPending(ctx context.Context, ref Ref, limit int, now time.Time) (found []Pending, more bool, err error)
	// LoadPending reads what a pending event is about.
	LoadPending(ctx context.Context, p Pending, now time.Time) (Loaded, error)
	// SaveDelivery writes a delivery, and deletes what is pending of it if it is final.
	SaveDelivery(ctx context.Context, d Delivery, pending ...Pending) error
	DropPending(ctx context.Context, pending ...Pending) error
}

// Loaded is what is known of a pending event.
type Loaded struct {
	Event      *effects.Event // nil: absent
	ExternalID string         // that its account has now; empty: none, or the account is gone
	Delivery   *Delivery      // nil: absent
}

// Sender sends requests.
type Sender interface {
	Send(ctx context.Context, url string, header http.Header, body []byte) (outbound.Result, error)
}

// Deliverer sends to webhooks what is pending. At least once: a process that dies between a
// request and its record sends again.
type Deliverer struct {
	Store    Runs
	Webhooks *Service
	Sender   Sender
	Queue    Queue
	Body     func(e *effects.Event, externalID string) ([]byte, error) // of the request
	Now      func() time.Time
	Jitter   func() float64 // from 0 to 1
}

// Bounds of a run.
const (
	// runTime is when a run begins no more requests: then it is another webhook's turn.
	runTime = 20 * time.Second
	// leaseTime covers a run, the request that it began last, and its records.
	leaseTime = 45 * time.Second
	// inFlight is how many requests a webhook gets at a time.
	inFlight = 8
	// readTime is how long a run goes by what it has read of a webhook.
	readTime = time.Second
	// maxExamined is how many pending events a run looks at.
	maxExamined = 10_000
	// faultPause is for a webhook whose run has failed by our fault.
	faultPause = time.Minute
)

// Report is what a run has done.
type Report struct {
	Delivered, Failed int // requests
	GivenUp           int // events that were not sent in time
}

// Deliver makes a run of a webhook: it sends what is pending, the oldest event of each
// resource first, until nothing may be sent any more or runTime is over. While another run
// has the webhook it does nothing. An error is a fault of ours; the webhook is due again in
// a minute.
func (d *Deliverer) Deliver(ctx context.Context, ref Ref) (Report, error) {
	start := d.now()
	lease, err := d.Store.ClaimRun(ctx, ref, start.Add(leaseTime), start)
	if fault.Is(err, fault.State) {
		return Report{}, nil
	}
	if err != nil {
		return Report{}, err
	}
	r := &run{Deliverer: d, Run: lease, stop: start.Add(runTime), idle: lease.Health.IdleRuns}
	for again := true; again && err == nil; {
		var due time.Time
		if due, err = r.pass(ctx); err != nil {
			later := d.now().Add(faultPause)
			_, endErr := d.Store.EndRun(ctx, &r.Run, End{DueAt: later, PauseUntil: later}, d.now())
			err = errors.Join(fmt.Errorf("delivering to webhook %s: %w", ref.ID, err), endErr)
			break
		}
		if now := d.now(); !due.IsZero() && !due.After(now) && r.goesOn() {
			continue
		}
		again, err = r.end(ctx, due)
	}
	return Report{Delivered: r.successes, Failed: r.failed, GivenUp: r.givenUp}, err
}

func (d *Deliverer) now() time.Time { return d.Now().UTC().Truncate(time.Millisecond) }

// run is a run of a webhook.
type run struct {
	*Deliverer
	Run
	stop time.Time
	to   *endpoint // of the requests that begin now; nil: to be read
	// recovered is Health.RecoveredAt as the pass that is under way began.
	recovered time.Time
	idle      int // Health.IdleRuns as the run began
	ended     int // jobs that are done

	// The requests that are under way share the rest, and Run.Health.
	mu                sync.Mutex
	successes, failed int       // requests of this run
	refusals          int       // failures by which the receiver shows that it works
	inARow            int       // other failures without a success or a refusal
	retryAfter        time.Time // the receiver wants no request before
	givenUp           int
	disabled          bool // or deleted
	deleted           bool
	changed           bool // the webhook: to is not what it is any more
}

// pass sends what may be sent by now, and returns when more may be: zero if nothing waits.
func (r *run) pass(ctx context.Context) (due time.Time, err error) {
	now := r.now()
	r.to = nil
	if err := r.look(ctx); err != nil {
		return time.Time{}, err
	}
	if r.disabled {
		return r.clear(ctx)
	}
	pending, more, err := r.Store.ListPending(ctx, r.Ref, maxExamined, now)
	if err != nil {
		return time.Time{}, err
	}
	r.recovered = r.Health.RecoveredAt
	before := r.successes + r.failed + r.ended
	pl := newPlan(pending, &r.Health, now)
	if err := r.send(ctx, pl); err != nil {
		return time.Time{}, err
	}
	if r.disabled {
		return r.clear(ctx)
	}
	moved := r.successes+r.failed+r.ended > before
	if len(pl.ready) > 0 || more && moved || !r.Health.RecoveredAt.Equal(r.recovered) {
		return r.now(), nil
	}
	return pl.next, nil
}

// clear gives up what has waited for SentWithin for a webhook that is disabled, before it
// expires: so the delivery log says what became of it. The rest waits until the webhook
// is enabled, which makes it due, or until the time that clear returns. What is pending for
// one that is deleted expires.
func (r *run) clear(ctx context.Context) (due time.Time, err error) {
	if r.deleted {
		return time.Time{}, nil
	}
	now := r.now()
	pending, more, err := r.Store.ListPending(ctx, r.Ref, maxExamined, now)
	if err != nil {
		return time.Time{}, err
	}
	before := r.ended
	for _, j := range jobs(pending) {
		if until := j.latest().RequestedAt.Add(SentWithin); until.After(now) {
			due = earlier(due, until)
			continue
		}
		if now = r.now(); !now.Before(r.stop) {
			return now, nil
		}
		if _, err := r.deliver(ctx, nil, j, true); err != nil {
			return time.Time{}, err
		}
		r.ended++
	}
	if more && r.ended > before {
		due = now
	}
	return due, nil
}

// look reads the webhook again, if what the run knows of it is old.
func (r *run) look(ctx context.Context) error {
	now := r.now()
	r.mu.Lock()
	known := r.to != nil && !r.changed && now.Sub(r.to.readAt) < readTime
	r.changed = false
	r.mu.Unlock()
	if known {
		return nil
	}
	w, err := r.Webhooks.Get(ctx, r.Ref)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && !w.DisabledAt.IsZero():
		r.mu.Lock()
		r.disabled, r.deleted = true, err != nil
		r.mu.Unlock()
		return nil
	case err != nil:
		return err
	}
	to := &endpoint{url: w.URL, version: w.ModifiedAt, readAt: now}
	if to.headers, err = r.Webhooks.Headers(ctx, r.Ref, w); err != nil {
		return err
	}
	if to.secrets, err = r.Webhooks.Secrets(ctx, r.Ref, w, now); err != nil {
		return err
	}
	r.to = to
	return nil
}

// outcome is what came of a job.
type outcome struct {
	lane  *lane
	retry time.Time // when the job is tried again; zero: it is done
	err   error     // of ours
}

// send sends the jobs of a plan, inFlight at a time. After a fault of ours it begins no
// more.
func (r *run) send(ctx context.Context, pl *plan) (err error) {
	results := make(chan outcome)
	for running := 0; ; running-- {
		for ; running < inFlight && err == nil && len(pl.ready) > 0 && r.goesOn(); running++ {
			if err = r.look(ctx); err != nil || !r.goesOn() {
				break
			}
			l, to := pl.take(), r.to
			go func() {
				o := outcome{lane: l}
				o.err = invocation.Recovering(func() (err error) {
					o.retry, err = r.deliver(ctx, to, l.jobs[0], l.probe)
					return err
				})
				results <- o
			}()
		}
		if running == 0 {
			return err
		}
		switch o := <-results; {
		case o.err != nil:
			err = errors.Join(err, o.err)
		case !o.retry.IsZero():
			pl.wait(o.retry)
		default:
			r.ended++
			o.lane.jobs, o.lane.probe = o.lane.jobs[1:], false
			pl.add(o.lane, r.now())
		}
	}
}

// goesOn reports whether the run may begin another request.
func (r *run) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	return !r.disabled && r.inARow < stopAfter && now.Before(r.stop) && !r.retryAfter.After(now)
}

// end gives the lease back; due is when more may be sent. If the webhook was woken meanwhile
// and the run has time left, it keeps the lease and returns true.
func (r *run) end(ctx context.Context, due time.Time) (woken bool, err error) {
	now := r.now()
	end := End{DueAt: due, PauseUntil: r.pauseUntil(now), UnlessWoken: true}
	if !end.PauseUntil.IsZero() {
		// What becomes pending meanwhile does not change when the webhook is due.
		end.DueAt, end.UnlessWoken = end.PauseUntil, false
	}
	if end.UnlessWoken && !due.IsZero() && !due.After(now) {
		end.UnlessWoken = false
	}
	was, restarts := r.Health.AnnouncedAt, r.Restarts
	announce := func() bool {
		soon := !end.DueAt.IsZero() && end.DueAt.Sub(now) <= LongestDelay && !end.DueAt.Equal(was)
		if soon {
			r.Health.AnnouncedAt = end.DueAt
		}
		return soon
	}
	soon := announce()
	woken, err = r.Store.EndRun(ctx, &r.Run, end, now)
	if woken && (r.Restarts != restarts || !r.goesOn()) {
		// What this run knows may be about another receiver: the next one begins anew.
		if end = (End{DueAt: now, PauseUntil: end.PauseUntil}); r.Restarts != restarts {
			end.PauseUntil, was = time.Time{}, time.Time{}
		}
		soon = announce()
		woken, err = r.Store.EndRun(ctx, &r.Run, end, now)
	}
	switch {
	case fault.Is(err, fault.State):
		return false, nil // another run has taken over
	case err != nil || woken || !soon:
		return woken, err
	}
	return false, r.Queue.Send(ctx, []Ref{r.Ref}, max(end.DueAt.Sub(now), 0))
}

// pauseUntil counts the run, and returns until when the webhook pauses: zero if it does not.
func (r *run) pauseUntil(now time.Time) (until time.Time) {
	r.Health.IdleRuns = r.idle
	switch {
	case r.successes+r.refusals > 0:
		r.Health.IdleRuns = 0
	case r.failed > 0:
		r.Health.IdleRuns++
		until = now.Add(r.Health.pause())
	}
	if r.disabled {
		return time.Time{}
	}
	if asked := r.retryAfter; asked.After(now) && asked.After(until) {
		until = asked
		if longest := now.Add(longestPause); until.After(longest) {
			until = longest
		}
	}
	return until
}

// deliver sends the event of a job and records what came of it. retry is when it is tried
// again: zero if it is done. A probe is sent although it waits. Without an endpoint, because
// the webhook is disabled, the event is given up.
func (r *run) deliver(ctx context.Context, to *endpoint, j job, probe bool) (retry time.Time, err error) {
	p, now := j.latest(), r.now()
	l, err := r.Store.LoadPending(ctx, *p, now)
	if err != nil {
		return time.Time{}, err
	}
	d := Delivery{Ref: r.Ref, EventID: p.EventID, EventOwner: p.EventOwner, RequestedAt: p.RequestedAt}
	if last := l.Delivery; last != nil && !last.RequestedAt.Before(p.RequestedAt) { // else it is about an earlier request
		if last.Status != Retrying {
			return time.Time{}, r.Store.DropPending(ctx, j...)
		}
		d = *last
		known := job{{TriedAt: d.lastTried(), NextAttemptAt: d.NextAttemptAt}}
		if until, waits := known.waits(r.recovered, now); waits && !probe {
			return until, r.Store.SaveDelivery(ctx, d, j...) // the pending item did not say so
		}
	}
	if l.Event != nil {
		d.EventType = l.Event.Type
	}
	switch {
	case l.Event == nil:
		r.giveUp(&d, "the event cannot be read", now)
	case to == nil, len(d.Attempts) == 0 && p.late(now):
		r.giveUp(&d, "the event was not sent in time", now)
	default:
		if err := r.attempt(ctx, to, &d, l); err != nil {
			return time.Time{}, err
		}
	}
	return d.NextAttemptAt, r.Store.SaveDelivery(ctx, d, j...)
}

// giveUp ends a delivery without a request.
func (r *run) giveUp(d *Delivery, why string, now time.Time) {
	d.add(Attempt{At: now, Failure: why}, "")
	d.finish(Failed, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.givenUp++
}

// attempt sends an event and adds what came of it to its delivery. If that disables the
// webhook, it does so: before it is recorded, so that a process which dies in between finds
// out again.
func (r *run) attempt(ctx context.Context, to *endpoint, d *Delivery, l Loaded) error {
	e := l.Event
	body, err := r.Body(e, l.ExternalID)
	if err != nil {
		return fmt.Errorf("the body of event %s: %w", e.ID, err)
	}
	at := r.now()
	early := d.NextAttemptAt.After(at)
	if !early {
		d.NextAttemptAt = time.Time{}
	}
	header, err := to.header(e.ID, at, body)
	if err != nil {
		return err
	}
	res, sendErr := r.Sender.Send(ctx, to.url, header, body)
	if sendErr != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	failure := failureOf(res.Status, sendErr)
	if early && failure != "" {
		// A failure before its time takes the place of the last one: it does not count.
		d.Attempts = d.Attempts[:len(d.Attempts)-1]
	}
	d.add(Attempt{At: at, HTTPStatus: res.Status, Latency: res.Latency, Failure: failure}, to.redact(res.Answer))
	now := r.now()
	if reason := r.note(d, res, now); reason != "" {
		disabled, err := r.Webhooks.Disable(ctx, r.Ref, to.version, reason, now)
		if err != nil {
			return err
		}
		if !disabled {
			r.forget(d, reason, now)
			return nil
		}
		slog.LogAttrs(ctx, slog.LevelWarn, "a webhook was disabled", slog.String("webhook_id", r.ID), slog.Int64("partner_id", r.PartnerID),
			slog.Int64("account_id", r.AccountID), slog.String("reason", string(reason)))
		if reason == Failing {
			metrics.Add(ctx, metrics.WebhooksDisabled, "", 1)
		}
	}
	return nil
}

// forget undoes what disabling a webhook would have meant: it has changed since, and what
// the receiver has said is not about it.
func (r *run) forget(d *Delivery, reason Reason, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disabled, r.deleted, r.changed = false, false, true
	if reason == Gone && len(d.Attempts) < MaxAttempts {
		d.Status, d.FinishedAt, d.NextAttemptAt = Retrying, time.Time{}, now
	}
}

// note counts the latest attempt of a delivery, decides how the delivery goes on, and
// returns why the webhook is to be disabled: empty if it is not, or if another request of
// the run has found out first.
func (r *run) note(d *Delivery, res outbound.Result, now time.Time) Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := d.Attempts[len(d.Attempts)-1]
	if a.Failure == "" {
		r.successes++
		r.inARow = 0
		r.Health.success(now)
		d.finish(Delivered, now)
		return ""
	}
	r.failed++
	refused := refuses(a.HTTPStatus)
	if refused {
		r.refusals++
		r.inARow = 0
	} else {
		r.inARow++
	}
	forGood := r.Health.failure(now, refused)
	var asked time.Duration
	if a.HTTPStatus == http.StatusTooManyRequests || a.HTTPStatus == http.StatusServiceUnavailable {
		asked = res.RetryAfter
	}
	if until := now.Add(asked); asked > 0 && until.After(r.retryAfter) {
		r.retryAfter = until
	}
	gone := a.HTTPStatus == http.StatusGone
	if gone || len(d.Attempts) >= MaxAttempts {
		d.finish(Failed, now)
	} else {
		d.Status = Retrying
		if d.NextAttemptAt.IsZero() {
			d.NextAttemptAt = now.Add(delayAfter(len(d.Attempts), r.Jitter()))
		}
		if least := now.Add(asked); d.NextAttemptAt.Before(least) {
			d.NextAttemptAt = least
		}
	}
	switch {
	case r.disabled || !gone && !forGood:
		return ""
	case gone:
		r.disabled = true
		return Gone
	}
	r.disabled = true
	return Failing
}

// add adds an attempt, and the redacted answer to it.
func (d *Delivery) add(a Attempt, answer string) {
	d.Attempts = append(slices.Clip(d.Attempts), a)
	d.Answer = answer
}

// finish ends a delivery.
func (d *Delivery) finish(s Status, at time.Time) {
	d.Status, d.FinishedAt, d.NextAttemptAt = s, at, time.Time{}
}

// lastTried returns the time of the last attempt.
func (d *Delivery) lastTried() time.Time {
	if len(d.Attempts) == 0 {
		return time.Time{}
	}
	return d.Attempts[len(d.Attempts)-1].At
}

// refuses reports whether a status says that the receiver works, and does not take this
// request.
func refuses(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// failureOf says why an attempt was none that succeeds: empty for one that did.
func failureOf(status int, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return "the receiver redirects, which is not followed"
	case status == http.StatusGone:
		return "the receiver is gone, so the webhook was disabled"
	}
	return "the status is not 2xx"
}
