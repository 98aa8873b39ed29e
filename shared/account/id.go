package account

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"carrierlink/shared/fault"
)

// MaxID is the largest account, partner or key id: ids are JSON integers that
// any client's 32-bit type holds.
const MaxID = 1<<31 - 1

// NewID makes a random id, 1 to MaxID, from r (crypto/rand.Reader outside tests).
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

// ParseID reads an account id: an integer without sign or leading zeros,
// with or without the se- prefix that ShipEngine prints. Another form is
// fault.Identifier, naming field. The contract has the same rule as a pattern,
// the schema IDText.
func ParseID(field, s string) (int64, error) {
	digits := strings.TrimPrefix(s, IDPrefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id < 1 || id > MaxID || strconv.FormatInt(id, 10) != digits {
		return 0, fault.Field(fault.Identifier, field, "%s must be an integer from 1 to %d.", field, MaxID)
	}
	return id, nil
}
