package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// Store stores lists of webhooks. It writes each change together with its effects in one
// transaction. If the Idempotency-Key is taken, it writes nothing and returns
// *effects.Replay.
type Store interface {
	// WebhooksOf reads the list of an owner; without webhooks it is empty.
	WebhooksOf(ctx context.Context, o Owner, now time.Time) (List, error)
	// SaveWebhooks writes a list in place of the version that was read, and counts it up:
	// ErrStale, in a chain, if that is no longer the current one. What the runs of the
	// webhooks in anew remember of their receivers is forgotten; they are due, and so is
	// all that is pending for them.
	SaveWebhooks(ctx context.Context, l *List, fx effects.Effects, now time.Time, anew ...string) error
	// RecordEffects writes effects without a change.
	RecordEffects(ctx context.Context, fx effects.Effects, now time.Time) error
	// SealedBefore finds lists with secrets that were sealed before a time, the oldest
	// first, and counts those that cannot be read.
	SealedBefore(ctx context.Context, at time.Time, limit int, now time.Time) (found []List, malformed int, err error)
}

// Sealer encrypts secrets and headers; seal.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, owner string, plain []byte) ([]byte, error)
	Open(ctx context.Context, owner string, sealed []byte) ([]byte, error)
}

// Service implements the operations on webhooks.
type Service struct {
	Store  Store
	Sealer Sealer
	Log    Log // for Replay and ReplaySpan
	Now    func() time.Time
	Random io.Reader // crypto/rand.Reader outside tests
}

// changeTries is how often a change is tried that concurrent requests overtake.
const changeTries = 4

// Signing secrets.
const (
	MaxSecrets  = 5              // that sign at the same time
	SecretGrace = 24 * time.Hour // for which a secret that was replaced still signs
)

// now returns the time in milliseconds, the precision of the table.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// List reads the webhooks of an owner, the oldest first.
func (s *Service) List(ctx context.Context, o Owner) ([]Webhook, error) {
	l, err := s.Store.WebhooksOf(ctx, o, s.now())
	return l.Webhooks, err
}

// Get reads a webhook: fault.NotFound if its owner has none with the id.
func (s *Service) Get(ctx context.Context, ref Ref) (*Webhook, error) {
	l, err := s.Store.WebhooksOf(ctx, ref.Owner, s.now())
	if err != nil {
		return nil, err
	}
	return l.find(ref.ID)
}

// find returns the webhook with an id, in place: fault.NotFound if there is none.
func (l *List) find(id string) (*Webhook, error) {
	for i := range l.Webhooks {
		if l.Webhooks[i].ID == id {
			return &l.Webhooks[i], nil
		}
	}
	return nil, ErrNotFound()
}

// Input holds what callers set of a webhook. Zero values leave a change as it is. It has
// passed the rules of its fields.
type Input struct {
	Name    string
	URL     string
	StoreID *int32
	Events  []effects.EventType
	Headers *[]Header
	Enabled *bool // not for Create
}

// Created is a new webhook or a new secret of one.
type Created struct {
	Webhook Webhook
	Headers []Header
	// Unreadable has HeadersPart if Headers are missing because they cannot be opened.
	Unreadable []string
	Secret     secret.Text
	// PreviousEnds is when the secret that a rotation replaces signs last.
	PreviousEnds time.Time
}

// Create creates a webhook, with a URL and events.
//
// Errors: fault.WebhookConflict if another webhook of the owner sends one of the events to
// the URL; State if there are MaxWebhooks, for a deleted account, and with RetryAfter if
// concurrent requests win every time; NotFound; *effects.Replay.
func (s *Service) Create(ctx context.Context, o Owner, in Input, fx effects.For[*Created]) (*Created, error) {
	var made *Created
	return made, s.change(ctx, o, func(l *List, now time.Time) (effects.Effects, error) {
		if len(l.Webhooks) >= MaxWebhooks {
			return effects.Effects{}, ErrTooMany()
		}
		w := Webhook{CreatedAt: now, ModifiedAt: now}
		var err error
		if w.ID, err = NewID(s.Random); err != nil {
			return effects.Effects{}, err
		}
		ref := Ref{o, w.ID}
		if _, err := s.edit(ctx, ref, &w, in, now); err != nil {
			return effects.Effects{}, err
		}
		if err := l.differs(&w); err != nil {
			return effects.Effects{}, err
		}
		if made, err = s.created(ctx, ref, &w); err != nil {
			return effects.Effects{}, err
		}
		l.Webhooks = append(slices.Clip(l.Webhooks), w)
		return fx.Reporting(made, s.Random, now, w.report(o, effects.WebhookCreated))
	})
}

// Change changes the members of a webhook that in has. match, if it is not nil, returns the
// error with which If-Match refuses a version. One that is enabled, or gets another URL, has
// no past: it gets what is pending now. A change without effect keeps ModifiedAt.
//
// Errors: those of match and Create.
func (s *Service) Change(ctx context.Context, ref Ref, in Input, match func(*Webhook) error, fx effects.Effects) error {
	var unchanged bool
	err := s.change(ctx, ref.Owner, func(l *List, now time.Time) (effects.Effects, error) {
		w, err := l.matched(ref.ID, match)
		if err != nil {
			return effects.Effects{}, err
		}
		last := w.ModifiedAt
		changed, err := s.edit(ctx, ref, w, in, now)
		if err != nil {
			return effects.Effects{}, err
		}
		if unchanged = len(changed) == 0; unchanged {
			return fx.AnswerOnly(), errUnchanged
		}
		if err := l.differs(w); err != nil {
			return effects.Effects{}, err
		}
		w.touch(now)
		with, err := fx.With(s.Random, now, w.report(ref.Owner, effects.WebhookUpdated, func(d *data) { d.Changed = changed }))
		return with.After(last), err
	})
	if unchanged && errors.Is(err, errUnchanged) {
		return s.Store.RecordEffects(ctx, fx.AnswerOnly(), s.now())
	}
	return err
}

// errUnchanged ends a change that has no effect.
var errUnchanged = errors.New("nothing to change")

// touch sets ModifiedAt, later than it was: it stands for the version.
func (w *Webhook) touch(now time.Time) {
	if !now.After(w.ModifiedAt) {
		now = w.ModifiedAt.Add(time.Millisecond)
	}
	w.ModifiedAt = now
}

// Delete deletes a webhook: nothing more is sent to it, whatever is pending. match is that
// of Change.
//
// Errors: those of match; NotFound; State with RetryAfter.
func (s *Service) Delete(ctx context.Context, ref Ref, match func(*Webhook) error, fx effects.Effects) error {
	return s.change(ctx, ref.Owner, func(l *List, now time.Time) (effects.Effects, error) {
		w, err := l.matched(ref.ID, match)
		if err != nil {
			return effects.Effects{}, err
		}
		gone := *w
		l.Webhooks = slices.DeleteFunc(slices.Clone(l.Webhooks), func(w Webhook) bool { return w.ID == ref.ID })
		with, err := fx.With(s.Random, now, gone.report(ref.Owner, effects.WebhookDeleted))
		return with.After(gone.ModifiedAt), err
	})
}

// RotateSecret gives a webhook a new signing secret. The one before signs for SecretGrace
// more, beside the new one; what replaced secrets had left they keep.
//
// Errors: fault.State while MaxSecrets sign, and with RetryAfter; NotFound;
// *effects.Replay.
func (s *Service) RotateSecret(ctx context.Context, ref Ref, fx effects.For[*Created]) (*Created, error) {
	var made *Created
	return made, s.change(ctx, ref.Owner, func(l *List, now time.Time) (effects.Effects, error) {
		w, err := l.find(ref.ID)
		if err != nil {
			return effects.Effects{}, err
		}
		w.Secrets = slices.DeleteFunc(slices.Clone(w.Secrets), func(s SigningSecret) bool { return !s.Until.IsZero() && !s.Until.After(now) })
		if len(w.Secrets) >= MaxSecrets {
			return effects.Effects{}, ErrTooManySecrets()
		}
		last, ends := w.ModifiedAt, now.Add(SecretGrace)
		w.Secrets[0].Until = ends
		w.touch(now)
		if made, err = s.created(ctx, ref, w); err != nil {
			return effects.Effects{}, err
		}
		made.PreviousEnds = ends
		with, err := fx.Reporting(made, s.Random, now, w.report(ref.Owner, effects.WebhookSecretRotated, func(d *data) {
			d.PreviousExpiresAt = effects.Time(ends)
		}))
		return with.After(last), err
	})
}

// Test records a test event, which is delivered to the webhook and to no other, whatever it
// listens to. fx gets the event's id, which is that of the delivery.
//
// Errors: fault.State for a disabled webhook; NotFound; *effects.Replay.
func (s *Service) Test(ctx context.Context, ref Ref, fx effects.For[string]) error {
	w, err := s.enabled(ctx, ref)
	if err != nil {
		return err
	}
	now := s.now()
	made, err := effects.Effects{}.With(s.Random, now, w.report(ref.Owner, effects.WebhookTest))
	if err != nil {
		return err
	}
	with, err := fx.Of(made.Events[0].ID)
	if err != nil {
		return err
	}
	with.Events = append(with.Events, made.Events...)
	return s.Store.RecordEffects(ctx, with, now)
}

// enabled reads a webhook: fault.State if it is disabled; NotFound.
func (s *Service) enabled(ctx context.Context, ref Ref) (*Webhook, error) {
	w, err := s.Get(ctx, ref)
	if err == nil && !w.DisabledAt.IsZero() {
		err = ErrDisabled()
	}
	return w, err
}

// Disable disables a webhook because of what its receiver does, and reports it. One that is
// disabled or gone stays so. One that has changed since the version that was sent to,
// its ModifiedAt, stays enabled: the receiver may be another one. Then it returns false.
//
// Errors: State with RetryAfter.
func (s *Service) Disable(ctx context.Context, ref Ref, version time.Time, reason Reason, at time.Time) (bool, error) {
	changed := false
	err := s.change(ctx, ref.Owner, func(l *List, now time.Time) (effects.Effects, error) {
		w, err := l.find(ref.ID)
		if err != nil {
			return effects.Effects{}, err
		}
		changed = w.DisabledAt.IsZero() && !w.ModifiedAt.Equal(version)
		if changed || !w.DisabledAt.IsZero() {
			return effects.Effects{}, errUnchanged
		}
		last := w.ModifiedAt
		w.DisabledAt, w.DisabledFor = at.UTC().Truncate(time.Millisecond), reason
		w.touch(now)
		by := effects.Effects{By: effects.By{Actor: effects.Schedule}}
		with, err := by.With(s.Random, now, w.report(ref.Owner, effects.WebhookDisabled, func(d *data) { d.Reason = reason }))
		return with.After(last), err
	})
	if fault.Is(err, fault.NotFound) || errors.Is(err, errUnchanged) {
		return !changed, nil
	}
	return err == nil, err
}

// change reads an owner's list, lets edit change it, and writes it with the effects that
// edit returns: from the beginning again if another change came first.
func (s *Service) change(ctx context.Context, o Owner, edit func(l *List, now time.Time) (effects.Effects, error)) error {
	for n := 1; ; n++ {
		now := s.now()
		l, err := s.Store.WebhooksOf(ctx, o, now)
		if err != nil {
			return err
		}
		before := slices.Clone(l.Webhooks)
		fx, err := edit(&l, now)
		if err != nil {
			return err
		}
		if len(l.Webhooks) == 0 {
			l.SealedAt = time.Time{}
		} else if l.SealedAt.IsZero() {
			l.SealedAt = now
		}
		if err = s.Store.SaveWebhooks(ctx, &l, fx, now, anew(before, l.Webhooks)...); !errors.Is(err, ErrStale) || n == changeTries {
			return err
		}
	}
}

// anew returns the ids of the webhooks that were enabled or have another URL: what was
// learnt of their receivers says nothing any more.
func anew(before, after []Webhook) (ids []string) {
	for i := range before {
		was := &before[i]
		for k := range after {
			if w := &after[k]; w.ID == was.ID && (w.URL != was.URL || !was.DisabledAt.IsZero() && w.DisabledAt.IsZero()) {
				ids = append(ids, w.ID)
			}
		}
	}
	return ids
}

// matched finds a webhook whose version match accepts.
func (l *List) matched(id string, match func(*Webhook) error) (*Webhook, error) {
	w, err := l.find(id)
	if err == nil && match != nil {
		err = match(w)
	}
	return w, err
}

// differs returns fault.WebhookConflict if another webhook of the list sends an event of w
// to the same URL.
func (l *List) differs(w *Webhook) error {
	for i := range l.Webhooks {
		if other := &l.Webhooks[i]; other.ID != w.ID {
			if both := w.shared(other); both != "" {
				return ErrDuplicate(string(both))
			}
		}
	}
	return nil
}

// edit sets the members of a webhook that in has, and returns the names of those that
// differ now, sorted.
func (s *Service) edit(ctx context.Context, ref Ref, w *Webhook, in Input, now time.Time) (changed []string, err error) {
	differs := map[string]bool{
		"name":     in.Name != "" && in.Name != w.Name,
		"url":      in.URL != "" && in.URL != w.URL,
		"store_id": in.StoreID != nil && (w.StoreID == nil || *in.StoreID != *w.StoreID),
		"events":   in.Events != nil && !slices.Equal(in.Events, w.Events),
		"enabled":  in.Enabled != nil && *in.Enabled != w.DisabledAt.IsZero(),
	}
	if in.Headers != nil {
		if differs["headers"], err = s.setHeaders(ctx, ref, w, *in.Headers); err != nil {
			return nil, err
		}
	}
	if differs["name"] {
		w.Name = in.Name
	}
	if differs["url"] {
		w.URL = in.URL
	}
	if differs["store_id"] {
		w.StoreID = in.StoreID
	}
	if differs["events"] {
		w.Events = in.Events
	}
	if differs["enabled"] {
		if w.DisabledAt, w.DisabledFor = now, ByOwner; *in.Enabled {
			w.DisabledAt, w.DisabledFor = time.Time{}, ""
		}
	}
	return effects.Changed(differs), nil
}

// plainHeader is a header as it is sealed.
type plainHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// setHeaders seals headers, if they differ from those that the webhook has.
func (s *Service) setHeaders(ctx context.Context, ref Ref, w *Webhook, headers []Header) (differ bool, err error) {
	// Stored headers that cannot be opened are replaced.
	old, err := s.Headers(ctx, ref, w)
	same := func(a, b Header) bool { return a.Key == b.Key && a.Value.Equal(b.Value) }
	if err == nil && slices.EqualFunc(old, headers, same) {
		return false, nil
	}
	w.Headers = nil
	if len(headers) == 0 {
		return true, nil
	}
	plain := make([]plainHeader, len(headers))
	for i, h := range headers {
		plain[i] = plainHeader{h.Key, h.Value.Reveal()}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // else a "<" takes six bytes of the list, whose item has 400 KB at most
	if err := encoder.Encode(plain); err != nil {
		return false, errors.New("the headers of a webhook cannot be encoded")
	}
	if w.Headers, err = s.Sealer.Seal(ctx, ref.sealed(HeadersPart), b.Bytes()); err != nil {
		return false, fmt.Errorf("sealing the headers of a webhook: %w", err)
	}
	return true, nil
}

// Headers returns the custom headers of a webhook, in the order in which they were given. It
// returns the error of the Sealer, or ErrMalformed.
func (s *Service) Headers(ctx context.Context, ref Ref, w *Webhook) ([]Header, error) {
	if len(w.Headers) == 0 {
		return nil, nil
	}
	b, err := s.Sealer.Open(ctx, ref.sealed(HeadersPart), w.Headers)
	if err != nil {
		return nil, fmt.Errorf("opening the headers of a webhook: %w", err)
	}
	var plain []plainHeader
	if json.Unmarshal(b, &plain) != nil {
		return nil, ErrMalformed
	}
	headers := make([]Header, len(plain))
	for i, h := range plain {
		headers[i] = Header{h.Key, secret.New(h.Value)}
	}
	return headers, nil
}

// Secrets returns the secrets that sign at a time, the newest first.
func (s *Service) Secrets(ctx context.Context, ref Ref, w *Webhook, at time.Time) ([]secret.Text, error) {
	var texts []secret.Text
	var failed error
	for _, b := range w.SecretsAt(at) {
		plain, err := s.Sealer.Open(ctx, ref.sealed(SecretPart), b)
		if err != nil {
			failed = fmt.Errorf("opening a signing secret: %w", err)
			continue
		}
		texts = append(texts, secret.New(string(plain)))
	}
	if len(texts) == 0 {
		return nil, failed
	}
	return texts, nil
}

// created gives a webhook a signing secret, the newest of its secrets, and returns both.
func (s *Service) created(ctx context.Context, ref Ref, w *Webhook) (*Created, error) {
	text, err := NewSecret(s.Random)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Sealer.Seal(ctx, ref.sealed(SecretPart), []byte(text.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("sealing a signing secret: %w", err)
	}
	w.Secrets = append([]SigningSecret{{Sealed: sealed}}, w.Secrets...)
	made := &Created{Webhook: *w, Secret: text}
	if made.Headers, err = s.Headers(ctx, ref, w); err != nil {
		made.Unreadable = []string{HeadersPart} // the secret helps all the same; their owner replaces headers that cannot be opened
	}
	return made, nil
}

// The parts of a webhook that are sealed.
const (
	HeadersPart = "headers"
	SecretPart  = "secret"
)

// sealed names the owner and the part of sealed data: see Sealer.
func (r Ref) sealed(what string) string {
	return fmt.Sprintf("webhook %d %d %s %s", r.PartnerID, r.AccountID, r.ID, what)
}
