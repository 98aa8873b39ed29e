package connection_test

import (
	"fmt"
	"testing"
	"time"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/health"
)

// TestWhoConfirms: the second refusal counts if another account had a good answer since
// the first, or after LoneRefusal if there is no other account.
func TestWhoConfirms(t *testing.T) {
	first, second := day(0), day(0).Add(gap)
	peer := func(account, credential int64, wellAt time.Time) health.Peer {
		return health.Peer{AccountID: account, CredentialID: fmt.Sprint("key ", credential), ConnectionID: "se-x", LastGoodAt: wellAt}
	}
	for _, tc := range []struct {
		name  string
		peers []health.Peer
		now   time.Time
		want  connection.Status
	}{
		{"nobody to compare with", nil, second, connection.Active},
		{"nobody, for almost 48 hours", nil, first.Add(48*time.Hour - 1), connection.Active},
		{"nobody, for 48 hours", nil, first.Add(48 * time.Hour), connection.ActionRequired},
		{"the same account", []health.Peer{peer(1, 2, second)}, second, connection.Active},
		{"the same account, for 48 hours", []health.Peer{peer(1, 2, second)}, first.Add(48 * time.Hour), connection.ActionRequired},
		{"the same credentials", []health.Peer{peer(2, 1, second)}, second, connection.Active},
		{"somebody else before", []health.Peer{peer(2, 2, first)}, second, connection.Active},
		{"somebody else before, for 48 hours", []health.Peer{peer(2, 2, first)}, first.Add(48 * time.Hour), connection.Active},
		{"somebody else before, for 13 days", []health.Peer{peer(2, 2, first)}, first.Add(13 * 24 * time.Hour), connection.Active},
		{"somebody else before, for 14 days", []health.Peer{peer(2, 2, first)}, first.Add(14 * 24 * time.Hour), connection.ActionRequired},
		{"somebody else since", []health.Peer{peer(1, 1, second), peer(2, 2, first.Add(1))}, second, connection.ActionRequired},
		{"somebody else since, too soon", []health.Peer{peer(2, 2, first.Add(1))}, second.Add(-1), connection.Active},
	} {
		c := connection.Connection{ID: "se-1", AccountID: 1, CredentialID: "key 1", Status: connection.Active, RefreshPolicy: connection.RefreshDaily}
		c.Record(observe(carrier.OutcomeUnauthorized, first))
		o := observe(carrier.OutcomeUnauthorized, tc.now)
		o.Breaker.Peers, o.Timing.LoneRefusal = tc.peers, health.LoneRefusal
		c.Record(o)
		if c.Status != tc.want || c.Status == connection.Active && c.StatusReason != "unauthorized_suspected" {
			t.Errorf("%s: %s %q, want %s", tc.name, c.Status, c.StatusReason, tc.want)
		}
		// That the credentials are gone nobody else has to confirm.
		c = connection.Connection{AccountID: 1, Status: connection.Active, FirstRefusedAt: first, RefreshPolicy: connection.RefreshDaily}
		o.Reading.Outcome = carrier.OutcomeNoCredentials
		if c.Record(o); (c.Status == connection.ActionRequired) != !tc.now.Before(second) {
			t.Errorf("%s, credentials missing: %s", tc.name, c.Status)
		}
	}
}
