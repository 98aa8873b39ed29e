package connection

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
)

// ContractParser understands the carrier's Get Accounts answer. The carrier's
// client has one: nobody else knows the form of the answer.
type ContractParser func(raw []byte) (Contract, error)

// Kept unpacks a snapshot: raw is the carrier's JSON object as it came. A snapshot
// that cannot be read is fault.Internal.
func (p ContractParser) Kept(s Snapshot) (c Contract, raw []byte, err error) {
	if raw, err = s.Raw(); err != nil {
		return Contract{}, nil, err
	}
	if c, err = p(raw); err != nil {
		return Contract{}, nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return c, raw, nil
}

// How old the kept answer may be that a reader accepts: what is assumed, and the
// most that may be asked for.
const (
	DefaultMaxAge = 15 * time.Minute
	LargestMaxAge = 30 * 24 * time.Hour
)

// Why an answer is stale, besides the outcomes of a check.
const (
	StaleBusy    = "refresh_in_progress" // another request is checking the connection
	StaleOurs    = "service_error"       // we could not ask the carrier
	StaleLimited = "limited"             // callers have used the allowance of these credentials up
	// The breaker is open: the carrier fails for many connections alike and is not
	// asked meanwhile.
	StaleDown = "carrier_unavailable"
)

// ReadRequest asks for the carrier's account of a connection, as it was read.
type ReadRequest struct {
	Connection *Connection // nil: the account has no such connection
	Snapshot   *Snapshot   // nil: no check has been good yet
	Breaker    health.Breaker
	MaxAge     time.Duration // of the kept answer
	Refresh    bool          // asks the carrier whatever the age
}

// CarrierAccount is the carrier's account of a connection.
type CarrierAccount struct {
	Connection Connection // as it is after the read
	Contract   Contract
	Raw        []byte // the carrier's JSON object as it came
	Live       bool   // the carrier has said so now
	// Stale: older than was asked for, because of StaleReason and StaleCause.
	// Diagnosis explains it where the carrier is the reason; else it is nil.
	Stale       bool
	StaleReason string
	StaleCause  error
	Diagnosis   *fault.Diagnosis
}

// ReadCarrierAccount tells the kept answer if it is young enough, else what the carrier says now.
// If the carrier says nothing good the kept answer is stale. fx are the effects of
// the check that this makes. Errors: NotFound for
// the connection, fault.Internal for a snapshot that cannot be read, and, only if
// there is no snapshot: State with RetryAfter while somebody else is asking, those
// of Check and of Reading.Err.
func (s *Service) ReadCarrierAccount(ctx context.Context, req ReadRequest, fx effects.For[Checked]) (CarrierAccount, error) {
	if req.Connection == nil || !req.Connection.Visible() {
		return CarrierAccount{}, ErrNoCarrier()
	}
	r, snap := CarrierAccount{Connection: *req.Connection}, req.Snapshot
	if req.Refresh || snap == nil || s.Now().Sub(r.Connection.VerifiedAt) > req.MaxAge {
		checked, err := s.askLive(ctx, req, &r, fx)
		if err == nil {
			r.Connection, err = checked.Connection, checked.Reading.Err()
		}
		switch {
		case err == nil:
			r.Live, r.StaleReason, snap = true, "", checked.Snapshot
		case snap == nil, fault.Is(err, fault.NotFound): // nothing to show, or no longer
			return CarrierAccount{}, fmt.Errorf("asking the carrier: %w", err)
		default:
			r.Stale, r.StaleCause = true, err
		}
	}
	var err error
	r.Contract, r.Raw, err = s.Contracts.Kept(*snap)
	return r, err
}

// askLive makes a live check, and notes why it gave nothing good. While the
// carrier's breaker is open nobody asks: fault.CarrierDown.
func (s *Service) askLive(ctx context.Context, req ReadRequest, r *CarrierAccount, fx effects.For[Checked]) (Checked, error) {
	if req.Breaker.Open && r.Connection.Environment != carrier.Sandbox {
		down := Reading{Outcome: carrier.OutcomeUnavailable}
		r.StaleReason, r.Diagnosis = StaleDown, down.Diagnosis()
		return Checked{}, down.Err()
	}
	checked, err := s.Check(ctx, r.Connection, TriggerRead, req.Breaker, fx)
	switch {
	case err == nil:
		r.StaleReason, r.Diagnosis = string(checked.Reading.Outcome), checked.Reading.Diagnosis()
	case fault.Is(err, fault.State):
		r.StaleReason = StaleBusy
	case fault.Is(err, fault.RateLimited):
		r.StaleReason = StaleLimited
	default:
		r.StaleReason = StaleOurs
	}
	return checked, err
}
