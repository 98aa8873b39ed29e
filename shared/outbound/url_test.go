package outbound

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carrierlink/shared/fault"
)

func message(p *fault.Error) string {
	if p == nil {
		return ""
	}
	return p.Kind.String() + ": " + p.Message
}

func TestCheckURL(t *testing.T) {
	local := Rules{AllowLoopback: true}
	const (
		characters = "invalid: url must be a URL of visible ASCII characters; encode others with percent signs, and names in Punycode."
		https      = "invalid: url must be an absolute https URL."
		user       = "invalid: url must not contain a user name or a password."
		fragment   = "invalid: url must not have a fragment."
		port       = "invalid: url must have a port from 1 to 65535, or none."
		private    = "invalid: url must not lead to a private, local or reserved address."
		host       = "invalid: url must have a full domain name or a public IP address as its host."
	)
	for _, tc := range []struct {
		name, url string
		rules     Rules
		want      string
	}{
		{"empty", "", local, "length: url must not be empty."},
		{"a byte too long", "https://a.example/" + strings.Repeat("x", 2048-17), local, "length: url must be at most 2048 characters."},
		{"blank", "https://a.example/a b", local, characters},
		{"line break", "https://a.example/\r\nX: y", local, characters},
		{"NUL", "https://a.example/\x00", local, characters},
		{"not ASCII", "https://bücher.example/", local, characters},
		{"host not ASCII once decoded", "https://b%C3%BCcher.example/", local, host},
		{"no scheme", "a.example/hook", local, https},
		{"no host", "https:///hook", local, https},
		{"opaque", "https:a.example", local, https},
		{"another scheme", "ftp://a.example/", local, https},
		{"file", "file:///etc/passwd", local, https},
		{"unreadable", "https://[::1/", local, https},
		{"bad escape", "https://a.example/%zz", local, https},
		{"http", "http://a.example/", Rules{}, https},
		{"http on a local stage", "http://a.example/", local, https},
		{"http to a public address on a local stage", "http://8.8.8.8/", local, https},
		{"http to loopback", "http://127.0.0.1/", Rules{}, private},
		{"user", "https://me@a.example/", local, user},
		{"user and password", "https://me:secret@a.example/", local, user},
		{"empty user", "https://@a.example/", local, user},
		{"fragment", "https://a.example/#here", local, fragment},
		{"empty fragment", "https://a.example/#", local, fragment},
		{"port 0", "https://a.example:0/", local, port},
		{"port too large", "https://a.example:65536/", local, port},
		{"localhost", "https://localhost/", Rules{}, host},
		{"one label", "https://intranet/", local, host},
		{"trailing dot", "https://a.example./", local, host},
		{"empty label", "https://a..example/", local, host},
		{"long label", "https://" + strings.Repeat("a", 64) + ".example/", local, host},
		{"long name", "https://" + strings.Repeat("abcdefghi.", 25) + "example/", local, host},
		{"character", "https://a!b.example/", local, host},
		{"decimal address", "https://2130706433/", local, host},
		{"hexadecimal address", "https://0x7f000001/", local, host},
		{"hexadecimal part", "https://127.0.0.0x1/", local, host},
		{"octal address", "https://0177.0.0.01/", local, host},
		{"short address", "https://127.1/", local, host},
		{"zone", "https://[fe80::1%25eth0]/", local, private},
		{"zone of loopback", "https://[::1%25lo]/", local, private},
		{"zone of a public address", "https://[2606:4700:4700::1111%25eth0]/", local, private},
		{"private address on a local stage", "https://10.0.0.1/", local, private},

		{"loopback on a local stage", "http://127.0.0.1:8080/hook", local, ""},
		{"loopback IPv6 on a local stage", "http://[::1]:8080/hook", local, ""},
		{"localhost on a local stage", "http://localhost:8080/hook", local, ""},
		{"https to localhost on a local stage", "https://localhost/", local, ""},
		{"public address", "https://8.8.8.8/", Rules{}, ""},
		{"public IPv6 address", "https://[2606:4700:4700::1111]:8443/", Rules{}, ""},
		{"longest", "https://a.example/" + strings.Repeat("x", 2048-18), Rules{}, ""},
		{"everything allowed", "HTTPS://Hooks_1.a-b.xn--p1ai:65535/a/%C3%BC?b=c&d[]=e", Rules{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := message(CheckURL("url", tc.url, tc.rules)); got != tc.want {
				t.Errorf("CheckURL(%q) = %q, want %q", tc.url, got, tc.want)
			}
		})
	}
}

// TestRefusedAddresses: an address that is not public is refused as the host of a URL, as
// what a name means when its URL is saved, and when it is connected to.
func TestRefusedAddresses(t *testing.T) {
	for _, tc := range []struct{ name, address string }{
		{"unspecified", "0.0.0.0"},
		{"this network", "0.1.2.3"},
		{"private 10", "10.255.255.254"},
		{"private 172", "172.16.0.1"},
		{"end of private 172", "172.31.255.255"},
		{"private 192", "192.168.1.1"},
		{"loopback", "127.0.0.1"},
		{"end of loopback", "127.255.255.254"},
		{"link-local", "169.254.1.1"},
		{"metadata", "169.254.169.254"},
		{"metadata of containers", "169.254.170.2"},
		{"runtime API and DNS of Lambda", "169.254.100.1"},
		{"time service", "169.254.169.123"},
		{"carrier-grade NAT", "100.64.0.1"},
		{"metadata within carrier-grade NAT", "100.100.100.200"},
		{"end of carrier-grade NAT", "100.127.255.255"},
		{"protocol assignments", "192.0.0.170"},
		{"documentation 1", "192.0.2.1"},
		{"documentation 2", "198.51.100.1"},
		{"documentation 3", "203.0.113.255"},
		{"6to4 relay", "192.88.99.1"},
		{"benchmarking", "198.18.0.1"},
		{"end of benchmarking", "198.19.255.255"},
		{"multicast", "224.0.0.1"},
		{"end of multicast", "239.255.255.255"},
		{"reserved", "240.0.0.1"},
		{"broadcast", "255.255.255.255"},
		{"unspecified IPv6", "::"},
		{"loopback IPv6", "::1"},
		{"IPv4-compatible", "::127.0.0.1"},
		{"IPv4-mapped loopback", "::ffff:127.0.0.1"},
		{"IPv4-mapped private", "::ffff:10.0.0.1"},
		{"IPv4-mapped metadata", "::ffff:a9fe:a9fe"},
		{"IPv4-translated", "::ffff:0:10.0.0.1"},
		{"NAT64", "64:ff9b::10.0.0.1"},
		{"NAT64 of metadata", "64:ff9b::a9fe:a9fe"},
		{"NAT64 of a public address", "64:ff9b::8.8.8.8"},
		{"local NAT64", "64:ff9b:1::10.0.0.1"},
		{"discard", "100::1"},
		{"6to4 of a private address", "2002:a00:1::1"},
		{"6to4 of a public address", "2002:808:808::1"},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
		{"benchmarking IPv6", "2001:2::1"},
		{"ORCHID", "2001:20::1"},
		{"documentation IPv6", "2001:db8::1"},
		{"newer documentation IPv6", "3fff::1"},
		{"segment routing", "5f00::1"},
		{"unique local", "fd12:3456:789a::1"},
		{"metadata IPv6", "fd00:ec2::254"},
		{"link-local IPv6", "fe80::1"},
		{"site-local", "fec0::1"},
		{"multicast IPv6", "ff02::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const private = "invalid: url must not lead to a private, local or reserved address."
			a := netip.MustParseAddr(tc.address)
			if got, host := message(CheckURL("url", "https://"+netip.AddrPortFrom(a, 443).String()+"/", Rules{})), tc.address; got != private {
				t.Errorf("CheckURL(%s) = %q, want %q", host, got, private)
			}
			resolver := names(t, func(string) []string { return []string{tc.address} })
			if got := message(Checker{Resolver: resolver}.Check(t.Context(), "url", "https://a.example/")); got != private {
				t.Errorf("Check(name of %s) = %q, want %q", tc.address, got, private)
			}
			resolver = names(t, func(string) []string { return []string{"2606:4700:4700::1111", "8.8.8.8", tc.address} })
			if got := message(Checker{Resolver: resolver}.Check(t.Context(), "url", "https://a.example/")); got != private {
				t.Errorf("Check(name of public addresses and %s) = %q, want %q", tc.address, got, private)
			}
			network := "tcp4"
			if a.Is6() {
				network = "tcp6"
			}
			if err := (Rules{}).guardian().Safe(network, netip.AddrPortFrom(a, 443).String(), nil); err == nil {
				t.Errorf("the dialer may connect to %s", tc.address)
			}
			// A machine without IPv6 fails before it asks.
			resolver = names(t, func(string) []string { return []string{tc.address} })
			_, err := New(Options{Resolver: resolver}).Send(t.Context(), "https://a.example/", nil, nil)
			if !errors.Is(err, ErrAddress) && (a.Is4() || !errors.Is(err, ErrConnection)) {
				t.Errorf("Send(to %s) = %v, want %v", tc.address, err, ErrAddress)
			}
		})
	}
}

// TestCheckRefusesTheServiceItself: a webhook that leads to this API would be a loop.
func TestCheckRefusesTheServiceItself(t *testing.T) {
	const itself = "invalid: url must not lead to this service itself."
	own := []string{"https://api.example.com/live", "https://abc.execute-api.example", "http://127.0.0.1:8000", "", "%"}
	for _, tc := range []struct{ name, url, want string }{
		{"below it", "https://api.example.com/live/v1/environment/webhooks", itself},
		{"another path", "https://api.example.com/", itself},
		{"in capitals", "HTTPS://API.Example.COM", itself},
		{"its port is given", "https://api.example.com:443/x", itself},
		{"with zeros", "https://api.example.com:0443/x", itself},
		{"its other name", "https://abc.execute-api.example/live?x", itself},
		{"a local stack", "http://127.0.0.1:8000/v1", itself},
		{"another port of a local stack", "http://127.0.0.1:8001/v1", ""},
		{"another port", "https://api.example.com:8443/", ""},
		{"a name below its own", "https://hooks.api.example.com/", ""},
		{"a name above its own", "https://example.com/", ""},
		{"its name in the path", "https://shop.example/api.example.com", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolver := names(t, func(string) []string { return nil })
			if got := message(Checker{Rules: Rules{AllowLoopback: true}, Resolver: resolver}.Check(t.Context(), "url", tc.url, own...)); got != tc.want {
				t.Errorf("Check(%s) = %q, want %q", tc.url, got, tc.want)
			}
		})
	}
}

func TestCheckerResolves(t *testing.T) {
	for _, tc := range []struct {
		name, address string
		rules         Rules
		want          string
	}{
		{"private on a local stage", "10.0.0.1", Rules{AllowLoopback: true}, "invalid: url must not lead to a private, local or reserved address."},
		{"unknown name", "", Rules{}, ""},
		{"loopback on a local stage", "127.0.0.1", Rules{AllowLoopback: true}, ""},
		{"public", "8.8.8.8", Rules{}, ""},
		{"public IPv6", "2606:4700:4700::1111", Rules{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resolver := names(t, func(string) []string { return strings.Fields(tc.address) })
			if got := message(Checker{Rules: tc.rules, Resolver: resolver}.Check(t.Context(), "url", "https://a.example/")); got != tc.want {
				t.Errorf("Check(name of %q) = %q, want %q", tc.address, got, tc.want)
			}
		})
	}
	t.Run("bad URL", func(t *testing.T) {
		resolver := names(t, func(string) []string { t.Error("a bad URL was resolved"); return nil })
		if got := (Checker{Resolver: resolver}).Check(t.Context(), "url", "http://a.example/"); got == nil {
			t.Error("Check(http) = nil, want a problem")
		}
	})
	t.Run("no answer of DNS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			got := Checker{Resolver: deafNames()}.Check(t.Context(), "url", "https://a.example/")
			if d := time.Since(start); got != nil || d > lookupTime {
				t.Errorf("Check = %v after %v, want nil after at most %v", got, d, lookupTime)
			}
			time.Sleep(time.Minute) // virtual: until the resolver has given up
		})
	})
}
