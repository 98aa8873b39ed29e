package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/invocation"
)

// IdempotencyTTL is how long an answer is kept under its Idempotency-Key.
const IdempotencyTTL = 24 * time.Hour

// maxIdempotencyKey is the maximum length of a key, in characters.
const maxIdempotencyKey = 255

// Sealer encrypts answers and signs payloads and cursors; seal.Sealer is one.
type Sealer interface {
	Seal(ctx context.Context, owner string, plain []byte) ([]byte, error)
	Open(ctx context.Context, owner string, sealed []byte) ([]byte, error)
	MAC(ctx context.Context, purpose string, parts ...[]byte) ([]byte, error)
	Verify(ctx context.Context, mac []byte, purpose string, parts ...[]byte) (bool, error)
}

// Claims stores the claims of Claimed.
type Claims interface {
	// ClaimIdempotency writes a claim; *effects.Replay if the key is taken.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error
	// ReleaseIdempotency deletes a claim.
	ReleaseIdempotency(ctx context.Context, rec effects.Record) error
}

// Caller is who requests a change; auth.Caller is one.
type Caller interface {
	// Scope returns the scope of the caller's Idempotency-Keys.
	Scope() string
	By() effects.By
}

// Change is a change that a request asks for.
type Change struct {
	by     effects.By
	sealer Sealer
	id     string          // of the request
	record *effects.Record // nil without an Idempotency-Key
	signed [][]byte        // what the record's PayloadMAC signs
}

// payloadPurpose is the purpose of a PayloadMAC.
const payloadPurpose = "idempotent payload"

// newChange reads the header Idempotency-Key: fault.Length or Invalid if it is malformed.
// Keys are scoped by caller and route.
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
	if strings.ContainsFunc(key, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		return nil, fault.Field(fault.Invalid, header, "%s must be printable ASCII.", header)
	}
	body, err := req.body()
	if err != nil {
		return nil, err
	}
	parts, err := req.parameters()
	if err != nil {
		return nil, err
	}
	c.signed = append(parts, []byte(req.Method()), body)
	mac, err := sealer.MAC(ctx, payloadPurpose, c.signed...)
	if err != nil {
		return nil, err
	}
	c.record = &effects.Record{
		Scope: caller.Scope() + " " + req.Method() + " " + req.Resource(), Key: key, PayloadMAC: mac, ExpiresAt: now.Add(IdempotencyTTL),
	}
	return c, nil
}

// Effects returns the effects of the change: who makes it and, under an
// Idempotency-Key, the sealed response. resp must be a 2xx; nil is not stored.
func (c *Change) Effects(ctx context.Context, resp *Response) (effects.Effects, error) {
	fx := effects.Effects{By: c.by}
	if c.record == nil || resp == nil {
		return fx, nil
	}
	header := map[string]string{"X-Request-Id": c.id}
	maps.Copy(header, resp.Header)
	plain, err := json.Marshal(Response{resp.Status, header, resp.Body})
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

// Show makes a change and answers with its result. show is called before the change is
// written, so that the response is stored with it; a nil response is not stored.
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

// Write makes a change whose response does not depend on its result.
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

// replay answers a repeated request, if err has a *effects.Replay in its chain: with the
// stored answer for the same payload, fault.IdempotencyMismatch for another payload,
// and fault.State while the first request is still running. Any other err is returned.
func (c *Change) replay(ctx context.Context, err error) (*Response, error) {
	replay, ok := errors.AsType[*effects.Replay](err)
	if !ok || c.record == nil {
		return nil, err
	}
	existing := replay.Record
	// The stored one may be of another key than c.record's.
	same, err := c.sealer.Verify(ctx, existing.PayloadMAC, payloadPurpose, c.signed...)
	if err != nil {
		return nil, fmt.Errorf("comparing with the first request: %w", err)
	}
	if !same {
		return nil, fault.Field(fault.IdempotencyMismatch, "Idempotency-Key", "This Idempotency-Key was used with another request.")
	}
	if !existing.Finished() {
		return nil, &fault.Error{
			Kind: fault.State, Field: "Idempotency-Key", Message: "A request with this Idempotency-Key is still running.",
			RetryAfter: time.Second,
		}
	}
	plain, err := c.sealer.Open(ctx, c.owner(), existing.Sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the stored answer: %w", err)
	}
	var resp Response
	if err := json.Unmarshal(plain, &resp); err != nil {
		return nil, fmt.Errorf("decoding the stored answer: %w", err)
	}
	resp.Header["Idempotent-Replayed"] = "true"
	return &resp, nil
}

// Find reads the record of a scope and key; nil if there is none.
type Find func(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error)

// Once runs do once for each Idempotency-Key. do makes a change in one transaction. If do
// fails, an earlier try of the same request may have succeeded and be the reason, for
// example because it changed the version that If-Match names: so a failure, and only a
// failure, costs a call of find. A nil find is not called.
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
			// We do not know whether the change was made, so failure is not the answer.
			return nil, fmt.Errorf("looking for the stored answer, after %q: %w", failure.Error(), err)
		}
		if existing != nil {
			failure = &effects.Replay{Record: *existing}
		}
	}
	return c.replay(ctx, failure)
}

// Claimed runs do once for each Idempotency-Key. do makes a change with remote calls
// outside its transaction, so Claimed first claims the key until lease. The change's
// Effects replace the claim by the answer; if do fails, Claimed releases the claim.
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
		return c.replay(ctx, fmt.Errorf("claiming the idempotency key: %w", err))
	}
	resp, failure := do(c)
	if failure == nil {
		return resp, nil
	}
	if _, taken := errors.AsType[*effects.Replay](failure); taken {
		return c.replay(ctx, failure) // another request has taken over the claim
	}
	// The key must be free for the next try, even if this request's deadline has passed.
	ctx, cancel := invocation.Cleanup(ctx, time.Second)
	defer cancel()
	if err := claims.ReleaseIdempotency(ctx, *c.record); err != nil {
		// failure decides the answer, so err is not wrapped.
		return nil, fmt.Errorf("%w; and releasing the idempotency key: %v", failure, err) //nolint:errorlint // see above
	}
	return nil, failure
}
