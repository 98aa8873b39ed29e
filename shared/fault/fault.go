// Package fault defines the one error type that crosses package borders. Code acts
// on an error's Kind, never on its text; httpapi maps each Kind to an HTTP answer.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong, in the service's own terms. The zero value is
// Internal, so an unclassified error shows its caller nothing.
type Kind uint8

// The kinds, in the order of the error tables in infra/docs/errors.md.
const (
	Internal            Kind = iota // our fault: a bug, or a failure of AWS
	BodyRequired                    // the request needs a body and has none
	Required                        // a field is missing
	Length                          // a text is too long or too short
	Invalid                         // a bad value, or an unknown field
	Identifier                      // an id in the wrong format
	NotSupported                    // a carrier that the service does not know
	Unauthorized                    // no API key, or a wrong, expired or deleted one
	Forbidden                       // the API key is valid but may not do this
	Inactive                        // the account is disabled or deleted
	NotFound                        // absent, or owned by somebody else
	Conflict                        // a unique email or external id is taken
	CarrierConflict                 // the charge account is linked already
	WebhookConflict                 // another webhook sends the event to the same URL
	State                           // the current state forbids it, or a concurrent request is running
	Precondition                    // If-Match failed
	TooLarge                        // the body is over the limit
	MediaType                       // the content type is not JSON
	IdempotencyMismatch             // an idempotency key was reused with a different payload
	RateLimited                     // too many requests with this API key
	Overloaded                      // AWS throttles us or does not answer: our capacity, not the caller's limit
	NumberMismatch                  // the carrier answered about another charge account
	CarrierRefused                  // the carrier rejects the key, the secret or the account number
	CarrierContract                 // the carrier knows the account, but its contract is not usable
	CarrierLimited                  // the carrier throttles us
	CarrierDown                     // the carrier failed, or sent an answer that we cannot read
	CarrierTimeout                  // the carrier did not answer in time
	end                             // one past the last kind
)

var kindNames = [...]string{
	"internal", "body required", "required", "length", "invalid", "identifier", "not supported", "unauthorized",
	"forbidden", "inactive", "not found", "conflict", "carrier conflict", "webhook conflict", "state", "precondition",
	"too large", "media type", "idempotency mismatch", "rate limited", "overloaded", "number mismatch", "carrier refused",
	"carrier contract", "carrier limited", "carrier down", "carrier timeout",
}

// String returns the kind's name for logs.
func (k Kind) String() string {
	if k < end {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Kinds returns every kind, for tests that must cover them all.
func Kinds() []Kind {
	all := make([]Kind, end)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is one problem. Message is for the caller: it never contains a secret or
// the carrier's free text. Cause is for the operator's log.
type Error struct {
	Kind    Kind
	Field   string // the request field or header at fault; empty for none
	Message string // one sentence for the caller
	// Named is true if Field and Message contain a name that the caller chose. The
	// name may be anything, even a secret, so neither is ever logged.
	Named bool
	Cause error // never shown to a caller
	// Limit is the limit of ours that refused the request, for metrics.Refusals; empty
	// for other errors.
	Limit string

	RetryAfter        time.Duration // when to try again; zero if unknown
	ExistingAccountID int64         // the caller's own account that holds the identifier
	ExistingCarrierID string        // the caller's own connection that holds the number
	Diagnosis         *Diagnosis    // explains a carrier failure; nil for other errors
}

// New makes an error with a message for the caller.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Field makes an error about one field of the request.
func Field(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Error returns the operator's text: kind, field, message and cause. It leaves out
// field and message if they contain a name that the caller chose.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	switch {
	case e.Named:
		b.WriteString(": a field named by the caller")
	case e.Field != "":
		b.WriteString(" " + e.Field)
	}
	if e.Message != "" && !e.Named {
		b.WriteString(": " + e.Message)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// List holds every problem of one request, in the order of its fields.
type List []*Error

// ListOf returns a list of the problems that are not nil; nil if all of them are.
func ListOf(problems ...*Error) (l List) {
	for _, p := range problems {
		if p != nil {
			l = append(l, p)
		}
	}
	return l
}

// Error returns the operator's texts of all problems.
func (l List) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the problems.
func (l List) Unwrap() []error {
	all := make([]error, len(l))
	for i, e := range l {
		all[i] = e
	}
	return all
}

// Err returns the list as an error; nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Of returns the problems of the outermost Error or List in the chain of err, so an
// Internal problem hides its causes. An err without either becomes a single Internal
// problem with err as its cause. Of(nil) is nil.
func Of(err error) List {
	if err == nil {
		return nil
	}
	var found interface{ problems() List }
	if errors.As(err, &found) {
		if list := found.problems(); len(list) > 0 {
			return list
		}
	}
	return List{{Kind: Internal, Cause: err}}
}

// Limit returns the limit that refused the request; empty if none did.
func (l List) Limit() string {
	for _, e := range l {
		if e.Limit != "" {
			return e.Limit
		}
	}
	return ""
}

func (e *Error) problems() List { return List{e} }

func (l List) problems() List { return l }

// KindOf returns the kind of the first problem in err; Internal if it has none.
func KindOf(err error) Kind {
	if list := Of(err); len(list) > 0 {
		return list[0].Kind
	}
	return Internal
}

// Is reports whether the first problem in err is of this kind; false for a nil err.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Actor is the party that must act on a failure.
type Actor string

// The parties.
const (
	Merchant Actor = "merchant"
	Partner  Actor = "partner"
	Carrier  Actor = "carrier"
	Us       Actor = "us"
)

// Diagnosis explains a failed link, check or read: who must act, the likely cause
// and the next steps. It is deterministic, and contains neither credentials nor the
// carrier's free text.
type Diagnosis struct {
	Category     string        `json:"category"`
	WhoMustAct   Actor         `json:"who_must_act"`
	LikelyCause  string        `json:"likely_cause"`
	NextSteps    []string      `json:"next_steps"`
	Retryable    bool          `json:"retryable"`
	DocURL       string        `json:"doc_url"`
	CarrierError *CarrierError `json:"carrier_error"`
}

// CarrierError is the part of the carrier's answer that is safe to repeat: its HTTP
// status (0 without an answer), and the code and name of its first error if we know
// them.
type CarrierError struct {
	HTTPStatus int    `json:"http_status"`
	Code       string `json:"code"`
	Name       string `json:"name"`
}
