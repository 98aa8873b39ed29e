package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"carrierlink/shared/carrier"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// status answers with the health of each carrier, which is the same for all accounts.
// Errors: those of auth.Merchant.
func (h *handler) status(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	names := carrier.Names()
	tallies := make([][]health.Tally, len(names))
	var loaded store.Loaded
	_, err := h.auth.Merchant(ctx, req, store.Want{Now: now, Breakers: true}.LoadInto(&loaded, h.store))
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(names))
	var reading sync.WaitGroup
	for i, name := range names {
		reading.Go(func() {
			err := invocation.Recovering(func() (err error) {
				tallies[i], err = h.store.Tallies(ctx, name, now)
				return err
			})
			if err != nil {
				errs[i] = fmt.Errorf("reading the tallies of %s: %w", name, err)
			}
		})
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var body views.CarrierStatuses
	for i, name := range names {
		body.Carriers = append(body.Carriers, views.NewCarrierStatus(name, loaded.Breakers[name], tallies[i]))
	}
	return httpapi.JSON(http.StatusOK, body), nil
}
