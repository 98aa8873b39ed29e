package connection_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

func TestParseID(t *testing.T) {
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
			got, err := connection.ParseID(tc.in)
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
	if got, err := connection.NewID(iotest.ErrReader(broken)); got != "" || !errors.Is(err, broken) {
		t.Errorf("NewConnectionID of a failing reader = %q, %v", got, err)
	}
	last := bytes.NewReader([]byte{0, 0x1f, 0xf9, 0x73, 0xca, 0xfa, 0x7f, 0xff}) // 9e15 - 1
	readers := []io.Reader{bytes.NewReader(make([]byte, 8)), last, bytes.NewReader(bytes.Repeat([]byte{0xff}, 8))}
	for range 1000 {
		readers = append(readers, rand.Reader)
	}
	seen := map[string]bool{}
	for _, r := range readers {
		id, err := connection.NewID(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := connection.ParseID(id); got != id || err != nil {
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
	if got, err := connection.NewSecretVersion(iotest.ErrReader(broken)); got != "" || !errors.Is(err, broken) {
		t.Errorf("NewSecretVersion of a failing reader = %q, %v", got, err)
	}
	seen := map[string]bool{}
	for range 100 {
		v, err := connection.NewSecretVersion(rand.Reader)
		// AWS: a ClientRequestToken has 32 to 64 characters.
		if err != nil || len(v) < 32 || len(v) > 64 || seen[v] {
			t.Fatalf("NewSecretVersion = %q, %v", v, err)
		}
		seen[v] = true
	}
}
