package accounts

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/kit"
)

// An identifier is free if it has no item, or if its holder is purged and DynamoDB has
// yet to remove the item.
const (
	ifFree       = kit.IfAbsent + " OR expires_at <= :seconds"
	ifFreeOrOurs = ifFree + " OR account_id = :account"
)

// identifier is the item that keeps an account's email or external id unique. The key
// is zero if the account has none.
type identifier struct {
	part string
	key  kit.Key
}

func (id identifier) held() bool { return id.key != kit.Key{} }

func externalOf(a account.Account) identifier {
	id := identifier{part: kit.PartExternal}
	if a.ExternalID != "" {
		id.key = kit.ExternalKey(a.PartnerID, a.ExternalID)
	}
	return id
}

func emailOf(a account.Account) identifier {
	id := identifier{part: kit.PartEmail}
	if a.EmailKey != "" {
		id.key = kit.EmailKey(a.Environment, a.EmailKey)
	}
	return id
}

// ours returns an edit of an identifier, on the condition that the account holds it.
func (id identifier) ours(a account.Account) *kit.Edit {
	e := kit.NewEdit(id.key)
	e.Compares(kit.AttrAccountID, "=", kit.NumberValue(a.ID))
	return e
}

// swaps returns the parts that replace the identifiers in which two versions of an account
// differ.
func swaps(t *kit.Table, a, next account.Account, now time.Time) []kit.Part {
	var parts []kit.Part
	if next.ExternalID != a.ExternalID {
		parts = append(parts, swap(t, a, externalOf(a), externalOf(next), kit.PartOldExternal, now)...)
	}
	if next.EmailKey != a.EmailKey {
		parts = append(parts, swap(t, a, emailOf(a), emailOf(next), kit.PartOldEmail, now)...)
	}
	return parts
}

// swap returns the parts that replace an identifier of an account.
func swap(t *kit.Table, a account.Account, old, next identifier, partOld string, now time.Time) []kit.Part {
	var parts []kit.Part
	if next.held() {
		parts = append(parts, t.Put(next.part, holderItem(next.key, a.ID, a.PartnerID), ifFreeOrOurs, kit.Item{
			":seconds": kit.NumberValue(now.Unix()), ":account": kit.NumberValue(a.ID),
		}))
	}
	if old.held() {
		parts = append(parts, t.Remove(partOld, old.ours(a)))
	}
	return parts
}

// endIdentifiers returns the parts that make the identifiers of an account expire at a
// time; the zero time keeps them.
func (s *Store) endIdentifiers(a account.Account, at time.Time) []kit.Part {
	var parts []kit.Part
	for _, id := range []identifier{externalOf(a), emailOf(a)} {
		if id.held() {
			e := id.ours(a)
			e.End(at)
			parts = append(parts, s.table.Update(id.part, e))
		}
	}
	return parts
}

// Taken returns the conflicts among the refusals, in the order of the fields; nil if
// there is none. A conflict names its holder only if both have the same partner.
func Taken(refused kit.Refusals, partnerID int64) error {
	var conflicts fault.List
	for _, unique := range []struct{ part, field string }{
		{kit.PartExternal, "external_account_id"}, {kit.PartEmail, "email"},
	} {
		if !refused.Has(unique.part) {
			continue
		}
		r := kit.Reader{It: refused[unique.part]}
		holder, partner := r.Int(kit.AttrAccountID), r.Int(kit.AttrPartnerID)
		if err := r.Done(unique.part); err != nil {
			return err
		}
		if partner != partnerID {
			holder = 0
		}
		conflicts = append(conflicts, account.ErrIdentifierTaken(unique.field, holder))
	}
	return conflicts.Err()
}
