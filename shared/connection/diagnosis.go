package connection

import (
	"errors"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// Reading is the result of one call of the carrier about a charge account.
type Reading struct {
	Outcome    carrier.Outcome
	Raw        []byte        // on OutcomeOK: the carrier's JSON object, unchanged
	Contract   Contract      // on OutcomeOK: parsed from Raw
	HTTPStatus int           // zero when there was no answer
	Code, Name string        // of the first error if it is a known one
	RetryAfter time.Duration // of a carrier that throttles or is unavailable: an hour at most, zero if none
	Latency    time.Duration // of the whole check, including retries and waits
	Cause      error         // for the log: a transport or decoding error
	Hint       string        // on OutcomeUnauthorized: that of HintFor
}

// Err returns nil for a good reading; otherwise a fault with its diagnosis:
// fault.NumberMismatch, CarrierRefused, CarrierContract, CarrierLimited, CarrierDown,
// CarrierTimeout, or State if the credentials are missing.
func (r Reading) Err() error {
	kind, field := fault.CarrierDown, ""
	switch r.Outcome {
	case carrier.OutcomeOK:
		return nil
	case carrier.OutcomeNumberMismatch:
		kind, field = fault.NumberMismatch, "account_number"
	case carrier.OutcomeUnauthorized, carrier.OutcomeForbidden:
		kind = fault.CarrierRefused
	case carrier.OutcomeUnknownAccount:
		kind, field = fault.CarrierRefused, "account_number"
	case carrier.OutcomeContractEnded, carrier.OutcomeContractAbsent:
		kind = fault.CarrierContract
	case carrier.OutcomeRateLimited:
		kind = fault.CarrierLimited
	case carrier.OutcomeTimeout:
		kind = fault.CarrierTimeout
	case carrier.OutcomeNoCredentials:
		kind = fault.State
	case carrier.OutcomeUnavailable, carrier.OutcomeUnreadable, carrier.OutcomeMalformed, carrier.OutcomeUnexpected:
	}
	e := &fault.Error{Kind: kind, Field: field, Cause: r.Cause, Diagnosis: r.Diagnosis(), RetryAfter: r.pause()}
	e.Message = e.Diagnosis.LikelyCause
	return e
}

// pause is how long the carrier must not be called: as long as it asks for, and at least a
// minute after it has throttled us (auspost.md, "Suggested outcome classes").
func (r Reading) pause() time.Duration {
	if r.Outcome == carrier.OutcomeRateLimited {
		return max(r.RetryAfter, time.Minute)
	}
	return r.RetryAfter
}

// Diagnosis explains a reading; nil for a good one. An unknown outcome is explained as
// OutcomeUnexpected.
func (r Reading) Diagnosis() *fault.Diagnosis {
	if r.Outcome == carrier.OutcomeOK {
		return nil
	}
	d, ok := diagnoses[r.Outcome]
	if !ok {
		d = diagnoses[carrier.OutcomeUnexpected]
	}
	if errors.Is(r.Cause, ErrTooLarge) {
		d.LikelyCause, d.WhoMustAct, d.Retryable, d.NextSteps = ErrTooLarge.Message, fault.Us, false, []string{tellOperator}
	}
	if r.Hint != "" {
		d.LikelyCause += " " + r.Hint
		d.NextSteps = slices.Concat([]string{Needed}, d.NextSteps)
	}
	if r.Outcome != carrier.OutcomeNoCredentials {
		d.CarrierError = &fault.CarrierError{HTTPStatus: r.HTTPStatus, Code: r.Code, Name: r.Name}
	}
	return &d
}

// diagnosisSince is Diagnosis for a connection whose credentials last worked at a time; zero: never.
func (r Reading) diagnosisSince(verifiedAt time.Time) *fault.Diagnosis {
	d := r.Diagnosis()
	if d == nil || r.Outcome != carrier.OutcomeUnauthorized || verifiedAt.IsZero() {
		return d
	}
	d.LikelyCause, d.NextSteps = strings.Replace(d.LikelyCause, "does not accept", "no longer accepts", 1), slices.Clone(d.NextSteps)
	if i := slices.Index(d.NextSteps, typingErrors); i >= 0 {
		d.NextSteps[i] = replacedKey
	}
	return d
}

// Diagnosis explains why the connection does not work or is in doubt: by the outcome that its
// StatusReason names, else by that of its latest check; nil if both are good, and for what
// only the contract forbids. The row keeps neither the carrier's status nor the hint of a
// reading, so the diagnosis has none.
func (c *Connection) Diagnosis() *fault.Diagnosis {
	reason := carrier.Outcome(strings.TrimSuffix(c.StatusReason, suspected))
	if !slices.Contains(carrier.Outcomes(), reason) {
		reason = c.LastCheck.Outcome
	}
	if reason == "" { // never checked
		return nil
	}
	d := Reading{Outcome: reason}.diagnosisSince(c.VerifiedAt)
	if d != nil {
		d.CarrierError = nil
	}
	return d
}

// Suspects reports whether the latest refusal is not confirmed.
func (c *Connection) Suspects() bool { return strings.HasSuffix(c.StatusReason, suspected) }

// typingErrors is a step for a key that was just entered, replacedKey one for a key that has worked.
const (
	typingErrors = "Check for typing errors, such as 1, l and I."
	replacedKey  = "Find out whether the key was replaced or cancelled in the developer centre; if so, enter the new key and its secret."
)

const tellOperator = "Tell the operator of this service the request id."

const callAusPost = "If they are right, call Australia Post on 13 21 31 or the account manager."

// diagnoses has every outcome but OK. The steps are from auspost.md ("Known traps" 2 to 4)
// and the carrier's own error texts.
var diagnoses = map[carrier.Outcome]fault.Diagnosis{
	carrier.OutcomeNumberMismatch: {
		Category: "number_mismatch", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier answered with another charge account than the one that was asked for.",
		NextSteps:   []string{"Check the account number against the contract.", "Make sure that the API key was registered for this charge account."},
	},
	carrier.OutcomeUnauthorized: {
		Category: "credentials_refused", WhoMustAct: fault.Merchant, DocURL: docRegister,
		LikelyCause: "The carrier does not accept this API key and secret.",
		NextSteps: []string{
			typingErrors,
			"In the developer centre open Projects, Services, turn on all switches and press Update: a new key works only then.",
			"Use a production key of the Shipping and Tracking API v1; test-bed, Postage Assessment and v2 credentials look alike and do not work here.",
		},
	},
	carrier.OutcomeForbidden: {
		Category: "key_not_entitled", WhoMustAct: fault.Merchant, DocURL: docRegister,
		LikelyCause: "The carrier knows the API key but does not let it read this charge account.",
		NextSteps:   []string{"Make sure that the key was registered for this charge account.", callAusPost},
	},
	carrier.OutcomeUnknownAccount: {
		Category: "account_not_found", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier does not find this charge account for the API key.",
		NextSteps: []string{
			"Check the number: 10 digits for Australia Post, 8 for StarTrack, leading zeros included.",
			"Check that it was connected as the right carrier.", callAusPost,
		},
	},
	carrier.OutcomeContractEnded: {
		Category: "contract_not_valid", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The contract of this charge account has expired or is not valid yet.",
		NextSteps:   []string{"Renew the contract with the account manager, or call Australia Post on 13 21 31."},
	},
	carrier.OutcomeContractAbsent: {
		Category: "contract_not_set_up", WhoMustAct: fault.Merchant, DocURL: docGetAccounts,
		LikelyCause: "The carrier knows the charge account but has no contract set up for it.",
		NextSteps:   []string{"Ask the account manager, or Australia Post on 13 21 31, to set up the contract."},
	},
	carrier.OutcomeRateLimited: {
		Category: "carrier_rate_limited", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier accepts no more requests for now.",
		NextSteps:   []string{"Wait a minute and try again; the credentials were not refused."},
	},
	carrier.OutcomeUnavailable: {
		Category: "carrier_unavailable", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier's service is failing.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	carrier.OutcomeTimeout: {
		Category: "carrier_timeout", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier did not answer in time.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	carrier.OutcomeUnreadable: {
		Category: "carrier_unreadable", WhoMustAct: fault.Carrier, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier's answer could not be understood.",
		NextSteps:   []string{"Try again in a few minutes; the credentials were not refused."},
	},
	carrier.OutcomeMalformed: {
		Category: "request_malformed", WhoMustAct: fault.Partner, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier found the request incomplete or not acceptable.",
		NextSteps:   []string{"Check the values that were sent.", "If they are right, tell the operator of this service the request id."},
	},
	carrier.OutcomeNoCredentials: {
		Category: "credentials_missing", WhoMustAct: fault.Us, DocURL: docRegister,
		LikelyCause: "This service no longer holds the credentials of the connection.",
		NextSteps:   []string{tellOperator, "Giving the connection its API key and secret again makes it work."},
	},
	carrier.OutcomeUnexpected: {
		Category: "carrier_rejected_request", WhoMustAct: fault.Us, Retryable: true, DocURL: docGetAccounts,
		LikelyCause: "The carrier rejected the request for a reason that this service does not know.",
		NextSteps:   []string{tellOperator},
	},
}
