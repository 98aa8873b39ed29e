package httpapi_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

func TestFilters(t *testing.T) {
	start, end := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 0, 0, 0, 1, time.UTC)
	color := func(v string) *fault.Error {
		if v != "red" && v != "blue" {
			return fault.Field(fault.Invalid, "color", "m")
		}
		return nil
	}
	for _, tc := range []struct {
		name, query string
		from, until time.Time
		given       url.Values
		problems    []string
	}{
		{
			"everything wrong", "size=x&color=green&color=red&color=black&created_at_start=x&created_at_end=x",
			time.Time{},
			time.Time{},
			url.Values{"size": {"x"}, "color": {"green"}, "created_at_start": {"x"}, "created_at_end": {"x"}},
			[]string{"invalid size", "invalid color", "invalid created_at_start", "invalid created_at_end"},
		},
		{"twice", "size=1&size=1&created_at_start=2026-03-01T00:00:00Z&created_at_start=2026-03-01T00:00:00Z", time.Time{}, time.Time{}, url.Values{}, []string{"invalid size", "invalid created_at_start"}},
		{"a date", "created_at_end=2026-03-01", time.Time{}, time.Time{}, url.Values{"created_at_end": {"2026-03-01"}}, []string{"invalid created_at_end"}},
		{
			"reversed", "created_at_start=2026-03-01T00:00:00.000000001Z&created_at_end=2026-03-01T00:00:00Z", end, start,
			url.Values{"created_at_start": {"2026-03-01T00:00:00.000000001Z"}, "created_at_end": {"2026-03-01T00:00:00Z"}},
			[]string{"invalid created_at_end"},
		},
		{"nothing", "other=1", time.Time{}, time.Time{}, url.Values{}, nil},
		{
			"everything", "size=1&color=red&color=blue&created_at_start=2026-03-01T00:00:00Z&created_at_end=2026-03-01T00:00:00.000000001Z", start, end,
			url.Values{"size": {"1"}, "color": {"red", "blue"}, "created_at_start": {"2026-03-01T00:00:00Z"}, "created_at_end": {"2026-03-01T00:00:00.000000001Z"}},
			nil,
		},
		{
			"a moment", "created_at_start=2026-03-01T10:00:00%2B10:00&created_at_end=2026-03-01T00:00:00Z", start, start,
			url.Values{"created_at_start": {"2026-03-01T10:00:00+10:00"}, "created_at_end": {"2026-03-01T00:00:00Z"}},
			nil,
		},
		{
			"the zero time is a bound", "created_at_start=0001-01-01T00:00:00Z", time.Time{}.Add(time.Nanosecond), time.Time{}, url.Values{"created_at_start": {"0001-01-01T00:00:00Z"}}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := httpapi.NewFilters(asked(t, tc.query))
			f.Single("size", func(v string) *fault.Error {
				if v != "1" {
					return fault.Field(fault.Invalid, "size", "m")
				}
				return nil
			})
			f.Several("color", color)
			from, until := f.Created()
			if !from.Equal(tc.from) || !until.Equal(tc.until) {
				t.Errorf("Created() = %v, %v, want %v, %v", from, until, tc.from, tc.until)
			}
			if diff := cmp.Diff(tc.given, f.Given); diff != "" {
				t.Errorf("given (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.problems, told(f.Problems.Err())); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
