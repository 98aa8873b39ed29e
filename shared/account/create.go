package account

import (
	"context"
	"errors"
	"fmt"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// idDraws is how many random ids are tried: even with 100 million accounts among
// 2^31 ids, four in a row are taken once in 200,000 creations.
const idDraws = 4

// firstKey is the description of the key that every account starts with.
const firstKey = "Created with the account"

// Creation asks for an account.
type Creation struct {
	Account  Account     // its Fields, and Metadata
	Password secret.Text // empty for none
	Partner  Partner     // who makes it: ID, Environment and DefaultCountryCode
	// ReturnExisting: where its identifiers are taken, and by one account of the
	// partner alone, that one is the result and no error.
	ReturnExisting bool
}

// Created is an account and its first key.
type Created struct {
	Account  Account
	Key      *IssuedKey // nil for an account that existed
	Existing bool
}

// Create makes an account with its first key, or finds the one that is there. The
// country is the partner's where the creation names none.
//
// Errors: fault.Conflict for each identifier that is taken, with ExistingAccountID
// where the holder is the partner's own; *effects.Replay.
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
		if made, err = s.draw(ctx, a, fx); err == nil {
			return made, nil
		}
		if !errors.Is(err, ErrIDTaken) {
			break
		}
	}
	if in.ReturnExisting {
		return s.existing(ctx, a.PartnerID, err, fx)
	}
	return nil, fmt.Errorf("creating the account: %w", err)
}

// draw writes an account under an id drawn for it, with its first key.
func (s *Service) draw(ctx context.Context, a Account, fx effects.For[*Created]) (*Created, error) {
	var err error
	if a.ID, err = NewID(s.Random); err != nil {
		return nil, fmt.Errorf("making an account_id: %w", err)
	}
	key, err := MakeKey(s.Random, APIKey{
		PartnerID: a.PartnerID, AccountID: a.ID, Environment: a.Environment, Description: firstKey, CreatedAt: a.CreatedAt,
	})
	if err != nil {
		return nil, err
	}
	made := &Created{Account: a, Key: key}
	with, err := fx.Of(made)
	if err != nil {
		return nil, err
	}
	return made, s.Store.CreateAccount(ctx, NewAccount{Account: a, Key: key.APIKey}, with, a.CreatedAt)
}

// existing finds the account that holds the identifiers of a conflict, when they
// are one account's and it is the partner's own; else the conflict stands.
func (s *Service) existing(ctx context.Context, partnerID int64, conflict error, fx effects.For[*Created]) (*Created, error) {
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
	found := &Created{Account: a, Existing: true}
	with, err := fx.Of(found)
	if err != nil || with.Answer == nil {
		return found, err
	}
	// Nothing was made, so the answer is kept alone.
	return found, s.Store.ClaimIdempotency(ctx, *with.Answer, s.now())
}
