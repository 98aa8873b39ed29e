package accounts

import (
	"carrierlink/shared/account"
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
