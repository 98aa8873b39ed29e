package connection

import (
	"carrierlink/shared/carrier"
)

// Number is a charge account number of a carrier.
type Number struct {
	Carrier carrier.Name
	Number  string
}
