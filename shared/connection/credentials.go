package connection

import (
	"carrierlink/shared/secret"
)

// Credentials are a merchant's own key and secret of the Australia Post
// developer centre: HTTP Basic user and password (contract: "Connection and
// authentication"). The secret is opaque.
type Credentials struct {
	APIKey    secret.Text
	APISecret secret.Text
}

// Equal compares both parts in constant time.
func (c Credentials) Equal(o Credentials) bool {
	return c.APIKey.Equal(o.APIKey) && c.APISecret.Equal(o.APISecret)
}
