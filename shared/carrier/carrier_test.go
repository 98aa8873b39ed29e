package carrier_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"gopkg.in/yaml.v3"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func TestParseName(t *testing.T) {
	for _, in := range []string{"", "AUSTRALIA_POST", "australia-post", "auspost", "star track", "startrack ", "ups", "australia_post/", "\x00"} {
		if got, err := carrier.ParseName("carrier_code", in); got != "" || !fault.Is(err, fault.NotSupported) || fault.Of(err)[0].Field != "carrier_code" {
			t.Errorf("ParseName(%q) = %q, %v, want not supported", in, got, err)
		}
	}
	for in, want := range map[string]carrier.Name{
		"australia_post": carrier.AustraliaPost, "startrack": carrier.StarTrack, "star_track": carrier.StarTrack,
	} {
		if got, err := carrier.ParseName("carrier_code", in); got != want || err != nil {
			t.Errorf("ParseName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	if a, s := carrier.AustraliaPost.FriendlyName(), carrier.StarTrack.FriendlyName(); a != "Australia Post" || s != "StarTrack" {
		t.Errorf("friendly names are %q and %q", a, s)
	}
}

func TestParseAccountID(t *testing.T) {
	tests := []struct {
		name, in string
		want     int64 // zero: refused
	}{
		{"empty", "", 0},
		{"prefix alone", "se-", 0},
		{"prefix twice", "se-se-1", 0},
		{"a leading zero", "0242822", 0},
		{"a leading zero behind the prefix", "se-01", 0},
		{"sixteen digits, small", "0000000000000001", 0},
		{"prefix in capitals", "SE-1", 0},
		{"zero", "0", 0},
		{"zero with prefix", "se-0", 0},
		{"plus", "+1", 0},
		{"plus behind the prefix", "se-+1", 0},
		{"minus", "-1", 0},
		{"minus behind the prefix", "se--1", 0},
		{"2^31", "2147483648", 0},
		{"over 64 bits", "18446744073709551617", 0},
		{"blank before", " 1", 0},
		{"blank behind", "1 ", 0},
		{"line break", "1\n", 0},
		{"digits of another script", "１２", 0},
		{"Arabic digits", "١", 0},
		{"underscore", "1_000", 0},
		{"hexadecimal", "0x10", 0},
		{"exponent", "1e3", 0},
		{"decimal", "1.0", 0},
		{"two", "1,2", 0},
		{"NUL", "1\x00", 0},

		{"one", "1", 1},
		{"largest", "2147483647", carrier.MaxID},
		{"as ShipEngine prints it", "se-242822", 242822},
		{"plain", "242822", 242822},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := carrier.ParseAccountID("account_id", tc.in)
			if got != tc.want || (err == nil) != (tc.want != 0) {
				t.Fatalf("ParseAccountID(%q) = %d, %v, want %d", tc.in, got, err, tc.want)
			}
			if err != nil && (!fault.Is(err, fault.Identifier) || fault.Of(err)[0].Field != "account_id") {
				t.Errorf("ParseAccountID(%q): %v, want an identifier problem of account_id", tc.in, err)
			}
		})
	}
}

// TestAccountIDsOfTheContract: what the contract's pattern takes is what
// ParseAccountID takes, for each parameter that is read with it.
func TestAccountIDsOfTheContract(t *testing.T) {
	text, err := os.ReadFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Parameters map[string]struct {
				Schema struct {
					Ref string `yaml:"$ref"`
				} `yaml:"schema"`
			} `yaml:"parameters"`
			Schemas struct {
				IDText struct {
					Pattern string `yaml:"pattern"`
				} `yaml:"IDText"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AccountIDInPath", "APIKeyIDInPath", "OnBehalfOf"} {
		if got := doc.Components.Parameters[name].Schema.Ref; got != "#/components/schemas/IDText" {
			t.Errorf("the parameter %s is a %q, want the schema IDText", name, got)
		}
	}
	pattern, err := regexp.Compile(doc.Components.Schemas.IDText.Pattern)
	if err != nil {
		t.Fatal(err)
	}
	check := func(s string) {
		t.Helper()
		if _, err := carrier.ParseAccountID("account_id", s); (err == nil) != pattern.MatchString(s) {
			t.Errorf("ParseAccountID(%q): %v; the contract takes it: %t", s, err, pattern.MatchString(s))
		}
	}
	for _, s := range []string{"", "se-", "SE-1", "+1", "-1", " 1", "1 ", "1\n", "1.0", "1e3", "0x10", "１２", "se-se-1"} {
		check(s)
	}
	// Around each power of ten and each prefix of the largest id, with up to two zeros in front.
	for n := int64(1); n <= 1e11; n *= 10 {
		for _, around := range []int64{0, n, 2 * n, carrier.MaxID / n * n, carrier.MaxID} {
			for id := max(0, around-12); id <= around+12; id++ {
				for _, zeros := range []string{"", "0", "00"} {
					digits := zeros + strconv.FormatInt(id, 10)
					check(digits)
					check("se-" + digits)
				}
			}
		}
	}
}

func TestParseConnectionID(t *testing.T) {
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"empty", "", false},
		{"prefix alone", "se-", false},
		{"no prefix", "1234567890123456", false},
		{"prefix in capitals", "SE-1", false},
		{"capitals", "se-A", false},
		{"hyphen inside", "se-1-2", false},
		{"blank", "se-1 ", false},
		{"line break", "se-1\n", false},
		{"slash", "se-../x", false},
		{"too long by one", "se-" + strings.Repeat("1", 23), false},
		{"beyond ASCII", "se-é", false},
		{"digits of another script", "se-１", false},
		{"NUL", "se-1\x00", false},

		{"one", "se-1", true},
		{"ShipEngine's", "se-28529731", true},
		{"letters", "se-abc123xyz", true},
		{"longest", "se-" + strings.Repeat("z", 22), true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := carrier.ParseConnectionID(tc.in)
			switch {
			case tc.ok && (got != tc.in || err != nil):
				t.Errorf("ParseConnectionID(%q) = %q, %v, want it back", tc.in, got, err)
			case !tc.ok && (got != "" || !fault.Is(err, fault.Identifier) || fault.Of(err)[0].Field != "carrier_id"):
				t.Errorf("ParseConnectionID(%q) = %q, %v, want an identifier problem", tc.in, got, err)
			}
		})
	}
}

func TestNewID(t *testing.T) {
	broken := errors.New("no entropy")
	if _, err := carrier.NewID(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewID of a failing reader: %v", err)
	}
	if _, err := carrier.NewID(strings.NewReader("abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("NewID of three bytes: %v", err)
	}
	zero, top, all := []byte{0, 0, 0, 0}, []byte{0x80, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff}
	for _, tc := range []struct {
		name   string
		random []byte
		want   int64
	}{
		{"smallest", []byte{0, 0, 0, 1}, 1},
		{"largest", all, carrier.MaxID},
		{"the sign bit is not used", []byte{0x80, 0, 0, 5}, 5},
		{"zero is drawn again", slices.Concat(zero, top, []byte{0, 0, 0, 7}), 7},
	} {
		if got, err := carrier.NewID(bytes.NewReader(tc.random)); got != tc.want || err != nil {
			t.Errorf("%s: NewID = %d, %v, want %d", tc.name, got, err, tc.want)
		}
	}
	seen := map[int64]bool{}
	for range 1000 {
		id, err := carrier.NewID(rand.Reader)
		if err != nil || id < 1 || id > math.MaxInt32 {
			t.Fatalf("NewID = %d, %v", id, err)
		}
		seen[id] = true
	}
	if len(seen) < 990 {
		t.Errorf("1000 ids are %d different ones", len(seen))
	}
}

func TestNewConnectionID(t *testing.T) {
	broken := errors.New("no entropy")
	if got, err := carrier.NewConnectionID(iotest.ErrReader(broken)); got != "" || !errors.Is(err, broken) {
		t.Errorf("NewConnectionID of a failing reader = %q, %v", got, err)
	}
	last := bytes.NewReader([]byte{0, 0x1f, 0xf9, 0x73, 0xca, 0xfa, 0x7f, 0xff}) // 9e15 - 1
	readers := []io.Reader{bytes.NewReader(make([]byte, 8)), last, bytes.NewReader(bytes.Repeat([]byte{0xff}, 8))}
	for range 1000 {
		readers = append(readers, rand.Reader)
	}
	seen := map[string]bool{}
	for _, r := range readers {
		id, err := carrier.NewConnectionID(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := carrier.ParseConnectionID(id); got != id || err != nil {
			t.Errorf("%q does not parse: %v", id, err)
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(id, "se-"), 10, 64)
		if err != nil || n < 1e15 || n >= 1e16 || len(id) != 19 {
			t.Errorf("NewConnectionID = %q, want se- and 16 digits", id)
		}
		seen[id] = true
	}
	if !seen["se-1000000000000000"] || !seen["se-9999999999999999"] || len(seen) != len(readers) {
		t.Errorf("%d ids are %d different ones, bounds included", len(readers), len(seen))
	}
}

func TestNewSecretVersion(t *testing.T) {
	broken := errors.New("no entropy")
	if got, err := carrier.NewSecretVersion(iotest.ErrReader(broken)); got != "" || !errors.Is(err, broken) {
		t.Errorf("NewSecretVersion of a failing reader = %q, %v", got, err)
	}
	seen := map[string]bool{}
	for range 100 {
		v, err := carrier.NewSecretVersion(rand.Reader)
		// AWS: a ClientRequestToken has 32 to 64 characters.
		if err != nil || len(v) < 32 || len(v) > 64 || seen[v] {
			t.Fatalf("NewSecretVersion = %q, %v", v, err)
		}
		seen[v] = true
	}
}

func TestPerEnvironment(t *testing.T) {
	of := carrier.PerEnvironment[string]{Production: "real", Sandbox: "simulator"}
	for env, want := range map[carrier.Environment]string{"": "", "PRODUCTION": "", "live": "", carrier.Production: "real", carrier.Sandbox: "simulator"} {
		if got, err := of.Of(env); got != want || (err == nil) != (want != "") {
			t.Errorf("Of(%q) = %q, %v, want %q", env, got, err, want)
		}
	}
}
