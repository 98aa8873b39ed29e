package account

// Settings are what a partner shows to its merchants on the account page. The zero value is
// that of a partner that has set nothing.
type Settings struct {
	DisplayName  string   // 1 to 50 characters; empty: the partner's name
	SupportEmail string   // empty: none
	SupportURL   string   // https; empty: none
	AccentColor  string   // #rrggbb; empty: the page's own
	ReturnURLs   []string // https addresses that the link page may return to, at most 20
	Version      int64
}
