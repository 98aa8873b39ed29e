package store

import (
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// An identifier is free when nobody holds it, or a purged account does: that
// DynamoDB removes only some time later.
const (
	ifFree       = ifAbsent + " OR expires_at <= :seconds"
	ifFreeOrOurs = ifFree + " OR account_id = :account"
)

// identifier is where an account's email or external id is kept unique. The
// zero key says that the account has none.
type identifier struct {
	part string
	key  key
}

func (id identifier) held() bool { return id.key != key{} }

func externalOf(a account.Account) identifier {
	id := identifier{part: partExternal}
	if a.ExternalID != "" {
		id.key = externalKey(a.PartnerID, a.ExternalID)
	}
	return id
}

func emailOf(a account.Account) identifier {
	id := identifier{part: partEmail}
	if a.EmailKey != "" {
		id.key = emailKey(a.Environment, a.EmailKey)
	}
	return id
}

// ours is an edit of an identifier that the account holds.
func (id identifier) ours(a account.Account) *edit {
	e := newEdit(id.key)
	e.compares(attrAccountID, "=", numberValue(a.ID))
	return e
}

// swap is the parts that give up one identifier of an account and take another.
func (s *Store) swap(a account.Account, old, next identifier, partOld string, now time.Time) []part {
	var parts []part
	if next.held() {
		parts = append(parts, s.put(next.part, holderItem(next.key, a.ID, a.PartnerID), ifFreeOrOurs, item{
			":seconds": numberValue(now.Unix()), ":account": numberValue(a.ID),
		}))
	}
	if old.held() {
		parts = append(parts, s.remove(partOld, old.ours(a)))
	}
	return parts
}

// eachIdentifier is the parts that make one change of all that the account
// holds.
func (s *Store) eachIdentifier(a account.Account, change func(*edit)) []part {
	var parts []part
	for _, id := range []identifier{externalOf(a), emailOf(a)} {
		if id.held() {
			e := id.ours(a)
			change(e)
			parts = append(parts, s.update(id.part, e))
		}
	}
	return parts
}

// taken is the conflicts among the refusals, in the order of the fields; nil if
// there is none. Who holds an identifier is told if it is of the same partner.
func taken(refused refusals, partnerID int64) error {
	var conflicts fault.List
	for _, unique := range []struct{ part, field string }{
		{partExternal, "external_account_id"}, {partEmail, "email"},
	} {
		if !refused.has(unique.part) {
			continue
		}
		r := reader{it: refused[unique.part]}
		holder, partner := r.int(attrAccountID), r.int(attrPartnerID)
		if err := r.done(unique.part); err != nil {
			return err
		}
		if partner != partnerID {
			holder = 0
		}
		conflicts = append(conflicts, account.ErrIdentifierTaken(unique.field, holder))
	}
	return conflicts.Err()
}
