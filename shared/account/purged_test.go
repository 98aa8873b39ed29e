package account

import (
	"testing"
	"time"
)

func TestPurged(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		purge           time.Time
		deleted, purged bool
	}{"not deleted": {time.Time{}, false, false}, "to come": {at.Add(1), true, false}, "now": {at, true, true}, "past": {at.Add(-1), true, true}} {
		if a := (Account{PurgeAt: tc.purge}); a.Deleted() != tc.deleted || a.Purged(at) != tc.purged {
			t.Errorf("%s: Deleted = %t, Purged = %t", name, a.Deleted(), a.Purged(at))
		}
	}
}
