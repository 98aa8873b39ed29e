package effects_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"carrierlink/shared/effects"
)

func TestWithFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	at := time.UnixMilli(1_772_600_790_987)
	for _, tc := range []struct {
		name    string
		random  *bytes.Reader
		reports []effects.Report
	}{
		{"no randomness", nil, []effects.Report{{}}},
		{"data that is no JSON", bytes.NewReader(make([]byte, 8)), []effects.Report{{Data: math.NaN()}}},
		{"more events than places", bytes.NewReader(make([]byte, 8*37)), make([]effects.Report, 37)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var err error
			if tc.random == nil {
				_, err = effects.Effects{}.With(iotest.ErrReader(broken), at, tc.reports...)
			} else {
				_, err = effects.Effects{}.With(tc.random, at, tc.reports...)
			}
			if err == nil || tc.random == nil && !errors.Is(err, broken) {
				t.Errorf("With = %v, want an error", err)
			}
		})
	}
}

// TestWith: events have ids of the documented form, which sort by time, then in the order
// of the reports, also of several calls; the receiver stays as it is.
func TestWith(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 30, 987_000_000, time.UTC)
	fx := effects.Effects{By: effects.By{KeyID: 1}, Answer: &effects.Record{Key: "k"}, Events: make([]effects.Event, 0, 9)}
	one, err := fx.With(rand.Reader, at, effects.Report{Type: effects.AccountCreated, PartnerID: 5, AccountID: 71, Subject: "account", Data: map[string]int{"n": 1}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.With(rand.Reader, at, effects.Report{Type: "b"}, effects.Report{Type: "c"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := one.With(rand.Reader, at, effects.Report{Type: "other"})
	if err != nil {
		t.Fatal(err)
	}
	later, err := fx.With(rand.Reader, at.Add(time.Millisecond), effects.Report{Type: "later"})
	if err != nil {
		t.Fatal(err)
	}
	want := effects.Effects{By: fx.By, Answer: fx.Answer, Events: []effects.Event{
		{Type: effects.AccountCreated, PartnerID: 5, AccountID: 71, Subject: "account", At: at, Data: []byte(`{"n":1}`)},
		{Type: "b", At: at, Data: []byte("null")},
		{Type: "c", At: at, Data: []byte("null")},
	}}
	if diff := cmp.Diff(want, two, cmpopts.IgnoreFields(effects.Event{}, "ID")); diff != "" {
		t.Errorf("With (-want +got):\n%s", diff)
	}
	if len(fx.Events) != 0 || len(one.Events) != 1 || other.Events[1].Type != "other" {
		t.Error("With changes its receiver")
	}
	ids := []string{effects.EventIDsFrom(at)}
	for _, e := range append(two.Events, later.Events...) {
		if !effects.IsEventID(e.ID) || len(e.ID) > 25 {
			t.Errorf("id %q has another form", e.ID)
		}
		ids = append(ids, e.ID)
	}
	ids = slices.Insert(ids, 4, effects.EventIDsFrom(at.Add(time.Millisecond)))
	if !slices.IsSorted(ids) {
		t.Errorf("ids are not sorted by time and place: %q", ids)
	}
}

func TestIsEventID(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"": false, "se-": false, "se-0mm6zhokr0iwrm96c23p": false, "se-0mm6zhokr0iwrm96c23p12": false, "se-0mm6zhokr0iwrm96c23P1": false,
		"xx-0mm6zhokr0iwrm96c23p1": false, "se-0mm6zhokr0iwrm96c23p1": true, "se-0mm6zhokr0iwrm96c23é": false,
	} {
		if got := effects.IsEventID(s); got != want {
			t.Errorf("IsEventID(%q) = %t, want %t", s, got, want)
		}
	}
}

// TestEventIDsOfAnyTime: the ids of the first and last times that fit still have the form.
func TestEventIDsOfAnyTime(t *testing.T) {
	t.Parallel()
	var before string
	for _, at := range []time.Time{time.Time{}.Add(-time.Hour), time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(math.MaxInt64)} {
		fx, err := effects.Effects{}.With(rand.Reader, at, effects.Report{})
		if err != nil || !effects.IsEventID(fx.Events[0].ID) {
			t.Errorf("the id at %v is %q, %v", at, fx.Events[0].ID, err)
		}
		if from := effects.EventIDsFrom(at); from < before {
			t.Errorf("EventIDsFrom(%v) = %q, before %q", at, from, before)
		} else {
			before = from
		}
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	all := effects.AuditTypes()
	told := effects.EventTypes()
	if !slices.Equal(all[:len(told)], told) || len(all) <= len(told) {
		t.Errorf("AuditTypes() = %v does not begin with EventTypes() = %v", all, told)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != len(effects.AuditTypes()) {
		t.Error("a type stands twice")
	}
}

func TestListingMatches(t *testing.T) {
	t.Parallel()
	e := &effects.Recorded{Event: effects.Event{Type: effects.APIKeyCreated, Subject: "api_key 7"}, By: effects.By{Actor: effects.Partner, KeyID: 7}}
	for _, tc := range []struct {
		name string
		l    effects.Listing
		want bool
	}{
		{"another type", effects.Listing{Types: []effects.EventType{effects.APIKeyDeleted}}, false},
		{"another actor", effects.Listing{Actor: effects.Operator}, false},
		{"another key", effects.Listing{KeyID: 8}, false},
		{"another subject", effects.Listing{Subject: "api_key 8"}, false},
		{"one of two", effects.Listing{Types: []effects.EventType{effects.APIKeyCreated}, KeyID: 8}, false},
		{"no filter", effects.Listing{}, true},
		{"all", effects.Listing{Types: []effects.EventType{effects.APIKeyDeleted, effects.APIKeyCreated}, Actor: effects.Partner, KeyID: 7, Subject: "api_key 7"}, true},
	} {
		if got := tc.l.Matches(e); got != tc.want {
			t.Errorf("%s: Matches = %t, want %t", tc.name, got, tc.want)
		}
	}
}

// TestAfter: events come after the last change of their resource, and keep their order.
func TestAfter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 30, 987_000_000, time.UTC)
	fx, err := effects.Effects{}.With(rand.Reader, at, effects.Report{Type: "a"}, effects.Report{Type: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for changed, want := range map[time.Time]time.Time{
		{}: at, at.Add(-time.Nanosecond): at, at: at.Add(time.Millisecond), at.Add(3 * time.Second): at.Add(3*time.Second + time.Millisecond),
	} {
		got := fx.After(changed)
		for i, e := range got.Events {
			if !e.At.Equal(want) || !effects.IsEventID(e.ID) || e.ID[12:] != fx.Events[i].ID[12:] || !strings.HasPrefix(e.ID, effects.EventIDsFrom(want)) || !fx.Events[i].At.Equal(at) {
				t.Errorf("after a change at %v event %d is %+v, want it at %v", changed, i, e, want)
			}
		}
	}
	if got := (effects.Effects{}).After(at); len(got.Events) != 0 {
		t.Errorf("After makes events: %+v", got)
	}
}

func TestReporting(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := effects.For[int](func(int) (effects.Effects, error) { return effects.Effects{}, broken }).Reporting(1, rand.Reader, time.Time{}); !errors.Is(err, broken) {
		t.Errorf("Reporting = %v, want %v", err, broken)
	}
	by := effects.By{KeyID: 7}
	fx, err := effects.MadeBy[int](by).Reporting(1, rand.Reader, time.Time{}, effects.Report{Type: "t"})
	if err != nil || fx.By != by || len(fx.Events) != 1 || fx.Events[0].Type != "t" {
		t.Errorf("Reporting = %+v, %v", fx, err)
	}
}
