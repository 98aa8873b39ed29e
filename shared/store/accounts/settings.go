package accounts

import (
	"context"
	"fmt"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/store/kit"
)

// settingsItem returns the item of a partner's settings.
func settingsItem(partnerID int64, s account.Settings) kit.Item {
	it := kit.SettingsKey(partnerID).Item()
	settingsFields(kit.Store(it), &s)
	it.List("return_urls", s.ReturnURLs)
	return it
}

// SettingsFromItem reads the settings of a partner; without an item they are those of a
// partner that has set nothing.
func SettingsFromItem(it kit.Item) (account.Settings, error) {
	var s account.Settings
	f := kit.Load(it)
	settingsFields(f, &s)
	s.ReturnURLs = f.Reader.List("return_urls")
	return s, f.Reader.Done("settings")
}

func settingsFields(f *kit.Fields, s *account.Settings) {
	f.Text("display_name", &s.DisplayName)
	f.Text("support_email", &s.SupportEmail)
	f.Text("support_url", &s.SupportURL)
	f.Text("accent_color", &s.AccentColor)
	f.Int(kit.AttrVersion, &s.Version)
}

// Settings reads the settings of a partner; the zero value if it has set nothing.
func (s *Store) Settings(ctx context.Context, partnerID int64) (account.Settings, error) {
	it, err := s.table.Get(ctx, kit.SettingsKey(partnerID))
	if err != nil {
		return account.Settings{}, fmt.Errorf("reading the settings of a partner: %w", err)
	}
	if it == nil {
		return account.Settings{}, nil
	}
	return SettingsFromItem(it)
}

// SaveSettings replaces the settings that were read and writes the effects, in one
// transaction. Settings of the same version are not written. It returns fault.Precondition
// if another change came first, and *effects.Replay.
func (s *Store) SaveSettings(ctx context.Context, partnerID int64, old, next account.Settings, fx effects.Effects, now time.Time) error {
	var parts []kit.Part
	switch item := settingsItem(partnerID, next); {
	case next.Version == old.Version && fx.Answer == nil:
		return nil
	case next.Version == old.Version:
	case old.Version == 0:
		parts = append(parts, s.table.Insert(kit.PartSettings, item))
	default:
		parts = append(parts, s.table.Replace(kit.PartSettings, item, old.Version))
	}
	refused, err := s.table.Commit(ctx, parts, fx, now)
	switch {
	case err != nil:
		return fmt.Errorf("saving the settings of a partner: %w", err)
	case len(refused) > 0:
		return account.ErrSettingsChanged()
	}
	return nil
}
