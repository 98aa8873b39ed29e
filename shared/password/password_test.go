package password_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/argon2"

	"carrierlink/shared/fault"
	"carrierlink/shared/password"
	"carrierlink/shared/secret"
)

func TestHash(t *testing.T) {
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$`)
	hashes := map[string]bool{}
	for _, text := range []string{"1234567", "1234567", strings.Repeat("😀", 128), "  blanks "} {
		hash, err := password.Hash(rand.Reader, secret.New(text))
		m := form.FindStringSubmatch(hash)
		if err != nil || m == nil {
			t.Fatalf("Hash of %d characters = %q, %v, want a PHC string", len([]rune(text)), hash, err)
		}
		salt, err1 := base64.RawStdEncoding.DecodeString(m[1])
		want, err2 := base64.RawStdEncoding.DecodeString(m[2])
		if err1 != nil || err2 != nil || len(salt) != 16 {
			t.Fatalf("salt %q, hash %q: %v, %v", m[1], m[2], err1, err2)
		}
		if got := argon2.IDKey([]byte(text), salt, 2, 19456, 1, 32); string(got) != string(want) {
			t.Errorf("the hash of %q is wrong", text)
		}
		if err := password.Check(hash, secret.New(text)); err != nil {
			t.Errorf("Check of the password that was hashed = %v", err)
		}
		if hashes[hash] {
			t.Error("two calls return the same hash: the salt does not change")
		}
		hashes[hash] = true
	}
	broken := errors.New("no entropy")
	if hash, err := password.Hash(iotest.ErrReader(broken), secret.New("1234567")); hash != "" || !errors.Is(err, broken) {
		t.Errorf("Hash without randomness = %q, %v", hash, err)
	}
}

// Hashes from the reference implementation's tests (P-H-C/phc-winner-argon2, test.c,
// "Argon2id").
const (
	known     = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	small     = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	twoLanes  = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
	otherWord = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"
	otherSalt = "$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw"
)

func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		name, hash, word string
		want             error
	}{
		{"no hash", "", "password", password.ErrAbsent},
		{"no hash, no password", "", "", password.ErrAbsent},
		{"another password", known, "passwore", password.ErrWrong},
		{"in capitals", known, "PASSWORD", password.ErrWrong},
		{"no password", known, "", password.ErrWrong},
		{"the start of the password", known, "passwor", password.ErrWrong},
		{"more than the password", known, "password\x00", password.ErrWrong},
		{"the hash of another password", otherWord, "password", password.ErrWrong},
		{"a different salt", strings.Replace(small, "c29tZXNhbHQ", "ZGlmZnNhbHQ", 1), "password", password.ErrWrong},
		{"a different cost", strings.Replace(small, "t=2", "t=3", 1), "password", password.ErrWrong},
		{"a digest cut short", small[:len(small)-11], "password", password.ErrWrong},
		{"not a PHC string", "password", "password", password.ErrMalformed},
		{"argon2i", strings.Replace(small, "argon2id", "argon2i", 1), "password", password.ErrMalformed},
		{"bcrypt", "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "password", password.ErrMalformed},
		{"an older version", strings.Replace(small, "v=19", "v=16", 1), "password", password.ErrMalformed},
		{"no version", strings.Replace(small, "$v=19", "", 1), "password", password.ErrMalformed},
		{"parameters out of order", strings.Replace(small, "m=256,t=2", "t=2,m=256", 1), "password", password.ErrMalformed},
		{"an extra parameter", strings.Replace(small, "p=1", "p=1,data=AA", 1), "password", password.ErrMalformed},
		{"a parameter with a leading zero", strings.Replace(small, "t=2", "t=02", 1), "password", password.ErrMalformed},
		{"too little memory", strings.Replace(small, "m=256", "m=7", 1), "password", password.ErrMalformed},
		{"too much memory", strings.Replace(small, "m=256", "m=4294967295", 1), "password", password.ErrMalformed},
		{"no passes", strings.Replace(small, "t=2", "t=0", 1), "password", password.ErrMalformed},
		{"too many passes", strings.Replace(small, "t=2", "t=4294967295", 1), "password", password.ErrMalformed},
		{"no lanes", strings.Replace(small, "p=1", "p=0", 1), "password", password.ErrMalformed},
		{"too many lanes", strings.Replace(small, "p=1", "p=256", 1), "password", password.ErrMalformed},
		{"a salt that is too short", strings.Replace(small, "c29tZXNhbHQ", "c29tZXM", 1), "password", password.ErrMalformed},
		{"no salt", strings.Replace(small, "c29tZXNhbHQ", "", 1), "password", password.ErrMalformed},
		{"a salt that is not base64", strings.Replace(small, "c29tZXNhbHQ", "c29tZXNhbH*", 1), "password", password.ErrMalformed},
		{"a digest with padding", small + "=", "password", password.ErrMalformed},
		{"no digest", small[:strings.LastIndex(small, "$")+1], "password", password.ErrMalformed},
		{"a digest of three bytes", small[:strings.LastIndex(small, "$")+5], "password", password.ErrMalformed},
		{"without the part for the digest", small[:strings.LastIndex(small, "$")], "password", password.ErrMalformed},
		{"an extra part", small + "$", "password", password.ErrMalformed},
		{"a trailing line break", small + "\n", "password", password.ErrMalformed},
		{"a leading blank", " " + small, "password", password.ErrMalformed},
	}
	shown := map[string]bool{}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			err := password.Check(tc.hash, secret.New(tc.word))
			if !errors.Is(err, tc.want) || !fault.Is(err, fault.Unauthorized) {
				t.Fatalf("Check(%q) = %v, want %v", tc.hash, err, tc.want)
			}
			shown[fault.Of(err)[0].Message] = true
			if want := "unauthorized: The email or the password is wrong.: " + tc.want.Error(); err.Error() != want {
				t.Errorf("Check(%q) = %q, want %q", tc.hash, err, want)
			}
		})
	}
	if len(shown) != 1 {
		t.Errorf("messages for callers = %v, want the same for every cause", shown)
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ name, hash, word string }{
		{"the reference's hash", known, "password"},
		{"little memory", small, "password"},
		{"two lanes", twoLanes, "password"},
		{"another password", otherWord, "differentpassword"},
		{"another salt", otherSalt, "password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := password.Check(tc.hash, secret.New(tc.word)); err != nil {
				t.Errorf("Check(%q) = %v", tc.hash, err)
			}
		})
	}
}

func TestWeaker(t *testing.T) {
	own, err := password.Hash(rand.Reader, secret.New("seven green kettles"))
	if err != nil {
		t.Fatal(err)
	}
	const tail = "$c29tZXNhbHQxMjM0NTY3OA$"
	long, short := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA"
	for _, tc := range []struct {
		name, hash string
		want       bool
	}{
		{"none", "", false},
		{"malformed", "$argon2id$v=19$m=1,t=1,p=1$a$b", false},
		{"less memory", "$argon2id$v=19$m=12288,t=3,p=1" + tail + long, true},
		{"fewer passes", "$argon2id$v=19$m=19456,t=1,p=1" + tail + long, true},
		{"a shorter digest", "$argon2id$v=19$m=19456,t=2,p=1" + tail + short, true},
		{"more memory", "$argon2id$v=19$m=65536,t=2,p=1" + tail + long, false},
		{"our own", own, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := password.Weaker(tc.hash); got != tc.want {
				t.Errorf("Weaker(%q) = %t, want %t", tc.hash, got, tc.want)
			}
		})
	}
}
