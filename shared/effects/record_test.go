package effects

import (
	"testing"
	"time"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	end := time.Unix(1000, 0)
	r := Record{ExpiresAt: end}
	if r.Finished() {
		t.Error("Finished() = true without an answer")
	}
	r.Sealed = []byte{0}
	if !r.Finished() {
		t.Error("Finished() = false with an answer")
	}
	if !r.Expired(end) || !r.Expired(end.Add(time.Hour)) || r.Expired(end.Add(-time.Nanosecond)) {
		t.Error("Expired() must be true from ExpiresAt on")
	}
}
