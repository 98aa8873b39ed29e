package kit

import (
	"errors"
	"strconv"
	"time"

	"carrierlink/shared/connection"
)

// callsTTL is how long the table keeps the calls of an allowance that is not used.
const callsTTL = 24 * time.Hour

// countedCalls returns the limit and the window by which an allowance is counted: those
// given, or for a limit over 60 as many calls in a shorter window, at the same rate. An
// expression of DynamoDB has no room for many more.
func countedCalls(limit int, window time.Duration) (int, time.Duration) {
	const largest = 60
	if limit > largest {
		return largest, window * largest / time.Duration(limit)
	}
	return limit, window
}

// Call is the edit that counts one call of an allowance, on the condition that it has
// room: at most limit calls in any window. waitOf returns how long until there is room,
// by the item that refused the edit. With a limit over 60 a window may hold up to 60
// calls more (countedCalls). A limit below one is a mistake of the wiring.
//
// The item holds the times of the latest limit calls, and each call shifts them. A call
// is allowed if the one limit calls ago is a window old: so no window holds more than
// limit, whatever the callers' clocks.
func Call(a connection.Allowance, limit int, window time.Duration, now time.Time) (e *Edit, waitOf func(Item) (time.Duration, error), err error) {
	if limit < 1 {
		return nil, nil, errors.New("the carrier may not be called: no allowance is set")
	}
	limit, window = countedCalls(limit, window)
	call := func(ago int) string { return AttrCall + strconv.Itoa(ago) }
	e = NewEdit(CallsKey(a))
	for ago := limit; ago > 1; ago-- {
		e.SetFromOr(call(ago), call(ago-1), NumberValue(0))
	}
	e.Set(call(1), TimeValue(now))
	e.Set(AttrTTL, NumberValue(now.Add(max(callsTTL, window)).Unix()))
	e.LacksOr(call(limit), "<=", TimeValue(now.Add(-window)))
	return e, func(it Item) (time.Duration, error) {
		r := Reader{It: it}
		return r.Time(call(limit)).Add(window).Sub(now), r.Done("calls")
	}, nil
}
