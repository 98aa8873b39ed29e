package account

import (
	"context"
	"fmt"

	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// Where the operator names no country, and what a partner's first key is called.
const (
	defaultCountry  = "AU"
	partnerFirstKey = "First key of the partner"
)

// PartnerInput is what the operator says of a new partner.
type PartnerInput struct {
	Name               string // 1 to 100 characters
	Environment        string // production or sandbox
	DefaultCountryCode string // ISO 3166-1 alpha-2; AU when empty
}

// partner makes a partner of the input, without an id: fault.Length and Invalid for
// each field that is wrong.
func (in PartnerInput) partner() (Partner, fault.List) {
	var problems fault.List
	p := Partner{Environment: carrier.Environment(in.Environment), DefaultCountryCode: in.DefaultCountryCode}
	name, problem := PartnerNameRule.Clean("name", in.Name)
	if p.Name = name; problem != nil {
		problems = append(problems, problem)
	}
	if p.Environment != carrier.Production && p.Environment != carrier.Sandbox {
		problems = append(problems, fault.Field(fault.Invalid, "environment", "environment must be production or sandbox."))
	}
	if p.DefaultCountryCode == "" {
		p.DefaultCountryCode = defaultCountry
	}
	if problem := CheckCountry("default_country_code", p.DefaultCountryCode); problem != nil {
		problems = append(problems, problem)
	}
	return p, problems
}

// CreatePartner makes a partner with its first key. Each call that succeeds makes
// another partner. Errors: a fault.List of everything that is wrong with the input;
// fault.Internal, with ErrIDTaken where another partner has the id.
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
		PartnerID: p.ID, Environment: p.Environment, DefaultCountryCode: p.DefaultCountryCode, Description: partnerFirstKey, CreatedAt: p.CreatedAt,
	})
	if err != nil {
		return Partner{}, nil, err
	}
	if err := s.Store.CreatePartner(ctx, p, key.APIKey, fx, p.CreatedAt); err != nil {
		return Partner{}, nil, fmt.Errorf("creating the partner: %w", err)
	}
	return p, key, nil
}
