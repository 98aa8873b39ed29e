package parcel

import "carrierlink/shared/fault"

// ErrTooManyParcels is fault.State: the account has as many registered parcels as it may.
func ErrTooManyParcels(limit int) *fault.Error {
	return capped(fault.New(fault.State, "An account may have at most %d registered parcels at a time; stop the tracking of some, or wait until they are delivered.", limit))
}

// ErrTooManyToday is fault.State: the account has registered as many parcels today as it
// may.
func ErrTooManyToday(limit int) *fault.Error {
	return capped(fault.New(fault.State, "An account may register at most %d parcels a day; try again after midnight UTC.", limit))
}

func capped(e *fault.Error) *fault.Error {
	e.Limit = "caps"
	return e
}
