package connection

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// NewID returns a random carrier_id: "se-" and 16 digits. IDs are never reused. They are
// longer than the six characters that Secrets Manager appends to a secret's ARN, so that
// the name of a secret cannot be mistaken for the ARN of another.
func NewID(r io.Reader) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	const low, span = 1e15, 9e15
	return account.IDPrefix + strconv.FormatUint(low+binary.BigEndian.Uint64(b[:])%span, 10), nil
}

// NewSecretVersion returns the name of a version of a secret: 32 random hexadecimal digits,
// the shortest ClientRequestToken that Secrets Manager accepts.
func NewSecretVersion(r io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// ParseID checks the form of a carrier_id: "se-" and 1 to 22 digits or lower-case letters.
// Another form is fault.Identifier.
func ParseID(s string) (string, error) {
	rest, ok := strings.CutPrefix(s, account.IDPrefix)
	if !ok || rest == "" || len(s) > 25 || !consistsOf(rest, digits+lowerLetters) {
		return "", fault.Field(fault.Identifier, "carrier_id", "carrier_id must be se- followed by digits or lower-case letters, 25 characters at most.")
	}
	return s, nil
}
