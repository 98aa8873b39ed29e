package pages

import "carrierlink/shared/fault"

// ErrLinkedAlready is for the number of a carrier account that the merchant has linked before.
func ErrLinkedAlready() *fault.Error {
	return fault.Field(fault.Conflict, "account_number", "You have linked this account already.")
}

// ErrNoDate is for a field of a form that is no date, or one that no timeline can have.
func ErrNoDate(field string) *fault.Error {
	return fault.Field(fault.Invalid, field, "Please enter a date, such as 2027-03-14.")
}
