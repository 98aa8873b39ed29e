package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/auth"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/store"
	"carrierlink/shared/views"
)

// accounts is what this function needs of the store.
type accounts interface {
	// CreateAccount writes account, key and effects at once. fault.Conflict, one for
	// each taken identifier; *effects.Replay.
	CreateAccount(ctx context.Context, in store.NewAccount, fx effects.Effects, now time.Time) error
	Load(ctx context.Context, accountID int64, want store.Want) (store.Loaded, error)
	// ClaimIdempotency keeps an answer for which nothing else is written.
	ClaimIdempotency(ctx context.Context, rec effects.Record, now time.Time) error
}

type handler struct {
	auth     *auth.Auth
	accounts accounts
	sealer   httpapi.Sealer
	now      func() time.Time
	random   io.Reader
}

// keyDescription is the description of the key that every account starts with.
const keyDescription = "Created with the account"

// answer is the account and, unless it existed already, its first key.
type answer struct {
	views.Account
	APIKey *views.FirstKey `json:"api_key"`
}

// newAnswer shows an account as this route does: the owner's names, company and
// email are null (seed: "This will always be null in the response").
func newAnswer(a account.Account, key *views.FirstKey) answer {
	a.FirstName, a.LastName, a.CompanyName, a.Email = "", "", "", ""
	return answer{views.NewAccount(a), key}
}

// create makes one account. Errors: those of auth.Partner and Request.JSON;
// fault.Conflict with ExistingAccountID where the account is the caller's own;
// IdempotencyMismatch.
func (h *handler) create(ctx context.Context, req *httpapi.Request) (*httpapi.Response, error) {
	caller, err := h.auth.Partner(ctx, req)
	if err != nil {
		return nil, err
	}
	account, password, err := decode(req)
	if err != nil {
		return nil, err
	}
	now := h.now().UTC().Truncate(time.Millisecond)
	return httpapi.Once(ctx, h.sealer, req, caller, now, nil, func(change *httpapi.Change) (*httpapi.Response, error) {
		if err := h.complete(&account, caller, password, now); err != nil {
			return nil, err
		}
		resp, err := h.write(ctx, account, change)
		if err != nil && strings.EqualFold(req.Preference("return"), "existing") {
			return h.existing(ctx, err, change, now)
		}
		return resp, err
	})
}

// write makes a complete account with its first key, under an id that nobody has.
func (h *handler) write(ctx context.Context, account account.Account, change *httpapi.Change) (*httpapi.Response, error) {
	for range idDraws {
		in, resp, err := h.draw(account)
		if err != nil {
			return nil, err
		}
		resp, err = change.Write(ctx, resp, func(fx effects.Effects) error {
			return h.accounts.CreateAccount(ctx, in, fx, account.CreatedAt)
		})
		switch {
		case errors.Is(err, store.ErrIDTaken):
			continue
		case err != nil:
			return nil, fmt.Errorf("creating the account: %w", err)
		}
		return resp, nil
	}
	return nil, fmt.Errorf("creating the account: %w", store.ErrIDTaken)
}

// idDraws is how many random ids are tried: even with 100 million accounts among
// 2^31 ids, four in a row are taken once in 200,000 creations.
const idDraws = 4

// decode reads the body into an account. Fields and lengths: ShipStation
// Partner API, "Request Body Properties".
func decode(req *httpapi.Request) (acct account.Account, password string, err error) {
	hasEmail := false
	passwordField := httpapi.String("password", &password, account.PasswordRule.Clean)
	checkPassword := passwordField.Check
	passwordField.Check = func(name string, value json.RawMessage) fault.List {
		problems := checkPassword(name, value)
		if !hasEmail {
			problems = append(fault.List{fault.Field(fault.Required, "email", "A password needs an email.")}, problems...)
		}
		return problems
	}
	err = req.JSON(
		httpapi.String("first_name", &acct.FirstName, account.NameRule.Clean),
		httpapi.String("last_name", &acct.LastName, account.NameRule.Clean),
		httpapi.String("company_name", &acct.CompanyName, account.CompanyRule.Clean),
		httpapi.String("external_account_id", &acct.ExternalID, account.ExternalIDRule.Clean),
		httpapi.String("origin_country_code", &acct.OriginCountryCode, func(field, s string) (string, *fault.Error) {
			return s, account.CheckCountry(field, s)
		}),
		httpapi.String("email", &acct.Email, func(field, s string) (string, *fault.Error) {
			hasEmail = true
			return account.CleanEmail(field, s)
		}),
		passwordField,
		httpapi.Metadata("metadata", &acct.Metadata),
	)
	acct.EmailKey = email.Key(acct.Email)
	return acct, password, err
}

// complete gives a decoded account its owner and what its partner decides.
func (h *handler) complete(account *account.Account, caller auth.Caller, password string, now time.Time) (err error) {
	if account.OriginCountryCode == "" {
		account.OriginCountryCode = caller.Key.DefaultCountryCode
	}
	account.PartnerID, account.Environment, account.Active = caller.PartnerID, caller.Key.Environment, true
	account.CreatedAt, account.ModifiedAt = now, now
	if password != "" {
		account.PasswordHash, err = hashPassword(h.random, password)
	}
	return err
}

// draw gives a complete account an id and its first key, and makes the answer.
func (h *handler) draw(acct account.Account) (store.NewAccount, *httpapi.Response, error) {
	var err error
	if acct.ID, err = account.NewID(h.random); err != nil {
		return store.NewAccount{}, nil, fmt.Errorf("making an account_id: %w", err)
	}
	key, text, err := account.MakeKey(h.random, account.APIKey{
		PartnerID: acct.PartnerID, AccountID: acct.ID, Environment: acct.Environment, Description: keyDescription, CreatedAt: acct.CreatedAt,
	})
	if err != nil {
		return store.NewAccount{}, nil, err
	}
	body := views.NewFirstKey(key, text)
	return store.NewAccount{Account: acct, Key: key}, httpapi.JSON(http.StatusOK, newAnswer(acct, &body)), nil
}

// existing answers with the account that holds the identifiers, when they are
// one account's and it is the caller's own; else with the conflict.
func (h *handler) existing(ctx context.Context, conflict error, change *httpapi.Change, now time.Time) (*httpapi.Response, error) {
	var id int64
	for _, p := range fault.Of(conflict) {
		if p.Kind != fault.Conflict || p.ExistingAccountID == 0 || id != 0 && id != p.ExistingAccountID {
			return nil, conflict
		}
		id = p.ExistingAccountID
	}
	loaded, err := h.accounts.Load(ctx, id, store.Want{Now: h.now()})
	if err != nil {
		return nil, fmt.Errorf("reading the existing account: %w", err)
	}
	if loaded.Account == nil {
		return nil, conflict
	}
	resp := httpapi.JSON(http.StatusOK, newAnswer(*loaded.Account, nil))
	resp.Header["Preference-Applied"] = "return=existing"
	// Nothing was made, so the answer is kept alone.
	return change.Write(ctx, resp, func(fx effects.Effects) error {
		if fx.Answer == nil {
			return nil
		}
		return h.accounts.ClaimIdempotency(ctx, *fx.Answer, now)
	})
}
