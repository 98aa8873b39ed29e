package accounts

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/store/kit"
)

func partnerItem(p account.Partner) kit.Item {
	it := kit.PartnerKey(p.ID).Item()
	partnerFields(kit.Store(it), &p)
	return it
}

// PartnerFromItem reads a partner from its item.
func PartnerFromItem(it kit.Item) (account.Partner, error) {
	var p account.Partner
	f := kit.Load(it)
	partnerFields(f, &p)
	return p, f.Reader.Done("partner")
}

func partnerFields(f *kit.Fields, p *account.Partner) {
	f.Int(kit.AttrPartnerID, &p.ID)
	f.Text("name", &p.Name)
	f.Text("environment", (*string)(&p.Environment))
	f.Text("default_country_code", &p.DefaultCountryCode)
	f.Time("created_at", &p.CreatedAt)
	f.Time("disabled_at", &p.DisabledAt)
	f.Int(kit.AttrVersion, &p.Version)
}

// Item returns the item of an account.
func Item(a account.Account) kit.Item {
	it := kit.AccountKey(a.ID).Item()
	fields(kit.Store(it), &a)
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
// indexes have neither password hash nor email key, and do not tell whether the account
// is Following.
func FromItem(it kit.Item) (account.Account, error) {
	var a account.Account
	f := kit.Load(it)
	fields(f, &a)
	a.Following = it[kit.AttrDuePK] != nil
	return a, f.Reader.Done("account")
}

func fields(f *kit.Fields, a *account.Account) {
	f.Int(kit.AttrAccountID, &a.ID)
	f.Int(kit.AttrPartnerID, &a.PartnerID)
	f.Text("environment", (*string)(&a.Environment))
	f.Text("external_account_id", &a.ExternalID)
	f.Text("email", &a.Email)
	f.Text("email_key", &a.EmailKey)
	f.Text("company_name", &a.CompanyName)
	f.Text("first_name", &a.FirstName)
	f.Text("last_name", &a.LastName)
	f.Text("origin_country_code", &a.OriginCountryCode)
	f.Text(kit.AttrPassword, &a.PasswordHash)
	f.Texts("metadata", &a.Metadata)
	f.Bool(kit.AttrActive, &a.Active)
	f.Count(kit.AttrCarriers, &a.CarriersCount)
	f.Time("created_at", &a.CreatedAt)
	f.Time(kit.AttrModified, &a.ModifiedAt)
	f.Seconds(kit.AttrTTL, &a.PurgeAt)
	f.Int(kit.AttrVersion, &a.Version)
}

// holderItem returns the item that keeps an identifier unique by being there.
func holderItem(k kit.Key, accountID, partnerID int64) kit.Item {
	it := k.Item()
	it.Int(kit.AttrAccountID, accountID)
	it.Int(kit.AttrPartnerID, partnerID)
	return it
}
