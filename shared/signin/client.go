package signin

import (
	"net/netip"
	"strings"

	"carrierlink/shared/effects"
)

// named is a name that is shown for a browser or system whose User-Agent has a mark. The
// first that matches counts, because most claim to be some of those after them.
type named struct{ mark, name string }

var (
	browsers = []named{ // never changes
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = []named{ // never changes
		{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"}, {"Linux", "Linux"},
	}
)

// browser returns the family of the browser, one of fewer than a hundred texts.
func (c Client) browser() string {
	return nameOf(browsers, c.UserAgent, "A browser") + " on " + nameOf(systems, c.UserAgent, "another system")
}

func nameOf(all []named, userAgent, other string) string {
	for _, n := range all {
		if strings.Contains(userAgent, n.mark) {
			return n.name
		}
	}
	return other
}

// network returns the /24 that an address is in or, of IPv6, the network of so many bits.
func network(ip string, bits int) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

// by returns who makes the changes of a request.
func (c Client) by(accountID int64) effects.By {
	return effects.By{Actor: effects.Page, AccountID: accountID, RequestID: c.RequestID, SourceIP: c.IP}
}
