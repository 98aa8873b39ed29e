package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store. Each change is written with
// its effects, or returns *effects.Replay.
type accounts interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	Idempotency(ctx context.Context, rec effects.Record, now time.Time) (*effects.Record, error)
	AccountByExternalID(ctx context.Context, partnerID int64, externalID string, now time.Time) (int64, error)
	ListAccounts(ctx context.Context, partnerID int64, f account.Filter, after *account.Position, skip, limit int, now time.Time) ([]account.Account, *account.Position, error)
	UpdateAccount(ctx context.Context, c store.AccountChange, fx effects.Effects, now time.Time) error
	SetAccountActive(ctx context.Context, a account.Account, pinned, active bool, fx effects.Effects, now time.Time) error
	DeleteAccount(ctx context.Context, a account.Account, pinned bool, purgeAt time.Time, fx effects.Effects, now time.Time) error
	RestoreAccount(ctx context.Context, a account.Account, pinned bool, fx effects.Effects, now time.Time) error
}

// linker is what this function needs of shared/linking.
type linker interface {
	// Follow makes the connections of an account stand as it stands.
	Follow(ctx context.Context, accountID int64) error
}

type handler struct {
	auth     *auth.Auth
	accounts accounts
	linker   linker
	sealer   httpapi.Sealer
	now      func() time.Time
}

// call is one request about one account of the caller's.
type call struct {
	caller  auth.Caller
	account account.Account
	now     time.Time
}

// begin authenticates the caller beside the read of the account that the path
// names. Errors: those of auth.PartnerAccount.
func (h *handler) begin(ctx context.Context, req *httpapi.Request) (call, error) {
	c := call{now: h.now().UTC().Truncate(time.Millisecond)}
	var loaded store.Loaded
	caller, err := h.auth.PartnerAccount(ctx, req, func(ctx context.Context, accountID int64) (_ *account.Account, err error) {
		loaded, err = h.accounts.Load(ctx, accountID, store.Want{Now: c.now})
		return loaded.Account, err
	})
	if err != nil {
		return call{}, err
	}
	c.caller, c.account = caller, *loaded.Account
	return c, nil
}

// once is a handler of a change: what it does is done once for each idempotency
// key, and answered again with the same answer.
func (h *handler) once(ctx context.Context, req *httpapi.Request, do func(c call, change *httpapi.Change) (*httpapi.Response, error)) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return httpapi.Once(ctx, h.sealer, req, c.caller, c.now, h.accounts.Idempotency, func(change *httpapi.Change) (*httpapi.Response, error) {
		return do(c, change)
	})
}

// get answers with one account, or 304 to a caller who has it.
func (h *handler) get(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	return show(req, c.account), nil
}

// getByExternalID is get by the partner's own id, which may hold any character:
// it comes url-encoded. fault.NotFound for one that no account has.
func (h *handler) getByExternalID(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	now := h.now()
	externalID, inputErr := externalIDParam(req)
	var id int64
	caller, err := h.auth.PartnerBeside(ctx, req, func(ctx context.Context, partnerID int64) (err error) {
		if inputErr == nil {
			id, err = h.accounts.AccountByExternalID(ctx, partnerID, externalID, now)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	loaded, err := h.accounts.Load(ctx, id, store.Want{Now: now})
	if err != nil {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	if loaded.Account == nil || loaded.Account.PartnerID != caller.PartnerID {
		return nil, account.ErrNotFound()
	}
	return show(req, *loaded.Account), nil
}

func externalIDParam(req *httpapi.Request) (string, error) {
	const param = "external_account_id"
	value, err := req.Param(param)
	if err != nil {
		return "", err
	}
	value, problem := account.ExternalIDRule.Clean(param, value)
	if problem != nil {
		return "", problem
	}
	return value, nil
}

// show is an account in full, with its ETag.
func show(req *httpapi.Request, a account.Account) *httpapi.Response {
	return httpapi.Conditional(req, etag(a), func() *httpapi.Response {
		return httpapi.JSON(http.StatusOK, views.NewAccount(a))
	})
}

// etag changes with everything that an account shows: its own changes, and the
// count of carriers.
func etag(a account.Account) string {
	return `"` + strconv.FormatInt(a.Version, 10) + "-" + strconv.Itoa(a.CarriersCount) + `"`
}

// enable and disable answer 204. A disabled account's keys are refused at the
// very next call. fault.State for a deleted account.
func (h *handler) enable(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.setActive(ctx, req, true)
}

func (h *handler) disable(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.setActive(ctx, req, false)
}

func (h *handler) setActive(ctx context.Context, req *httpapi.Request, active bool) (*httpapi.Response, error) {
	return h.once(ctx, req, func(c call, change *httpapi.Change) (*httpapi.Response, error) {
		pinned, err := httpapi.IfMatch(req, etag(c.account))
		if err != nil {
			return nil, err
		}
		return change.Write(ctx, done(), h.followed(ctx, c.account, c.account.Active != active, func(fx effects.Effects) error {
			return h.accounts.SetAccountActive(ctx, c.account, pinned, active, fx, c.now)
		}))
	})
}

// answerMargin is left of a request's time to answer in.
const answerMargin = 2 * time.Second

// followed is a write of what an account lets its connections do, and after it
// the connections' following, in the time that the request has. The change is
// made by then: what fails or is left is the reconciler's. An account that is so
// already has been followed, unless its mark says otherwise; a repeat through an
// idempotency key does not follow again.
func (h *handler) followed(ctx context.Context, a account.Account, changes bool, write func(effects.Effects) error) func(effects.Effects) error {
	return func(fx effects.Effects) error {
		if err := write(fx); err != nil || !changes && !a.Following {
			return err
		}
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
			defer cancel()
		}
		if err := h.linker.Follow(ctx, a.ID); err != nil {
			slog.WarnContext(ctx, "connections have not followed their account yet", slog.Int64("account_id", a.ID), slog.String("error", err.Error()))
		}
		return nil
	}
}

func done() *httpapi.Response {
	return &httpapi.Response{Status: http.StatusNoContent, Header: map[string]string{}}
}

// Days that a deleted account can still be restored.
const (
	leastPurgeDays = 7
	mostPurgeDays  = 30
)

// remove deletes the account: 204, again for one that is deleted already. Its
// keys answer 401, and it vanishes after purge_after_days. fault.Precondition when
// If-Match names another version.
func (h *handler) remove(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	c, err := h.begin(ctx, req)
	if err != nil {
		return nil, err
	}
	days := mostPurgeDays
	if problems := req.Number("purge_after_days", &days, leastPurgeDays, mostPurgeDays); problems != nil {
		return nil, problems
	}
	pinned, err := httpapi.IfMatch(req, etag(c.account))
	if err != nil {
		return nil, err
	}
	purgeAt := c.now.AddDate(0, 0, days).Truncate(time.Second)
	remove := h.followed(ctx, c.account, !c.account.Deleted(), func(fx effects.Effects) error {
		return h.accounts.DeleteAccount(ctx, c.account, pinned, purgeAt, fx, c.now)
	})
	if err := remove(effects.Effects{By: c.caller.By()}); err != nil {
		return nil, fmt.Errorf("deleting the account: %w", err)
	}
	return done(), nil
}

// restore takes a deletion back until the purge: 204. fault.State for an account
// that is not deleted.
func (h *handler) restore(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	return h.once(ctx, req, func(c call, change *httpapi.Change) (*httpapi.Response, error) {
		pinned, err := httpapi.IfMatch(req, etag(c.account))
		if err != nil {
			return nil, err
		}
		return change.Write(ctx, done(), h.followed(ctx, c.account, true, func(fx effects.Effects) error {
			return h.accounts.RestoreAccount(ctx, c.account, pinned, fx, c.now)
		}))
	})
}

// countriesBody is the answer of countries.
type countriesBody struct {
	Countries []account.Country `json:"countries"`
}

// countries lists what origin_country_code may be.
func (h *handler) countries(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	if _, err := h.auth.Partner(ctx, req); err != nil {
		return nil, err
	}
	return httpapi.JSON(http.StatusOK, countriesBody{account.Countries()}), nil
}
