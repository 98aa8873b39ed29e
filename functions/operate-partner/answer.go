package main

import (
	"carrierlink/shared/account"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// partner is a partner in answers.
type partner struct {
	PartnerID          int64   `json:"partner_id"`
	Name               string  `json:"name"`
	Environment        string  `json:"environment"`
	DefaultCountryCode string  `json:"default_country_code"`
	CreatedAt          *string `json:"created_at"`
	DisabledAt         *string `json:"disabled_at"` // null: not disabled
}

func newPartner(p account.Partner) partner {
	return partner{p.ID, p.Name, string(p.Environment), p.DefaultCountryCode, httpapi.Time(p.CreatedAt), httpapi.Time(p.DisabledAt)}
}

// partnerList is a page of partners.
type partnerList struct {
	Partners []partner `json:"partners"`
	Next     *int64    `json:"next"` // "after" of the next page; null on the last one
}

func newPartnerList(partners []account.Partner, next int64) partnerList {
	body := partnerList{Partners: make([]partner, len(partners))}
	for i, p := range partners {
		body.Partners[i] = newPartner(p)
	}
	if next != 0 {
		body.Next = &next
	}
	return body
}

// changedPartner is a partner after a command.
type changedPartner struct {
	partner
	Changed bool `json:"changed"` // false: it was in this state already
}

// keyInfo is a partner's key, without its text.
type keyInfo struct {
	PartnerID int64 `json:"partner_id"`
	views.Key
	AccountID  *int64 `json:"account_id"`  // always null: in place of the account of views.Key
	ReplacedBy *int64 `json:"replaced_by"` // the key that a rotation made
}

// keyList is a partner with its keys, the oldest first.
type keyList struct {
	Partner partner   `json:"partner"`
	APIKeys []keyInfo `json:"api_keys"`
}

func newKeyInfo(k account.APIKey) keyInfo {
	body := keyInfo{PartnerID: k.PartnerID, Key: views.NewKey(k)}
	if k.ReplacedBy != 0 {
		body.ReplacedBy = &k.ReplacedBy
	}
	return body
}

func newKeyList(p account.Partner, keys []account.APIKey) keyList {
	body := keyList{newPartner(p), make([]keyInfo, len(keys))}
	for i, k := range keys {
		body.APIKeys[i] = newKeyInfo(k)
	}
	return body
}

// fullKey is a new key with its text, which no other answer contains.
type fullKey struct {
	EncryptedAPIKey string `json:"encrypted_api_key"`
	keyInfo
}

func newFullKey(k *account.IssuedKey) fullKey {
	return fullKey{views.NewFullKey(k).EncryptedAPIKey, newKeyInfo(k.APIKey)}
}

func (k fullKey) keyID() int64 { return k.APIKeyID }

// rotatedKey is the new key of a rotation, and the end of the old one.
type rotatedKey struct {
	fullKey
	Previous views.PreviousKey `json:"previous"`
}

func newRotatedKey(r *account.Rotated) rotatedKey {
	return rotatedKey{newFullKey(r.Key), views.NewRotatedKey(r).Previous}
}

// deletedKey is the answer to a deletion.
type deletedKey struct {
	PartnerID int64 `json:"partner_id"`
	APIKeyID  int64 `json:"deleted_api_key_id"`
}
