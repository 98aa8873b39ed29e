// Package carrier names the carriers, the environments that they are called in, and
// what the answer to a check can mean.
package carrier

import (
	"fmt"

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

// NumberDigits is the length of a charge account number: 10 digits for an
// Australia Post charge account, 8 for a StarTrack account (official
// documentation, header Account-Number). Either may start with zeros.
func (n Name) NumberDigits() int {
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

// Names lists the carriers, in the order that answers show them.
func Names() []Name { return []Name{AustraliaPost, StarTrack} }
