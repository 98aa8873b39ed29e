package keys

import (
	"carrierlink/shared/account"
	"carrierlink/shared/store/kit"
)

// Item returns the item of an API key.
func Item(k account.APIKey) kit.Item {
	it := kit.APIKeyKey(k.PartnerID, k.AccountID, k.Hash).Item()
	fields(kit.Store(it), &k)
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	it.List("scopes", scopes)
	if !k.WarnAt.IsZero() {
		it.Text(kit.AttrDuePK, kit.ExpiringPK)
		it.Text(kit.AttrDueKey, kit.RepairKey(k.WarnAt))
	}
	return it
}

// FromItem reads an API key from its item.
func FromItem(it kit.Item) (account.APIKey, error) {
	var k account.APIKey
	f := kit.Load(it)
	fields(f, &k)
	k.LastUsedOn = f.Reader.Day(kit.AttrLastDay)
	if f.Reader.Text(kit.AttrDuePK) == kit.ExpiringPK {
		at, _ := kit.ParseWorkKey(f.Reader.Text(kit.AttrDueKey))
		k.WarnAt = at.UTC()
	}
	for _, scope := range f.Reader.List("scopes") {
		k.Scopes = append(k.Scopes, account.Scope(scope))
	}
	return k, f.Reader.Done("API key")
}

func fields(f *kit.Fields, k *account.APIKey) {
	f.Int("api_key_id", &k.ID)
	f.Int(kit.AttrPartnerID, &k.PartnerID)
	f.Int(kit.AttrAccountID, &k.AccountID)
	f.Text("hash", &k.Hash)
	f.Text("prefix", &k.Prefix)
	f.Text("last_four", &k.LastFour)
	f.Text("description", &k.Description)
	f.Text("environment", (*string)(&k.Environment))
	f.Text("default_country_code", &k.DefaultCountryCode)
	f.Bool("partner_disabled", &k.PartnerDisabled)
	f.Time(kit.AttrValidUntil, &k.ExpiresAt)
	f.Int(kit.AttrReplacedBy, &k.ReplacedBy)
	f.Time("created_at", &k.CreatedAt)
}
