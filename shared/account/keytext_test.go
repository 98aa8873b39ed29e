package account_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	mathrand "math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func environments() map[carrier.Environment]string {
	return map[carrier.Environment]string{carrier.Production: "cl_live_", carrier.Sandbox: "cl_test_"}
}

func newKey(t *testing.T, env carrier.Environment, partnerID, accountID int64) account.Key {
	t.Helper()
	k, err := account.NewKey(rand.Reader, env, partnerID, accountID)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// inBase62 and withSum are independent implementations of the key format.
func inBase62(n int64, digits int) string {
	s := strings.Map(func(r rune) rune {
		switch { // math/big has the small letters first
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, big.NewInt(n).Text(62))
	return strings.Repeat("0", digits-len(s)) + s
}

func withSum(body string) string {
	return body + inBase62(int64(crc32.ChecksumIEEE([]byte(body))), 6)
}

func TestKeyRoundTrip(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(5, 6))
	ids := []int64{1, 2, 61, 62, 63, account.MaxID - 1, account.MaxID}
	for range 200 {
		ids = append(ids, 1+random.Int64N(account.MaxID))
	}
	form := regexp.MustCompile(`^cl_(live|test)_[0-9A-Za-z]{42}$`)
	seen := map[string]bool{}
	for env, prefix := range environments() {
		for _, id := range ids {
			for _, want := range []account.Key{{Environment: env, PartnerID: id}, {Environment: env, AccountID: id}} {
				made, err := account.NewKey(rand.Reader, env, want.PartnerID, want.AccountID)
				if err != nil {
					t.Fatal(err)
				}
				text := made.Text.Reveal()
				if !form.MatchString(text) || !strings.HasPrefix(text, prefix) || made.Prefix() != text[:14] {
					t.Fatalf("key %q, prefix %q", text, made.Prefix())
				}
				if sum := sha256.Sum256([]byte(text)); made.Hash() != hex.EncodeToString(sum[:]) {
					t.Fatalf("Hash() = %s, want the SHA-256 of the text", made.Hash())
				}
				got, ok := account.ParseKey(text)
				if !ok || got.Environment != env || got.PartnerID != want.PartnerID || got.AccountID != want.AccountID || got.Text.Reveal() != text {
					t.Fatalf("ParseKey(%q) = %+v, %t, want %+v", text, got, ok, want)
				}
				if seen[text] {
					t.Fatalf("NewKey made %q twice", text)
				}
				seen[text] = true
			}
		}
	}
	// A merchant key names only the account, not the partner.
	if k := newKey(t, carrier.Production, 5, 7); k.PartnerID != 0 || k.AccountID != 7 {
		t.Errorf("key of account 7 of partner 5: %+v", k)
	}
}

func TestKeyHas178RandomBits(t *testing.T) {
	zero, err := account.NewKey(bytes.NewReader(make([]byte, 24)), carrier.Production, 0, 7)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := zero.Text.Reveal(), withSum("cl_live_000007"+strings.Repeat("0", 30)); got != want {
		t.Errorf("key of zeros = %q, want %q", got, want)
	}
	// Each of the lowest 178 bits changes the key.
	seen := map[string]bool{zero.Text.Reveal(): true}
	for bit := range 178 {
		b := make([]byte, 24)
		b[23-bit/8] = 1 << (bit % 8)
		k, err := account.NewKey(bytes.NewReader(b), carrier.Production, 0, 7)
		if err != nil || seen[k.Text.Reveal()] {
			t.Fatalf("bit %d does not change the key: %q, %v", bit, k.Text.Reveal(), err)
		}
		seen[k.Text.Reveal()] = true
	}
	broken := errors.New("no entropy")
	if _, err := account.NewKey(iotest.ErrReader(broken), carrier.Production, 0, 7); !errors.Is(err, broken) {
		t.Errorf("NewKey of a failing reader: %v", err)
	}
	if _, err := account.NewKey(bytes.NewReader(make([]byte, 23)), carrier.Production, 0, 7); err == nil {
		t.Error("NewKey of 23 bytes succeeds")
	}
}

func TestParseKeyOwner(t *testing.T) {
	const bit = account.MaxID + 1
	tests := []struct {
		name             string
		owner            int64
		partner, account int64
	}{
		{"nobody", 0, 0, 0},
		{"the partner of nobody", bit, 0, 0},
		{"past the partners", 2 * bit, 0, 0},
		{"past the partners by one", 2*bit + 1, 0, 0},
		{"the most that six digits hold", 62*62*62*62*62*62 - 1, 0, 0},
		{"first account", 1, 0, 1},
		{"last account", bit - 1, 0, account.MaxID},
		{"first partner", bit + 1, 1, 0},
		{"last partner", 2*bit - 1, account.MaxID, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			text := withSum("cl_live_" + inBase62(tc.owner, 6) + strings.Repeat("x", 30))
			got, ok := account.ParseKey(text)
			if ok != (tc.partner+tc.account > 0) || got.PartnerID != tc.partner || got.AccountID != tc.account {
				t.Errorf("ParseKey(%q) = %+v, %t, want partner %d, account %d", text, got, ok, tc.partner, tc.account)
			}
		})
	}
	if _, ok := account.ParseKey(withSum("cl_live_" + "00000!" + strings.Repeat("x", 30))); ok {
		t.Error("ParseKey accepts an owner that is not base62")
	}
}

// slips returns every text that differs from text by one typing or copying mistake.
func slips(text string) map[string]string {
	m := map[string]string{
		"nothing": "", "prefix alone": "cl_live_", "prefix in capitals": "CL_LIVE_" + text[8:], "another prefix": "sk_live_" + text[8:],
		"the other environment's prefix": "cl_test_" + text[8:], "no prefix": text[8:], "Bearer": "Bearer " + text,
		"blank before": " " + text, "blank behind": text + " ", "line break behind": text + "\n", "twice": text + text,
		"in capitals": strings.ToUpper(text), "in lower case": strings.ToLower(text), "quoted": `"` + text + `"`,
	}
	for i := range len(text) {
		for _, c := range alphabet + "_-. \x00é" {
			m[fmt.Sprintf("character %d becomes %q", i, c)] = text[:i] + string(c) + text[i+1:]
		}
		m[fmt.Sprintf("without character %d", i)] = text[:i] + text[i+1:]
		m[fmt.Sprintf("character %d twice", i)] = text[:i] + text[i:i+1] + text[i:]
		m[fmt.Sprintf("cut after %d", i)] = text[:i]
		if i > 0 {
			m[fmt.Sprintf("%d and %d swapped", i-1, i)] = text[:i-1] + text[i:i+1] + text[i-1:i] + text[i+1:]
		}
	}
	for name, s := range m {
		if s == text {
			delete(m, name)
		}
	}
	return m
}

func TestParseKeyRefusesSlips(t *testing.T) {
	for _, k := range []account.Key{newKey(t, carrier.Production, 0, 242822), newKey(t, carrier.Production, 7, 0)} {
		for name, text := range slips(k.Text.Reveal()) {
			if got, ok := account.ParseKey(text); ok || got != (account.Key{}) {
				t.Errorf("%s of %q: ParseKey(%q) = %+v, %t", name, k.Text.Reveal(), text, got, ok)
			}
		}
	}
}

func TestMakeKey(t *testing.T) {
	in := account.APIKey{PartnerID: 5, AccountID: 7, Environment: carrier.Sandbox, Description: "d"}
	made, err := account.MakeKey(rand.Reader, in)
	if err != nil {
		t.Fatal(err)
	}
	k, text := made.APIKey, made.Text
	parsed, ok := account.ParseKey(text.Reveal())
	if !ok || parsed.AccountID != 7 || parsed.Environment != carrier.Sandbox {
		t.Errorf("MakeKey's text parses as %+v, %t", parsed, ok)
	}
	want := in
	want.ID, want.Hash, want.Prefix, want.LastFour = k.ID, parsed.Hash(), text.Reveal()[:14], text.Reveal()[46:]
	if !cmp.Equal(k, want) || k.ID < 1 || len(k.LastFour) != 4 {
		t.Errorf("MakeKey = %+v, want %+v", k, want)
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", k, k), text.Reveal()[14:44]) {
		t.Error("the APIKey contains the text of the key")
	}
	broken := errors.New("no entropy")
	for n := range 28 {
		if made, err := account.MakeKey(iotest.TimeoutReader(bytes.NewReader(bytes.Repeat([]byte{1}, n))), in); err == nil || made != nil {
			t.Errorf("MakeKey of %d random bytes succeeds", n)
		}
	}
	if _, err := account.MakeKey(iotest.ErrReader(broken), in); !errors.Is(err, broken) {
		t.Errorf("MakeKey of a failing reader: %v", err)
	}
}
