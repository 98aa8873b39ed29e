package httpapi

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// IdempotencyTTL is how long an answer is kept under its idempotency key.
const IdempotencyTTL = 24 * time.Hour

// maxIdempotencyKey is the longest key, in characters.
const maxIdempotencyKey = 255

// Sealer is what idempotency needs of shared/seal.
type Sealer interface {
	Seal(ctx context.Context, owner string, plain []byte) ([]byte, error)
	Open(ctx context.Context, owner string, sealed []byte) ([]byte, error)
	MAC(ctx context.Context, purpose string, parts ...[]byte) ([]byte, error)
}

// Claims is what a flow with remote calls besides its transaction needs of the
// store: it claims its key before them.
type Claims interface {
	// ClaimIdempotency keeps rec; *effects.Replay when the key is taken.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error
	// ReleaseIdempotency takes the claim of rec back.
	ReleaseIdempotency(ctx context.Context, rec effects.Record) error
}

// Caller is who asks for a change; an auth.Caller is one.
type Caller interface {
	// Scope names the caller for Idempotency-Keys.
	Scope() string
	By() effects.By
}

// Change is a change that a request asks for: who makes it, and under which
// Idempotency-Key.
type Change struct {
	by     effects.By
	sealer Sealer
	id     string          // the request's
	record *effects.Record // nil without an Idempotency-Key
}

// newChange reads the header Idempotency-Key. Keys are scoped by caller and route.
// A malformed key is fault.Length or Invalid.
func newChange(ctx context.Context, sealer Sealer, req *Request, caller Caller, now time.Time) (*Change, error) {
	const header = "Idempotency-Key"
	c := &Change{by: caller.By(), sealer: sealer, id: req.ID}
	key, given, err := req.Header(header)
	if err != nil || !given {
		return c, err
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return nil, fault.Field(fault.Length, header, "%s must be 1 to %d characters.", header, maxIdempotencyKey)
	}
	for _, b := range []byte(key) {
		if b < 0x20 || b > 0x7e {
			return nil, fault.Field(fault.Invalid, header, "%s must be printable ASCII.", header)
		}
	}
	body, err := req.body()
	if err != nil {
		return nil, err
	}
	mac, err := sealer.MAC(ctx, "idempotent payload", []byte(req.Method()), []byte(req.Path()), body)
	if err != nil {
		return nil, err
	}
	c.record = &effects.Record{
		Scope: caller.Scope() + " " + req.Method() + " " + req.Resource(), Key: key, PayloadMAC: mac, ExpiresAt: now.Add(IdempotencyTTL),
	}
	return c, nil
}

// stored is an answer as it is sealed.
type stored struct {
	Status int               `json:"s"`
	Header map[string]string `json:"h"`
	Body   []byte            `json:"b"`
}

// Effects returns what the change brings along when it is answered with resp: who
// makes it and, under an Idempotency-Key, the sealed answer, so that a crash cannot
// part it from the change. A nil resp is not kept, and no other answer than a 2xx
// may be given.
func (c *Change) Effects(ctx context.Context, resp *Response) (effects.Effects, error) {
	fx := effects.Effects{By: c.by}
	if c.record == nil || resp == nil {
		return fx, nil
	}
	header := map[string]string{"X-Request-Id": c.id}
	maps.Copy(header, resp.Header)
	plain, err := json.Marshal(stored{resp.Status, header, resp.Body})
	if err != nil {
		return effects.Effects{}, fmt.Errorf("encoding the answer: %w", err)
	}
	rec := *c.record
	if rec.Sealed, err = c.sealer.Seal(ctx, c.owner(), plain); err != nil {
		return effects.Effects{}, fmt.Errorf("sealing the answer: %w", err)
	}
	fx.Answer = &rec
	return fx, nil
}

func (c *Change) owner() string { return c.record.Scope + " " + c.record.Key }

// Show makes a change whose answer shows what it came to. The answer is made before
// the change is written, to be stored with it; where show returns nil, none is.
func Show[T any](ctx context.Context, c *Change, show func(T) *Response, change func(effects.For[T]) error) (*Response, error) {
	var resp *Response
	err := change(func(result T) (effects.Effects, error) {
		resp = show(result)
		return c.Effects(ctx, resp)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Write makes a change whose answer is known before.
func (c *Change) Write(ctx context.Context, resp *Response, write func(effects.Effects) error) (*Response, error) {
	fx, err := c.Effects(ctx, resp)
	if err != nil {
		return nil, err
	}
	if err := write(fx); err != nil {
		return nil, err
	}
	return resp, nil
}

// replayed answers from the record that a *effects.Replay in the chain of err
// names: the stored answer for the same payload, fault.IdempotencyMismatch for
// another one, fault.State while the first request is still running. Any other err
// is returned as it is.
func (c *Change) replayed(ctx context.Context, err error) (*Response, error) {
	replay, ok := errors.AsType[*effects.Replay](err)
	if !ok || c.record == nil {
		return nil, err
	}
	existing := replay.Record
	if !hmac.Equal(existing.PayloadMAC, c.record.PayloadMAC) {
		return nil, fault.Field(fault.IdempotencyMismatch, "Idempotency-Key", "This Idempotency-Key was used with another request.")
	}
	if !existing.Finished() {
		return nil, &fault.Error{
			Kind: fault.State, Field: "Idempotency-Key", Message: "A request with this Idempotency-Key is still running.",
			RetryAfter: time.Second, // its lease is the longest that it can take
		}
	}
	plain, err := c.sealer.Open(ctx, c.owner(), existing.Sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the stored answer: %w", err)
	}
	var s stored
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, fmt.Errorf("decoding the stored answer: %w", err)
	}
	s.Header["Idempotent-Replayed"] = "true"
	return &Response{Status: s.Status, Header: s.Header, Body: s.Body}, nil
}

// Find looks for the record of a scope and key; nil for none.
type Find func(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error)

// Once runs a change that is one transaction, once for each Idempotency-Key. When
// do fails, its first try may have succeeded and be the very reason, as when the
// version of If-Match has moved on by it: find then looks for the record, which
// costs a call only then. A nil find does not look.
func Once(ctx context.Context, sealer Sealer, req *Request, caller Caller, now time.Time, find Find, do func(*Change) (*Response, error)) (*Response, error) {
	c, err := newChange(ctx, sealer, req, caller, now)
	if err != nil {
		return nil, err
	}
	resp, failure := do(c)
	if failure == nil {
		return resp, nil
	}
	if find != nil && c.record != nil && !fault.Is(failure, fault.Internal) {
		existing, err := find(ctx, *c.record, now)
		if err != nil {
			// Whether the change was made is not known: failure would deny it.
			return nil, fmt.Errorf("looking for the stored answer, after %q: %w", failure.Error(), err)
		}
		if existing != nil {
			failure = &effects.Replay{Record: *existing}
		}
	}
	return c.replayed(ctx, failure)
}

// Claimed runs a change that cannot do all its work in one transaction, once for
// each Idempotency-Key: it claims the key until lease before do, whose Effects put
// the answer in the claim's place, and releases it when do fails.
func Claimed(ctx context.Context, sealer Sealer, claims Claims, req *Request, caller Caller, now, lease time.Time, do func(*Change) (*Response, error)) (*Response, error) {
	c, err := newChange(ctx, sealer, req, caller, now)
	if err != nil {
		return nil, err
	}
	if c.record == nil {
		return do(c)
	}
	c.record.ClaimID, c.record.LeaseUntil = uuid.NewString(), lease
	if err := claims.ClaimIdempotency(ctx, *c.record, now); err != nil {
		return c.replayed(ctx, fmt.Errorf("claiming the idempotency key: %w", err))
	}
	resp, failure := do(c)
	if failure == nil {
		return resp, nil
	}
	if _, taken := errors.AsType[*effects.Replay](failure); taken {
		return c.replayed(ctx, failure) // the claim is another request's by now
	}
	// The answer is not stored: the key must be free for the next try, even when
	// the time of this request is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := claims.ReleaseIdempotency(ctx, *c.record); err != nil {
		// Its kind must not decide the answer, so it is not wrapped.
		return nil, fmt.Errorf("%w; and releasing the idempotency key: %v", failure, err) //nolint:errorlint // see above
	}
	return nil, failure
}
