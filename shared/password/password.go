// Package password hashes and checks passwords with argon2id. It is separate from
// account so that only functions that take a password link argon2.
package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// cost holds the cost parameters of argon2id.
type cost struct {
	memoryKiB, passes uint32
	lanes             uint8
}

// current returns the cost of new hashes: 19 MiB and two passes on one lane (OWASP
// Password Storage Cheat Sheet, "Argon2id").
func current() cost { return cost{memoryKiB: 19 * 1024, passes: 2, lanes: 1} }

// Limits of the hashes that Check accepts: the memory that a function can spare, the
// passes that a request has time for, and sizes in bytes.
const (
	maxMemoryKiB         = 64 * 1024
	maxPasses            = 10
	minSalt, maxSalt     = 8, 64
	minDigest, maxDigest = 16, 64
)

// Bytes of the salt and the digest that Hash makes.
const (
	saltBytes   = 16
	digestBytes = 32
)

// Hash returns a PHC string, $argon2id$v=19$m=19456,t=2,p=1$salt$hash, with a salt
// read from random (crypto/rand.Reader outside tests).
func Hash(random io.Reader, password secret.Text) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	c := current()
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memoryKiB, c.passes, c.lanes,
		b64.EncodeToString(salt), b64.EncodeToString(c.digest(password, salt, digestBytes))), nil
}

func (c cost) digest(password secret.Text, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(password.Reveal()), salt, c.passes, c.memoryKiB, c.lanes, uint32(length)) //nolint:gosec // at most maxDigest
}

// The causes of Check's error, for the operator's log.
var (
	ErrWrong     = errors.New("the password is wrong")
	ErrAbsent    = errors.New("there is no password hash")
	ErrMalformed = errors.New("the password hash is malformed")
)

// Check compares a password with a PHC string; hash is empty for an account without a
// password. A mismatch is fault.Unauthorized with the same message in all cases, and
// with the cause ErrWrong, ErrAbsent or ErrMalformed. An absent or malformed hash takes
// as long to check as a hash made by Hash, so timing does not reveal who has a password.
func Check(hash string, password secret.Text) error {
	c, salt, want, err := parse(hash)
	if err != nil {
		c, salt, want = current(), make([]byte, saltBytes), make([]byte, digestBytes)
	}
	same := subtle.ConstantTimeCompare(c.digest(password, salt, len(want)), want) == 1
	switch {
	case err == nil && same:
		return nil
	case err == nil:
		err = ErrWrong
	}
	return &fault.Error{Kind: fault.Unauthorized, Message: "The email or the password is wrong.", Cause: err}
}

// parse reads a PHC string of argon2id. Errors: ErrAbsent, ErrMalformed.
func parse(hash string) (c cost, salt, digest []byte, err error) {
	if hash == "" {
		return cost{}, nil, nil, ErrAbsent
	}
	parts := strings.Split(hash, "$")
	if strings.ContainsAny(hash, "\r\n") || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost{}, nil, nil, ErrMalformed
	}
	c, ok := parseCost(parts[3])
	if !ok || c.lanes < 1 || c.passes < 1 || c.passes > maxPasses || c.memoryKiB < 8*uint32(c.lanes) || c.memoryKiB > maxMemoryKiB {
		return cost{}, nil, nil, ErrMalformed
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	digest, digestErr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if errors.Join(saltErr, digestErr) != nil || len(salt) < minSalt || len(salt) > maxSalt || len(digest) < minDigest || len(digest) > maxDigest {
		return cost{}, nil, nil, ErrMalformed
	}
	return c, salt, digest, nil
}

// parseCost reads m=19456,t=2,p=1 and no other spelling of it. It does without fmt.Sscanf, which no other
// code links.
func parseCost(text string) (cost, bool) {
	memory, rest, _ := strings.Cut(strings.TrimPrefix(text, "m="), ",t=")
	passes, lanes, _ := strings.Cut(rest, ",p=")
	m, memoryErr := strconv.ParseUint(memory, 10, 32)
	t, passesErr := strconv.ParseUint(passes, 10, 32)
	p, lanesErr := strconv.ParseUint(lanes, 10, 8)
	c := cost{uint32(m), uint32(t), uint8(p)}
	return c, errors.Join(memoryErr, passesErr, lanesErr) == nil && text == fmt.Sprintf("m=%d,t=%d,p=%d", m, t, p)
}

// Weaker reports whether a hash costs less than one that Hash makes: it should be replaced
// when its password is known. A hash that is absent or malformed has no cost and is not weaker.
func Weaker(hash string) bool {
	c, _, digest, err := parse(hash)
	now := current()
	return err == nil && (c.memoryKiB < now.memoryKiB || c.passes < now.passes || len(digest) < digestBytes)
}
