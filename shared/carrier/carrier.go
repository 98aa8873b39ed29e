// Package carrier is the domain: merchant accounts, their API keys and their
// connections to a carrier's charge accounts, with the rules that make input
// acceptable and the states a connection moves through. It knows no AWS and no
// HTTP; clock and randomness are arguments.
package carrier

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"carrierlink/shared/fault"
)

// Name is a carrier as our API calls it: the path segment of its connection
// routes and the carrier_code of answers.
type Name string

// The carriers. Both are reached through Australia Post's Shipping & Tracking
// API v1 (contract: "Connection and authentication").
const (
	AustraliaPost Name = "australia_post"
	StarTrack     Name = "startrack"
)

// ParseName reads a carrier name of a request; star_track is an alias. An
// unknown one is fault.NotSupported, naming field.
func ParseName(field, s string) (Name, error) {
	switch s {
	case "australia_post":
		return AustraliaPost, nil
	case "startrack", "star_track":
		return StarTrack, nil
	}
	return "", fault.Field(fault.NotSupported, field, "%s must be australia_post or startrack.", field)
}

// FriendlyName is the carrier's name as people write it.
func (n Name) FriendlyName() string {
	if n == StarTrack {
		return "StarTrack"
	}
	return "Australia Post"
}

// numberDigits is the length of a charge account number: 10 digits for an
// Australia Post charge account, 8 for a StarTrack account (official
// documentation, header Account-Number). Either may start with zeros.
func (n Name) numberDigits() int {
	if n == StarTrack {
		return 8
	}
	return 10
}

// Environment tells real accounts from sandbox ones.
type Environment string

// The environments. A sandbox account never reaches a real carrier.
const (
	Production Environment = "production"
	Sandbox    Environment = "sandbox"
)

// PerEnvironment holds one of something for each environment, such as the client
// of a carrier.
type PerEnvironment[T any] struct{ Production, Sandbox T }

// Of returns what env uses. It is the one place that chooses: an unknown
// environment is an error and gets neither.
func (p PerEnvironment[T]) Of(env Environment) (T, error) {
	switch env {
	case Production:
		return p.Production, nil
	case Sandbox:
		return p.Sandbox, nil
	}
	var none T
	return none, fmt.Errorf("the environment %q is unknown", env)
}

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

// connectionPrefix begins every connection id, as in the ShipEngine API.
const connectionPrefix = "se-"

// NewConnectionID makes a random carrier_id: "se-" and 16 digits. Ids are never
// reused, and what follows the prefix is longer than the six characters that
// Secrets Manager appends to a secret's ARN, so that a name can not be taken
// for another one's ARN.
func NewConnectionID(r io.Reader) (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	const low, span = 1e15, 9e15
	return connectionPrefix + strconv.FormatUint(low+binary.BigEndian.Uint64(b[:])%span, 10), nil
}

// NewSecretVersion makes the name of a version of a connection's secret: 32
// random hexadecimal digits, the least that Secrets Manager takes as a
// ClientRequestToken.
func NewSecretVersion(r io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// ParseConnectionID checks the form of a carrier_id: "se-" and 1 to 22 digits
// or lower-case letters. Another form is fault.Identifier.
func ParseConnectionID(s string) (string, error) {
	rest, ok := strings.CutPrefix(s, connectionPrefix)
	ok = ok && rest != "" && len(s) <= 25
	for _, c := range []byte(rest) {
		ok = ok && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z')
	}
	if !ok {
		return "", fault.Field(fault.Identifier, "carrier_id", "carrier_id must be se- followed by digits or lower-case letters, 25 characters at most.")
	}
	return s, nil
}

// ParseAccountID reads an account id: an integer without sign or leading zeros,
// with or without the se- prefix that ShipEngine prints. Another form is
// fault.Identifier, naming field. The contract has the same rule as a pattern,
// the schema IDText.
func ParseAccountID(field, s string) (int64, error) {
	digits := strings.TrimPrefix(s, connectionPrefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id < 1 || id > MaxID || strconv.FormatInt(id, 10) != digits {
		return 0, fault.Field(fault.Identifier, field, "%s must be an integer from 1 to %d.", field, MaxID)
	}
	return id, nil
}
