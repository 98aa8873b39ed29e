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

// A key is a prefix, 6 base62 digits of its owner's id, 30 random digits (178 bits) and
// 6 digits of a CRC-32 of everything before. So a mistyped key is detected without a
// remote call, and the owner's items can be read concurrently with the key.
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

// Key is an API key with its text, as its owner has it. APIKey is what we store of it.
type Key struct {
	Environment carrier.Environment
	PartnerID   int64 // zero for a merchant key
	AccountID   int64 // zero for a partner key
	Text        secret.Text
}

// Hash returns the SHA-256 of the key's text, in hex, by which the key is stored. The
// key has too many random bits for a search, so it needs no salt and no slow hash.
func (k Key) Hash() string {
	sum := k.Text.Digest("")
	return hex.EncodeToString(sum[:])
}

// Prefix returns the first characters of the key, which people may see.
func (k Key) Prefix() string { return k.Text.Reveal()[:len(livePrefix)+ownerDigits] }

// NewKey makes a key for a partner (accountID zero) or a merchant account.
func NewKey(r io.Reader, env carrier.Environment, partnerID, accountID int64) (Key, error) {
	prefix, owner := livePrefix, accountID
	if env == carrier.Sandbox {
		prefix = testPrefix
	}
	key := Key{Environment: env, AccountID: accountID}
	if accountID == 0 {
		owner, key.PartnerID = partnerID|partnerBit, partnerID
	}
	text, err := MakeText(r, prefix, owner)
	if err != nil {
		return Key{}, err
	}
	key.Text = secret.New(text)
	return key, nil
}

// ParseKey parses the text of a key; ok is false if it is not well-formed.
func ParseKey(text string) (key Key, ok bool) {
	prefix := livePrefix
	key.Environment = carrier.Production
	if strings.HasPrefix(text, testPrefix) {
		prefix, key.Environment = testPrefix, carrier.Sandbox
	}
	ids, ok := ParseText(text, prefix, 1)
	if !ok {
		return Key{}, false
	}
	switch owner := ids[0]; {
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

// MakeText makes a text that cannot be guessed and names ids, each from 0 to 2^32: a prefix,
// ids, random digits and checksum.
func MakeText(r io.Reader, prefix string, ids ...int64) (string, error) {
	// 192 bits are so many more than 62^30 needs that the bias is negligible.
	var random [24]byte
	if _, err := io.ReadFull(r, random[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	var b strings.Builder
	b.WriteString(prefix)
	for _, id := range ids {
		b.WriteString(base62(big.NewInt(id), ownerDigits))
	}
	b.WriteString(base62(new(big.Int).SetBytes(random[:]), randomDigits))
	return b.String() + checksum(b.String()), nil
}

// ParseText returns the n ids of a text that MakeText has made with a prefix; ok is false for
// any other text.
func ParseText(text, prefix string, n int) (ids []int64, ok bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != n*ownerDigits+randomDigits+sumDigits {
		return nil, false
	}
	body := text[:len(text)-sumDigits]
	if text[len(body):] != checksum(body) {
		return nil, false
	}
	for i := range n {
		var id int64
		for _, c := range []byte(rest[i*ownerDigits : (i+1)*ownerDigits]) {
			digit := strings.IndexByte(alphabet, c)
			if digit < 0 {
				return nil, false
			}
			id = id*int64(len(alphabet)) + int64(digit)
		}
		ids = append(ids, id)
	}
	return ids, true
}

// LooksLikeKey reports whether a text has the prefix of a key, in either case.
func LooksLikeKey(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return strings.HasPrefix(text, livePrefix) || strings.HasPrefix(text, testPrefix)
}

func checksum(body string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), sumDigits)
}

// base62 returns the lowest digits of n, with leading zeros.
func base62(n *big.Int, digits int) string {
	out := make([]byte, digits)
	rest, base, digit := new(big.Int).Set(n), big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		rest.DivMod(rest, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

// IssuedKey is a new key with its text, which is known only now.
type IssuedKey struct {
	APIKey
	Text secret.Text
}

// MakeKey makes a key for the owner that k names, and fills in id, hash, prefix, last four
// characters and WarnAt. The text is stored nowhere.
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
	k.WarnAt = k.nextWarning(k.CreatedAt)
	return &IssuedKey{k, key.Text}, nil
}
