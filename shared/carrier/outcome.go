package carrier

// Outcome is the outcome of one check of a charge account.
type Outcome string

// The outcomes, with the carrier's answers that lead to them
// (infra/docs/auspost.md, "Suggested outcome classes").
const (
	OutcomeOK             Outcome = "ok"                   // 200 with the requested number
	OutcomeNumberMismatch Outcome = "number_mismatch"      // 200 with another number
	OutcomeUnauthorized   Outcome = "unauthorized"         // 401 with one of the carrier's error bodies, API_001
	OutcomeForbidden      Outcome = "forbidden"            // 403 with one of the carrier's error bodies
	OutcomeUnknownAccount Outcome = "unknown_account"      // another 4xx with 41001, 41002 or 40001
	OutcomeContractEnded  Outcome = "contract_not_valid"   // another 4xx with 41003
	OutcomeContractAbsent Outcome = "contract_not_set_up"  // another 4xx with 41007
	OutcomeRateLimited    Outcome = "rate_limited"         // 429, or API_002 under any status
	OutcomeUnavailable    Outcome = "unavailable"          // 5xx, no connection, 401 and 403 with any other body
	OutcomeTimeout        Outcome = "timeout"              // no answer in time
	OutcomeUnreadable     Outcome = "unreadable"           // HTML, broken JSON, a redirect, too large
	OutcomeMalformed      Outcome = "malformed_request"    // another 4xx with 40002, 422
	OutcomeUnexpected     Outcome = "unexpected_rejection" // any other 4xx
	// OutcomeNoCredentials means that the connection's secret is gone, so we could
	// not ask the carrier.
	OutcomeNoCredentials Outcome = "credentials_missing"
)

// Outcomes lists all outcomes, for tables and tests that must cover each.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeOK, OutcomeNumberMismatch, OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded,
		OutcomeContractAbsent, OutcomeRateLimited, OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected, OutcomeNoCredentials,
	}
}

// IsRefusal reports whether the credentials, the number or the contract do not
// work: the carrier said so, or the credentials are gone.
func (o Outcome) IsRefusal() bool {
	switch o {
	case OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded, OutcomeContractAbsent, OutcomeNoCredentials:
		return true
	case OutcomeOK, OutcomeNumberMismatch, OutcomeRateLimited, OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected:
	}
	return false
}

// IsOutage reports whether the outcome says nothing about the merchant's
// connection: the carrier failed, throttled us or did not accept our request. An
// unknown outcome counts as an outage.
func (o Outcome) IsOutage() bool {
	return o != OutcomeOK && o != OutcomeNumberMismatch && !o.IsRefusal()
}

// Failure returns the name under which failures are compared across connections:
// when many fail alike at once, the carrier is at fault. The kinds of outage share
// one name. Other outcomes have none: a 429, for one, concerns a single credential.
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
