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
		t.Error("a record without an answer is finished")
	}
	r.Sealed = []byte{0}
	if !r.Finished() {
		t.Error("a record with an answer is not finished")
	}
	if !r.Expired(end) || !r.Expired(end.Add(time.Hour)) || r.Expired(end.Add(-time.Nanosecond)) {
		t.Error("Expired must hold from ExpiresAt on")
	}
}
