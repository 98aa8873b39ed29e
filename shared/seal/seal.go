// Package seal encrypts data that is stored and read back, such as answers under an
// Idempotency-Key, and signs data that callers send back, such as cursors. Its keys
// are derived from the service secret.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"carrierlink/shared/secret"
)

// ErrForged means that sealed data was changed, or was sealed for another owner.
var ErrForged = errors.New("sealed data cannot be opened")

// Sealer seals and signs. It is safe for concurrent use.
type Sealer struct {
	secret func(context.Context) (secret.Text, error)
}

// New makes a sealer. It calls secret, which should cache, for every operation.
func New(secret func(context.Context) (secret.Text, error)) *Sealer {
	return &Sealer{secret: secret}
}

// key derives the 32-byte key of one purpose.
func (s *Sealer) key(ctx context.Context, purpose string) ([]byte, error) {
	secret, err := s.secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the service secret: %w", err)
	}
	return hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "carrierlink "+purpose, 32)
}

func (s *Sealer) aead(ctx context.Context) (cipher.AEAD, error) {
	key, err := s.key(ctx, "seal v1")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts plain with AES-256-GCM. owner names the owner of the data and the item
// that holds it; Open needs the same value.
func (s *Sealer) Seal(ctx context.Context, owner string, plain []byte) ([]byte, error) {
	aead, err := s.aead(ctx)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(owner)), nil //nolint:gosec // the cipher makes a random nonce and prepends it
}

// Open decrypts data that Seal made for the same owner; otherwise it is ErrForged.
func (s *Sealer) Open(ctx context.Context, owner string, sealed []byte) ([]byte, error) {
	aead, err := s.aead(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(owner))
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

// MAC signs parts with HMAC-SHA256. Each part is preceded by its length, so different
// lists of parts are never signed as the same bytes.
func (s *Sealer) MAC(ctx context.Context, purpose string, parts ...[]byte) ([]byte, error) {
	key, err := s.key(ctx, "mac v1 "+purpose)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil), nil
}
