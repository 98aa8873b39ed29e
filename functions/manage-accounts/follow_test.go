package main

import (
	"net/http"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/store"
)

// TestConnectionsFollow: a connection has the standing of its account, is due only while
// the account is active, and no work remains.
func TestConnectionsFollow(t *testing.T) {
	d := newFront(t)
	d.link(t, 71)
	for _, step := range []struct {
		method, suffix string
		want           account.Standing
	}{
		{http.MethodPut, "/disable", account.StandingPaused},
		{http.MethodPut, "/enable", account.StandingActive},
		{http.MethodDelete, "", account.StandingDeleted},
		{http.MethodPut, "/restore", account.StandingActive},
		{http.MethodPut, "/disable", account.StandingPaused},
		{http.MethodDelete, "", account.StandingDeleted},
		{http.MethodPut, "/restore", account.StandingPaused},
	} {
		want204(t, d.Do("partner 5", step.method, allPath+"/71"+step.suffix, ""))
		l, err := d.Store.Load(t.Context(), 71, store.Want{Now: d.Clock, ConnectionID: "se-1234567"})
		if err != nil {
			t.Fatal(err)
		}
		row := l.Connection
		if row.Standing != step.want || row.Work != connection.NoWork || row.PurgeAt != l.Account.PurgeAt || l.Account.Following {
			t.Errorf("%s%s: standing %s, work %q, purge at %v and the account's %v, following %t",
				step.method, step.suffix, row.Standing, row.Work, row.PurgeAt, l.Account.PurgeAt, l.Account.Following)
		}
		due, _, err := d.Store.Due(t.Context(), row.Lane(), d.Clock.Add(time.Hour), 10)
		if err != nil {
			t.Fatal(err)
		}
		if (len(due) == 1) != (step.want == account.StandingActive) {
			t.Errorf("%s%s: due %v", step.method, step.suffix, due)
		}
		if left, _, err := d.Store.Unfinished(t.Context(), d.Clock.Add(time.Hour), 10); err != nil || len(left) > 0 {
			t.Errorf("%s%s: unfinished %v, %v", step.method, step.suffix, left, err)
		}
	}
}
