package webhook

import (
	"errors"
	"time"

	"carrierlink/shared/fault"
)

// The faults of webhooks. Each message is written here only.

// ErrStale is the cause of the fault.Busy of a save whose list has changed since it was
// read.
var ErrStale = errors.New("the webhooks have changed since they were read")

// ErrMalformed means that sealed headers were opened, and are none.
var ErrMalformed = errors.New("the sealed headers of a webhook are malformed")

// ErrNotFound is fault.NotFound: the owner has no such webhook.
func ErrNotFound() *fault.Error { return fault.New(fault.NotFound, "There is no such webhook.") }

// ErrTooMany is fault.State: the owner has as many webhooks as it may.
func ErrTooMany() *fault.Error {
	p := fault.New(fault.State, "There may be at most %d webhooks; delete one first.", MaxWebhooks)
	p.Limit = "caps"
	return p
}

// ErrDuplicate is fault.WebhookConflict: another webhook of the owner sends an event to the
// same URL.
func ErrDuplicate(event string) *fault.Error {
	return fault.Field(fault.WebhookConflict, "url", "Another webhook sends %s to this URL; change or delete that one.", event)
}

// ErrTooManySecrets is fault.State: a webhook signs with few secrets at a time.
func ErrTooManySecrets() *fault.Error {
	p := fault.New(fault.State, "The webhook signs with %d secrets already; wait until one of them has ended.", MaxSecrets)
	p.Limit = "caps"
	return p
}

// ErrTooManyPending is fault.State with RetryAfter: much has yet to be delivered.
func ErrTooManyPending() *fault.Error {
	p := fault.New(fault.State, "More than %d events have yet to be delivered to the webhook; try again later.", maxPending)
	p.RetryAfter, p.Limit = time.Minute, "caps"
	return p
}

// ErrDisabled is fault.State: nothing is sent to a disabled webhook.
func ErrDisabled() *fault.Error {
	return fault.New(fault.State, "The webhook is disabled; enable it first.")
}
