package connection

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"carrierlink/shared/fault"
)

// A packed snapshot has to fit into a DynamoDB item of 400 KB.
const (
	maxPackedSnapshot = 350_000
	maxRawSnapshot    = 1 << 20
)

// Snapshot is the carrier's Get Accounts answer, packed, so that stores need not know its
// content.
type Snapshot struct {
	Packed []byte    // the JSON object, gzipped
	At     time.Time // when the carrier answered
}

// writers pools compressors: a new one takes 800 KB, and five times as long as the packing. It
// is no sync.Pool, of which each collection takes something, and the race detector a quarter.
var writers = make(chan *gzip.Writer, 4)

// NewSnapshot packs an answer. More than 1 MiB, or 350,000 bytes packed, is
// fault.CarrierDown.
func NewSnapshot(raw []byte, at time.Time) (Snapshot, error) {
	if len(raw) > maxRawSnapshot {
		return Snapshot{}, snapshotTooLarge(len(raw))
	}
	var b bytes.Buffer
	var w *gzip.Writer
	select {
	case w = <-writers:
		w.Reset(&b)
	default:
		w = gzip.NewWriter(&b)
	}
	defer func() {
		select {
		case writers <- w:
		default:
		}
	}()
	_, err := w.Write(raw)
	if err := errors.Join(err, w.Close()); err != nil {
		return Snapshot{}, fmt.Errorf("packing a snapshot: %w", err)
	}
	if b.Len() > maxPackedSnapshot {
		return Snapshot{}, snapshotTooLarge(len(raw))
	}
	return Snapshot{Packed: b.Bytes(), At: at}, nil
}

// ErrTooLarge is the cause of a reading whose answer exceeds a limit of ours
// (auspost.md, "Suggested outcome classes"). It is compared with errors.Is.
var ErrTooLarge = fault.New(fault.CarrierDown, "The carrier's answer is too large for this service.")

func snapshotTooLarge(size int) error {
	return fmt.Errorf("an answer of %d bytes exceeds the limit of a snapshot: %w", size, ErrTooLarge)
}

// Raw unpacks the answer. Damaged bytes, or more than 1 MiB, are fault.Internal.
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

// SnapshotHash identifies an answer: 32 hexadecimal digits. The row keeps it, so
// an unchanged snapshot is neither read nor written.
func SnapshotHash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
