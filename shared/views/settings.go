package views

import (
	"strconv"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// Settings are a partner's settings in answers.
type Settings struct {
	DisplayName  *string  `json:"display_name"`
	SupportEmail *string  `json:"support_email"`
	SupportURL   *string  `json:"support_url"`
	AccentColor  *string  `json:"accent_color"`
	ReturnURLs   []string `json:"return_urls"`
}

// NewSettings returns the view of a partner's settings.
func NewSettings(s account.Settings) Settings {
	return Settings{
		DisplayName: httpapi.Text(s.DisplayName), SupportEmail: httpapi.Text(s.SupportEmail), SupportURL: httpapi.Text(s.SupportURL),
		AccentColor: httpapi.Text(s.AccentColor), ReturnURLs: append([]string{}, s.ReturnURLs...),
	}
}

// SettingsETag returns the strong entity tag of a partner's settings.
func SettingsETag(s account.Settings) string { return `"` + strconv.FormatInt(s.Version, 10) + `"` }

// SettingsFields returns the fields of a body that replaces a partner's settings: absent and
// null members are not set. checkURL is the rule of URLs.
func SettingsFields(s *account.Settings, checkURL func(field, s string) *fault.Error) []httpapi.Field {
	cleanURL := func(field, s string) (string, *fault.Error) { return s, checkURL(field, s) }
	return []httpapi.Field{
		httpapi.String("display_name", &s.DisplayName, account.DisplayNameRule.Clean),
		httpapi.String("support_email", &s.SupportEmail, account.CleanEmail),
		httpapi.String("support_url", &s.SupportURL, cleanURL),
		httpapi.String("accent_color", &s.AccentColor, account.CleanAccentColor),
		httpapi.Strings("return_urls", func(all []string) *fault.Error {
			if problem := account.CheckReturnURLs("return_urls", all); problem != nil {
				return problem
			}
			for _, u := range all {
				if problem := checkURL("return_urls", u); problem != nil {
					return problem
				}
			}
			s.ReturnURLs = all
			return nil
		}),
	}
}

// Invitation is the answer to a login invitation.
type Invitation struct {
	AccountID     int64   `json:"account_id"`
	Email         string  `json:"email"`
	Delivered     string  `json:"delivered"`
	ExpiresAt     *string `json:"expires_at"`
	InvitationURL *string `json:"invitation_url"` // null if it was mailed
}

// EphemeralToken is ShipEngine's answer for a direct login, and when ours ends.
type EphemeralToken struct {
	Token       string  `json:"token"`
	RedirectURL string  `json:"redirect_url,omitempty"` // only if it was asked for
	ExpiresAt   *string `json:"expires_at"`
}
