package carrier

// Outcome is what one check of a charge account came to.
type Outcome string

// The outcomes, with the carrier's answers that lead to them (contract: "Error
// responses", "Suggested outcome classes").
const (
	OutcomeOK             Outcome = "ok"                   // 200 for the number that was asked
	OutcomeNumberMismatch Outcome = "number_mismatch"      // 200 for another number
	OutcomeUnauthorized   Outcome = "unauthorized"         // 401 in the carrier's own words, API_001
	OutcomeForbidden      Outcome = "forbidden"            // 403 in the carrier's own words
	OutcomeUnknownAccount Outcome = "unknown_account"      // another 4xx with 41001, 41002 or 40001
	OutcomeContractEnded  Outcome = "contract_not_valid"   // another 4xx with 41003
	OutcomeContractAbsent Outcome = "contract_not_set_up"  // another 4xx with 41007
	OutcomeRateLimited    Outcome = "rate_limited"         // 429, or API_002 under any status
	OutcomeUnavailable    Outcome = "unavailable"          // 5xx, no connection, 401 and 403 that the carrier did not write
	OutcomeTimeout        Outcome = "timeout"              // no answer in time
	OutcomeUnreadable     Outcome = "unreadable"           // HTML, broken JSON, a redirect, too large
	OutcomeMalformed      Outcome = "malformed_request"    // another 4xx with 40002, 422
	OutcomeUnexpected     Outcome = "unexpected_rejection" // any other 4xx
	// OutcomeNoCredentials is none of the carrier's answers: the secret of the
	// connection is gone, so that the carrier could not be asked.
	OutcomeNoCredentials Outcome = "credentials_missing"
)

// Outcomes lists them all, for tables and tests that must cover each.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeOK, OutcomeNumberMismatch, OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded,
		OutcomeContractAbsent, OutcomeRateLimited, OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected, OutcomeNoCredentials,
	}
}

// IsRefusal tells whether the carrier says that credentials, number or contract
// do not work, or we know that by ourselves.
func (o Outcome) IsRefusal() bool {
	switch o {
	case OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded, OutcomeContractAbsent, OutcomeNoCredentials:
		return true
	case OutcomeOK, OutcomeNumberMismatch, OutcomeRateLimited, OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected:
	}
	return false
}

// IsOutage tells whether the outcome says nothing about the merchant's link:
// the carrier failed, or refused us and not the credentials. An outcome that is
// none of ours is one.
func (o Outcome) IsOutage() bool {
	return o != OutcomeOK && o != OutcomeNumberMismatch && !o.IsRefusal()
}

// Failure names the way in which a carrier fails, where many connections that
// fail so at once mean that it is the carrier's fault; else it is empty. All
// outages are one way; 429 is none, as it is about one credential.
func (o Outcome) Failure() string {
	switch o {
	case OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable:
		return "outage"
	case OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded, OutcomeContractAbsent:
		return string(o)
	case OutcomeOK, OutcomeNumberMismatch, OutcomeRateLimited, OutcomeMalformed, OutcomeUnexpected, OutcomeNoCredentials:
	}
	return ""
}
