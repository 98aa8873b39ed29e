package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carrierlink/shared/connection"
	"carrierlink/shared/signin"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/breakers"
	"carrierlink/shared/store/connections"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/logins"
)

// Visit reads a session with what every page needs, and a connection with its snapshot if
// carrierID is not empty, consistently, in one call. It is nil if the session, its account or
// its partner is absent or has expired.
func (s *Store) Visit(ctx context.Context, ref signin.Ref, partnerID int64, carrierID string, now time.Time) (*signin.Visit, error) {
	own, acct, login := kit.SessionKey(ref.AccountID, ref.Hash), kit.AccountKey(ref.AccountID), kit.LoginKey(ref.AccountID)
	partner, settings := kit.PartnerKey(partnerID), kit.SettingsKey(partnerID)
	keys := append(breakers.Keys(), own, acct, login, partner, settings)
	if carrierID != "" {
		keys = append(keys, kit.ConnectionKey(ref.AccountID, carrierID), kit.SnapshotKey(ref.AccountID, carrierID))
	}
	found, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("reading a session: %w", err)
	}
	if kit.Gone(found[own], now) || kit.Gone(found[acct], now) || kit.Gone(found[partner], now) {
		return nil, nil
	}
	v := &signin.Visit{}
	var errs [8]error
	v.Session, errs[0] = logins.SessionFromItem(found[own])
	v.Account, errs[1] = accounts.FromItem(found[acct])
	v.Login, errs[2] = logins.LoginFromItem(found[login])
	v.Partner, errs[3] = accounts.PartnerFromItem(found[partner])
	v.Settings, errs[4] = accounts.SettingsFromItem(found[settings])
	v.Breakers, errs[5] = breakers.FromItems(found)
	if it := found[kit.ConnectionKey(ref.AccountID, carrierID)]; !kit.Gone(it, now) {
		v.Connection = new(connection.Connection)
		*v.Connection, errs[6] = connections.FromItem(it)
	}
	if it := found[kit.SnapshotKey(ref.AccountID, carrierID)]; !kit.Gone(it, now) {
		v.Snapshot = new(connection.Snapshot)
		*v.Snapshot, errs[7] = connections.SnapshotFromItem(it)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return v, nil
}
