// Package seal encrypts what must be stored and read back (answers under an
// idempotency key), and signs what leaves and comes back, both under the one
// secret of the stack. The secret is read when it is first needed.
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

// ErrForged is the cause when a sealed text was changed, or belongs to another
// owner or item.
var ErrForged = errors.New("sealed text does not open")

// Sealer seals and signs. It is safe for concurrent use.
type Sealer struct {
	secret func(context.Context) (secret.Text, error)
}

// New makes a sealer over a reader of the service secret, which should cache.
func New(secret func(context.Context) (secret.Text, error)) *Sealer {
	return &Sealer{secret: secret}
}

// key derives a key of 32 bytes for one purpose: a seal is never made with the
// key of a signature.
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

// Seal encrypts plain with AES-256-GCM. owner names whose it is and which item
// it stands in; Open wants the same one.
func (s *Sealer) Seal(ctx context.Context, owner string, plain []byte) ([]byte, error) {
	aead, err := s.aead(ctx)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(owner)), nil //nolint:gosec // the cipher draws its own nonce and puts it in front
}

// Open decrypts what Seal made for the same owner; else ErrForged.
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

// MAC signs parts with HMAC-SHA256. Each part is preceded by its length, so
// that no two lists of parts have the same signature.
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
