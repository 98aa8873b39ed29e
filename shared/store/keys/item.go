package keys

import (
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/store/kit"
)

// Item returns the item of an API key.
func Item(k account.APIKey) kit.Item {
	it := kit.APIKeyKey(k.PartnerID, k.AccountID, k.Hash).Item()
	it.Int("api_key_id", k.ID)
	it.Int(kit.AttrPartnerID, k.PartnerID)
	it.Int(kit.AttrAccountID, k.AccountID)
	it.Text("hash", k.Hash)
	it.Text("prefix", k.Prefix)
	it.Text("last_four", k.LastFour)
	it.Text("description", k.Description)
	it.Text("environment", string(k.Environment))
	it.Text("default_country_code", k.DefaultCountryCode)
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	it.List("scopes", scopes)
	it.Time(kit.AttrValidUntil, k.ExpiresAt)
	it.Int(kit.AttrReplacedBy, k.ReplacedBy)
	it.Time("created_at", k.CreatedAt)
	return it
}

// FromItem reads an API key from its item.
func FromItem(it kit.Item) (account.APIKey, error) {
	r := kit.Reader{It: it}
	var scopes []account.Scope
	for _, scope := range r.List("scopes") {
		scopes = append(scopes, account.Scope(scope))
	}
	return account.APIKey{
		Scopes:             scopes,
		LastUsedOn:         r.Day(kit.AttrLastDay),
		ID:                 r.Int("api_key_id"),
		PartnerID:          r.Int(kit.AttrPartnerID),
		AccountID:          r.Int(kit.AttrAccountID),
		Hash:               r.Text("hash"),
		Prefix:             r.Text("prefix"),
		LastFour:           r.Text("last_four"),
		Description:        r.Text("description"),
		Environment:        carrier.Environment(r.Text("environment")),
		DefaultCountryCode: r.Text("default_country_code"),
		ExpiresAt:          r.Time(kit.AttrValidUntil),
		ReplacedBy:         r.Int(kit.AttrReplacedBy),
		CreatedAt:          r.Time("created_at"),
	}, r.Done("API key")
}
