package views

import (
	"slices"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
)

// ChargeAccount is a charge account in a request body. Members that are absent or not
// texts are nil.
type ChargeAccount struct {
	number      *string
	key, secret *secret.Text
}

// Number is the field account_number. It accepts any text, as do Key and Secret: Preflight
// validates them.
func (c *ChargeAccount) Number() httpapi.Field {
	return httpapi.String("account_number", new(string), func(_, s string) (string, *fault.Error) {
		c.number = &s
		return s, nil
	})
}

// Key is the field api_key.
func (c *ChargeAccount) Key() httpapi.Field { return httpapi.Secret("api_key", &c.key) }

// Secret is the field api_secret.
func (c *ChargeAccount) Secret() httpapi.Field { return httpapi.Secret("api_secret", &c.secret) }

// Given reports which fields the body has.
func (c *ChargeAccount) Given() (number, key, secret bool) {
	return c.number != nil, c.key != nil, c.secret != nil
}

// Typed returns the fields of the body as a charge account, without validation.
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

// PeekNumber returns the carrier and the account number of a link or its dry run before
// the caller is authenticated, for reads that run concurrently. It decodes nothing else
// of the body. The number is cleaned as in Preflight, and empty if it is not valid.
func PeekNumber(req *httpapi.Request) (carrier.Name, string) {
	var c ChargeAccount
	name, err := CarrierName(req)
	if err != nil || !req.Peek(c.Number()) || c.number == nil {
		return name, ""
	}
	return name, connection.CleanNumber(name, *c.number)
}

// Preflight runs connection.Preflight and returns the problems of the fields that the body
// has. number replaces an absent account_number.
func (c *ChargeAccount) Preflight(name carrier.Name, number string) (connection.ChargeAccount, fault.List) {
	in := c.Typed(name)
	if c.number == nil {
		in.Number = number
	}
	account, problems := connection.Preflight(in)
	given := map[string]bool{"account_number": c.number != nil, "api_key": c.key != nil, "api_secret": c.secret != nil}
	return account, slices.DeleteFunc(problems, func(p *fault.Error) bool { return !given[p.Field] })
}
