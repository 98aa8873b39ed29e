package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
)

// statusesBody is how the carriers are doing.
type statusesBody struct {
	Carriers []statusBody `json:"carriers"`
}

type statusBody struct {
	CarrierCode   string      `json:"carrier_code"`
	FriendlyName  string      `json:"friendly_name"`
	Status        string      `json:"status"` // operational or failing
	Breaker       breakerBody `json:"breaker"`
	SuccessRate   *float64    `json:"success_rate"` // null without checks
	Checks        int         `json:"checks"`
	WindowMinutes int         `json:"window_minutes"`
}

type breakerBody struct {
	State       string  `json:"state"` // closed or open
	Since       *string `json:"since"`
	Failure     *string `json:"failure"`
	NextProbeAt *string `json:"next_probe_at"`
}

// status shows how each carrier is doing, whoever's connections it is asked for.
func (h *handler) status(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	names := carrier.Names()
	tallies := make([][]health.Tally, len(names))
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.connections.Load(ctx, accountID, store.Want{Now: now, Breakers: true})
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(names))
	var reading sync.WaitGroup
	for i, name := range names {
		reading.Go(func() {
			if tallies[i], errs[i] = h.checks.Tallies(ctx, name, now); errs[i] != nil {
				errs[i] = fmt.Errorf("reading the tallies of %s: %w", name, errs[i])
			}
		})
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var body statusesBody
	for i, name := range names {
		body.Carriers = append(body.Carriers, newStatusBody(name, loaded.Breakers[name], tallies[i]))
	}
	return httpapi.JSON(http.StatusOK, body), nil
}

func newStatusBody(name carrier.Name, b health.Breaker, tallies []health.Tally) statusBody {
	body := statusBody{
		CarrierCode: string(name), FriendlyName: name.FriendlyName(), Status: "operational",
		Breaker: breakerBody{State: "closed", Since: httpapi.Time(b.ChangedAt)}, WindowMinutes: int(health.TallyKept / time.Minute),
	}
	if b.Open {
		body.Status, body.Breaker.State = "failing", "open"
		body.Breaker.Failure, body.Breaker.NextProbeAt = httpapi.Text(b.Failure), httpapi.Time(b.ProbeAt)
	}
	good := 0
	for _, t := range tallies {
		body.Checks += t.Checks
		good += t.Good
	}
	if body.Checks > 0 {
		rate := math.Round(float64(good)/float64(body.Checks)*10_000) / 10_000
		body.SuccessRate = &rate
	}
	return body
}
