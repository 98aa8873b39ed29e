package carrier_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
)

// noise does not compress.
func noise(n int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = random.Read(b)
	return b
}

func TestNewSnapshotLimits(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name string
		raw  []byte
		ok   bool
	}{
		{"over 1 MiB by one", bytes.Repeat([]byte{'a'}, mib+1), false},
		{"over 350,000 bytes packed", noise(351_000), false},
		{"1 MiB", bytes.Repeat([]byte{'a'}, mib), true},
		{"349,000 bytes packed", noise(349_000), true},
		{"empty", nil, true},
		{"as it came", []byte("{ \"a\": 1.00,\n\"a\": \"é\\u00e9\" }"), true},
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			snap, err := carrier.NewSnapshot(tc.raw, at)
			if !tc.ok {
				if !fault.Is(err, fault.CarrierDown) || len(snap.Packed) != 0 {
					t.Errorf("NewSnapshot = %d bytes, %v, want carrier down", len(snap.Packed), err)
				}
				return
			}
			if err != nil || len(snap.Packed) > 350_000 || !snap.At.Equal(at) {
				t.Fatalf("NewSnapshot = %d bytes of %v, %v", len(snap.Packed), snap.At, err)
			}
			if raw, err := snap.Raw(); err != nil || !bytes.Equal(raw, tc.raw) {
				t.Errorf("Raw() = %d bytes, %v, want the %d that went in", len(raw), err, len(tc.raw))
			}
		})
	}
}

func TestSnapshotRawRefuses(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := w.Write(make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := carrier.NewSnapshot([]byte(`{"account_number":"0009912345"}`), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good.Packed)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for name, packed := range map[string][]byte{
		"nothing": nil, "no gzip": []byte(`{"a":1}`), "cut": good.Packed[:len(good.Packed)-4], "changed": flipped, "more than 1 MiB": bomb.Bytes(),
	} {
		if raw, err := (carrier.Snapshot{Packed: packed}).Raw(); raw != nil || fault.KindOf(err) != fault.Internal || err == nil {
			t.Errorf("%s: Raw() = %d bytes, %v, want an internal error", name, len(raw), err)
		}
	}
}

func TestIdempotencyRecord(t *testing.T) {
	end := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	r := carrier.IdempotencyRecord{ExpiresAt: end}
	for _, tc := range []struct {
		name string
		now  time.Time
		want bool
	}{{"at the end", end, true}, {"later", end.Add(time.Hour), true}, {"a moment before", end.Add(-1), false}} {
		if got := r.Expired(tc.now); got != tc.want {
			t.Errorf("%s: Expired = %t, want %t", tc.name, got, tc.want)
		}
	}
	if r.Finished() || (&carrier.IdempotencyRecord{Sealed: []byte{}}).Finished() || !(&carrier.IdempotencyRecord{Sealed: []byte{1}}).Finished() {
		t.Error("Finished must tell whether there is an answer")
	}
}
