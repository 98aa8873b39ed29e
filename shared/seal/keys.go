package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"carrierlink/shared/secret"
)

const (
	// CopyLife is how long a process uses its copy of the service secret before it
	// reads it again.
	CopyLife = time.Hour
	// RereadGap is the least time between two reads of a process that has a copy,
	// whatever it is sent.
	RereadGap = time.Minute
	// UsedAfter is how long after it was made a key is used first. It is longer than
	// RereadGap, so a process that meets a key that it does not know may always read the
	// secret: its last read was before the key was made, or it knows the key. The rest
	// is for clocks that differ and for a read that Secrets Manager answers with what
	// it had before.
	UsedAfter = 2 * time.Minute
	// KeptAfter is how long a key still opens and verifies once its successor is used.
	// Answers and cursors live for 24 hours, and a process may use the old key for
	// CopyLife. The rest is for processes that cannot read the secret for a while.
	KeptAfter = 48 * time.Hour
	// settled is how long after a key is first used every process seals with it: CopyLife,
	// and the time for which a process may fail to read the secret. It leaves as much time
	// to seal again what the key before has sealed.
	settled = KeptAfter / 2
	// MaxKeys is how many keys the secret holds at most.
	MaxKeys = 10

	idSize = 4 // characters
)

// key is a key of the service secret.
type key struct {
	id   string // idSize characters; none for the key that CloudFormation made
	text secret.Text
	from int64 // epoch seconds: it is used from then on, until its successor is
}

// valueKey is the JSON of a key. Its text is plain: never print it.
type valueKey struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	From int64  `json:"from"` // epoch seconds
}

// value is the JSON of a service secret that was rotated. Before, the secret is the
// text of its only key.
type value struct {
	Keys []valueKey `json:"keys"` // in the order in which they were made
}

// parse returns the keys of a service secret, at least one. Its errors hide the text.
func parse(text secret.Text) ([]key, error) {
	malformed := errors.New("the service secret is malformed")
	plain := text.Reveal()
	switch {
	case plain == "":
		return nil, errors.New("the service secret is empty")
	// CloudFormation's text has no punctuation, as the template wants. An emulator's has, and
	// may begin with a brace.
	case plain[0] != '{' || len(plain) == keySize && !json.Valid([]byte(plain)):
		return []key{{text: text}}, nil
	}
	var v value
	if json.Unmarshal([]byte(plain), &v) != nil || len(v.Keys) == 0 {
		return nil, malformed
	}
	keys := make([]key, len(v.Keys))
	for i, k := range v.Keys {
		if len(k.ID) != 0 && len(k.ID) != idSize || k.Text == "" {
			return nil, malformed
		}
		keys[i] = key{k.ID, secret.New(k.Text), k.From}
	}
	return keys, nil
}

// valid returns the keys that open and verify now.
func valid(keys []key, now time.Time) []key {
	for len(keys) > 1 && now.Unix() >= keys[1].from+int64(KeptAfter/time.Second) {
		keys = keys[1:]
	}
	return keys
}

const (
	// letters make ids and keys. There are 32 of them, so each takes five random bits.
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	keySize = 64 // letters, as CloudFormation makes them
)

// Rotation is the result of Rotate.
type Rotation struct {
	KeyID    string    // of the new key
	UsedFrom time.Time // the new key seals and signs from then on
	// PreviousUntil is when the key before opens and verifies last.
	PreviousUntil time.Time
	Keys          int // that are valid now, the new one included
}

// Rotate returns the service secret with another key, which is used after UsedAfter. The
// keys before stay as long as something may live that they have sealed. It fails if
// there are MaxKeys of them, and the error says when one goes.
func Rotate(old secret.Text, random io.Reader, now time.Time) (secret.Text, Rotation, error) {
	keys, err := parse(old)
	if err != nil {
		return secret.Text{}, Rotation{}, err
	}
	keys = valid(keys, now)
	if len(keys) >= MaxKeys {
		return secret.Text{}, Rotation{}, fmt.Errorf("the service secret has %d keys, which is the limit; the oldest goes at %s",
			len(keys), time.Unix(keys[1].from, 0).Add(KeptAfter).UTC().Format(time.RFC3339))
	}
	made := make([]byte, idSize+keySize)
	if _, err := io.ReadFull(random, made); err != nil {
		return secret.Text{}, Rotation{}, fmt.Errorf("making a key: %w", err)
	}
	for i, b := range made {
		made[i] = letters[b%byte(len(letters))]
	}
	id := string(made[:idSize])
	from := max(now.Add(UsedAfter).Unix(), keys[len(keys)-1].from) // that one may be of another clock
	keys = append(slices.Clip(keys), key{id, secret.New(string(made[idSize:])), from})
	var v value
	for _, k := range keys {
		v.Keys = append(v.Keys, valueKey{ID: k.id, Text: k.text.Reveal(), From: k.from})
	}
	b, err := json.Marshal(v)
	if err != nil {
		return secret.Text{}, Rotation{}, errors.New("the service secret cannot be encoded")
	}
	return secret.New(string(b)), Rotation{
		KeyID: id, UsedFrom: time.Unix(from, 0), PreviousUntil: time.Unix(from, 0).Add(KeptAfter), Keys: len(keys),
	}, nil
}
