package connection

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"testing"
	"time"

	"carrierlink/shared/fault"
)

func noise(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(rand.Reader, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewSnapshot(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		raw  []byte
		kind fault.Kind
		ok   bool
	}{
		{"over 1 MiB, however well it packs", make([]byte, maxRawSnapshot+1), fault.CarrierDown, false},
		{"over the limit when packed", noise(t, maxPackedSnapshot+1), fault.CarrierDown, false},
		{"1 MiB that packs well", make([]byte, maxRawSnapshot), 0, true},
		{"just under the limit when packed", noise(t, maxPackedSnapshot-500), 0, true},
		{"empty", []byte{}, 0, true},
		{"an answer", []byte(`{"account_number":"0004085230"}`), 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			at := time.Unix(1, 0)
			s, err := NewSnapshot(tc.raw, at)
			if !tc.ok {
				if err == nil || !fault.Is(err, tc.kind) {
					t.Fatalf("NewSnapshot = %v, want kind %v", err, tc.kind)
				}
				return
			}
			if err != nil || !s.At.Equal(at) {
				t.Fatalf("NewSnapshot = at %v, %v, want at %v", s.At, err, at)
			}
			if raw, err := s.Raw(); err != nil || !bytes.Equal(raw, tc.raw) {
				t.Errorf("Raw returned %d bytes, %v, want the %d that went in", len(raw), err, len(tc.raw))
			}
		})
	}
}

func TestRawOfDamagedSnapshot(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := w.Write(make([]byte, maxRawSnapshot+1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := NewSnapshot([]byte(`{"a":1}`), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"nothing": nil, "not packed": []byte(`{"a":1}`), "cut off": good.Packed[:len(good.Packed)-4], "more than 1 MiB": bomb.Bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if raw, err := (Snapshot{Packed: packed}).Raw(); err == nil || !fault.Is(err, fault.Internal) {
				t.Errorf("Raw = %d bytes, %v, want an internal error", len(raw), err)
			}
		})
	}
}
