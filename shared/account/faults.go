package account

import (
	"time"

	"carrierlink/shared/fault"
)

// The faults of accounts and API keys. Each message is written here only.

// deletedAccount is the message of two kinds of fault.
const deletedAccount = "The account is deleted; restore it first."

// ErrNotFound is fault.NotFound: the account is absent or belongs to another partner.
func ErrNotFound() *fault.Error { return fault.New(fault.NotFound, "There is no such account.") }

// ErrInactive is fault.Inactive: the account is deleted or disabled.
func ErrInactive(deleted bool) *fault.Error {
	if deleted {
		return fault.New(fault.Inactive, deletedAccount)
	}
	return fault.New(fault.Inactive, "The account is disabled.")
}

// ErrPartnerDisabled is fault.Inactive: the operator has disabled the partner.
func ErrPartnerDisabled() *fault.Error {
	return fault.New(fault.Inactive, "The partner is disabled; contact the operator of this service.")
}

// ErrNoPartner is fault.NotFound: there is no partner with the id.
func ErrNoPartner() *fault.Error { return fault.New(fault.NotFound, "There is no such partner.") }

// ErrPartnerChanged is fault.Precondition: the partner has changed since it was read. A
// command has no If-Match that the error could name.
func ErrPartnerChanged() *fault.Error {
	return fault.New(fault.Precondition, "Other commands keep changing the partner; run the command again.")
}

// ErrSettingsChanged is fault.Precondition: the settings have changed since they were read.
func ErrSettingsChanged() *fault.Error {
	return fault.TooLate("Another request has changed the settings")
}

// ErrTooManyPartnerKeys is fault.State: the partner has as many keys as it may.
func ErrTooManyPartnerKeys() *fault.Error {
	return fault.New(fault.State, "A partner may have at most %d API keys that have not expired; delete one first.", MaxPartnerKeys)
}

// ErrDescriptionTaken is fault.State: the partner has a key with this description, so the
// command may be a repetition.
func ErrDescriptionTaken(keyID int64) *fault.Error {
	return fault.Field(fault.State, "description", "API key %d of the partner has this description. If its text was lost, rotate it.", keyID)
}

// ErrDeleted is fault.State: a deleted account cannot be changed.
func ErrDeleted() *fault.Error { return fault.New(fault.State, deletedAccount) }

// ErrNotDeleted is fault.State: only a deleted account can be restored.
func ErrNotDeleted() *fault.Error { return fault.New(fault.State, "The account is not deleted.") }

// ErrChanged is fault.Precondition: the account has changed since it was read.
func ErrChanged() *fault.Error { return fault.TooLate("Another request has changed the account") }

// ErrCountryFixed is fault.State: the country cannot change while the account has
// carriers.
func ErrCountryFixed() *fault.Error {
	return fault.Field(fault.State, "origin_country_code", "The country cannot change while carriers are linked.")
}

// ErrIdentifierTaken is fault.Conflict: another account has this email or external id.
// holder is zero if the account belongs to another partner.
func ErrIdentifierTaken(field string, holder int64) *fault.Error {
	p := fault.Field(fault.Conflict, field, "%s is in use by another account.", field)
	p.ExistingAccountID = holder
	return p
}

// ErrPasswordWithoutEmail is fault.Required: merchants sign in with their email.
func ErrPasswordWithoutEmail() *fault.Error {
	return fault.Field(fault.Required, "email", "A password needs an email.")
}

// ErrNoKey is fault.NotFound: the account has no such API key.
func ErrNoKey() *fault.Error { return fault.New(fault.NotFound, "There is no such API key.") }

// ErrKeyNotValid is fault.Unauthorized: the API key is missing, malformed, deleted or
// expired. The message does not say which.
func ErrKeyNotValid() *fault.Error {
	return fault.New(fault.Unauthorized, "A valid API key is needed in the header API-Key.")
}

// ErrKeyLimited is fault.RateLimited with RetryAfter: the key has used up its limit of
// requests a minute until reset has passed.
func ErrKeyLimited(limit int, reset time.Duration) *fault.Error {
	p := fault.New(fault.RateLimited, "This API key may make %d requests a minute.", limit)
	p.RetryAfter, p.Limit = reset, "requests"
	return p
}

// ErrKeyExpired is fault.State: an expired key cannot be rotated.
func ErrKeyExpired() *fault.Error { return fault.New(fault.State, "The API key has expired.") }

// ErrKeyReplaced is fault.State: a key cannot be rotated twice, because the second new
// key would end with the grace period of the old one.
func ErrKeyReplaced() *fault.Error {
	return fault.New(fault.State, "This API key was already rotated; rotate the key that replaced it.")
}

// ErrTooManyKeys is fault.State: the account has as many keys as it may.
func ErrTooManyKeys(limit int) *fault.Error {
	p := fault.New(fault.State, "An account may have at most %d API keys; delete one first.", limit)
	p.Limit = "caps"
	return p
}
