package seal_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"carrierlink/shared/seal"
	"carrierlink/shared/secret"
)

func sealer(secretText string) *seal.Sealer {
	return seal.New(func(context.Context) (secret.Text, error) { return secret.New(secretText), nil }, time.Now)
}

func TestOpenRefuses(t *testing.T) {
	ctx := t.Context()
	s := sealer("the service secret")
	sealed, err := s.Seal(ctx, "account 1", []byte("cl_live_key"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		name   string
		by     *seal.Sealer
		owner  string
		sealed []byte
	}{
		{"another owner", s, "account 2", sealed},
		{"a changed byte", s, "account 1", flipped},
		{"truncated", s, "account 1", sealed[:10]},
		{"empty", s, "account 1", nil},
		{"another secret", sealer("another"), "account 1", sealed},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if plain, err := tc.by.Open(ctx, tc.owner, tc.sealed); !errors.Is(err, seal.ErrForged) {
				t.Errorf("Open = %q, %v, want ErrForged", plain, err)
			}
		})
	}
	t.Run("unreadable service secret", func(t *testing.T) {
		down := errors.New("down")
		s := seal.New(func(context.Context) (secret.Text, error) { return secret.Text{}, down }, time.Now)
		_, err1 := s.Seal(ctx, "o", nil)
		_, err2 := s.Open(ctx, "o", sealed)
		_, err3 := s.MAC(ctx, "p", nil)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, down) {
				t.Errorf("error = %v, want one that wraps %v", err, down)
			}
		}
	})
}

func TestSealRoundTrip(t *testing.T) {
	ctx := t.Context()
	s := sealer("the service secret")
	plain := []byte(strings.Repeat("cl_live_key ", 100))
	one, _ := s.Seal(ctx, "o", plain)
	two, _ := s.Seal(ctx, "o", plain)
	if bytes.Equal(one, two) {
		t.Error("two seals of the same text are equal")
	}
	if bytes.Contains(one, []byte("cl_live")) {
		t.Error("the sealed data contains the plain text")
	}
	got, err := s.Open(ctx, "o", one)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Open = %q, %v", got, err)
	}
}

func TestMACTellsPartsApart(t *testing.T) {
	ctx := t.Context()
	s := sealer("the service secret")
	mac := func(purpose string, parts ...string) string {
		var b [][]byte
		for _, p := range parts {
			b = append(b, []byte(p))
		}
		m, err := s.MAC(ctx, purpose, b...)
		if err != nil {
			t.Fatal(err)
		}
		return string(m)
	}
	base := mac("p", "ab", "c")
	if base != mac("p", "ab", "c") {
		t.Error("MAC is not deterministic")
	}
	for name, other := range map[string]string{
		"parts moved": mac("p", "a", "bc"), "joined": mac("p", "abc"), "empty part": mac("p", "ab", "c", ""), "purpose": mac("q", "ab", "c"),
	} {
		if other == base {
			t.Errorf("%s: MAC is the same", name)
		}
	}
}
