package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/auth"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/linking"
	"carrierlink/shared/store"
)

// accounts is what this function needs of the store to know whom it works for.
type accounts interface {
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
}

// linker is the use case.
type linker interface {
	Link(ctx context.Context, req linking.LinkRequest) (*carrier.Connection, error)
	Lease(ctx context.Context) time.Time
}

type handler struct {
	auth     *auth.Auth
	accounts accounts
	claims   httpapi.Claims
	sealer   httpapi.Sealer
	linker   linker
	now      func() time.Time
}

// link makes one connection. Errors: those of auth.Merchant, Request.JSON and
// carrier.Preflight, all of the request's at once; those of linking.Link; 202
// where the carrier is down and the body says that it may be verified later.
func (h *handler) link(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	// Decoding comes first, as the number says what to read beside the key; what
	// it found is told only to a caller who was let in.
	in, inputErr := decode(req)
	want := store.Want{Now: h.now()}
	if inputErr == nil {
		want.Number = &store.Number{Carrier: in.ChargeAccount.Carrier, Number: in.ChargeAccount.Number}
	}
	var loaded store.Loaded
	caller, err := h.auth.Merchant(ctx, req, func(ctx context.Context, accountID int64) (_ *carrier.Account, err error) {
		loaded, err = h.accounts.Load(ctx, accountID, want)
		return loaded.Account, err
	})
	if err != nil {
		return nil, err
	}
	if inputErr != nil {
		return nil, inputErr
	}
	now := h.now()
	idempotency, err := httpapi.NewIdempotency(ctx, h.sealer, req, caller.Scope(), now)
	if err != nil {
		return nil, err
	}
	if replay, err := idempotency.Claim(ctx, h.claims, h.linker.Lease(ctx)); replay != nil || err != nil {
		return replay, err
	}
	var resp *httpapi.Response
	in.Account, in.LinkedAs = *loaded.Account, loaded.LinkedAs
	in.Answer = func(conn *carrier.Connection) (*carrier.IdempotencyRecord, error) {
		status := http.StatusOK
		if conn.Status == carrier.PendingVerification {
			status = http.StatusAccepted
		}
		resp = httpapi.JSON(status, httpapi.NewConnectionBody(conn, h.now()))
		return idempotency.Record(ctx, resp)
	}
	if _, err := h.linker.Link(ctx, in); err != nil {
		// The answer is not stored: the key must be free for the next try, even
		// when the time of this request is over.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if release := idempotency.Release(ctx, h.claims); release != nil {
			// Its kind must not decide the answer, so it is not wrapped.
			err = fmt.Errorf("%w; and %v", err, release) //nolint:errorlint // see above
		}
		return nil, err
	}
	return resp, nil
}

// decode reads path and body and runs the pre-flight checks on what was given as
// a text. The list of problems is in the order of the fields.
func decode(req *httpapi.Request) (linking.LinkRequest, error) {
	in := linking.LinkRequest{RefreshPolicy: carrier.RefreshDaily}
	param, err := req.Param("carrier_name")
	if err != nil {
		return in, err
	}
	name, err := carrier.ParseName(param)
	if err != nil {
		return in, err
	}
	var number, key, secret string
	given := map[string]bool{}
	typed := func(field, s string) (string, *fault.Error) {
		given[field] = true
		return s, nil
	}
	err = req.JSON(
		httpapi.Require(httpapi.String("nickname", &in.Nickname, carrier.NicknameRule.Clean)),
		httpapi.Require(httpapi.String("account_number", &number, typed)),
		httpapi.Require(httpapi.String("api_key", &key, typed)),
		httpapi.Require(httpapi.String("api_secret", &secret, typed)),
		httpapi.Bool("allow_duplicate_account_number", &in.AllowDuplicate),
		httpapi.String("refresh_policy", (*string)(&in.RefreshPolicy), func(field, s string) (string, *fault.Error) {
			policy, problem := carrier.ParseRefreshPolicy(field, s)
			return string(policy), problem
		}),
		httpapi.String("external_carrier_id", &in.ExternalID, carrier.ExternalIDRule.Clean),
		httpapi.Metadata("metadata", &in.Metadata),
		httpapi.String("verify", new(string), func(field, s string) (string, *fault.Error) {
			in.VerifyLater = s == "later"
			if s != "later" && s != "now" {
				return "", fault.Field(fault.Invalid, field, "%s must be now or later.", field)
			}
			return s, nil
		}),
	)
	typedIn := carrier.ChargeAccount{
		Carrier: name, Number: number, Credentials: carrier.Credentials{APIKey: carrier.NewSecret(key), APISecret: carrier.NewSecret(secret)},
	}
	account, problems := carrier.Preflight(typedIn)
	in.ChargeAccount = account
	// What was not given, or is no text, has its problem already.
	problems = slices.DeleteFunc(problems, func(p *fault.Error) bool { return !given[p.Field] })
	return in, merge(err, problems)
}

// merge joins what the fields and the pre-flight checks found, in the order of
// the fields; what belongs to none comes last.
func merge(err error, problems fault.List) error {
	order := []string{"nickname", "account_number", "api_key", "api_secret", "allow_duplicate_account_number", "refresh_policy", "external_carrier_id", "metadata", "verify"}
	rank := func(p *fault.Error) int {
		field, _, _ := strings.Cut(p.Field, ".")
		if i := slices.Index(order, field); i >= 0 {
			return i
		}
		return len(order)
	}
	all := append(fault.Of(err), problems...)
	slices.SortStableFunc(all, func(a, b *fault.Error) int { return rank(a) - rank(b) })
	return all.Err()
}
