package fault

import "time"

// The faults that are about no noun of the service: those of any field, and of
// calls of AWS. The nouns have theirs beside them.

// Missing is Required: a field of the request is not there.
func Missing(field string) *Error { return Field(Required, field, "%s is required.", field) }

// Repeated is Invalid: a field is there more than once.
func Repeated(field string) *Error {
	return Field(Invalid, field, "%s is given more than once.", field)
}

// Empty is Length: a field holds nothing, or blanks.
func Empty(field string) *Error { return Field(Length, field, "%s must not be empty.", field) }

// TooLong is Length: a field has more than so many characters.
func TooLong(field string, most int) *Error {
	return Field(Length, field, "%s must be at most %d characters.", field, most)
}

// NotBool is Invalid: a field is neither true nor false.
func NotBool(field string) *Error { return Field(Invalid, field, "%s must be true or false.", field) }

// NotTime is Invalid: a field is no time of RFC 3339.
func NotTime(field string) *Error {
	return Field(Invalid, field, "%s must be a time such as 2026-01-02T03:04:05Z.", field)
}

// OutOfRange is Invalid: a field is no whole number from least to most.
func OutOfRange(field string, least, most int) *Error {
	return Field(Invalid, field, "%s must be a whole number from %d to %d.", field, least, most)
}

// TooLate is Precondition: If-Match pinned a change to a version that is no longer
// the current one. what is a sentence that says of which thing, without its stop.
func TooLate(what string) *Error { return Field(Precondition, "If-Match", "%s; read it again.", what) }

// Throttled is Overloaded with RetryAfter: AWS throttles a call, whatever it was
// for.
func Throttled(cause error) *Error {
	return &Error{Kind: Overloaded, Message: "The service is overloaded; try again shortly.", RetryAfter: overloadPause, Cause: cause}
}

// overloadPause is how long a caller should leave an overloaded service alone:
// DynamoDB adapts to a new load within seconds, and the quotas of Secrets Manager
// are of calls per second.
const overloadPause = 5 * time.Second

// Busy is State with RetryAfter: other requests keep hold of the items of a
// transaction.
func Busy(cause error) *Error {
	return &Error{Kind: State, Message: "Another request is changing the same resource; try again.", RetryAfter: time.Second, Cause: cause}
}
