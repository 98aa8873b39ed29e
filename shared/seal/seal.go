// Package seal encrypts data that is stored and read back, such as answers under an
// Idempotency-Key, and signs data that callers send back, such as cursors. Its keys
// are derived from those of the service secret, which can be rotated
// (infra/docs/decisions/0044-rotation-of-the-service-secret.md).
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
	"log/slog"
	"sync"
	"time"

	"carrierlink/shared/secret"
)

// ErrForged means that sealed data was changed, was sealed for another owner, or is
// older than its key may be.
var ErrForged = errors.New("sealed data cannot be opened")

const (
	// macSize is the length of what MAC returns, in bytes.
	macSize = sha256.Size
	// minMAC is the least that Verify accepts of it.
	minMAC = 16
)

// Sealer seals and signs. It is safe for concurrent use.
type Sealer struct {
	read func(context.Context) (secret.Text, error)
	now  func() time.Time

	mu      sync.Mutex // held while the secret is read, so that concurrent uses make one call
	keys    []key      // nil before the first read
	readAt  time.Time  // when keys were read
	triedAt time.Time  // when the secret was last read, or a try failed
	failed  error      // of the last try
}

// New makes a sealer. read reads the service secret: when it is first needed, again
// when the copy is CopyLife old, and at most once in RereadGap when data has a key
// that the copy does not have.
func New(read func(context.Context) (secret.Text, error), now func() time.Time) *Sealer {
	return &Sealer{read: read, now: now}
}

// load returns the keys as they were at most maxAge ago, or as they were when the
// secret was last read, if that was in the last RereadGap. err is that of the last try;
// without keys it is always set.
func (s *Sealer) load(ctx context.Context, maxAge time.Duration) (keys []key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.keys != nil && (now.Sub(s.readAt) < maxAge || now.Sub(s.triedAt) < RereadGap) {
		return s.keys, s.failed
	}
	text, err := s.read(ctx)
	if err == nil {
		keys, err = parse(text)
	}
	if err == nil {
		s.keys, s.readAt, s.triedAt, s.failed = keys, now, now, nil
		return s.keys, nil
	}
	err = fmt.Errorf("reading the service secret: %w", err)
	if s.keys != nil && ctx.Err() == nil { // a request that ended says nothing about the secret
		s.triedAt, s.failed = now, err
		slog.WarnContext(ctx, "service secret not read again", slog.String("error", err.Error()))
	}
	return s.keys, err
}

// current returns the key that seals and signs: the last one that is used by now. A copy
// that cannot be renewed goes on serving.
func (s *Sealer) current(ctx context.Context) (*key, error) {
	keys, err := s.load(ctx, CopyLife)
	if keys == nil {
		return nil, err
	}
	last, now := len(keys)-1, s.now().Unix()
	for last > 0 && keys[last].from > now {
		last--
	}
	return &keys[last], nil
}

// find reports whether opens succeeds with a key that data may be from: data begins
// with the key's id. If it is from none, the secret is read again. The error says that
// this could not be done.
func (s *Sealer) find(ctx context.Context, data []byte, opens func(*key) (bool, error)) (bool, error) {
	keys, err := s.load(ctx, CopyLife)
	if keys == nil {
		return false, err
	}
	for again := false; ; again = true {
		known := false
		keys = valid(keys, s.now())
		for i := range keys {
			k := &keys[i]
			if len(data) < len(k.id) || string(data[:len(k.id)]) != k.id {
				continue
			}
			if ok, err := opens(k); ok || err != nil {
				return ok, err
			}
			known = known || len(k.id) > 0
		}
		if known || again {
			return false, nil
		}
		if keys, err = s.load(ctx, RereadGap); err != nil {
			return false, err
		}
	}
}

// Seal encrypts plain with AES-256-GCM. owner names the owner of the data and the item
// that holds it; Open needs the same value.
func (s *Sealer) Seal(ctx context.Context, owner string, plain []byte) ([]byte, error) {
	k, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte(k.id), nil, plain, []byte(owner)), nil //nolint:gosec // the cipher makes a random nonce and prepends it
}

// Open decrypts data that Seal made for the same owner; otherwise it is ErrForged. Any
// other error says that the service secret cannot be read.
func (s *Sealer) Open(ctx context.Context, owner string, sealed []byte) (plain []byte, err error) {
	ok, err := s.find(ctx, sealed, func(k *key) (bool, error) {
		aead, err := k.aead()
		if err != nil {
			return false, err
		}
		opened, err := aead.Open(nil, nil, sealed[len(k.id):], []byte(owner))
		plain = opened
		return err == nil, nil
	})
	if err == nil && !ok {
		err = ErrForged
	}
	return plain, err
}

// SettledSince returns since when no process seals with an older key than the current one:
// settled after that was first used, because a copy of the secret may be old. It is zero
// while there was one key only. What is to be opened for longer than KeptAfter, and was
// sealed before, has to be sealed again.
func (s *Sealer) SettledSince(ctx context.Context) (time.Time, error) {
	keys, err := s.load(ctx, CopyLife)
	if keys == nil {
		return time.Time{}, err
	}
	for i := len(keys) - 1; i > 0; i-- {
		if at := time.Unix(keys[i].from, 0).Add(settled); !at.After(s.now()) {
			return at, nil
		}
	}
	return time.Time{}, nil
}

// MAC signs parts with HMAC-SHA256: 32 bytes, of which the first four are the key's id
// if it has one. Each part is preceded by its length, so different lists of parts are
// never signed as the same bytes.
func (s *Sealer) MAC(ctx context.Context, purpose string, parts ...[]byte) ([]byte, error) {
	k, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return k.mac(purpose, parts)
}

// Verify reports whether mac is what MAC returned for the same purpose and parts, or
// its first 16 bytes or more. Its error says that the service secret cannot be read.
func (s *Sealer) Verify(ctx context.Context, mac []byte, purpose string, parts ...[]byte) (bool, error) {
	if len(mac) < minMAC || len(mac) > macSize {
		return false, nil
	}
	return s.find(ctx, mac, func(k *key) (bool, error) {
		want, err := k.mac(purpose, parts)
		return err == nil && hmac.Equal(want[:len(mac)], mac), err
	})
}

// derive derives the 32-byte key of one purpose.
func (k *key) derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(k.text.Reveal()), nil, "carrierlink "+purpose, 32)
}

func (k *key) aead() (cipher.AEAD, error) {
	derived, err := k.derive("seal v1")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *key) mac(purpose string, parts [][]byte) ([]byte, error) {
	derived, err := k.derive("mac v1 " + purpose)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, derived)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum([]byte(k.id))[:macSize], nil
}
