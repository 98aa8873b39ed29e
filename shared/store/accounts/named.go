package accounts

import (
	"context"
	"fmt"

	"carrierlink/shared/account"
	"carrierlink/shared/store/kit"
)

// PartnerWithSettings reads a partner, without its keys, and what it shows to its merchants,
// in one call. It returns fault.NotFound if there is no such partner.
func (s *Store) PartnerWithSettings(ctx context.Context, partnerID int64) (p account.Partner, set account.Settings, err error) {
	own, settings := kit.PartnerKey(partnerID), kit.SettingsKey(partnerID)
	found, err := s.table.BatchGet(ctx, []kit.Key{own, settings})
	if err != nil {
		return p, set, fmt.Errorf("reading a partner and its settings: %w", err)
	}
	if found[own] == nil {
		return p, set, account.ErrNoPartner()
	}
	if p, err = PartnerFromItem(found[own]); err != nil {
		return p, set, err
	}
	set, err = SettingsFromItem(found[settings])
	return p, set, err
}
