package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auspost"
	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store.
type accounts interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
}

// checker asks the carrier now.
type checker interface {
	Check(ctx context.Context, conn connection.Connection, trigger connection.Trigger, b health.Breaker, fx effects.For[connection.Checked]) (connection.Checked, error)
}

type handler struct {
	auth     *auth.Auth
	accounts accounts
	checker  checker
	now      func() time.Time
}

// Ages of a stored snapshot that a reader accepts.
const (
	defaultMaxAge = 15 * time.Minute
	largestMaxAge = 30 * 24 * time.Hour
)

// answer is the carrier's account as we hold it.
type answer struct {
	CarrierID     string           `json:"carrier_id"`
	CarrierCode   string           `json:"carrier_code"`
	Account       json.RawMessage  `json:"account"` // as the carrier sent it
	Summary       summary          `json:"summary"`
	RefreshedAt   *string          `json:"refreshed_at"`
	AgeSeconds    int64            `json:"age_seconds"`
	Source        string           `json:"source"` // stored or live
	Stale         bool             `json:"stale"`  // older than asked for
	StaleReason   *string          `json:"stale_reason"`
	NextRefreshAt *string          `json:"next_refresh_at"`
	Diagnosis     *fault.Diagnosis `json:"diagnosis"`
}

// summary is what we understand of the carrier's answer.
type summary struct {
	AccountNumber      string               `json:"account_number"`
	Name               string               `json:"name"`
	ValidFrom          *string              `json:"valid_from"`
	ValidTo            *string              `json:"valid_to"`
	Expired            bool                 `json:"expired"`
	ExpiresInDays      *int                 `json:"expires_in_days"`
	CreditBlocked      bool                 `json:"credit_blocked"`
	RestrictedReason   *string              `json:"restricted_reason"`
	MerchantLocationID *string              `json:"merchant_location_id"`
	Products           []connection.Product `json:"products"`
}

// Why an answer is stale, besides the carrier's outcomes.
const (
	reasonBusy = "refresh_in_progress" // another reader is asking the carrier
	reasonOurs = "service_error"       // we could not ask
	// Callers have had the carrier asked with these credentials as often as they may.
	reasonLimited = "limited"
	// The carrier fails for many connections alike: it is not asked meanwhile.
	reasonDown = "carrier_unavailable"
)

// get answers with the stored snapshot when it is young enough, else with what
// the carrier says now, and with the stored one marked stale when the carrier
// says nothing good. Errors: those of auth.Merchant; fault.Identifier, Invalid;
// NotFound; and, only while there is no snapshot yet, State with RetryAfter
// (somebody else is asking), RateLimited (of linking.Check) and those of
// connection.Reading.Err.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	q, inputErr := parse(req)
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.accounts.Load(ctx, accountID, store.Want{Now: h.now(), ConnectionID: q.carrierID, Snapshot: true, Breakers: true})
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	if loaded.Connection == nil || !loaded.Connection.Visible() {
		return nil, connection.ErrNoCarrier()
	}
	now := h.now()
	a := answer{Source: "stored"}
	conn, snap := *loaded.Connection, loaded.Snapshot
	if q.refresh || snap == nil || now.Sub(conn.VerifiedAt) > q.maxAge {
		checked, err := h.ask(ctx, caller, conn, loaded.Breakers[conn.Carrier], &a)
		if err == nil {
			conn, err = checked.Connection, checked.Reading.Err()
		}
		switch {
		case err == nil:
			a.Source, a.StaleReason, snap = "live", nil, checked.Snapshot
		case snap == nil, fault.Is(err, fault.NotFound): // nothing to show, or no longer
			return nil, fmt.Errorf("asking the carrier: %w", err)
		default:
			a.Stale = true
			slog.WarnContext(ctx, "answered with a stale snapshot", slog.String("request_id", req.ID),
				slog.String("account_id", strconv.FormatInt(caller.AccountID, 10)), slog.String("carrier_id", conn.ID), slog.String("error", err.Error()))
		}
	}
	return h.render(req, a, conn, *snap)
}

// ask makes a live check, and notes why it gave nothing good. While the
// carrier's breaker is open nobody asks: fault.CarrierDown.
func (h *handler) ask(ctx context.Context, caller auth.Caller, conn connection.Connection, b health.Breaker, a *answer) (connection.Checked, error) {
	if b.Open && conn.Environment != carrier.Sandbox {
		down := connection.Reading{Outcome: carrier.OutcomeUnavailable}
		a.StaleReason, a.Diagnosis = httpapi.Text(reasonDown), down.Diagnosis()
		return connection.Checked{}, down.Err()
	}
	checked, err := h.checker.Check(ctx, conn, connection.TriggerRead, b, effects.MadeBy[connection.Checked](caller.By()))
	switch {
	case err == nil:
		a.StaleReason, a.Diagnosis = httpapi.Text(string(checked.Reading.Outcome)), checked.Reading.Diagnosis()
	case fault.Is(err, fault.State):
		a.StaleReason = httpapi.Text(reasonBusy)
	case fault.Is(err, fault.RateLimited):
		a.StaleReason = httpapi.Text(reasonLimited)
	default:
		a.StaleReason = httpapi.Text(reasonOurs)
	}
	return checked, err
}

// render fills the answer from a snapshot, or answers 304 to a client that has
// it. The ETag is of what the answer says, not of its age.
func (h *handler) render(req *httpapi.Request, a answer, conn connection.Connection, snap connection.Snapshot) (*httpapi.Response, error) {
	raw, err := snap.Raw()
	if err != nil {
		return nil, err
	}
	contract, err := auspost.ParseContract(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	now := h.now()
	a.CarrierID, a.CarrierCode, a.Account = conn.ID, string(conn.Carrier), raw
	a.Summary = summary{
		AccountNumber: contract.AccountNumber, Name: contract.Name, ValidFrom: httpapi.Text(contract.ValidFrom), ValidTo: httpapi.Text(contract.ValidTo),
		Expired: contract.Expired, ExpiresInDays: views.DaysUntil(contract.ValidTo, now), CreditBlocked: contract.CreditBlocked,
		RestrictedReason: httpapi.Text(contract.Restriction()), MerchantLocationID: httpapi.Text(contract.MerchantLocationID), Products: contract.Products,
	}
	if a.Summary.Products == nil {
		a.Summary.Products = []connection.Product{}
	}
	// The snapshot is as old as the last good check: one that found nothing new
	// does not write it again.
	a.RefreshedAt, a.NextRefreshAt = httpapi.Time(conn.VerifiedAt), httpapi.Time(conn.NextRefreshAt)
	a.AgeSeconds = max(0, int64(now.Sub(conn.VerifiedAt)/time.Second))
	return httpapi.Conditional(req, etag(a), func() *httpapi.Response { return httpapi.JSON(http.StatusOK, a) }), nil
}

// etag is weak: two answers with the same one differ in times at most.
func etag(a answer) string {
	a.RefreshedAt, a.AgeSeconds, a.NextRefreshAt, a.Source = nil, 0, nil, ""
	b := httpapi.JSON(http.StatusOK, a).Body
	sum := sha256.Sum256(b)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}

// query is what the request asks for.
type query struct {
	carrierID string
	maxAge    time.Duration
	refresh   bool
}

// parse reads path and query; the error lists every problem.
func parse(req *httpapi.Request) (query, error) {
	q := query{maxAge: defaultMaxAge}
	var problems fault.List
	id, err := req.Param("carrier_id")
	if err == nil {
		q.carrierID, err = connection.ParseID(id)
	}
	problems = append(problems, fault.Of(err)...)
	maxAge := int(q.maxAge / time.Second)
	problems = append(problems, req.Number("max_age", &maxAge, 0, int(largestMaxAge/time.Second))...)
	q.maxAge = time.Duration(maxAge) * time.Second
	problems = append(problems, req.Single("refresh", func(v string) *fault.Error {
		if q.refresh = v == "true"; v != "true" && v != "false" {
			return fault.NotBool("refresh")
		}
		return nil
	})...)
	return q, problems.Err()
}
