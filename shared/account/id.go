package account

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"carrierlink/shared/fault"
)

// MaxID is the largest account, partner or key id: it fits a signed 32-bit integer.
const MaxID = 1<<31 - 1

// NewID makes a random id from 1 to MaxID, read from r (crypto/rand.Reader outside
// tests).
func NewID(r io.Reader) (int64, error) {
	var b [4]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, fmt.Errorf("reading randomness: %w", err)
		}
		if id := int64(binary.BigEndian.Uint32(b[:]) & MaxID); id != 0 {
			return id, nil
		}
	}
}

// IDPrefix begins every connection id, as in the ShipEngine API.
const IDPrefix = "se-"

// ParseID parses an id: an integer without sign or leading zeros, with or without
// ShipEngine's prefix se-. Anything else is fault.Identifier with the field. The schema
// IDText of the contract has the same rule.
func ParseID(field, s string) (int64, error) {
	digits := strings.TrimPrefix(s, IDPrefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id < 1 || id > MaxID || strconv.FormatInt(id, 10) != digits {
		return 0, fault.Field(fault.Identifier, field, "%s must be an integer from 1 to %d.", field, MaxID)
	}
	return id, nil
}
