package fault

import (
	"errors"
	"time"
)

// The faults of any field, and of calls to AWS. Each noun of the service keeps its own
// faults in its package.

// Missing is Required: the request lacks a field.
func Missing(field string) *Error { return Field(Required, field, "%s is required.", field) }

// Repeated is Invalid: the request has a field more than once.
func Repeated(field string) *Error {
	return Field(Invalid, field, "%s is given more than once.", field)
}

// Empty is Length: a field is empty or blank.
func Empty(field string) *Error { return Field(Length, field, "%s must not be empty.", field) }

// TooLong is Length: a field has more than most characters.
func TooLong(field string, most int) *Error {
	return Field(Length, field, "%s must be at most %d characters.", field, most)
}

// NotBool is Invalid: a field is neither true nor false.
func NotBool(field string) *Error { return Field(Invalid, field, "%s must be true or false.", field) }

// NotTime is Invalid: a field is not an RFC 3339 time.
func NotTime(field string) *Error {
	return Field(Invalid, field, "%s must be a time such as 2026-01-02T03:04:05Z.", field)
}

// OutOfRange is Invalid: a field is not a whole number from least to most.
func OutOfRange(field string, least, most int) *Error {
	return Field(Invalid, field, "%s must be a whole number from %d to %d.", field, least, most)
}

// TooLate is Precondition: If-Match pinned a change to a version that is no longer
// current. cause says what has changed: a sentence without its full stop.
func TooLate(cause string) *Error {
	return Field(Precondition, "If-Match", "%s; read it again.", cause)
}

// Throttled is Overloaded with RetryAfter: AWS throttled a call.
func Throttled(cause error) *Error {
	return &Error{Kind: Overloaded, Message: "The service is overloaded; try again shortly.", RetryAfter: overloadPause, Cause: cause}
}

// Slow is Overloaded with RetryAfter: AWS did not answer within the time of the request,
// whose changes may have been made all the same.
func Slow(cause error) *Error {
	return &Error{
		Kind: Overloaded, Message: "The request took too long; try again, with the same Idempotency-Key if it has one, because a change may have been made.",
		RetryAfter: overloadPause, Cause: cause,
	}
}

// overloadPause is how long a caller should wait: DynamoDB adapts to a new load
// within seconds, and Secrets Manager counts calls per second.
const overloadPause = 5 * time.Second

// ErrCollision is the cause of a Busy whose write was tried several times and each time met
// another transaction of its items: the same write may succeed yet.
var ErrCollision = errors.New("collided with other transactions")

// Busy is State with RetryAfter: concurrent requests keep changing the same items.
func Busy(cause error) *Error {
	return &Error{Kind: State, Message: "Another request is changing the same resource; try again.", RetryAfter: time.Second, Cause: cause}
}
