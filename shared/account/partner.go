package account

import (
	"cmp"
	"context"
	"fmt"

	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// PartnerInput is the operator's input for a new partner.
type PartnerInput struct {
	Name               string // 1 to 100 characters
	Environment        string // production or sandbox
	DefaultCountryCode string // ISO 3166-1 alpha-2; empty: AU
}

// partner returns a partner without an id: fault.Length or Invalid for each field that
// is wrong.
func (in PartnerInput) partner() (Partner, fault.List) {
	name, badName := PartnerNameRule.Clean("name", in.Name)
	p := Partner{Name: name, Environment: carrier.Environment(in.Environment), DefaultCountryCode: cmp.Or(in.DefaultCountryCode, "AU")}
	var badEnvironment *fault.Error
	if p.Environment != carrier.Production && p.Environment != carrier.Sandbox {
		badEnvironment = fault.Field(fault.Invalid, "environment", "environment must be production or sandbox.")
	}
	return p, fault.ListOf(badName, badEnvironment, CheckCountry("default_country_code", p.DefaultCountryCode))
}

// CreatePartner creates a partner with its first key; every call creates another one.
// Errors: a fault.List of every field that is wrong; fault.Internal, with ErrIDTaken in
// the chain if another partner has the id.
func (s *Service) CreatePartner(ctx context.Context, in PartnerInput, fx effects.Effects) (Partner, *IssuedKey, error) {
	p, problems := in.partner()
	if len(problems) > 0 {
		return Partner{}, nil, problems
	}
	var err error
	if p.ID, err = NewID(s.Random); err != nil {
		return Partner{}, nil, fmt.Errorf("making a partner id: %w", err)
	}
	p.CreatedAt = s.now()
	key, err := MakeKey(s.Random, APIKey{
		PartnerID: p.ID, Environment: p.Environment, DefaultCountryCode: p.DefaultCountryCode, Description: "First key of the partner", CreatedAt: p.CreatedAt,
	})
	if err != nil {
		return Partner{}, nil, err
	}
	if fx, err = fx.With(s.Random, p.CreatedAt, p.report(effects.PartnerCreated, key.ID, 0)); err != nil {
		return Partner{}, nil, err
	}
	if err := s.Store.CreatePartner(ctx, p, key.APIKey, fx, p.CreatedAt); err != nil {
		return Partner{}, nil, fmt.Errorf("creating the partner: %w", err)
	}
	return p, key, nil
}
