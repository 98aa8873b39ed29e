package account

import (
	"context"
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// KeyInput holds the fields that a caller may set on a new key.
type KeyInput struct {
	Description string
	Scopes      []Scope   // empty: all scopes
	ExpiresAt   time.Time // zero: never
}

// Check returns fault.Invalid if the key would already have expired. Times are compared
// in milliseconds, as they are stored.
func (in KeyInput) Check(now time.Time) *fault.Error {
	if !in.ExpiresAt.IsZero() && in.ExpiresAt.UnixMilli() <= now.UnixMilli() {
		return fault.Field(fault.Invalid, "expires_at", "expires_at must be in the future.")
	}
	return nil
}

// ParseScopes parses the names of scopes: fault.Invalid for an unknown name, a
// duplicate, or an empty list.
func ParseScopes(names []string) ([]Scope, *fault.Error) {
	if len(names) == 0 {
		return nil, fault.Field(fault.Invalid, "scopes", "scopes must not be empty; leave it out for all scopes.")
	}
	var scopes []Scope
	for _, name := range names {
		s := Scope(name)
		if s != ScopeRead && s != ScopeLink && s != ScopeAdmin || slices.Contains(scopes, s) {
			return nil, fault.Field(fault.Invalid, "scopes", "scopes must be read, link or admin, each once at most.")
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// IssueKey creates another key of an account.
//
// Errors: those of KeyInput.Check; fault.State for a deleted account, and for an
// account with as many keys as it may have; NotFound; *effects.Replay.
func (s *Service) IssueKey(ctx context.Context, a *Account, in KeyInput, fx effects.For[*IssuedKey]) (*IssuedKey, error) {
	now := s.now()
	if problem := in.Check(now); problem != nil {
		return nil, problem
	}
	key, err := MakeKey(s.Random, APIKey{
		PartnerID: a.PartnerID, AccountID: a.ID, Environment: a.Environment,
		Description: in.Description, Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	with, err := fx.Reporting(key, s.Random, now, key.report(effects.APIKeyCreated))
	if err != nil {
		return nil, err
	}
	return key, s.Store.CreateKey(ctx, key.APIKey, with, now)
}

// Keys reads the keys of an account, including expired ones, oldest first.
func (s *Service) Keys(ctx context.Context, accountID int64) ([]APIKey, error) {
	return s.Store.ListKeys(ctx, accountID)
}

// Key reads a key of an account: fault.NotFound if it has no such key.
func (s *Service) Key(ctx context.Context, accountID, keyID int64) (*APIKey, error) {
	keys, err := s.Keys(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return keyOf(keys, keyID)
}

// keyOf returns the key with an id, in place: fault.NotFound if there is none.
func keyOf(keys []APIKey, id int64) (*APIKey, error) {
	for i := range keys {
		if keys[i].ID == id {
			return &keys[i], nil
		}
	}
	return nil, ErrNoKey()
}

// Grace periods: how long a rotated key keeps working.
const (
	DefaultGrace = 24 * time.Hour
	MaxGrace     = 7 * 24 * time.Hour
)

// Rotated is the new key of a rotation, and the end of the old one.
type Rotated struct {
	Key          *IssuedKey
	OldID        int64
	OldExpiresAt time.Time
}

// RotateKey creates a key with the description, scopes and end of an old one. The old
// key ends after grace, or at its own end if that is earlier.
//
// Errors: fault.Invalid for a grace that is negative or longer than MaxGrace; State
// for a key that has expired or was already rotated, and for a deleted account;
// NotFound; *effects.Replay.
func (s *Service) RotateKey(ctx context.Context, old *APIKey, grace time.Duration, fx effects.For[*Rotated]) (*Rotated, error) {
	now := s.now()
	rotated, err := s.replace(old, grace, now)
	if err != nil {
		return nil, err
	}
	with, err := fx.Reporting(rotated, s.Random, now, rotated.Key.report(effects.APIKeyRotated, func(d *keyData) {
		d.PreviousAPIKeyID, d.PreviousExpiresAt = rotated.OldID, effects.Time(rotated.OldExpiresAt)
	}))
	if err != nil {
		return nil, err
	}
	return rotated, s.Store.RotateKey(ctx, *old, rotated.Key.APIKey, rotated.OldExpiresAt, with, now)
}

// replace makes the key that replaces an old one, and the old one's end: fault.Invalid for
// a grace that is out of range.
func (s *Service) replace(old *APIKey, grace time.Duration, now time.Time) (*Rotated, error) {
	if grace < 0 || grace > MaxGrace {
		return nil, fault.OutOfRange("grace_period_seconds", 0, int(MaxGrace.Seconds()))
	}
	next, err := MakeKey(s.Random, APIKey{
		PartnerID: old.PartnerID, AccountID: old.AccountID, Environment: old.Environment, Description: old.Description,
		DefaultCountryCode: old.DefaultCountryCode, PartnerDisabled: old.PartnerDisabled,
		Scopes: old.Scopes, ExpiresAt: old.ExpiresAt, CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	until := now.Add(grace)
	if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(until) {
		until = old.ExpiresAt
	}
	return &Rotated{next, old.ID, until}, nil
}

// DeleteKey deletes a key: the next call with it is refused. fault.NotFound if it is
// already deleted.
func (s *Service) DeleteKey(ctx context.Context, k *APIKey, fx effects.Effects) error {
	now := s.now()
	fx, err := fx.With(s.Random, now, k.report(effects.APIKeyDeleted))
	if err != nil {
		return err
	}
	return s.Store.DeleteKey(ctx, *k, fx, now)
}
