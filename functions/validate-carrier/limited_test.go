package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/connection"
)

// TestAllowance: calls about charge accounts that are not linked share one allowance of
// the account, whatever the credentials.
func TestAllowance(t *testing.T) {
	d := functiontest.InMemory(t)
	d.Connections.LinksPerMinute = 3
	serve(d)
	begun := d.Clock
	for _, key := range []string{"first-key", "second-key", "third-key"} {
		if resp := ask(d, accountText, "australia_post", body("0000123400", key, functiontest.APISecret)); resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", resp.StatusCode, resp.Body)
		}
		d.Pass(10 * time.Second)
	}
	if n := len(d.Carrier.TakeAsked()); n != 3 {
		t.Fatalf("the carrier is asked %d times", n)
	}
	good := body("0000123400", "fourth-key", functiontest.APISecret)
	resp := ask(d, accountText, "australia_post", good)
	if diff := cmp.Diff([]string{"429", "rate_limit_exceeded"}, functiontest.Problems(t, resp)); diff != "" || resp.Headers["Retry-After"] != "30" {
		t.Errorf("Retry-After %q (-want +got):\n%s", resp.Headers["Retry-After"], diff)
	}
	// What asks no carrier is found all the same.
	if resp := ask(d, accountText, "australia_post", body("1", functiontest.APIKey, functiontest.APISecret)); resp.StatusCode != http.StatusOK {
		t.Errorf("a mistake: %d %s", resp.StatusCode, resp.Body)
	}
	if n := len(d.Carrier.TakeAsked()); n != 0 {
		t.Errorf("the carrier is asked %d times", n)
	}
	// Link takes from the same, another account has its own.
	if wait, err := d.Store.TakeCall(t.Context(), connection.Call{Allowance: connection.AccountAllowance(connection.UseLinking, functiontest.Account), Limit: 3}, connection.AllowanceWindow, d.Clock); wait != 30*time.Second || err != nil {
		t.Errorf("link waits for %v, %v", wait, err)
	}
	if resp := ask(d, "account 73", "australia_post", good); resp.StatusCode != http.StatusOK {
		t.Errorf("another account: %d %s", resp.StatusCode, resp.Body)
	}
	d.Clock = begun.Add(time.Minute)
	if resp := ask(d, accountText, "australia_post", good); resp.StatusCode != http.StatusOK {
		t.Errorf("a minute later: %d %s", resp.StatusCode, resp.Body)
	}
}
