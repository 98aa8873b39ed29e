package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/health"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

const accountText = "account 71"

// Other credentials than those of the link. The secret holds the text that no
// answer may show.
const (
	newKey    = "0b4c3f0e-6d0f-4e58-9d5f-3f1e1a6b7c8d"
	newSecret = "x0123456789abcdef012-canary"
)

var (
	oldCredentials = functiontest.Credentials(functiontest.APIKey, functiontest.APISecret)
	newCredentials = functiontest.Credentials(newKey, newSecret)
	bodyNew        = `{"api_key":"` + newKey + `","api_secret":"` + newSecret + `"}`
)

// front is the function on a fixture with one connection.
type front struct {
	*functiontest.Fixture
	id, named, byID string // of the connection; its paths
	tag             string // its ETag before a request
}

func tagOf(f *front) string {
	row := f.Row(f.id)
	return views.ConnectionETag(&row, f.Clock)
}

// newFront links the number; after an outage the connection is pending verification.
func newFront(tb testing.TB, d *functiontest.Fixture, number string) *front {
	tb.Helper()
	serve(d)
	id := d.Link(number).ID
	d.Carrier.TakeAsked()
	return &front{Fixture: d, id: id, named: "/v1/connections/carriers/australia_post/" + id, byID: "/v1/carriers/" + id}
}

func serve(d *functiontest.Fixture) {
	h := &handler{auth: d.Auth(), accounts: d.Store, claims: d.Store, sealer: d.Sealer(), connections: d.Connections, now: d.Now}
	d.Serve(h.routes()...)
}

func inMemory(t *testing.T) *front {
	t.Helper()
	return newFront(t, functiontest.InMemory(t), functiontest.Number)
}

// routes are the methods and targets of the function.
func (f *front) routes() map[string][2]string {
	return map[string][2]string{
		"change": {http.MethodPut, f.named}, "rollback": {http.MethodPost, f.named + "/rollback"}, "verify": {http.MethodPost, f.named + "/verify"},
		"unlink": {http.MethodDelete, f.named}, "unlink by id": {http.MethodDelete, f.byID}, "refresh": {http.MethodPost, f.byID + "/refresh"},
	}
}

func (f *front) change(body string, headers ...string) events.APIGatewayProxyResponse {
	return f.Do(accountText, http.MethodPut, f.named, body, headers...)
}

func (f *front) rollback(headers ...string) events.APIGatewayProxyResponse {
	return f.Do(accountText, http.MethodPost, f.named+"/rollback", "", headers...)
}

func (f *front) verify(headers ...string) events.APIGatewayProxyResponse {
	return f.Do(accountText, http.MethodPost, f.named+"/verify", "", headers...)
}

func (f *front) refresh(headers ...string) events.APIGatewayProxyResponse {
	return f.Do(accountText, http.MethodPost, f.byID+"/refresh", "", headers...)
}

func (f *front) unlink() events.APIGatewayProxyResponse {
	return f.Do(accountText, http.MethodDelete, f.byID, "")
}

// same checks that a row is unchanged.
func same(t *testing.T, before, after connection.Connection) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the row (-before +after):\n%s", diff)
	}
}

// wants checks an error answer.
func wants(t *testing.T, resp events.APIGatewayProxyResponse, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, functiontest.Problems(t, resp)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", resp.Body, diff)
	}
}

// TestEveryRouteRefuses: every route refuses other callers' connections and wrong paths.
// The answers for an absent connection and another caller's are equal but for the
// request id.
func TestEveryRouteRefuses(t *testing.T) {
	probe := inMemory(t)
	for name := range probe.routes() {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			before := f.Row(f.id)
			method, target := f.routes()[name][0], f.routes()[name][1]
			const body = `{"nickname":"n"}`
			do := func(who string, old, now string, headers ...string) events.APIGatewayProxyResponse {
				return f.Do(who, method, strings.Replace(target, old, now, 1), body, headers...)
			}
			wants(t, do("", "", ""), "401", "unauthorized")
			wants(t, do("", f.id, "x"), "401", "unauthorized")
			wants(t, do("partner 5", "", ""), "400", "field_value_required On-Behalf-Of")
			wants(t, do("account 72", "", ""), "403", "subscription_inactive")
			wants(t, do(accountText, f.id, "242822"), "400", "invalid_identifier carrier_id")
			wants(t, do(accountText, f.id, "se-%"), "400", "invalid_identifier carrier_id")
			if strings.Contains(target, "australia_post") {
				wants(t, do(accountText, "australia_post", "ups"), "400", "carrier_not_supported carrier_name")
				wants(t, do(accountText, "australia_post/"+f.id, "%zz/x"), "400", "invalid_identifier carrier_name", "invalid_identifier carrier_id")
			}

			intent := connection.Connection{
				ID: "se-7", AccountID: functiontest.Account, PartnerID: 5, Carrier: carrier.AustraliaPost, AccountNumber: functiontest.OtherNumber, Status: connection.Linking, LeaseUntil: f.Clock.Add(time.Minute),
			}
			if err := f.Store.BeginLink(t.Context(), &intent, connection.LinkOptions{}); err != nil {
				t.Fatal(err)
			}
			absent := map[string]events.APIGatewayProxyResponse{
				"absent": do(accountText, f.id, "se-1"), "an intent": do(accountText, f.id, "se-7"), "another account's": do("account 73", "", ""),
				"another account's, for the partner": do("partner 5", "", "", "On-Behalf-Of", "73"),
			}
			if strings.Contains(target, "australia_post") {
				absent["another carrier's"] = do(accountText, "australia_post", "startrack")
			}
			same(t, before, f.Row(f.id))
			if resp := f.unlink(); resp.StatusCode != http.StatusNoContent {
				t.Fatalf("unlink: %d %s", resp.StatusCode, resp.Body)
			}
			absent["unlinked"] = do(accountText, "", "")
			bodies := map[string]string{}
			for name, resp := range absent {
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %d %s", name, resp.StatusCode, resp.Body)
				}
				bodies[strings.Replace(resp.Body, resp.Headers["X-Request-Id"], "ID", 1)] = name
			}
			if len(bodies) != 1 {
				t.Errorf("the answers differ: %v", bodies)
			}
			wants(t, do("partner 6", "", "", "On-Behalf-Of", "71"), "404", "not_found")
			if n := len(f.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
		})
	}
}

// TestAKeyOfAnotherRequest: an Idempotency-Key belongs to one route, path and body; a
// malformed one is refused.
func TestAKeyOfAnotherRequest(t *testing.T) {
	f := inMemory(t)
	wants(t, f.change(`{"nickname":"n"}`, "Idempotency-Key", "é"), "400", "invalid_field_value Idempotency-Key")
	f.change(`{"nickname":"one"}`, "Idempotency-Key", "k")
	wants(t, f.change(`{"nickname":"two"}`, "Idempotency-Key", "k"), "422", "field_conflict Idempotency-Key")
	other := newFrontBeside(f, functiontest.OtherNumber)
	wants(t, f.Do(accountText, http.MethodPut, other.named, `{"nickname":"one"}`, "Idempotency-Key", "k"), "422", "field_conflict Idempotency-Key")
	if resp := f.refresh("Idempotency-Key", "k"); resp.StatusCode != http.StatusAccepted {
		t.Errorf("another route: %d %s", resp.StatusCode, resp.Body)
	}
	if got := f.Row(f.id).Nickname; got != "one" {
		t.Errorf("nickname %q", got)
	}
}

// newFrontBeside makes another connection on the same fixture.
func newFrontBeside(f *front, number string) *front {
	id := f.Link(number).ID
	f.Carrier.TakeAsked()
	return &front{Fixture: f.Fixture, id: id, named: "/v1/connections/carriers/australia_post/" + id, byID: "/v1/carriers/" + id}
}

// busy gives another request the lease of the connection for WorkCredentials.
func (f *front) busy(t *testing.T, rest time.Duration) {
	t.Helper()
	row := f.Row(f.id)
	row.Work, row.LeaseUntil = connection.WorkCredentials, f.Clock.Add(rest)
	if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
}

// TestBusy: while another request works on the credentials every route answers 409 with
// Retry-After and leaves the Idempotency-Key free. After the lease has expired the next
// request finishes the work.
func TestBusy(t *testing.T) {
	for name := range inMemory(t).routes() {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			f.change(bodyNew) // so that there is something to roll back to
			f.Carrier.TakeAsked()
			f.Pass(time.Minute)
			f.busy(t, 10*time.Second)
			before := f.Row(f.id)
			route := f.routes()[name]
			for _, key := range []string{"k", "k"} {
				resp := f.Do(accountText, route[0], route[1], `{"api_key":"`+functiontest.APIKey+`","api_secret":"`+functiontest.APISecret+`"}`, "Idempotency-Key", key)
				wants(t, resp, "409", "invalid_status")
				if resp.Headers["Retry-After"] == "" {
					t.Errorf("headers %v", resp.Headers)
				}
			}
			same(t, before, f.Row(f.id))
			if n := len(f.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
			f.Pass(10 * time.Second)
			resp := f.Do(accountText, route[0], route[1], `{"api_key":"`+functiontest.APIKey+`","api_secret":"`+functiontest.APISecret+`"}`, "Idempotency-Key", "k")
			if resp.StatusCode/100 != 2 {
				t.Errorf("after the lease: %d %s", resp.StatusCode, resp.Body)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	f := inMemory(t)
	f.Pass(time.Hour)
	resp := f.refresh("Idempotency-Key", "k")
	got := functiontest.Read[views.Connection](t, resp, http.StatusAccepted)
	if got.CarrierID != f.id || got.NextRefreshAt == nil || *got.NextRefreshAt != *httpapi.Time(f.Clock) {
		t.Errorf("%s", resp.Body)
	}
	if diff := cmp.Diff(views.NewConnection(new(f.Row(f.id)), f.Clock), got); diff != "" {
		t.Errorf("the answer is not the row (-row +answer):\n%s", diff)
	}
	if n := len(f.Carrier.TakeAsked()); n != 0 {
		t.Errorf("the carrier was asked %d times", n)
	}
	version := f.Row(f.id).Version
	again := f.refresh("Idempotency-Key", "k")
	if again.Body != resp.Body || again.StatusCode != resp.StatusCode || again.Headers["Idempotent-Replayed"] != "true" || f.Row(f.id).Version != version {
		t.Errorf("again: %d %s", again.StatusCode, again.Body)
	}
	// The schedule takes it, and says on whose demand.
	checked, err := f.Connections.Refresh(t.Context(), connection.Due{AccountID: functiontest.Account, ConnectionID: f.id}, health.Breaker{})
	if err != nil || checked.Entry.Trigger != connection.TriggerManual {
		t.Errorf("Refresh = %+v, %v, want a manual check", checked.Entry, err)
	}
}

// TestRefreshOfWhatIsNotScheduled: a refresh checks the connection whatever its policy
// and status.
func TestRefreshOfWhatIsNotScheduled(t *testing.T) {
	f := inMemory(t)
	f.change(`{"refresh_policy":"off"}`)
	row := f.Row(f.id)
	row.Status = connection.ActionRequired
	if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	f.refresh()
	if row := f.Row(f.id); !row.Scheduled() || !row.NextRefreshAt.Equal(f.Clock) {
		t.Errorf("row %+v", row)
	}
}

// TestVerify: a good answer and a refusal are results, an outage is an error. Each is
// recorded.
func TestVerify(t *testing.T) {
	for _, o := range carrier.Outcomes() {
		t.Run(string(o), func(t *testing.T) {
			f := inMemory(t)
			f.Pass(time.Hour)
			if o == carrier.OutcomeNoCredentials {
				f.Vault.Fail = func(string) error { return fault.New(fault.NotFound, "m") }
			} else if o != carrier.OutcomeOK {
				f.Carrier.Reading = &connection.Reading{Outcome: o, HTTPStatus: 418, Code: "41001", Latency: time.Second}
			}
			resp := f.verify("Idempotency-Key", "k")
			row := f.Row(f.id)
			if row.LastCheck.Outcome != o || row.LastCheck.Trigger != connection.TriggerManual || row.ChecksWithCredentials != 2 || !row.LeaseUntil.IsZero() || !row.VerifyCalledAt.Equal(f.Clock) {
				t.Errorf("row %+v", row)
			}
			if h := f.History(f.id); len(h) != 2 || h[0].Outcome != o || h[0].Number != 2 {
				t.Errorf("history %+v", h)
			}
			again := f.verify("Idempotency-Key", "k")
			if o.IsOutage() {
				if got := functiontest.Problems(t, resp); got[0] < "502" || got[0] > "504" || (resp.Headers["Retry-After"] != "") != (o == carrier.OutcomeRateLimited) {
					t.Errorf("%v, headers %v", got, resp.Headers)
				}
				wants(t, again, "429", "rate_limit_exceeded") // the key is free, the connection is not
				return
			}
			got := functiontest.Read[verification](t, resp, http.StatusOK)
			check := views.NewCheck(row.LastCheck)
			want := verification{
				CarrierID: f.id, Status: string(row.Status), StatusReason: httpapi.Text(row.StatusReason), Check: check,
				Diagnosis: connection.Reading{Outcome: o, HTTPStatus: 418, Code: "41001"}.Diagnosis(), Connection: views.NewConnection(&row, f.Clock),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" || f.Row(f.id).Version != row.Version {
				t.Errorf("again: %d %s", again.StatusCode, again.Body)
			}
		})
	}
}

func TestVerifyPauses(t *testing.T) {
	f := inMemory(t)
	if resp := f.verify(); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, resp.Body)
	}
	f.Pass(29500 * time.Millisecond)
	resp := f.verify()
	if wants(t, resp, "429", "rate_limit_exceeded"); resp.Headers["Retry-After"] != "1" {
		t.Errorf("Retry-After %q", resp.Headers["Retry-After"])
	}
	f.Pass(500 * time.Millisecond)
	if resp := f.verify(); resp.StatusCode != http.StatusOK {
		t.Errorf("after 30 s: %d %s", resp.StatusCode, resp.Body)
	}
	if n := len(f.Carrier.TakeAsked()); n != 2 {
		t.Errorf("the carrier was asked %d times", n)
	}
}

func TestVerifyBesideACheck(t *testing.T) {
	f := inMemory(t)
	if _, err := f.Store.ClaimCheck(t.Context(), f.Row(f.id), nil, f.Clock.Add(time.Minute), f.Clock); err != nil {
		t.Fatal(err)
	}
	resp := f.verify("Idempotency-Key", "k")
	if wants(t, resp, "409", "invalid_status"); resp.Headers["Retry-After"] == "" || len(f.Carrier.TakeAsked()) != 0 {
		t.Errorf("headers %v", resp.Headers)
	}
	f.Pass(time.Minute)
	if resp := f.verify("Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
		t.Errorf("after it: %d %s", resp.StatusCode, resp.Body)
	}
}

// TestVerifyMindsTheBreaker: while the breaker is open a refusal does not change the
// status.
func TestVerifyMindsTheBreaker(t *testing.T) {
	for _, open := range []bool{false, true} {
		f := inMemory(t)
		f.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: 401}
		if open {
			b := health.Breaker{Carrier: carrier.AustraliaPost}.Opened("unauthorized", f.Clock, health.Timing{})
			if err := f.Store.SaveBreaker(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			f.verify()
			f.Pass(health.RefusalGap)
		}
		want := connection.ActionRequired
		if open {
			want = connection.Active
		}
		if row := f.Row(f.id); row.Status != want || row.ConsecutiveFailures != 2 {
			t.Errorf("breaker open %t: %s after %d refusals, want %s", open, row.Status, row.ConsecutiveFailures, want)
		}
	}
}

func TestVerifyWithoutAVault(t *testing.T) {
	f := inMemory(t)
	f.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
	wants(t, f.verify("Idempotency-Key", "k"), "500", "unspecified")
	f.Vault.Fail = nil
	wants(t, f.verify("Idempotency-Key", "k"), "429", "rate_limit_exceeded") // it was a call
	f.Pass(30 * time.Second)
	if resp := f.verify("Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d %s", resp.StatusCode, resp.Body)
	}
}

func TestUnlink(t *testing.T) {
	for _, target := range []string{"named", "byID"} {
		f := inMemory(t)
		path := map[string]string{"named": f.named, "byID": f.byID}[target]
		resp := f.Do(accountText, http.MethodDelete, path, "null")
		if resp.StatusCode != http.StatusNoContent || resp.Body != "" {
			t.Fatalf("%s: %d %s", target, resp.StatusCode, resp.Body)
		}
		f.Gone(t)
		wants(t, f.Do(accountText, http.MethodDelete, path, ""), "404", "not_found")
		if again := f.Link(functiontest.Number); again.ID == f.id {
			t.Error("the number is linked under the old id")
		}
	}
}

// TestUnlinkOfOneState: both routes compare If-Match with the current state.
func TestUnlinkOfOneState(t *testing.T) {
	for _, target := range []string{"named", "byID"} {
		t.Run(target, func(t *testing.T) {
			f := inMemory(t)
			path := map[string]string{"named": f.named, "byID": f.byID}[target]
			old := tagOf(f)
			f.change(`{"nickname":"n"}`)
			before, tag := f.Row(f.id), tagOf(f)
			for value, status := range map[string]string{old: "412", "W/" + tag: "412", `"x", "y"`: "412", "": "400", " ": "400", "x": "400", tag + ", *": "400"} {
				wants(t, f.Do(accountText, http.MethodDelete, path, "", "If-Match", value), status, "invalid_field_value If-Match")
				same(t, before, f.Row(f.id))
			}
			if resp := f.Do(accountText, http.MethodDelete, path, "", "If-Match", `"x", `+tag); resp.StatusCode != http.StatusNoContent {
				t.Errorf("%d %s", resp.StatusCode, resp.Body)
			}
			f.Gone(t)
			wants(t, f.Do(accountText, http.MethodDelete, path, "", "If-Match", tag), "404", "not_found")
		})
	}
	t.Run("any", func(t *testing.T) {
		f := inMemory(t)
		if resp := f.Do(accountText, http.MethodDelete, f.byID, "", "If-Match", "*"); resp.StatusCode != http.StatusNoContent {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
	})
	t.Run("again, where the first one was cut off", func(t *testing.T) {
		f := inMemory(t)
		tag := tagOf(f)
		f.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
		for range 2 {
			if resp := f.Do(accountText, http.MethodDelete, f.byID, "", "If-Match", tag); resp.StatusCode != http.StatusNoContent {
				t.Errorf("%d %s", resp.StatusCode, resp.Body)
			}
			f.Vault.Fail = nil
		}
		f.Gone(t)
	})
}

// TestUnlinkWithoutAVault: the connection is gone at once; the next request or the
// reconciler deletes the secret.
func TestUnlinkWithoutAVault(t *testing.T) {
	for name, finish := range map[string]func(*testing.T, *front){
		"asked again": func(t *testing.T, f *front) {
			t.Helper()
			if resp := f.unlink(); resp.StatusCode != http.StatusNoContent {
				t.Errorf("again: %d %s", resp.StatusCode, resp.Body)
			}
		},
		"reconciled": func(t *testing.T, f *front) {
			t.Helper()
			f.Pass(time.Minute)
			if report, err := f.Connections.Reconcile(t.Context(), 10); err != nil || report.UnlinksFinished != 1 {
				t.Errorf("Reconcile = %+v, %v", report, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			f.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
			if resp := f.unlink(); resp.StatusCode != http.StatusNoContent {
				t.Fatalf("%d %s", resp.StatusCode, resp.Body)
			}
			for route, call := range f.routes() {
				if call[0] != http.MethodDelete {
					if resp := f.Do(accountText, call[0], call[1], `{"nickname":"n"}`); resp.StatusCode != http.StatusNotFound {
						t.Errorf("%s: %d %s", route, resp.StatusCode, resp.Body)
					}
				}
			}
			f.Vault.Fail = nil
			finish(t, f)
			f.Gone(t)
			if resp := f.unlink(); resp.StatusCode != http.StatusNotFound {
				t.Errorf("once more: %d %s", resp.StatusCode, resp.Body)
			}
		})
	}
}
