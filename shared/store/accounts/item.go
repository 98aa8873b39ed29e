package accounts

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/store/kit"
)

func partnerItem(p account.Partner) kit.Item {
	it := kit.PartnerKey(p.ID).Item()
	it.Int(kit.AttrPartnerID, p.ID)
	it.Text("name", p.Name)
	it.Text("environment", string(p.Environment))
	it.Text("default_country_code", p.DefaultCountryCode)
	it.Time("created_at", p.CreatedAt)
	return it
}

// Item returns the item of an account.
func Item(a account.Account) kit.Item {
	it := kit.AccountKey(a.ID).Item()
	it.Int(kit.AttrAccountID, a.ID)
	it.Int(kit.AttrPartnerID, a.PartnerID)
	it.Text("environment", string(a.Environment))
	it.Text("external_account_id", a.ExternalID)
	it.Text("email", a.Email)
	it.Text("email_key", a.EmailKey)
	it.Text("company_name", a.CompanyName)
	it.Text("first_name", a.FirstName)
	it.Text("last_name", a.LastName)
	it.Text("origin_country_code", a.OriginCountryCode)
	it.Text("password_hash", a.PasswordHash)
	it.Texts("metadata", a.Metadata)
	it.Bool(kit.AttrActive, a.Active)
	it.Int(kit.AttrCarriers, int64(a.CarriersCount))
	it.Time("created_at", a.CreatedAt)
	it.Time(kit.AttrModified, a.ModifiedAt)
	it.Seconds(kit.AttrTTL, a.PurgeAt)
	it.Int(kit.AttrVersion, a.Version)
	it.Text(kit.AttrPartnerPK, kit.PartnerPK(a.PartnerID))
	it.Text(kit.AttrActivePK, kit.ActivePK(a.PartnerID, a.Active))
	it.Text(kit.AttrCreatedKey, kit.CreatedKey(a.CreatedAt.UnixMilli(), a.ID))
	return it
}

// Follow marks an account as one whose connections have to follow it.
func Follow(e *kit.Edit, now time.Time) {
	e.Set(kit.AttrDuePK, kit.TextValue(kit.RepairPK))
	e.Set(kit.AttrDueKey, kit.TextValue(kit.RepairKey(now)))
}

// FromItem reads an account from an item of the table or of an index. Items of the
// indexes have no password hash and do not tell whether the account is Following.
func FromItem(it kit.Item) (account.Account, error) {
	r := kit.Reader{It: it}
	return account.Account{
		ID:                r.Int(kit.AttrAccountID),
		PartnerID:         r.Int(kit.AttrPartnerID),
		Environment:       carrier.Environment(r.Text("environment")),
		ExternalID:        r.Text("external_account_id"),
		Email:             r.Text("email"),
		EmailKey:          r.Text("email_key"),
		CompanyName:       r.Text("company_name"),
		FirstName:         r.Text("first_name"),
		LastName:          r.Text("last_name"),
		OriginCountryCode: r.Text("origin_country_code"),
		PasswordHash:      r.Text("password_hash"),
		Metadata:          r.Texts("metadata"),
		Active:            r.Bool(kit.AttrActive),
		CarriersCount:     int(r.Int(kit.AttrCarriers)),
		CreatedAt:         r.Time("created_at"),
		ModifiedAt:        r.Time(kit.AttrModified),
		PurgeAt:           r.Seconds(kit.AttrTTL),
		Following:         it[kit.AttrDuePK] != nil,
		Version:           r.Int(kit.AttrVersion),
	}, r.Done("account")
}

// holderItem returns the item that keeps an identifier unique by being there.
func holderItem(k kit.Key, accountID, partnerID int64) kit.Item {
	it := k.Item()
	it.Int(kit.AttrAccountID, accountID)
	it.Int(kit.AttrPartnerID, partnerID)
	return it
}
