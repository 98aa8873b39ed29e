package account

import (
	"context"
	"errors"
	"fmt"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// idDraws is how many random ids are tried: even if 100 million of the 2^31 ids are
// taken, four in a row are taken once in 200,000 creations.
const idDraws = 4

// Creation asks to create an account.
type Creation struct {
	Account  Account     // the fields that callers set
	Password secret.Text // empty for none
	Partner  Partner     // the creator: ID, Environment and DefaultCountryCode are set
	// ReturnExisting asks for the existing account instead of fault.Conflict, if one
	// account of the partner holds all the identifiers that are taken.
	ReturnExisting bool
}

// Created is the result of a creation.
type Created struct {
	Account Account
	Key     *IssuedKey // the first key; nil for an account that existed
}

// Create creates an account with its first key, or returns the existing account. The
// country defaults to the partner's.
//
// Errors: fault.Conflict for each identifier that is taken, with ExistingAccountID
// if the holder belongs to the partner; *effects.Replay.
func (s *Service) Create(ctx context.Context, in Creation, fx effects.For[*Created]) (*Created, error) {
	a, now := in.Account, s.now()
	a.PartnerID, a.Environment, a.EmailKey, a.Active = in.Partner.ID, in.Partner.Environment, s.EmailKey(a.Email), true
	a.CreatedAt, a.ModifiedAt, a.Version = now, now, 1
	if a.OriginCountryCode == "" {
		a.OriginCountryCode = in.Partner.DefaultCountryCode
	}
	var err error
	if !in.Password.IsZero() {
		if a.PasswordHash, err = s.HashPassword(s.Random, in.Password); err != nil {
			return nil, err
		}
	}
	for range idDraws {
		var made *Created
		if made, err = s.createWithNewID(ctx, a, fx); err == nil {
			return made, nil
		}
		if !errors.Is(err, ErrIDTaken) {
			break
		}
	}
	if in.ReturnExisting {
		return s.getExisting(ctx, a.PartnerID, err, fx)
	}
	return nil, fmt.Errorf("creating the account: %w", err)
}

// createWithNewID writes an account with its first key under a random id: an error with
// ErrIDTaken in its chain if the id is taken.
func (s *Service) createWithNewID(ctx context.Context, a Account, fx effects.For[*Created]) (*Created, error) {
	var err error
	if a.ID, err = NewID(s.Random); err != nil {
		return nil, fmt.Errorf("making an account_id: %w", err)
	}
	key, err := MakeKey(s.Random, APIKey{
		PartnerID: a.PartnerID, AccountID: a.ID, Environment: a.Environment, Description: "Created with the account", CreatedAt: a.CreatedAt,
	})
	if err != nil {
		return nil, err
	}
	made := &Created{Account: a, Key: key}
	with, err := fx.Reporting(made, s.Random, a.CreatedAt, a.report(effects.AccountCreated, accountData{APIKeyID: key.ID}))
	if err != nil {
		return nil, err
	}
	return made, s.Store.CreateAccount(ctx, NewAccount{Account: a, Key: key.APIKey}, with, a.CreatedAt)
}

// getExisting reads the account that holds the identifiers of a conflict. It returns the
// conflict unless one account of the partner holds them all.
func (s *Service) getExisting(ctx context.Context, partnerID int64, conflict error, fx effects.For[*Created]) (*Created, error) {
	var id int64
	for _, p := range fault.Of(conflict) {
		if p.Kind != fault.Conflict || p.ExistingAccountID == 0 || id != 0 && id != p.ExistingAccountID {
			return nil, fmt.Errorf("creating the account: %w", conflict)
		}
		id = p.ExistingAccountID
	}
	a, err := s.Get(ctx, partnerID, id)
	if fault.Is(err, fault.NotFound) { // purged meanwhile
		return nil, fmt.Errorf("creating the account: %w", conflict)
	}
	if err != nil {
		return nil, err
	}
	found := &Created{Account: a}
	with, err := fx.Of(found)
	if err != nil || with.Answer == nil {
		return found, err
	}
	// There is no change to write the answer with.
	return found, s.Store.ClaimIdempotency(ctx, *with.Answer, s.now())
}
