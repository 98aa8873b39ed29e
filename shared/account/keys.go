package account

import (
	"context"
	"slices"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

// KeyInput is what callers may say of a new key.
type KeyInput struct {
	Description string
	Scopes      []Scope   // empty: all of them
	ExpiresAt   time.Time // zero: never
}

// Check returns what is wrong with the input at a time: fault.Invalid for a key
// that has expired. Times count to the millisecond, as they are kept.
func (in KeyInput) Check(now time.Time) *fault.Error {
	if !in.ExpiresAt.IsZero() && in.ExpiresAt.UnixMilli() <= now.UnixMilli() {
		return fault.Field(fault.Invalid, "expires_at", "expires_at must be in the future.")
	}
	return nil
}

// ParseScopes reads the names of scopes: fault.Invalid for an unknown one, for one
// that is there twice, and for none.
func ParseScopes(names []string) ([]Scope, *fault.Error) {
	if len(names) == 0 {
		return nil, fault.Field(fault.Invalid, "scopes", "scopes must not be empty; leave it out for all of them.")
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

// IssueKey makes one more key of an account.
//
// Errors: those of KeyInput.Check; fault.State for a deleted account, and for one
// that has as many keys as it may; NotFound; *effects.Replay.
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
	with, err := fx.Of(key)
	if err != nil {
		return nil, err
	}
	return key, s.Store.CreateKey(ctx, key.APIKey, with, now)
}

// Keys lists the keys of an account, expired ones too, the oldest first.
func (s *Service) Keys(ctx context.Context, accountID int64) ([]APIKey, error) {
	return s.Store.ListKeys(ctx, accountID)
}

// Key finds a key among those of an account: fault.NotFound.
func (s *Service) Key(ctx context.Context, accountID, keyID int64) (*APIKey, error) {
	keys, err := s.Keys(ctx, accountID)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if keys[i].ID == keyID {
			return &keys[i], nil
		}
	}
	return nil, ErrNoKey()
}

// How long a rotated key goes on working.
const (
	DefaultGrace = 24 * time.Hour
	LongestGrace = 7 * 24 * time.Hour
)

// Rotated is the new key of a rotation, and when the old one ends.
type Rotated struct {
	Key          *IssuedKey
	OldID        int64
	OldExpiresAt time.Time
}

// RotateKey makes a key like an old one, with its scopes and its end, and ends the
// old one after grace, or when that expires by itself if that is earlier.
//
// Errors: fault.Invalid for a grace that is negative or longer than LongestGrace;
// State for a key that has expired or was rotated already, and for a deleted
// account; NotFound; *effects.Replay.
func (s *Service) RotateKey(ctx context.Context, old *APIKey, grace time.Duration, fx effects.For[*Rotated]) (*Rotated, error) {
	if grace < 0 || grace > LongestGrace {
		return nil, fault.OutOfRange("grace_period_seconds", 0, int(LongestGrace.Seconds()))
	}
	now := s.now()
	next, err := MakeKey(s.Random, APIKey{
		PartnerID: old.PartnerID, AccountID: old.AccountID, Environment: old.Environment, Description: old.Description,
		Scopes: old.Scopes, ExpiresAt: old.ExpiresAt, CreatedAt: now,
	})
	if err != nil {
		return nil, err
	}
	until := now.Add(grace)
	if !old.ExpiresAt.IsZero() && old.ExpiresAt.Before(until) {
		until = old.ExpiresAt
	}
	rotated := &Rotated{next, old.ID, until}
	with, err := fx.Of(rotated)
	if err != nil {
		return nil, err
	}
	return rotated, s.Store.RotateKey(ctx, *old, next.APIKey, until, with, now)
}

// DeleteKey deletes a key: the very next call with it is refused. fault.NotFound
// for one that is gone.
func (s *Service) DeleteKey(ctx context.Context, k *APIKey, fx effects.Effects) error {
	return s.Store.DeleteKey(ctx, *k, fx, s.now())
}
