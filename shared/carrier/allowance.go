package carrier

import "time"

// AllowanceWindow is the time that an allowance is for: no window of that length
// holds more calls of the carrier than are allowed, wherever it begins.
const AllowanceWindow = time.Minute

// Use is what callers may have a carrier called for. Each use has an allowance of
// its own: who tracks parcels does not take the calls away that check an account.
type Use string

// The uses.
const (
	UseTracking Use = "tracking" // GET /v1/tracking
	UseChecking Use = "checking" // live reads, verify, change and rollback
	UseLinking  Use = "linking"  // link and validate
	UseChanging Use = "changing" // changes to credentials that the connection does not know
)

// Allowance names what calls of a carrier are counted for. Make it with
// CredentialAllowance or AccountAllowance; it can be compared.
type Allowance struct {
	Use          Use
	AccountID    int64  // zero for all accounts that use the credential
	CredentialID string // empty for all credentials of the account
}

// CredentialAllowance is counted by credential, because so the carrier counts
// (contract: "Known traps" 15). In the sandbox, which reaches no carrier, each
// account counts for itself: nobody there can use up what a production key has,
// or what another account of the sandbox has that copied the same example.
func CredentialAllowance(use Use, env Environment, accountID int64, credentialID string) Allowance {
	if env == Production {
		accountID = 0
	}
	return Allowance{use, accountID, credentialID}
}

// AccountAllowance is counted by merchant account, for credentials that have not
// proven themselves.
func AccountAllowance(use Use, accountID int64) Allowance {
	return Allowance{Use: use, AccountID: accountID}
}
