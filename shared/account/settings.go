package account

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/text"
)

// Settings are what a partner shows to its merchants on the account page. The zero value is
// that of a partner that has set nothing.
type Settings struct {
	DisplayName  string   // 1 to 50 characters; empty: the partner's name
	SupportEmail string   // empty: none
	SupportURL   string   // https; empty: none
	AccentColor  string   // #rrggbb in lower case; empty: the page's own
	ReturnURLs   []string // https addresses that a page may lead back to, at most MaxReturnURLs
	Version      int64
}

// MaxReturnURLs is how many return URLs a partner may have.
const MaxReturnURLs = 20

// DisplayNameRule is the rule of Settings.DisplayName.
var DisplayNameRule = text.Rule{Min: 1, Max: 50}

// CheckReturnURLs returns fault.Invalid for more than MaxReturnURLs and for a repeated one.
func CheckReturnURLs(field string, all []string) *fault.Error {
	if len(all) > MaxReturnURLs {
		return fault.Field(fault.Invalid, field, "%s must have at most %d entries.", field, MaxReturnURLs)
	}
	for i, u := range all {
		if slices.Contains(all[:i], u) {
			return fault.Field(fault.Invalid, field, "%s must not have an entry twice.", field)
		}
	}
	return nil
}

// CleanAccentColor is the rule of Settings.AccentColor: buttons have it behind white text, in
// the light and in the dark theme, so it must be dark enough to read that.
func CleanAccentColor(field, s string) (string, *fault.Error) {
	c, ok := ParseColor(s)
	if !ok {
		return "", fault.Field(fault.Invalid, field, "%s must be a colour such as #0b5cad.", field)
	}
	if Contrast(c, Color{255, 255, 255}) < minContrast {
		return "", fault.Field(fault.Invalid, field, "%s must be dark enough to read white text on it (a contrast of 4.5:1).", field)
	}
	return strings.ToLower(s), nil
}

// minContrast is that of text (WCAG 2.2, 1.4.3).
const minContrast = 4.5

// SettingsStore stores the settings of partners.
type SettingsStore interface {
	// Settings reads the settings of a partner; the zero value if it has set nothing.
	Settings(ctx context.Context, partnerID int64) (Settings, error)
	// SaveSettings replaces the settings that were read, with the effects: fault.Precondition
	// if another change came first; *effects.Replay.
	SaveSettings(ctx context.Context, partnerID int64, old, next Settings, fx effects.Effects, now time.Time) error
}

// SettingsService reads and replaces the settings of partners.
type SettingsService struct {
	Store  SettingsStore
	Now    func() time.Time
	Random io.Reader
}

// Get reads the settings of a partner.
func (s *SettingsService) Get(ctx context.Context, partnerID int64) (Settings, error) {
	return s.Store.Settings(ctx, partnerID)
}

// Replace replaces the settings of a partner. match compares the stored ones with If-Match:
// a pinned replacement applies only to that version. Without a difference the version stays.
//
// Errors: those of match; fault.Precondition for a pinned replacement that came too late;
// fault.State with RetryAfter if concurrent requests win every time; *effects.Replay.
func (s *SettingsService) Replace(ctx context.Context, partnerID int64, next Settings, match func(Settings) (pinned bool, err error), fx effects.For[*Settings]) error {
	for n := 1; ; n++ {
		pinned, err := s.tryReplace(ctx, partnerID, next, match, fx)
		switch {
		case err == nil:
			return nil
		case pinned, !fault.Is(err, fault.Precondition):
			return err
		case n == changeTries:
			return fault.Busy(err)
		}
	}
}

// tryReplace is one try of Replace. pinned is also true if match fails.
func (s *SettingsService) tryReplace(ctx context.Context, partnerID int64, next Settings, match func(Settings) (pinned bool, err error), fx effects.For[*Settings]) (pinned bool, err error) {
	old, err := s.Store.Settings(ctx, partnerID)
	if err != nil {
		return false, err
	}
	if pinned, err = match(old); err != nil {
		return true, err
	}
	changed := old.changed(next)
	if next.Version = old.Version; len(changed) > 0 {
		next.Version++
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	report := effects.Report{
		Type: effects.PartnerSettingsUpdated, PartnerID: partnerID, Subject: fmt.Sprintf("partner %d", partnerID),
		Data: partnerData{PartnerID: partnerID, Changed: changed},
	}
	var reports []effects.Report
	if len(changed) > 0 {
		reports = append(reports, report)
	}
	with, err := fx.Reporting(&next, s.Random, now, reports...)
	if err != nil {
		return pinned, err
	}
	return pinned, s.Store.SaveSettings(ctx, partnerID, old, next, with, now)
}

// changed returns the members of the API that differ, sorted.
func (s Settings) changed(next Settings) []string {
	return effects.Changed(map[string]bool{
		"accent_color":  s.AccentColor != next.AccentColor,
		"display_name":  s.DisplayName != next.DisplayName,
		"return_urls":   !slices.Equal(s.ReturnURLs, next.ReturnURLs),
		"support_email": s.SupportEmail != next.SupportEmail,
		"support_url":   s.SupportURL != next.SupportURL,
	})
}
