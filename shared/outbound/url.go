// Package outbound sends requests to addresses that partners and merchants have chosen.
//
// Both the address and what answers there are assumed to be hostile: nothing but public
// addresses is connected to, no redirect is followed, TLS is verified, time and the bytes
// that are read are bounded, and no error quotes the address or the answer.
package outbound

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"carrierlink/shared/fault"
)

const (
	maxURL     = 2048 // bytes
	maxName    = 253  // bytes of a host name; RFC 1035, section 2.3.4
	maxLabel   = 63   // bytes between two dots of it
	lookupTime = 2 * time.Second
)

// Rules says where requests may go. The zero value allows https to public addresses.
type Rules struct {
	// AllowLoopback also allows addresses of this machine, and http to them. It is for
	// local stages.
	AllowLoopback bool
}

// CheckURL returns fault.Invalid, fault.Length if the URL is empty or too long, for one
// that requests may not go to as far as its text tells: it is absolute, with https, with
// neither credentials nor fragment, and its host is a full name or a public address.
func CheckURL(field, text string, r Rules) *fault.Error {
	_, problem := r.parse(field, text)
	return problem
}

func (r Rules) parse(field, text string) (*url.URL, *fault.Error) {
	switch {
	case text == "":
		return nil, fault.Empty(field)
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }):
		return nil, fault.Field(fault.Invalid, field, "%s must be a URL of visible ASCII characters; encode others with percent signs, and names in Punycode.", field)
	case len(text) > maxURL:
		return nil, fault.TooLong(field, maxURL)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, notHTTPS(field)
	}
	address, err := netip.ParseAddr(u.Hostname())
	literal := err == nil
	localhost := r.AllowLoopback && u.Hostname() == "localhost"
	switch {
	case u.User != nil:
		return nil, fault.Field(fault.Invalid, field, "%s must not contain a user name or a password.", field)
	case strings.Contains(text, "#"):
		return nil, fault.Field(fault.Invalid, field, "%s must not have a fragment.", field)
	case !isPort(u.Port()):
		return nil, fault.Field(fault.Invalid, field, "%s must have a port from 1 to 65535, or none.", field)
	case literal && r.guardian().SafeAddr(address) != nil:
		return nil, notPublic(field)
	case u.Scheme == "http" && !localhost && !address.IsLoopback():
		return nil, notHTTPS(field)
	case !literal && !localhost && !isFullName(u.Hostname()):
		return nil, fault.Field(fault.Invalid, field, "%s must have a full domain name or a public IP address as its host.", field)
	}
	return u, nil
}

func notHTTPS(field string) *fault.Error {
	return fault.Field(fault.Invalid, field, "%s must be an absolute https URL.", field)
}

func notPublic(field string) *fault.Error {
	return fault.Field(fault.Invalid, field, "%s must not lead to a private, local or reserved address.", field)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && n > 0
}

// isFullName reports whether a host is a domain name of two or more labels. The last one
// begins with a letter: so no other way of writing an IPv4 address, such as 0x7f.1, is a
// name. A name of one label could be completed with a domain of the machine's own.
func isFullName(host string) bool {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || strings.ContainsFunc(label, notInNames) {
			return false
		}
	}
	return len(labels) > 1 && len(host) <= maxName && isLetter(rune(labels[len(labels)-1][0]))
}

func isLetter(c rune) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func notInNames(c rune) bool { return !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' }

// guardian returns the list of addresses. What IANA's registries call special is refused:
// private, loopback, link-local (with the metadata services), carrier-grade NAT,
// documentation, benchmarking, multicast and unspecified addresses; of IPv6, all but the
// global unicast range: so IPv4-mapped and NAT64 forms, and within the range 6to4 and
// Teredo.
func (r Rules) guardian() *ssrf.Guardian {
	options := []ssrf.Option{ssrf.WithAnyPort()}
	if r.AllowLoopback {
		options = append(options,
			ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")), ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))
	}
	return ssrf.New(options...)
}

// Checker checks URLs that are about to be saved.
type Checker struct {
	Rules    Rules
	Resolver *net.Resolver // nil: the system's
}

// Check is CheckURL, and fault.Invalid if the URL is below one of own, the URLs of the
// service itself, whatever their paths are, or if its name has an address that is not public
// now. It waits 2 s at most. A name that cannot be resolved passes: it may get its
// address later, and Client checks what it connects to in any case.
func (c Checker) Check(ctx context.Context, field, text string, own ...string) *fault.Error {
	u, problem := c.Rules.parse(field, text)
	if problem != nil {
		return problem
	}
	if slices.ContainsFunc(own, func(text string) bool { return sameServer(u, text) }) {
		return fault.Field(fault.Invalid, field, "%s must not lead to this service itself.", field)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addresses, err := c.Resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		if c.Rules.guardian().SafeAddr(a.Unmap()) != nil {
			return notPublic(field)
		}
	}
	return nil
}

// sameServer reports whether a URL has the host and the port of another one.
func sameServer(u *url.URL, text string) bool {
	other, err := url.Parse(text)
	return err == nil && strings.EqualFold(u.Hostname(), other.Hostname()) && portOf(u) == portOf(other)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return strings.TrimLeft(u.Port(), "0")
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}
