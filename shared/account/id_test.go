package account_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"gopkg.in/yaml.v3"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

func TestParseID(t *testing.T) {
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
		{"largest", "2147483647", account.MaxID},
		{"as ShipEngine prints it", "se-242822", 242822},
		{"plain", "242822", 242822},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := account.ParseID("account_id", tc.in)
			if got != tc.want || (err == nil) != (tc.want != 0) {
				t.Fatalf("ParseID(%q) = %d, %v, want %d", tc.in, got, err, tc.want)
			}
			if err != nil && (!fault.Is(err, fault.Identifier) || fault.Of(err)[0].Field != "account_id") {
				t.Errorf("ParseID(%q): %v, want an identifier problem of account_id", tc.in, err)
			}
		})
	}
}

// TestIDsOfTheContract: ParseID accepts what the contract's pattern accepts, and every
// parameter that is parsed with it has that pattern.
func TestIDsOfTheContract(t *testing.T) {
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
			t.Errorf("parameter %s has the schema %q, want IDText", name, got)
		}
	}
	pattern, err := regexp.Compile(doc.Components.Schemas.IDText.Pattern)
	if err != nil {
		t.Fatal(err)
	}
	check := func(s string) {
		t.Helper()
		if _, err := account.ParseID("account_id", s); (err == nil) != pattern.MatchString(s) {
			t.Errorf("ParseID(%q): %v; the contract accepts it: %t", s, err, pattern.MatchString(s))
		}
	}
	for _, s := range []string{"", "se-", "SE-1", "+1", "-1", " 1", "1 ", "1\n", "1.0", "1e3", "0x10", "１２", "se-se-1"} {
		check(s)
	}
	// Around each power of ten and each prefix of MaxID, with up to two leading zeros.
	for n := int64(1); n <= 1e11; n *= 10 {
		for _, around := range []int64{0, n, 2 * n, account.MaxID / n * n, account.MaxID} {
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

func TestNewID(t *testing.T) {
	broken := errors.New("no entropy")
	if _, err := account.NewID(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewID of a failing reader: %v", err)
	}
	if _, err := account.NewID(strings.NewReader("abc")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("NewID of three bytes: %v", err)
	}
	zero, top, all := []byte{0, 0, 0, 0}, []byte{0x80, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff}
	for _, tc := range []struct {
		name   string
		random []byte
		want   int64
	}{
		{"smallest", []byte{0, 0, 0, 1}, 1},
		{"largest", all, account.MaxID},
		{"the sign bit is not used", []byte{0x80, 0, 0, 5}, 5},
		{"zero is drawn again", slices.Concat(zero, top, []byte{0, 0, 0, 7}), 7},
	} {
		if got, err := account.NewID(bytes.NewReader(tc.random)); got != tc.want || err != nil {
			t.Errorf("%s: NewID = %d, %v, want %d", tc.name, got, err, tc.want)
		}
	}
	seen := map[int64]bool{}
	for range 1000 {
		id, err := account.NewID(rand.Reader)
		if err != nil || id < 1 || id > math.MaxInt32 {
			t.Fatalf("NewID = %d, %v", id, err)
		}
		seen[id] = true
	}
	if len(seen) < 990 {
		t.Errorf("1000 ids have %d different values", len(seen))
	}
}
