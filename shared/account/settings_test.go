package account_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
)

func TestCleanAccentColor(t *testing.T) {
	const form, dark = "must be a colour such as", "must be dark enough"
	for _, tc := range []struct{ text, want, problem string }{
		{"", "", form},
		{"red", "", form},
		{"red;}", "", form},
		{"0b5cad", "", form},
		{"#0b5ca", "", form},
		{"#0b5cadd", "", form},
		{"#fff", "", form},
		{"#0b5cag", "", form},
		{"##b5cad", "", form},
		{"#+b5cad", "", form},
		{"#-b5cad", "", form},
		{"#0x5cad", "", form},
		{"#0_5cad", "", form},
		{" #0b5cad", "", form},
		{"#0b5ca\n", "", form},
		{"#ffffff", "", dark},
		{"#ffff00", "", dark},
		{"#00ff00", "", dark},
		{"#777777", "", dark},      // 4.48:1
		{"#ff0000", "", dark},      // 4.00:1
		{"#767676", "#767676", ""}, // 4.54:1
		{"#0B5CAD", "#0b5cad", ""},
		{"#000000", "#000000", ""},
		{"#0000ff", "#0000ff", ""},
	} {
		got, problem := account.CleanAccentColor("accent_color", tc.text)
		if got != tc.want || (problem == nil) != (tc.problem == "") {
			t.Errorf("CleanAccentColor(%q) = %q, %v, want %q, %q", tc.text, got, problem, tc.want, tc.problem)
			continue
		}
		if problem != nil && (problem.Kind != fault.Invalid || problem.Field != "accent_color" || !strings.Contains(problem.Message, tc.problem)) {
			t.Errorf("CleanAccentColor(%q): %v, want %q", tc.text, problem, tc.problem)
		}
	}
}

func TestCheckReturnURLs(t *testing.T) {
	urls := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint("https://acme.example/", i))
		}
		return all
	}
	for name, tc := range map[string]struct {
		all  []string
		want string
	}{
		"too many":                {urls(account.MaxReturnURLs + 1), "return_urls must have at most 20 entries."},
		"too many that are equal": {slices.Repeat(urls(1), 21), "return_urls must have at most 20 entries."},
		"one twice":               {append(urls(5), urls(1)...), "return_urls must not have an entry twice."},
		"none":                    {nil, ""},
		"as many as allowed":      {urls(account.MaxReturnURLs), ""},
	} {
		got := ""
		if problem := account.CheckReturnURLs("return_urls", tc.all); problem != nil {
			got = problem.Message
		}
		if got != tc.want {
			t.Errorf("%s: CheckReturnURLs = %q, want %q", name, got, tc.want)
		}
	}
}

// setting is a SettingsService over a store in memory. before runs before each change is
// written.
type setting struct {
	*account.SettingsService
	w      *world
	before func() error
	clock  time.Time
}

// SaveSettings saves settings.
func (s *setting) SaveSettings(ctx context.Context, partnerID int64, old, next account.Settings, fx effects.Effects, now time.Time) error {
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	return s.w.store.SaveSettings(ctx, partnerID, old, next, fx, now)
}

// Settings reads settings.
func (s *setting) Settings(ctx context.Context, partnerID int64) (account.Settings, error) {
	return s.w.store.Settings(ctx, partnerID)
}

func newSetting(t *testing.T) *setting {
	t.Helper()
	w := newWorld(t)
	s := &setting{w: w, clock: w.clock}
	s.SettingsService = &account.SettingsService{Store: s, Now: func() time.Time { return s.clock }, Random: rand.Reader}
	return s
}

// set replaces the settings of partner 5; pinned is what If-Match would do.
func (s *setting) set(t *testing.T, next account.Settings, pinned bool) error {
	t.Helper()
	s.clock = s.clock.Add(time.Second)
	return s.Replace(t.Context(), 5, next, func(account.Settings) (bool, error) { return pinned, nil }, effects.MadeBy[*account.Settings](jo()))
}

// stored reads the settings of partner 5.
func (s *setting) stored(t *testing.T) account.Settings {
	t.Helper()
	got, err := s.Get(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told returns the events of partner 5 about itself, the oldest first.
func (s *setting) told(t *testing.T) (told []string) {
	t.Helper()
	found, _, err := s.w.store.ListEvents(t.Context(), effects.Listing{PartnerID: 5, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if e.By != jo() || e.AccountID != 0 {
			t.Errorf("event %+v by %+v", e.Event, e.By)
		}
		told = append([]string{fmt.Sprintf("%s of %s: %s", e.Type, e.Subject, e.Data)}, told...)
	}
	return told
}

// TestReplaceSettings: each replacement that changes something is a version and an entry of the
// log, which has no values.
func TestReplaceSettings(t *testing.T) {
	s := newSetting(t)
	full := account.Settings{
		DisplayName: "Acme", SupportEmail: "help@acme.example", SupportURL: "https://acme.example", AccentColor: "#0b5cad", ReturnURLs: []string{"https://a.example", "https://b.example"},
	}
	var want []string
	version := int64(0)
	for _, step := range []struct {
		name    string
		edit    func(*account.Settings)
		changed string
	}{
		{"nothing", func(n *account.Settings) { *n = account.Settings{} }, ""},
		{"everything", func(*account.Settings) {}, `"accent_color","display_name","return_urls","support_email","support_url"`},
		{"the same", func(*account.Settings) {}, ""},
		{"the order of addresses", func(n *account.Settings) { n.ReturnURLs = []string{"https://b.example", "https://a.example"} }, `"return_urls"`},
		{"the name", func(n *account.Settings) {
			n.DisplayName, n.ReturnURLs = "Acme Shops", []string{"https://b.example", "https://a.example"}
		}, `"display_name"`},
		{"nothing is left", func(n *account.Settings) { *n = account.Settings{} }, `"accent_color","display_name","return_urls","support_email","support_url"`},
	} {
		next := full
		step.edit(&next)
		if err := s.set(t, next, false); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if step.changed != "" {
			version++
			want = append(want, `partner_settings_updated of partner 5: {"partner_id":5,"changed":[`+step.changed+`]}`)
		}
		next.Version = version
		if diff := cmp.Diff(next, s.stored(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if diff := cmp.Diff(want, s.told(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got, err := s.Get(t.Context(), 6); err != nil || !cmp.Equal(got, account.Settings{}) {
		t.Errorf("another partner's = %+v, %v", got, err)
	}
}

// TestReplaceSettingsFails: failures change nothing and tell nothing.
func TestReplaceSettingsFails(t *testing.T) {
	down := errors.New("down")
	for name, tc := range map[string]struct {
		prepare func(*setting)
		match   func(account.Settings) (bool, error)
		want    fault.Kind
		cause   error
	}{
		"If-Match":   {nil, func(account.Settings) (bool, error) { return true, account.ErrSettingsChanged() }, fault.Precondition, nil},
		"the store":  {func(s *setting) { s.before = func() error { return down } }, nil, fault.Internal, down},
		"randomness": {func(s *setting) { s.Random = iotest.ErrReader(down) }, nil, fault.Internal, down},
	} {
		s := newSetting(t)
		if tc.prepare != nil {
			tc.prepare(s)
		}
		match := tc.match
		if match == nil {
			match = func(account.Settings) (bool, error) { return false, nil }
		}
		err := s.Replace(t.Context(), 5, account.Settings{DisplayName: "Acme"}, match, effects.MadeBy[*account.Settings](jo()))
		if !fault.Is(err, tc.want) || tc.cause != nil && !errors.Is(err, tc.cause) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if got := s.stored(t); !cmp.Equal(got, account.Settings{}) || len(s.told(t)) > 0 {
			t.Errorf("%s: settings = %+v", name, got)
		}
	}
}

// TestReplaceSettingsOvertaken: another change comes first, once or always.
func TestReplaceSettingsOvertaken(t *testing.T) {
	overtaking := func(s *setting, times int) {
		s.before = func() error {
			if times--; times < 0 {
				return nil
			}
			old := s.stored(t)
			next := account.Settings{DisplayName: "Other " + strconv.Itoa(times), Version: old.Version + 1}
			return s.w.store.SaveSettings(t.Context(), 5, old, next, effects.Effects{}, s.clock)
		}
	}
	s := newSetting(t)
	overtaking(s, 1)
	if err := s.set(t, account.Settings{DisplayName: "Acme"}, true); !fault.Is(err, fault.Precondition) {
		t.Errorf("pinned: %v, want a precondition", err)
	}
	s = newSetting(t)
	overtaking(s, 2)
	if err := s.set(t, account.Settings{DisplayName: "Acme"}, false); err != nil || s.stored(t).DisplayName != "Acme" || s.stored(t).Version != 3 {
		t.Errorf("overtaken twice: %v, %+v", err, s.stored(t))
	}
	s = newSetting(t)
	overtaking(s, 1000)
	err := s.set(t, account.Settings{DisplayName: "Acme"}, false)
	if !fault.Is(err, fault.State) || fault.Of(err)[0].RetryAfter == 0 {
		t.Errorf("always overtaken: %v, want busy", err)
	}
}
