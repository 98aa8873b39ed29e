// Package carrier names the carriers, the environments in which we call them, and
// the possible outcomes of a check.
package carrier

import (
	"fmt"

	"carrierlink/shared/fault"
)

// Name is a carrier's name in our API: the path segment of its connection routes
// and the carrier_code of responses.
type Name string

// The carriers. Australia Post's Shipping & Tracking API v1 serves both
// (infra/docs/auspost.md, "Connection and authentication").
const (
	AustraliaPost Name = "australia_post"
	StarTrack     Name = "startrack"
)

// ParseName parses a carrier name from a request; star_track is an alias of
// startrack. An unknown name is fault.NotSupported about field.
func ParseName(field, s string) (Name, error) {
	switch s {
	case "australia_post":
		return AustraliaPost, nil
	case "startrack", "star_track":
		return StarTrack, nil
	}
	return "", fault.Field(fault.NotSupported, field, "%s must be australia_post or startrack.", field)
}

// FriendlyName returns the carrier's name as people write it.
func (n Name) FriendlyName() string {
	if n == StarTrack {
		return "StarTrack"
	}
	return "Australia Post"
}

// NumberDigits returns the length of a charge account number: 10 digits for
// Australia Post, 8 for StarTrack (infra/docs/auspost.md, "Account number
// format"). Either may start with zeros.
func (n Name) NumberDigits() int {
	if n == StarTrack {
		return 8
	}
	return 10
}

// Environment separates production accounts from sandbox accounts.
type Environment string

// The environments. Calls for a sandbox account never reach a real carrier.
const (
	Production Environment = "production"
	Sandbox    Environment = "sandbox"
)

// PerEnvironment holds one value for each environment, such as a carrier's client.
type PerEnvironment[T any] struct{ Production, Sandbox T }

// Of returns the value for env; an unknown environment is an error. Nothing else
// chooses between the two.
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

// Names lists the carriers in the order of our responses.
func Names() []Name { return []Name{AustraliaPost, StarTrack} }
