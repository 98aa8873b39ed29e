package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
)

// accounts is what this function needs of the store.
type accounts interface {
	linking.Calls
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
}

type handler struct {
	auth     *auth.Auth
	accounts accounts
	carriers linking.Carriers
	// linksPerMinute is how often one account may have a carrier asked about
	// credentials that it has not linked.
	linksPerMinute int
	now            func() time.Time
}

// validation is what was found.
type validation struct {
	Valid          bool             `json:"valid"`
	Checks         []check          `json:"checks"`
	AccountPreview *preview         `json:"account_preview"`
	Diagnosis      *fault.Diagnosis `json:"diagnosis"` // of the first check that has not passed
}

// check is one thing that was looked at, and what is wrong with it.
type check struct {
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Message *string `json:"message"`
}

// preview is enough of an account for its owner to know it again.
type preview struct {
	Name                *string           `json:"name"`
	Suburb              *string           `json:"suburb"`
	State               *string           `json:"state"`
	ABNLastThree        *string           `json:"abn_last_three"`
	AccountNumberMasked string            `json:"account_number_masked"`
	ValidTo             *string           `json:"valid_to"`
	ExpiresInDays       *int              `json:"expires_in_days"`
	RestrictedReason    *string           `json:"restricted_reason"`
	Products            []carrier.Product `json:"products"`
}

// checkCarrier is the name of the carrier's own answer among the checks.
const checkCarrier = "carrier"

// validate answers 200 with what the pre-flight checks find, and when they find
// nothing with what the carrier says, good or bad. Errors: those of auth.Merchant
// and Request.JSON, all of the request's at once; and, for an outage, which says
// nothing about the charge account, fault.CarrierLimited, CarrierDown and
// CarrierTimeout; and RateLimited when the account has linked and validated too
// often.
func (h *handler) validate(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	typed, inputErr := decode(req)
	var environment carrier.Environment
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (*carrier.Account, error) {
		loaded, err := h.accounts.Load(ctx, accountID, store.Want{Now: h.now()})
		if loaded.Account != nil {
			environment = loaded.Account.Environment
		}
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	account, found := carrier.PreflightChecks(typed)
	v := validation{Valid: true}
	for _, f := range found {
		v.add(f.Name, f.Problems)
	}
	if !v.Valid {
		return httpapi.JSON(http.StatusOK, v), nil
	}
	now := h.now()
	account.Again = func(ctx context.Context) error {
		return linking.Allow(ctx, h.accounts, carrier.AccountAllowance(carrier.UseLinking, caller.AccountID), h.linksPerMinute, h.now())
	}
	if err := account.Again(ctx); err != nil {
		return nil, err
	}
	reading, _ := h.carriers.Ask(ctx, environment, account, 1, now)
	switch err := reading.Err(); {
	case reading.Outcome.IsOutage():
		return nil, err
	case err != nil:
		v.add(checkCarrier, fault.Of(err))
	default:
		v.add(checkCarrier, nil)
		v.AccountPreview = newPreview(account, reading.Contract, now)
	}
	return httpapi.JSON(http.StatusOK, v), nil
}

// add notes a check and its problems.
func (v *validation) add(name string, problems fault.List) {
	messages := make([]string, len(problems))
	for i, p := range problems {
		messages[i] = p.Message
		if v.Diagnosis == nil {
			v.Diagnosis = p.Diagnosis
		}
	}
	v.Checks = append(v.Checks, check{name, len(problems) == 0, httpapi.Text(strings.Join(messages, " "))})
	v.Valid = v.Valid && len(problems) == 0
}

func newPreview(account carrier.ChargeAccount, c carrier.Contract, now time.Time) *preview {
	p := &preview{
		Name: httpapi.Text(c.Name), Suburb: httpapi.Text(c.Suburb), State: httpapi.Text(c.State), ABNLastThree: httpapi.Text(c.ABNLastThree),
		AccountNumberMasked: carrier.MaskNumber(account.Number),
		ValidTo:             httpapi.Text(c.ValidTo), ExpiresInDays: httpapi.DaysUntil(c.ValidTo, now), RestrictedReason: httpapi.Text(c.Restriction()), Products: c.Products,
	}
	if p.Products == nil {
		p.Products = []carrier.Product{}
	}
	return p
}

// decode reads path and body. What is wrong with a text that is given is no error
// here.
func decode(req *httpapi.Request) (carrier.ChargeAccount, error) {
	param, err := req.Param("carrier_name")
	if err != nil {
		return carrier.ChargeAccount{}, err
	}
	name, err := carrier.ParseName(param)
	if err != nil {
		return carrier.ChargeAccount{}, err
	}
	var typed httpapi.ChargeAccount
	err = req.JSON(httpapi.Require(typed.Number()), httpapi.Require(typed.Key()), httpapi.Require(typed.Secret()))
	return typed.Typed(name), err
}
