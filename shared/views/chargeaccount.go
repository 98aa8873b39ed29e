package views

import (
	"slices"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
)

// ChargeAccount is a charge account in a request body, as it was typed: nil is
// what is absent or no text.
type ChargeAccount struct {
	number      *string
	key, secret *secret.Text
}

// Number is account_number. Of this field, as of the next two, any text passes:
// what is wrong with it, Preflight tells.
func (c *ChargeAccount) Number() httpapi.Field {
	return httpapi.String("account_number", new(string), func(_, s string) (string, *fault.Error) {
		c.number = &s
		return s, nil
	})
}

// Key is api_key.
func (c *ChargeAccount) Key() httpapi.Field { return httpapi.Secret("api_key", &c.key) }

// Secret is api_secret.
func (c *ChargeAccount) Secret() httpapi.Field { return httpapi.Secret("api_secret", &c.secret) }

// Given tells which of its fields are there.
func (c *ChargeAccount) Given() (number, key, secret bool) {
	return c.number != nil, c.key != nil, c.secret != nil
}

// Typed is what is there, as a charge account of the carrier.
func (c *ChargeAccount) Typed(name carrier.Name) connection.ChargeAccount {
	account := connection.ChargeAccount{Carrier: name}
	if c.number != nil {
		account.Number = *c.number
	}
	if c.key != nil {
		account.Credentials.APIKey = *c.key
	}
	if c.secret != nil {
		account.Credentials.APISecret = *c.secret
	}
	return account
}

// PeekNumber is the charge account that a link or its dry run is about, with the
// number as Preflight cleans it: what has to be read beside the key of a caller who
// is not known yet. Nothing else of the body is decoded. The number is empty if
// there is none that can be.
func PeekNumber(req *httpapi.Request) (carrier.Name, string) {
	var c ChargeAccount
	name, err := CarrierName(req)
	if err != nil || !req.Peek(c.Number()) || c.number == nil {
		return name, ""
	}
	return name, connection.CleanNumber(name, *c.number)
}

// Preflight is connection.Preflight of what is there, with a number that stands for
// an absent one.
func (c *ChargeAccount) Preflight(name carrier.Name, number string) (connection.ChargeAccount, fault.List) {
	in := c.Typed(name)
	if c.number == nil {
		in.Number = number
	}
	account, problems := connection.Preflight(in)
	given := map[string]bool{"account_number": c.number != nil, "api_key": c.key != nil, "api_secret": c.secret != nil}
	return account, slices.DeleteFunc(problems, func(p *fault.Error) bool { return !given[p.Field] })
}
