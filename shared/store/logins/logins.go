// Package logins stores sessions, logins, tokens and the attempts that throttles count.
package logins

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/signin"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/kit"
)

// Store reads and writes logins.
type Store struct{ table *kit.Table }

// New returns a Store over the table.
func New(t *kit.Table) *Store { return &Store{t} }

// Seen writes when a session was last seen, unless it was seen later. there is false if it is
// gone.
func (s *Store) Seen(ctx context.Context, ref signin.Ref, now time.Time) (there bool, err error) {
	e := kit.NewEdit(kit.SessionKey(ref.AccountID, ref.Hash))
	e.Compares(kit.AttrLastSeen, "<", kit.TimeValue(now))
	e.Set(kit.AttrLastSeen, kit.TimeValue(now))
	it, _, err := s.table.WriteEdit(ctx, e)
	if err != nil {
		return false, fmt.Errorf("noting the use of a session: %w", err)
	}
	return len(it) > 0, nil
}

// EndSession removes a session, if it is there.
func (s *Store) EndSession(ctx context.Context, ref signin.Ref) error {
	own := s.table.Remove(kit.PartSession, kit.NewEdit(kit.SessionKey(ref.AccountID, ref.Hash)))
	if _, err := s.table.Transact(ctx, []kit.Part{own}); err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// SessionsOf reads all sessions of an account, those that have ended included.
func (s *Store) SessionsOf(ctx context.Context, accountID int64) ([]signin.Session, error) {
	items, err := s.table.QueryItems(ctx, kit.SessionsPK(accountID), kit.SkSession, kit.SkSession)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return kit.FromItems(items, SessionFromItem)
}

// FindByEmail reads the accounts that have an email, of production and of the sandbox, with
// their logins. It always makes the same two calls, for as many items.
func (s *Store) FindByEmail(ctx context.Context, emailKey string, now time.Time) (found [2]signin.Held, err error) {
	environments := [2]carrier.Environment{carrier.Production, carrier.Sandbox}
	own := []kit.Key{kit.EmailKey(environments[0], emailKey), kit.EmailKey(environments[1], emailKey)}
	holders, err := s.table.BatchGet(ctx, own)
	if err != nil {
		return found, fmt.Errorf("reading the holders of an email: %w", err)
	}
	var ids [2]int64
	var keys []kit.Key
	for i, k := range own {
		ids[i] = -int64(i) // nobody's; DynamoDB refuses the same key twice
		if it := holders[k]; !kit.Gone(it, now) {
			r := kit.Reader{It: it}
			ids[i] = r.Int(kit.AttrAccountID)
			if err := r.Done("email"); err != nil {
				return found, err
			}
		}
		keys = append(keys, kit.AccountKey(ids[i]), kit.LoginKey(ids[i]))
	}
	items, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return found, fmt.Errorf("reading the accounts of an email: %w", err)
	}
	for i, id := range ids {
		h, err := held(items, id, now)
		if err != nil {
			return found, err
		}
		// The account may have given up the email since.
		if h.Account.EmailKey == emailKey && h.Account.Environment == environments[i] {
			found[i] = h
		}
	}
	return found, nil
}

// LoginOf reads an account with its login. It is empty for an account that is absent or whose
// purge is due.
func (s *Store) LoginOf(ctx context.Context, accountID int64, now time.Time) (signin.Held, error) {
	items, err := s.table.BatchGet(ctx, []kit.Key{kit.AccountKey(accountID), kit.LoginKey(accountID)})
	if err != nil {
		return signin.Held{}, fmt.Errorf("reading a login: %w", err)
	}
	return held(items, accountID, now)
}

// Token reads a token with the account and the login that it is for, in one call. It is nil if
// it is absent or has expired.
func (s *Store) Token(ctx context.Context, hash string, accountID int64, now time.Time) (*signin.Token, signin.Held, error) {
	own := kit.TokenKey(hash)
	items, err := s.table.BatchGet(ctx, []kit.Key{own, kit.AccountKey(accountID), kit.LoginKey(accountID)})
	if err != nil {
		return nil, signin.Held{}, fmt.Errorf("reading a token: %w", err)
	}
	if kit.Gone(items[own], now) {
		return nil, signin.Held{}, nil
	}
	t, err := tokenFromItem(items[own], hash)
	if err != nil {
		return nil, signin.Held{}, err
	}
	h, err := held(items, accountID, now)
	return &t, h, err
}

// held reads an account and its login from items that were read.
func held(items map[kit.Key]kit.Item, accountID int64, now time.Time) (h signin.Held, err error) {
	it := items[kit.AccountKey(accountID)]
	if kit.Gone(it, now) {
		return signin.Held{}, nil
	}
	if h.Account, err = accounts.FromItem(it); err != nil {
		return signin.Held{}, err
	}
	h.Login, err = LoginFromItem(items[kit.LoginKey(accountID)])
	return h, err
}

// IssueTokens writes new tokens.
func (s *Store) IssueTokens(ctx context.Context, tokens ...signin.Token) error {
	var parts []kit.Part
	for _, t := range tokens {
		parts = append(parts, s.table.Insert(kit.PartToken, tokenItem(t)))
	}
	refused, err := s.table.Transact(ctx, parts)
	if err == nil && len(refused) > 0 {
		err = fault.Busy(nil) // which no random text makes happen
	}
	if err != nil {
		return fmt.Errorf("writing a token: %w", err)
	}
	return nil
}

// ChangeLogin writes a change with its effects in one transaction. Its errors are those of
// signin.Change.
func (s *Store) ChangeLogin(ctx context.Context, c signin.Change, fx effects.Effects, now time.Time) error {
	refused, err := s.table.Commit(ctx, s.parts(&c, now), fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("changing a login: %w", err)
	case len(refused) == 0:
		return nil
	case refused.Has(kit.PartUsedToken):
		return signin.ErrNoLink()
	case refused.Has(kit.PartOldSession):
		return signin.ErrSignedOut()
	case refused.Has(kit.PartAccount):
		switch it := refused[kit.PartAccount]; {
		case kit.Gone(it, now):
			return account.ErrNotFound()
		case it[kit.AttrTTL] != nil:
			return account.ErrDeleted()
		}
		return fault.Busy(signin.ErrStale)
	}
	if err := accounts.Taken(refused, c.Account.Old.PartnerID); err != nil {
		return err
	}
	return fault.Busy(signin.ErrStale)
}

func (s *Store) parts(c *signin.Change, now time.Time) []kit.Part {
	a := c.Account.New
	var parts []kit.Part
	if a.Version != c.Account.Old.Version {
		parts = accounts.LoginParts(s.table, c.Account, now)
	} else {
		parts = append(parts, s.samePassword(c))
	}
	parts = append(parts, s.login(c)...)
	if c.Use != "" {
		e := kit.NewEdit(kit.TokenKey(c.Use))
		e.Exists(kit.AttrPK)
		parts = append(parts, s.table.Remove(kit.PartUsedToken, e))
	}
	if c.Replace != nil {
		e := kit.NewEdit(kit.SessionKey(c.Replace.AccountID, c.Replace.Hash))
		e.Exists(kit.AttrPK)
		parts = append(parts, s.table.Remove(kit.PartOldSession, e))
	}
	for _, ref := range c.End {
		parts = append(parts, s.table.Remove(kit.PartSession, kit.NewEdit(kit.SessionKey(ref.AccountID, ref.Hash))))
	}
	if c.Start != nil {
		parts = append(parts, s.table.Insert(kit.PartSession, sessionItem(*c.Start)))
	}
	if c.Issue != nil {
		parts = append(parts, s.table.Insert(kit.PartToken, tokenItem(*c.Issue)))
	}
	return parts
}

// samePassword returns the part of an account that keeps its password. It is not deleted, so
// that a login is written only where EndFollow finds it. A session starts only with the
// password that was checked: the hash and the login's epoch were not read as of one moment.
func (s *Store) samePassword(c *signin.Change) kit.Part {
	e := kit.NewEdit(kit.AccountKey(c.Account.Old.ID))
	e.Exists(kit.AttrPK)
	e.Lacks(kit.AttrTTL)
	if old := c.Account.Old.PasswordHash; c.Start != nil && old != "" {
		e.Compares(kit.AttrPassword, "=", kit.TextValue(old))
	}
	if anew := c.Account.New.PasswordHash; anew != c.Account.Old.PasswordHash {
		e.Set(kit.AttrPassword, kit.TextValue(anew))
		return s.table.Update(kit.PartAccount, e)
	}
	return s.table.Check(kit.PartAccount, e)
}

// login returns the part of the login, if it changes or has to be as it was read.
func (s *Store) login(c *signin.Change) []kit.Part {
	e := kit.NewEdit(kit.LoginKey(c.Account.Old.ID))
	switch {
	case c.Login == nil:
	case c.Login.Epoch == 0:
		e.Lacks(kit.AttrEpoch)
	default:
		e.Compares(kit.AttrEpoch, "=", kit.NumberValue(c.Login.Epoch))
	}
	if c.Advance {
		e.Add(kit.AttrEpoch, 1)
	}
	if c.Browser != "" {
		e.Include(kit.AttrBrowsers, kit.TextSet(c.Browser))
	}
	switch {
	case e.Changes():
		return []kit.Part{s.table.Update(kit.PartLogin, e)}
	case c.Login != nil:
		return []kit.Part{s.table.Check(kit.PartLogin, e)}
	}
	return nil
}
