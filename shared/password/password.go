// Package password hashes passwords and checks them, with argon2id. It is apart
// from the domain so that only functions that take a password link argon2.
package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"

	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// cost is what a hash costs to make.
type cost struct {
	memoryKiB, passes uint32
	lanes             uint8
}

// current returns the cost of new hashes: 19 MiB and two passes on one lane (OWASP
// Password Storage Cheat Sheet, "Argon2id").
func current() cost { return cost{memoryKiB: 19 * 1024, passes: 2, lanes: 1} }

// A hash asks for no more memory than a function can spare, and for no more passes
// than a request has time for.
const (
	mostMemoryKiB = 64 * 1024
	mostPasses    = 10
)

// Bytes of the salt and the hash that Hash makes, and of those that Check takes.
const (
	saltBytes               = 16
	hashBytes               = 32
	leastSalt, mostSalt     = 8, 64
	leastDigest, mostDigest = 16, 64
)

// Hash makes a PHC string, $argon2id$v=19$m=19456,t=2,p=1$salt$hash, with a salt
// from random (crypto/rand.Reader outside tests).
func Hash(random io.Reader, password secret.Text) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	c := current()
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memoryKiB, c.passes, c.lanes,
		b64.EncodeToString(salt), b64.EncodeToString(c.digest(password, salt, hashBytes))), nil
}

func (c cost) digest(password secret.Text, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(password.Reveal()), salt, c.passes, c.memoryKiB, c.lanes, uint32(length)) //nolint:gosec // at most mostDigest
}

// Why Check refuses a password, for the operator: the error that it returns has
// one of these in its chain.
var (
	ErrWrong     = errors.New("the password is wrong")
	ErrAbsent    = errors.New("there is no password hash")
	ErrMalformed = errors.New("the password hash is malformed")
)

// Check tells whether a password is the one that a PHC string was made of; hash is
// empty where there is none. It returns fault.Unauthorized, with one text for the
// caller and a cause for the operator: ErrWrong, ErrAbsent or ErrMalformed. A hash
// that cannot be compared takes as long as one of Hash's does, so that the time
// does not tell who has a password.
func Check(hash string, password secret.Text) error {
	c, salt, want, err := parse(hash)
	if err != nil {
		c, salt, want = current(), make([]byte, saltBytes), make([]byte, hashBytes)
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

// parse reads a PHC string of argon2id.
func parse(hash string) (c cost, salt, digest []byte, err error) {
	if hash == "" {
		return cost{}, nil, nil, ErrAbsent
	}
	parts := strings.Split(hash, "$")
	if strings.ContainsAny(hash, "\r\n") || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost{}, nil, nil, ErrMalformed
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memoryKiB, &c.passes, &c.lanes); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", c.memoryKiB, c.passes, c.lanes) ||
		c.lanes < 1 || c.passes < 1 || c.passes > mostPasses || c.memoryKiB < 8*uint32(c.lanes) || c.memoryKiB > mostMemoryKiB {
		return cost{}, nil, nil, ErrMalformed
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	digest, digestErr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if errors.Join(saltErr, digestErr) != nil || len(salt) < leastSalt || len(salt) > mostSalt || len(digest) < leastDigest || len(digest) > mostDigest {
		return cost{}, nil, nil, ErrMalformed
	}
	return c, salt, digest, nil
}
