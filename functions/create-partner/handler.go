package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

type handler struct {
	accounts *account.Service
}

// request is the payload of the invocation.
type request struct {
	Name               string `json:"name"`
	Environment        string `json:"environment"`
	DefaultCountryCode string `json:"default_country_code"`
}

// UnmarshalJSON refuses unknown members, because a misspelt member would silently get its
// default.
func (r *request) UnmarshalJSON(b []byte) error {
	type plain request
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(r)); err != nil {
		return fmt.Errorf("reading the payload: %w", err)
	}
	return nil
}

// answer is the partner with its first key, the only answer with the key's text.
type answer struct {
	PartnerID          int64           `json:"partner_id"`
	Name               string          `json:"name"`
	Environment        string          `json:"environment"`
	DefaultCountryCode string          `json:"default_country_code"`
	CreatedAt          *string         `json:"created_at"`
	APIKey             *views.FirstKey `json:"api_key"`
}

// create creates a partner. Errors: those of account.Service.CreatePartner.
func (h *handler) create(ctx context.Context, in request) (*answer, error) {
	p, key, err := h.accounts.CreatePartner(ctx, account.PartnerInput(in), effects.Effects{By: effects.By{Actor: effects.Operator}})
	if err != nil {
		return nil, err
	}
	return &answer{
		PartnerID: p.ID, Name: p.Name, Environment: string(p.Environment), DefaultCountryCode: p.DefaultCountryCode,
		CreatedAt: httpapi.Time(p.CreatedAt), APIKey: views.NewFirstKey(key),
	}, nil
}
