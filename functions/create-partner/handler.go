package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// partners is what this function needs of the store.
type partners interface {
	CreatePartner(ctx context.Context, p account.Partner, key account.APIKey, fx effects.Effects, now time.Time) error
}

type handler struct {
	partners partners
	now      func() time.Time
	random   io.Reader
}

// request is the payload of the invocation.
type request struct {
	Name               string `json:"name"`                 // 1 to 100 characters
	Environment        string `json:"environment"`          // production or sandbox
	DefaultCountryCode string `json:"default_country_code"` // ISO 3166-1 alpha-2; AU when absent
}

// UnmarshalJSON refuses members that the payload does not have: a misspelt one
// would silently give its default.
func (r *request) UnmarshalJSON(b []byte) error {
	type plain request
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(r)); err != nil {
		return fmt.Errorf("reading the payload: %w", err)
	}
	return nil
}

// answer shows the partner's first key, this once.
type answer struct {
	PartnerID          int64          `json:"partner_id"`
	Name               string         `json:"name"`
	Environment        string         `json:"environment"`
	DefaultCountryCode string         `json:"default_country_code"`
	CreatedAt          *string        `json:"created_at"`
	APIKey             views.FirstKey `json:"api_key"`
}

// create makes one partner. The error lists every problem of the payload; each
// invocation that succeeds makes another partner.
func (h *handler) create(ctx context.Context, in request) (*answer, error) {
	var problems fault.List
	name, problem := account.PartnerNameRule.Clean("name", in.Name)
	if problem != nil {
		problems = append(problems, problem)
	}
	env := carrier.Environment(in.Environment)
	if env != carrier.Production && env != carrier.Sandbox {
		problems = append(problems, fault.Field(fault.Invalid, "environment", "environment must be production or sandbox."))
	}
	country := in.DefaultCountryCode
	if country == "" {
		country = "AU"
	}
	if problem := account.CheckCountry("default_country_code", country); problem != nil {
		problems = append(problems, problem)
	}
	if len(problems) > 0 {
		return nil, errors.New(problems.Error())
	}
	id, err := account.NewID(h.random)
	if err != nil {
		return nil, fmt.Errorf("making a partner id: %w", err)
	}
	now := h.now().UTC().Truncate(time.Millisecond)
	partner := account.Partner{ID: id, Name: name, Environment: env, DefaultCountryCode: country, CreatedAt: now}
	key, text, err := account.MakeKey(h.random, account.APIKey{
		PartnerID: id, Environment: env, DefaultCountryCode: country, Description: "First key of the partner", CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	if err := h.partners.CreatePartner(ctx, partner, key, effects.Effects{By: effects.By{Service: effects.Operator}}, now); err != nil {
		return nil, fmt.Errorf("creating the partner: %w", err)
	}
	return &answer{
		PartnerID: id, Name: name, Environment: string(env), DefaultCountryCode: country,
		CreatedAt: httpapi.Time(now), APIKey: views.NewFirstKey(key, text),
	}, nil
}
