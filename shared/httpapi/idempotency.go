package httpapi

import (
	"context"
	"crypto/hmac"
	"encoding/json"
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
	// ClaimIdempotency keeps rec, or returns the record that is there already.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error)
	// ReleaseIdempotency takes the claim of rec back.
	ReleaseIdempotency(ctx context.Context, rec effects.Record) error
}

// Idempotency is one request's use of the Idempotency-Key header. The nil value
// is a request without one: every method then does nothing.
type Idempotency struct {
	sealer Sealer
	now    time.Time
	id     string // the request's
	record effects.Record
}

// NewIdempotency reads the header. caller names who calls, so that two callers'
// equal keys are two keys; so do two routes'. A malformed key is fault.Invalid.
func NewIdempotency(ctx context.Context, sealer Sealer, req *Request, caller string, now time.Time) (*Idempotency, error) {
	const header = "Idempotency-Key"
	key, given, err := req.Header(header)
	if err != nil || !given {
		return nil, err
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return nil, fault.Field(fault.Length, header, "%s must be 1 to %d characters.", header, maxIdempotencyKey)
	}
	for _, c := range []byte(key) {
		if c < 0x20 || c > 0x7e {
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
	return &Idempotency{sealer: sealer, now: now, id: req.ID, record: effects.Record{
		Scope: caller + " " + req.Method() + " " + req.Resource(), Key: key, PayloadMAC: mac, ExpiresAt: now.Add(IdempotencyTTL),
	}}, nil
}

// stored is an answer as it is sealed.
type stored struct {
	Status int               `json:"s"`
	Header map[string]string `json:"h"`
	Body   []byte            `json:"b"`
}

// Record seals resp for the transaction that makes the change, so that a crash
// can not part the two. Only a 2xx answer is ever stored.
func (i *Idempotency) Record(ctx context.Context, resp *Response) (*effects.Record, error) {
	if i == nil {
		return nil, nil
	}
	header := map[string]string{"X-Request-Id": i.id}
	maps.Copy(header, resp.Header)
	plain, err := json.Marshal(stored{resp.Status, header, resp.Body})
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	rec := i.record
	if rec.Sealed, err = i.sealer.Seal(ctx, i.owner(), plain); err != nil {
		return nil, fmt.Errorf("sealing the answer: %w", err)
	}
	return &rec, nil
}

func (i *Idempotency) owner() string { return i.record.Scope + " " + i.record.Key }

// Replay answers from the record that was there already: the stored answer for
// the same payload, fault.IdempotencyMismatch for another one, fault.State
// while the first request is still running.
func (i *Idempotency) Replay(ctx context.Context, existing *effects.Record) (*Response, error) {
	if !hmac.Equal(existing.PayloadMAC, i.record.PayloadMAC) {
		return nil, fault.Field(fault.IdempotencyMismatch, "Idempotency-Key", "This Idempotency-Key was used with another request.")
	}
	if len(existing.Sealed) == 0 {
		return nil, &fault.Error{
			Kind: fault.State, Field: "Idempotency-Key", Message: "A request with this Idempotency-Key is still running.",
			RetryAfter: time.Second, // its lease is the longest that it can take
		}
	}
	plain, err := i.sealer.Open(ctx, i.owner(), existing.Sealed)
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

// Write runs the transaction that makes a change together with the record of
// its answer, and answers: with resp, or with the stored answer when the key is
// taken. It is the one way of every change that is one transaction.
func (i *Idempotency) Write(ctx context.Context, resp *Response, write func(rec *effects.Record) (existing *effects.Record, err error)) (*Response, error) {
	rec, err := i.Record(ctx, resp)
	if err != nil {
		return nil, err
	}
	existing, err := write(rec)
	if existing != nil {
		return i.Replay(ctx, existing)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Once runs a change once for each idempotency key: do makes it through Write.
// When do fails, its first try may have succeeded and be the very reason, as
// when the version of If-Match has moved on by it: find then looks for the
// record of the scope and key, nil for none, which costs a call only then.
func Once(ctx context.Context, sealer Sealer, req *Request, caller string, now time.Time,
	find func(ctx context.Context, rec effects.Record) (*effects.Record, error),
	do func(i *Idempotency) (*Response, error),
) (*Response, error) {
	i, err := NewIdempotency(ctx, sealer, req, caller, now)
	if err != nil {
		return nil, err
	}
	resp, failure := do(i)
	if failure == nil || i == nil || fault.Is(failure, fault.Internal) {
		return resp, failure
	}
	existing, err := find(ctx, i.record)
	if err != nil {
		// Whether the change was made is not known: failure would deny it.
		return nil, fmt.Errorf("looking for the stored answer, after %q: %w", failure.Error(), err)
	}
	if existing == nil {
		return nil, failure
	}
	return i.Replay(ctx, existing)
}

// Claimed runs a change that can not do all its work in one transaction, once
// for each idempotency key: it claims the key until lease before do, which keeps
// the Record of its answer with the change, and gives it free when do fails.
// When the key is taken it answers as Replay.
func Claimed(ctx context.Context, sealer Sealer, claims Claims, req *Request, caller string, now, lease time.Time,
	do func(i *Idempotency) (*Response, error),
) (*Response, error) {
	i, err := NewIdempotency(ctx, sealer, req, caller, now)
	if err != nil {
		return nil, err
	}
	if i == nil {
		return do(nil)
	}
	i.record.ClaimID, i.record.LeaseUntil = uuid.NewString(), lease
	existing, err := claims.ClaimIdempotency(ctx, i.record, i.now)
	if err != nil {
		return nil, fmt.Errorf("claiming the idempotency key: %w", err)
	}
	if existing != nil {
		return i.Replay(ctx, existing)
	}
	resp, failure := do(i)
	if failure == nil {
		return resp, nil
	}
	// The answer is not stored: the key must be free for the next try, even when
	// the time of this request is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := claims.ReleaseIdempotency(ctx, i.record); err != nil {
		// Its kind must not decide the answer, so it is not wrapped.
		return nil, fmt.Errorf("%w; and releasing the idempotency key: %v", failure, err) //nolint:errorlint // see above
	}
	return nil, failure
}
