package connection

import (
	"carrierlink/shared/text"
)

// The rules of a connection's fields.
var (
	NicknameRule   = text.Rule{Min: 1, Max: 100}
	CredentialRule = text.Rule{Min: 1, Max: 256, Opaque: true} // Preflight looks for invisible characters
)
