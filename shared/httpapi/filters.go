package httpapi

import (
	"net/url"
	"time"

	"carrierlink/shared/fault"
)

// Filters parses the query parameters that filter and order a list.
type Filters struct {
	// Given repeats the parameters for Pager.Filters.
	Given url.Values
	// Problems has what is wrong, in the order of the calls.
	Problems fault.List

	req *Request
}

// NewFilters returns the filters of a request.
func NewFilters(req *Request) *Filters { return &Filters{Given: url.Values{}, req: req} }

// Single parses a parameter as Request.Single does.
func (f *Filters) Single(name string, parse func(value string) *fault.Error) {
	f.Problems = append(f.Problems, f.req.Single(name, func(v string) *fault.Error {
		f.Given.Set(name, v)
		return parse(v)
	})...)
}

// Several parses each value of a parameter that may be repeated. Only the first problem
// counts.
func (f *Filters) Several(name string, parse func(value string) *fault.Error) {
	for _, v := range f.req.Query(name) {
		f.Given.Add(name, v)
		if problem := parse(v); problem != nil {
			f.Problems = append(f.Problems, problem)
			return
		}
	}
}

// Created parses created_at_start and created_at_end, which both belong to the list: a time
// of RFC 3339. The zero time is no bound. Problems are fault.Invalid.
func (f *Filters) Created() (from, until time.Time) {
	instant := func(name string, dst *time.Time) {
		f.Single(name, func(v string) *fault.Error {
			at, err := ParseTime(v)
			if err != nil {
				return fault.NotTime(name)
			}
			if at.IsZero() {
				at = at.Add(time.Nanosecond) // the zero time would mean no bound
			}
			*dst = at
			return nil
		})
	}
	instant("created_at_start", &from)
	instant("created_at_end", &until)
	if !from.IsZero() && !until.IsZero() && until.Before(from) {
		f.Problems = append(f.Problems, ReversedRange())
	}
	return from, until
}

// ReversedRange is fault.Invalid: created_at_end is before created_at_start.
func ReversedRange() *fault.Error {
	return fault.Field(fault.Invalid, "created_at_end", "created_at_end must not be before created_at_start.")
}
