package account

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"

	"carrierlink/shared/carrier"
	"carrierlink/shared/secret"
)

// A key is a prefix, 6 base62 digits that name its owner, 30 random ones (178
// bits) and 6 of a CRC32 over all before: a mistyped key is found without a
// remote call, and the owner's items can be read beside the key's.
const (
	livePrefix   = "cl_live_"
	testPrefix   = "cl_test_"
	ownerDigits  = 6
	randomDigits = 30
	sumDigits    = 6
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// partnerBit is set in the owner digits of a partner key; ids stay below it.
const partnerBit = MaxID + 1

// Key is an API key as its owner holds it, with its text; APIKey is what we keep of it.
type Key struct {
	Environment carrier.Environment
	PartnerID   int64 // of a partner key, else 0
	AccountID   int64 // of a merchant key, else 0
	Text        secret.Text
}

// Hash is what is stored of a key: the SHA-256 of its text, in hex. A key has
// too many random bits for a search, so it needs no salt and no slow hash.
func (k Key) Hash() string {
	sum := k.Text.Digest("")
	return hex.EncodeToString(sum[:])
}

// Prefix is what a person may see of a key besides its last four characters.
func (k Key) Prefix() string { return k.Text.Reveal()[:len(livePrefix)+ownerDigits] }

// NewKey makes a key for a partner (accountID 0) or a merchant account.
func NewKey(r io.Reader, env carrier.Environment, partnerID, accountID int64) (Key, error) {
	prefix, owner := livePrefix, accountID
	if env == carrier.Sandbox {
		prefix = testPrefix
	}
	key := Key{Environment: env, AccountID: accountID}
	if accountID == 0 {
		owner, key.PartnerID = partnerID|partnerBit, partnerID
	}
	// 24 bytes are 192 bits: the excess over 62^30 leaves no bias that counts.
	var random [24]byte
	if _, err := io.ReadFull(r, random[:]); err != nil {
		return Key{}, fmt.Errorf("reading randomness: %w", err)
	}
	body := prefix + base62(big.NewInt(owner), ownerDigits) + base62(new(big.Int).SetBytes(random[:]), randomDigits)
	key.Text = secret.New(body + checksum(body))
	return key, nil
}

// ParseKey reads a key's text; ok is false for what cannot be one.
func ParseKey(text string) (key Key, ok bool) {
	key.Environment = carrier.Production
	rest, ok := strings.CutPrefix(text, livePrefix)
	if !ok {
		if rest, ok = strings.CutPrefix(text, testPrefix); !ok {
			return Key{}, false
		}
		key.Environment = carrier.Sandbox
	}
	if len(rest) != ownerDigits+randomDigits+sumDigits {
		return Key{}, false
	}
	body := text[:len(text)-sumDigits]
	if text[len(body):] != checksum(body) {
		return Key{}, false
	}
	var owner int64
	for _, c := range []byte(rest[:ownerDigits]) {
		digit := strings.IndexByte(alphabet, c)
		if digit < 0 {
			return Key{}, false
		}
		owner = owner*int64(len(alphabet)) + int64(digit)
	}
	switch {
	case owner > 0 && owner < partnerBit:
		key.AccountID = owner
	case owner > partnerBit && owner < 2*partnerBit:
		key.PartnerID = owner - partnerBit
	default:
		return Key{}, false
	}
	key.Text = secret.New(text)
	return key, true
}

func checksum(body string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), sumDigits)
}

// base62 writes the lowest digits of n, zeros in front.
func base62(n *big.Int, digits int) string {
	out := make([]byte, digits)
	rest, base, digit := new(big.Int).Set(n), big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		rest.DivMod(rest, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

// IssuedKey is a key that was just made: the one time that its text is known.
type IssuedKey struct {
	APIKey
	Text secret.Text
}

// MakeKey makes the key of an owner (AccountID, or PartnerID alone) and fills
// in what we keep of it. Its text is returned once and stored nowhere.
func MakeKey(r io.Reader, k APIKey) (*IssuedKey, error) {
	id, err := NewID(r)
	if err != nil {
		return nil, err
	}
	key, err := NewKey(r, k.Environment, k.PartnerID, k.AccountID)
	if err != nil {
		return nil, err
	}
	k.ID, k.Hash, k.Prefix, k.LastFour = id, key.Hash(), key.Prefix(), key.Text.LastFour()
	return &IssuedKey{k, key.Text}, nil
}
