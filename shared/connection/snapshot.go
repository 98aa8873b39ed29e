package connection

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"carrierlink/shared/fault"
)

// Limits of a snapshot: what is kept of one answer, packed, stays under the
// 400 KB of a DynamoDB item, and no answer is read past 1 MiB.
const (
	maxPackedSnapshot = 350_000
	maxRawSnapshot    = 1 << 20
)

// Snapshot is the carrier's Get Accounts answer as it came, and when. It is held
// packed: stores and queues need not know what is in it.
type Snapshot struct {
	Packed []byte // the JSON object, gzipped
	At     time.Time
}

// writers are compressors to be used again: a new one takes 800 KB, and five
// times as long as the packing.
var writers sync.Pool

// NewSnapshot packs an answer. One over 1 MiB, or over 350,000 bytes packed, is
// fault.CarrierDown: it counts as unreadable.
func NewSnapshot(raw []byte, at time.Time) (Snapshot, error) {
	if len(raw) > maxRawSnapshot {
		return Snapshot{}, snapshotTooLarge(len(raw))
	}
	var b bytes.Buffer
	w, ok := writers.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer writers.Put(w)
	w.Reset(&b)
	if _, err := w.Write(raw); err != nil {
		return Snapshot{}, fmt.Errorf("packing a snapshot: %w", err)
	}
	if err := w.Close(); err != nil {
		return Snapshot{}, fmt.Errorf("packing a snapshot: %w", err)
	}
	if b.Len() > maxPackedSnapshot {
		return Snapshot{}, snapshotTooLarge(len(raw))
	}
	return Snapshot{Packed: b.Bytes(), At: at}, nil
}

func snapshotTooLarge(size int) error {
	return &fault.Error{
		Kind: fault.CarrierDown, Message: "The carrier's answer is too large to be understood.",
		Cause: fmt.Errorf("answer of %d bytes is over the limit of a snapshot", size),
	}
}

// Raw unpacks the answer. Packed bytes that are damaged, or unpack to more than
// 1 MiB, are fault.Internal: what was stored passed NewSnapshot.
func (s Snapshot) Raw() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(s.Packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking a snapshot: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxRawSnapshot+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking a snapshot: %w", err)
	}
	if len(raw) > maxRawSnapshot {
		return nil, fmt.Errorf("unpacking a snapshot: more than %d bytes", maxRawSnapshot)
	}
	return raw, nil
}

// SnapshotHash tells answers apart: 32 hexadecimal digits. A row that has the
// hash of its snapshot spares each check that finds nothing new the reading and
// the writing of it.
func SnapshotHash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
