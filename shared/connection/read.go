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

// ContractParser parses the carrier's Get Accounts answer. Only the carrier's client knows
// its form.
type ContractParser func(raw []byte) (Contract, error)

// Unpack unpacks and parses a snapshot; raw is the carrier's JSON object, unchanged. A
// snapshot that cannot be read is fault.Internal.
func (p ContractParser) Unpack(s Snapshot) (c Contract, raw []byte, err error) {
	if raw, err = s.Raw(); err != nil {
		return Contract{}, nil, err
	}
	if c, err = p(raw); err != nil {
		return Contract{}, nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return c, raw, nil
}

// The age up to which a stored answer is shown without asking the carrier: the default,
// and the most that callers may ask for.
const (
	DefaultMaxAge = 15 * time.Minute
	LargestMaxAge = 30 * 24 * time.Hour
)

// Why an answer is stale, besides the outcomes of a check.
const (
	StaleBusy    = "refresh_in_progress" // another request is checking the connection
	StaleOurs    = "service_error"       // this service failed
	StaleLimited = "limited"             // the calls with these credentials are used up
	StaleDown    = "carrier_unavailable" // the breaker is open, so the carrier is not called
)

// ReadRequest is a request for the carrier's account of a connection.
type ReadRequest struct {
	Connection *Connection // nil: the account has no such connection
	Snapshot   *Snapshot   // nil: no check has been good yet
	Breaker    health.Breaker
	MaxAge     time.Duration // of the stored answer
	Refresh    bool          // calls the carrier whatever the age
	By         effects.By    // recorded as who had the credentials read
}

// CarrierAccount is the carrier's account of a connection.
type CarrierAccount struct {
	Connection Connection // after the read
	Contract   Contract
	Raw        []byte // the carrier's JSON object, unchanged
	Live       bool   // from a check by this read
	// Stale says that the answer is older than MaxAge; StaleReason and StaleCause say
	// why. Diagnosis is nil unless the carrier is the reason.
	Stale       bool
	StaleReason string
	StaleCause  error
	Diagnosis   *fault.Diagnosis
}

// ReadCarrierAccount returns the stored answer if it is young enough; otherwise it checks
// the connection, with the effects fx, and returns the carrier's answer. If that is not
// good the stored answer is stale.
//
// Errors: NotFound; fault.Internal for a snapshot that cannot be read; without a snapshot
// also those of Check and of Reading.Err, and CarrierDown while the breaker is open.
func (s *Service) ReadCarrierAccount(ctx context.Context, req ReadRequest, fx effects.For[Checked]) (CarrierAccount, error) {
	if req.Connection == nil || !req.Connection.Visible() {
		return CarrierAccount{}, ErrNoConnection()
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
		case snap == nil, fault.Is(err, fault.NotFound):
			return CarrierAccount{}, fmt.Errorf("asking the carrier: %w", err)
		default:
			r.Stale, r.StaleCause = true, err
		}
	}
	var err error
	r.Contract, r.Raw, err = s.Contracts.Unpack(*snap)
	return r, err
}

// askLive checks the connection and notes why the answer is not good. While the breaker is
// open it fails with fault.CarrierDown and calls no carrier.
func (s *Service) askLive(ctx context.Context, req ReadRequest, r *CarrierAccount, fx effects.For[Checked]) (Checked, error) {
	if req.Breaker.Open && r.Connection.Environment != carrier.Sandbox {
		down := Reading{Outcome: carrier.OutcomeUnavailable}
		r.StaleReason, r.Diagnosis = StaleDown, down.Diagnosis()
		return Checked{}, down.Err()
	}
	checked, err := s.Check(ctx, r.Connection, TriggerRead, req.Breaker, req.By, fx)
	switch {
	case err == nil:
		r.StaleReason, r.Diagnosis = string(checked.Reading.Outcome), checked.Reading.Diagnosis()
	case fault.Is(err, fault.State):
		r.StaleReason = StaleBusy
	case fault.Is(err, fault.RateLimited):
		r.StaleReason = StaleLimited
	case fault.Of(err)[0].Diagnosis != nil: // Held
		r.StaleReason, r.Diagnosis = string(r.Connection.LastCheck.Outcome), fault.Of(err)[0].Diagnosis
	default:
		r.StaleReason = StaleOurs
	}
	return checked, err
}
