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
type ChargeAccount struct{ number, key, secret *string }

// Number is account_number. Of this field, as of the next two, any text passes:
// what is wrong with it, Preflight tells.
func (c *ChargeAccount) Number() httpapi.Field { return typed("account_number", &c.number) }

// Key is api_key.
func (c *ChargeAccount) Key() httpapi.Field { return typed("api_key", &c.key) }

// Secret is api_secret.
func (c *ChargeAccount) Secret() httpapi.Field { return typed("api_secret", &c.secret) }

func typed(name string, dst **string) httpapi.Field {
	return httpapi.String(name, new(string), func(_, s string) (string, *fault.Error) {
		*dst = &s
		return s, nil
	})
}

// Given tells which of its fields are there.
func (c *ChargeAccount) Given() (number, key, secret bool) {
	return c.number != nil, c.key != nil, c.secret != nil
}

// Typed is what is there, as a charge account of the carrier.
func (c *ChargeAccount) Typed(name carrier.Name) connection.ChargeAccount {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return connection.ChargeAccount{
		Carrier: name, Number: text(c.number),
		Credentials: connection.Credentials{APIKey: secret.New(text(c.key)), APISecret: secret.New(text(c.secret))},
	}
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
