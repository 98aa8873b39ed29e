package signin

import (
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
)

// loginData is the data of the entries of the audit log about a login. It holds no address
// and no text of a person.
type loginData struct {
	Method    Method `json:"method,omitempty"`     // of login_signed_in
	Browser   string `json:"browser,omitempty"`    // likewise: a family
	APIKeyID  int64  `json:"api_key_id,omitempty"` // likewise: the partner's key that opened the page
	Through   string `json:"through,omitempty"`    // of login_password_set: reset, invitation or change
	Delivered string `json:"delivered,omitempty"`  // of login_invited: mail or none
	ExpiresAt string `json:"expires_at,omitempty"` // likewise
}

// report returns a report about the login of an account.
func report(a *account.Account, kind effects.EventType, data loginData) effects.Report {
	return effects.Report{Type: kind, PartnerID: a.PartnerID, AccountID: a.ID, Subject: "login", Data: data}
}

func (v *Visit) report(kind effects.EventType, data loginData) effects.Report {
	return report(&v.Account, kind, data)
}
