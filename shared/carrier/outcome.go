package carrier

import (
	"slices"
	"time"

	"carrierlink/shared/fault"
)

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

// class is what an outcome means for a connection.
type class uint8

const (
	good    class = iota // the link works
	refusal              // the carrier says that credentials, number or contract do not work
	outage               // it says nothing about the link
	neither              // worth a look, by nobody's fault that a state could express
)

func (o Outcome) class() class {
	switch o {
	case OutcomeOK:
		return good
	case OutcomeUnauthorized, OutcomeForbidden, OutcomeUnknownAccount, OutcomeContractEnded, OutcomeContractAbsent, OutcomeNoCredentials:
		return refusal
	case OutcomeNumberMismatch:
		return neither
	case OutcomeRateLimited, OutcomeUnavailable, OutcomeTimeout, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected:
		return outage
	}
	return outage
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

// IsOutage tells whether the outcome says nothing about the merchant's link:
// the carrier failed, or refused us and not the credentials.
func (o Outcome) IsOutage() bool { return o.class() == outage }

// Reading is the carrier's answer to one check, in our terms.
type Reading struct {
	Outcome    Outcome
	Raw        []byte        // on OutcomeOK: the carrier's JSON object as it came
	Contract   Contract      // on OutcomeOK: what we understand of it
	HTTPStatus int           // zero when there was no answer
	Code, Name string        // of the first error, where it is a known one
	RetryAfter time.Duration // the carrier's wish when it throttles us or is unavailable: an hour at most, zero if none
	Latency    time.Duration // of the whole check, retries and waits in between included
	Cause      error         // transport or decoding error, for the log
	Hint       *Hint         // on OutcomeUnauthorized: at credentials of another kind; nil for none
}

// Err is nil for a good reading; else the fault that tells the caller, with
// its diagnosis: fault.NumberMismatch, CarrierRefused, CarrierContract,
// CarrierLimited, CarrierDown or CarrierTimeout.
func (r Reading) Err() error {
	kind, field := fault.CarrierDown, ""
	switch r.Outcome {
	case OutcomeOK:
		return nil
	case OutcomeNumberMismatch:
		kind, field = fault.NumberMismatch, "account_number"
	case OutcomeUnauthorized, OutcomeForbidden:
		kind = fault.CarrierRefused
	case OutcomeUnknownAccount:
		kind, field = fault.CarrierRefused, "account_number"
	case OutcomeContractEnded, OutcomeContractAbsent:
		kind = fault.CarrierContract
	case OutcomeRateLimited:
		kind = fault.CarrierLimited
	case OutcomeTimeout:
		kind = fault.CarrierTimeout
	case OutcomeNoCredentials:
		kind = fault.State
	case OutcomeUnavailable, OutcomeUnreadable, OutcomeMalformed, OutcomeUnexpected:
	}
	e := &fault.Error{Kind: kind, Field: field, Cause: r.Cause, Diagnosis: r.Diagnosis()}
	e.Message = e.Diagnosis.LikelyCause
	if e.RetryAfter = r.RetryAfter; kind == fault.CarrierLimited {
		e.RetryAfter = max(r.RetryAfter, carrierPause)
	}
	return e
}

// carrierPause is how long to leave a carrier alone that throttles us (contract:
// "back off ≥ 60 s").
const carrierPause = 60 * time.Second

// Diagnosis explains a reading; nil for a good one. An outcome that is none of
// ours is explained as OutcomeUnexpected.
func (r Reading) Diagnosis() *fault.Diagnosis {
	if r.Outcome == OutcomeOK {
		return nil
	}
	d, ok := diagnoses[r.Outcome]
	if !ok {
		d = diagnoses[OutcomeUnexpected]
	}
	if r.Hint != nil {
		d.LikelyCause += " " + r.Hint.Looks
		d.NextSteps = slices.Concat([]string{Needed}, d.NextSteps)
	}
	if r.Outcome != OutcomeNoCredentials {
		d.CarrierError = &fault.CarrierError{HTTPStatus: r.HTTPStatus, Code: r.Code, Name: r.Name}
	}
	return &d
}

const callAusPost = "If they are right, call Australia Post on 13 21 31 or the account manager."

// diagnoses has a row for every outcome but OK. The steps are those of the
// contract: "Known traps" 2 to 4, and the carrier's own error texts.
var diagnoses = map[Outcome]fault.Diagnosis{
	OutcomeNumberMismatch: {
		Category: "number_mismatch", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier answered with another charge account than the one that was asked for.",
		NextSteps:   []string{"Check the account number against the contract.", "Make sure that the API key was registered for this charge account."},
	},
	OutcomeUnauthorized: {
		Category: "credentials_refused", WhoMustAct: fault.Merchant, DocURL: docRegister,
		LikelyCause: "The carrier does not accept this API key and secret.",
		NextSteps: []string{
			"Check for typing errors, such as 1, l and I.",
			"In the developer centre open Projects, Services, turn on all switches and press Update: a new key works only then.",
			"Use a production key of the Shipping and Tracking API v1; test-bed, Postage Assessment and v2 credentials look alike and do not work here.",
		},
	},
	OutcomeForbidden: {
		Category: "key_not_entitled", WhoMustAct: fault.Merchant, DocURL: docRegister,
		LikelyCause: "The carrier knows the API key but does not let it read this charge account.",
		NextSteps:   []string{"Make sure that the key was registered for this charge account.", callAusPost},
	},
	OutcomeUnknownAccount: {
		Category: "account_not_found", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier does not find this charge account for the API key.",
		NextSteps: []string{
			"Check the number: 10 digits for Australia Post, 8 for StarTrack, leading zeros included.",
			"Check that it was connected as the right carrier.", callAusPost,
		},
	},
	OutcomeContractEnded: {
		Category: "contract_not_valid", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The contract of this charge account has expired or is not valid yet.",
		NextSteps:   []string{"Renew the contract with the account manager, or call Australia Post on 13 21 31."},
	},
	OutcomeContractAbsent: {
		Category: "contract_not_set_up", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier knows the charge account but has no contract set up for it.",
		NextSteps:   []string{"Ask the account manager, or Australia Post on 13 21 31, to set up the contract."},
	},
	OutcomeRateLimited: {
		Category: "carrier_rate_limited", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier accepts no more requests for now.",
		NextSteps:   []string{"Wait a minute and try again; the credentials were not refused."},
	},
	OutcomeUnavailable: {
		Category: "carrier_unavailable", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier's service is failing.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	OutcomeTimeout: {
		Category: "carrier_timeout", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier did not answer in time.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	OutcomeUnreadable: {
		Category: "carrier_unreadable", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier's answer could not be understood.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	OutcomeMalformed: {
		Category: "request_malformed", WhoMustAct: fault.Partner, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier found the request incomplete or not acceptable.",
		NextSteps:   []string{"Check the values that were sent.", "If they are right, tell the operator of this service the request id."},
	},
	OutcomeNoCredentials: {
		Category: "credentials_missing", WhoMustAct: fault.Us, DocURL: docRegister,
		LikelyCause: "This service no longer holds the credentials of the connection.",
		NextSteps:   []string{"Tell the operator of this service the request id.", "Giving the connection its API key and secret again makes it work."},
	},
	OutcomeUnexpected: {
		Category: "carrier_rejected_request", WhoMustAct: fault.Us, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier rejected the request for a reason that this service does not know.",
		NextSteps:   []string{"Tell the operator of this service the request id."},
	},
}
