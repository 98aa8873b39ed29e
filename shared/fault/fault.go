// Package fault holds the one error type that crosses the borders between
// packages. Code acts on an error's Kind, never on its text; the HTTP layer has
// one table from Kind to answer. It imports the standard library only.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong, in the service's own terms. The zero value is
// Internal, so an error that nobody classified shows its caller nothing.
type Kind uint8

// The kinds, in the order of the error tables of infra/docs/errors.md.
const (
	Internal            Kind = iota // ours: a bug, or AWS failing us
	BodyRequired                    // a body is needed and there is none
	Required                        // a field is missing
	Length                          // a text is too long or too short
	Invalid                         // a bad value, or a field nobody knows
	Identifier                      // an id of the wrong form
	NotSupported                    // a carrier that the service does not know
	Unauthorized                    // no key, or a wrong, expired or deleted one
	Forbidden                       // the right key for somebody, not for this
	Inactive                        // the account is disabled
	NotFound                        // absent, or somebody else's
	Conflict                        // a unique email or external id is taken
	CarrierConflict                 // the charge account is linked already
	State                           // the state forbids it, or a twin is running
	Precondition                    // If-Match failed
	TooLarge                        // the body is over the limit
	MediaType                       // the content type is not JSON
	IdempotencyMismatch             // an idempotency key came back with another payload
	RateLimited                     // too many requests of this key
	Overloaded                      // AWS throttles us: our capacity, not the caller's
	NumberMismatch                  // the carrier answered for another charge account
	CarrierRefused                  // the carrier does not accept key, secret or number
	CarrierContract                 // the carrier knows the account, its contract is not usable
	CarrierLimited                  // the carrier throttles us
	CarrierDown                     // the carrier failed, or cannot be understood
	CarrierTimeout                  // the carrier gave no answer in time
	end                             // one past the last kind
)

var kindNames = [...]string{
	"internal", "body required", "required", "length", "invalid", "identifier", "not supported", "unauthorized",
	"forbidden", "inactive", "not found", "conflict", "carrier conflict", "state", "precondition",
	"too large", "media type", "idempotency mismatch", "rate limited", "overloaded", "number mismatch", "carrier refused",
	"carrier contract", "carrier limited", "carrier down", "carrier timeout",
}

// String is the kind's name for logs.
func (k Kind) String() string {
	if k < end {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Kinds lists every kind, for tests that must cover them all.
func Kinds() []Kind {
	all := make([]Kind, end)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// Error is one problem. Message is for the caller and must hold no secret and
// none of the carrier's free text; Cause is for the operator's log.
type Error struct {
	Kind    Kind
	Field   string // the request field or header at fault, if one is
	Message string // one sentence for the caller
	// Named: Field and Message hold a name that the caller chose, which may be
	// anything, a secret too. They are for the caller and for no log.
	Named bool
	Cause error // what lies beneath; never shown to a caller

	RetryAfter        time.Duration // when to come back, zero if unknown
	ExistingAccountID int64         // the caller's own account that holds the identifier
	ExistingCarrierID string        // the caller's own connection that holds the number
	Diagnosis         *Diagnosis    // whose fault a carrier failure is, and what to do
}

// New makes an error with a message for the caller.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Field makes an error about one field of the request.
func Field(kind Kind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Named makes an error about a field whose name the caller chose.
func Named(kind Kind, field, format string, args ...any) *Error {
	e := Field(kind, field, format, args...)
	e.Named = true
	return e
}

// Error is the operator's text: kind, field, message and cause; without the first
// two of these where the caller chose the name.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	switch {
	case e.Named:
		b.WriteString(": a field that the caller named")
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

// Unwrap yields the cause.
func (e *Error) Unwrap() error { return e.Cause }

// List is every problem of one request, in the order of its fields.
type List []*Error

// Error is the operator's text of all problems.
func (l List) Error() string {
	texts := make([]string, len(l))
	for i, e := range l {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap yields the problems.
func (l List) Unwrap() []error {
	all := make([]error, len(l))
	for i, e := range l {
		all[i] = e
	}
	return all
}

// Err is the list as an error, nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Of yields the problems that err carries: those of the outermost Error or List
// in its chain, so that an Internal problem hides whatever caused it. An error
// without one becomes a single Internal problem with err as its cause. It is nil
// for a nil err.
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

func (e *Error) problems() List { return List{e} }

func (l List) problems() List { return l }

// KindOf is the kind of the first problem in err; Internal if it has none.
func KindOf(err error) Kind {
	if list := Of(err); len(list) > 0 {
		return list[0].Kind
	}
	return Internal
}

// Is tells whether err is a problem of this kind. A nil err is of no kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Actor is the party that has to act on a failure.
type Actor string

// The parties.
const (
	Merchant Actor = "merchant"
	Partner  Actor = "partner"
	Carrier  Actor = "carrier"
	Us       Actor = "us"
)

// Diagnosis explains a failed link, check or read: whose fault it is, why it
// probably happened and what to do next. It is deterministic, and holds neither
// credentials nor the carrier's free text.
type Diagnosis struct {
	Category     string        `json:"category"`
	WhoMustAct   Actor         `json:"who_must_act"`
	LikelyCause  string        `json:"likely_cause"`
	NextSteps    []string      `json:"next_steps"`
	Retryable    bool          `json:"retryable"`
	DocURL       string        `json:"doc_url"`
	CarrierError *CarrierError `json:"carrier_error"`
}

// CarrierError is what the carrier said, reduced to what is safe to repeat:
// its HTTP status (0 when there was no answer), and the code and name of its
// first error where they are known ones.
type CarrierError struct {
	HTTPStatus int    `json:"http_status"`
	Code       string `json:"code"`
	Name       string `json:"name"`
}
