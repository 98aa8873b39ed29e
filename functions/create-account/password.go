package main

import (
	"encoding/base64"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
)

// The cost of a password hash: argon2id with 19 MiB and two passes on one lane
// (OWASP Password Storage Cheat Sheet, "Argon2id").
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	argonSalt      = 16
	argonKey       = 32
)

// hashPassword makes a PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
func hashPassword(random io.Reader, password string) (string, error) {
	salt := make([]byte, argonSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	hash := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemoryKiB, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(hash)), nil
}
