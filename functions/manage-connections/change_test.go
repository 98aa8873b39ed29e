package main

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

func TestChangeRefuses(t *testing.T) {
	tests := []struct {
		name, body string
		headers    []string
		want       []string
	}{
		{"no body", "", nil, []string{"400", "request_body_required"}},
		{"null", "null", nil, []string{"400", "request_body_required"}},
		{"no JSON", "{", nil, []string{"400", "invalid_field_value"}},
		{"wrong content type", `{"nickname":"n"}`, []string{"Content-Type", "text/plain"}, []string{"415", "invalid_field_value Content-Type"}},
		{"nothing to change", `{}`, nil, []string{"400", "field_value_required"}},
		{"nothing but nulls", `{"nickname":null,"api_key":null}`, nil, []string{"400", "field_value_required"}},
		{"a permission alone", `{"allow_duplicate_account_number":true}`, nil, []string{"400", "field_value_required"}},
		{"an unknown member alone", `{"zip":1}`, nil, []string{"400", "invalid_field_value zip"}},
		{"a key alone", `{"api_key":"` + newKey + `"}`, nil, []string{"400", "field_value_required api_secret"}},
		{"a secret alone", `{"api_secret":"s"}`, nil, []string{"400", "field_value_required api_key"}},
		{"a key and null", `{"api_key":"` + newKey + `","api_secret":null,"nickname":"n"}`, nil, []string{"400", "field_value_required api_secret"}},
		{"a wrong key alone", `{"api_key":"a b"}`, nil, []string{"400", "invalid_field_value api_key: inner_blank", "field_value_required api_secret"}},
		{"lost zeros", `{"account_number":"123400"}`, nil, []string{"400", "invalid_field_value account_number: lost_leading_zeros"}},
		{"no number", `{"account_number":""}`, nil, []string{"400", "invalid_string_length account_number"}},
		{"a masked secret", `{"api_key":"` + newKey + `","api_secret":"********"}`, nil, []string{"400", "invalid_field_value api_secret: mask_instead_of_secret"}},
		{"our own key", `{"api_key":"` + newKey + `","api_secret":"cl_live_000019"}`, nil, []string{"400", "invalid_field_value api_secret: credentials_of_another_kind"}},
		{"masks", `{"nickname":"n","api_key":"********7c8d","api_secret":"••••"}`, nil, []string{"400", "invalid_field_value api_key: mask_instead_of_secret", "invalid_field_value api_secret: mask_instead_of_secret"}},
		{"a masked key alone", `{"api_key":"…7c8d"}`, nil, []string{"400", "invalid_field_value api_key: mask_instead_of_secret", "field_value_required api_secret"}},
		{"swapped", `{"api_key":"` + newSecret + `","api_secret":"` + newKey + `"}`, nil, []string{"400", "invalid_field_value api_secret: key_and_secret_swapped"}},
		{"an empty secret", `{"api_key":"` + newKey + `","api_secret":""}`, nil, []string{"400", "invalid_string_length api_secret"}},
		{"an empty nickname", `{"nickname":""}`, nil, []string{"400", "invalid_string_length nickname"}},
		{"verify is only for a link", `{"nickname":"n","verify":"later"}`, nil, []string{"400", "invalid_field_value verify"}},
		{
			"everything, in the order of the fields",
			`{"extra":1,"metadata":{"a":1},"external_carrier_id":"","refresh_policy":"x","allow_duplicate_account_number":1,"api_secret":"` + newKey + `","api_key":"'k'","account_number":"1","nickname":""}`, nil,
			[]string{
				"400", "invalid_string_length nickname", "invalid_field_value account_number: lost_leading_zeros", "invalid_field_value api_key: quotes",
				"invalid_field_value allow_duplicate_account_number", "invalid_field_value refresh_policy", "invalid_string_length external_carrier_id",
				"invalid_field_value metadata.a", "invalid_field_value extra",
			},
		},
		{"another version", bodyNew, []string{"If-Match", `"x"`}, []string{"412", "invalid_field_value If-Match"}},
		{"an empty If-Match", bodyNew, []string{"If-Match", ""}, []string{"400", "invalid_field_value If-Match"}},
		{"no tag", bodyNew, []string{"If-Match", "x"}, []string{"400", "invalid_field_value If-Match"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			f := inMemory(t)
			before := f.Row(f.id)
			wants(t, f.change(tc.body, append(tc.headers, "Idempotency-Key", "k")...), tc.want...)
			same(t, before, f.Row(f.id))
			if n := len(f.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
			if resp := f.change(`{"nickname":"n"}`, "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
				t.Errorf("the key is not free: %d %s", resp.StatusCode, resp.Body)
			}
		})
	}
}

// TestFailedCheckChangesNothing: anything but a good answer is reported as at the link, and
// nothing has changed.
func TestFailedCheckChangesNothing(t *testing.T) {
	wrong := `{"api_key":"` + newKey + `","api_secret":"wrong-canary"}`
	stories := map[string][]string{
		"01": {"400", "verification_failure account_number: account_not_found"}, "03": {"400", "verification_failure: contract_not_valid"},
		"07": {"400", "verification_failure: contract_not_set_up"}, "43": {"400", "verification_failure: key_not_entitled"},
		"70": {"400", "identifiers_must_match account_number: number_mismatch"}, "49": {"503", "rate_limit_exceeded: carrier_rate_limited"},
		"50": {"502", "unspecified: carrier_unavailable"}, "54": {"504", "unspecified: carrier_timeout"}, "55": {"502", "unspecified: carrier_unreadable"},
	}
	bodies := map[string][]string{wrong: {"400", "verification_failure: credentials_refused"}}
	for story, want := range stories {
		bodies[`{"account_number":"00001234`+story+`"}`] = want
		bodies[`{"account_number":"00001234`+story+`","nickname":"n",`+bodyNew[1:]] = want
	}
	for body, want := range bodies {
		t.Run(strings.ReplaceAll(body, "canary", ""), func(t *testing.T) {
			f := inMemory(t)
			before := f.Row(f.id)
			f.Pass(time.Hour)
			for range 2 {
				wants(t, f.change(body, "Idempotency-Key", "k"), want...)
			}
			same(t, before, f.One(t, functiontest.Number, oldCredentials))
			if n := len(f.History(f.id)); n != 1 {
				t.Errorf("the history has %d entries", n)
			}
		})
	}
}

func TestChangeOfLocalFieldsSkipsCarrier(t *testing.T) {
	f := inMemory(t)
	before := f.Row(f.id)
	f.Pass(time.Hour)
	resp := f.change(`{"nickname":"  Other ","refresh_policy":"hourly","external_carrier_id":"x/1","metadata":{"a":"b"},"account_number":" 0000-123400"}`, "Idempotency-Key", "k")
	got := functiontest.Read[views.Connection](t, resp, http.StatusOK)
	row := f.One(t, functiontest.Number, oldCredentials)
	want := before
	want.Nickname, want.RefreshPolicy, want.ExternalID, want.Metadata, want.ModifiedAt = "Other", connection.RefreshHourly, "x/1", map[string]string{"a": "b"}, f.Clock
	want.NextRefreshAt, want.Version = row.NextRefreshAt, before.Version+1
	same(t, want, row)
	if next := row.NextRefreshAt.Sub(f.Clock); next < 54*time.Minute || next > 66*time.Minute {
		t.Errorf("the next check is in %v", next)
	}
	if diff := cmp.Diff(views.NewConnection(&row, f.Clock), got); diff != "" {
		t.Errorf("the answer is not the row (-row +answer):\n%s", diff)
	}
	if tag := views.ConnectionETag(&row, f.Clock); resp.Headers["ETag"] != tag {
		t.Errorf("ETag %s, want %s", resp.Headers["ETag"], tag)
	}
	again := f.change(`{"nickname":"  Other ","refresh_policy":"hourly","external_carrier_id":"x/1","metadata":{"a":"b"},"account_number":" 0000-123400"}`, "Idempotency-Key", "k")
	if again.Body != resp.Body || again.Headers["ETag"] != resp.Headers["ETag"] || again.Headers["Idempotent-Replayed"] != "true" || f.Row(f.id).Version != row.Version {
		t.Errorf("again: %d %s", again.StatusCode, again.Body)
	}
	if n := len(f.Carrier.TakeAsked()); n != 0 {
		t.Errorf("the carrier was asked %d times", n)
	}
	// What is not given stays; an empty object takes all metadata away.
	f.change(`{"metadata":{}}`)
	if row := f.Row(f.id); len(row.Metadata) != 0 || row.Nickname != "Other" || row.ExternalID != "x/1" {
		t.Errorf("row %+v", row)
	}
}

func TestChangeOfCredentials(t *testing.T) {
	f := inMemory(t)
	before := f.Row(f.id)
	f.Pass(time.Hour)
	resp := f.change(bodyNew, "Idempotency-Key", "k")
	got := functiontest.Read[views.Connection](t, resp, http.StatusOK)
	asked := f.Carrier.TakeAsked()
	if len(asked) != 1 || asked[0].Check != 1 || asked[0].Account.Number != functiontest.Number || !asked[0].Account.Credentials.Equal(newCredentials) {
		t.Errorf("the carrier was asked %d times", len(asked))
	}
	row := f.One(t, functiontest.Number, newCredentials)
	if got.CarrierID != f.id || got.Credentials.PreviousAvailableUntil == nil || *got.Credentials.APIKeyLastFour != newKey[len(newKey)-4:] || *got.Credentials.UpdatedAt != *httpapi.Time(f.Clock) {
		t.Errorf("%s", resp.Body)
	}
	if diff := cmp.Diff(views.NewConnection(&row, f.Clock), got); diff != "" {
		t.Errorf("the answer is not the row (-row +answer):\n%s", diff)
	}
	if tag := views.ConnectionETag(&row, f.Clock); resp.Headers["ETag"] != tag {
		t.Errorf("ETag %s, want %s", resp.Headers["ETag"], tag)
	}
	wantPrevious := connection.PreviousCredentials{
		SecretVersion: before.SecretVersion, AccountNumber: functiontest.Number, LastFour: before.APIKeyLastFour, CredentialID: before.CredentialID, Until: f.Clock.Add(connection.PreviousKept),
	}
	if diff := cmp.Diff(wantPrevious, row.Previous); diff != "" {
		t.Errorf("previous credentials (-want +got):\n%s", diff)
	}
	if h := f.History(f.id); len(h) != 2 || h[0].Trigger != connection.TriggerManual || row.ChecksWithCredentials != 1 || row.ChecksEver != 2 {
		t.Errorf("checks %d, history %+v", row.ChecksWithCredentials, h)
	}
	again := f.change(bodyNew, "Idempotency-Key", "k")
	if again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" || f.Row(f.id).Version != row.Version || len(f.Carrier.TakeAsked()) != 0 {
		t.Errorf("again: %d %s", again.StatusCode, again.Body)
	}
}

// TestChangeToTheSameCredentials: the stored credentials are verified only, and a
// rollback restores what it would have restored before.
func TestChangeToTheSameCredentials(t *testing.T) {
	f := inMemory(t)
	f.change(bodyNew)
	before := f.Row(f.id)
	f.Carrier.TakeAsked()
	f.Pass(time.Hour)
	for n, body := range []string{bodyNew, `{"account_number":"` + functiontest.Number + `",` + bodyNew[1:]} {
		resp := f.change(body, "Idempotency-Key", strconv.Itoa(n))
		got := functiontest.Read[views.Connection](t, resp, http.StatusOK)
		row := f.One(t, functiontest.Number, newCredentials)
		if diff := cmp.Diff(views.NewConnection(&row, f.Clock), got); diff != "" || resp.Headers["ETag"] != views.ConnectionETag(&row, f.Clock) {
			t.Errorf("the answer is not the row (-row +answer):\n%s", diff)
		}
		if row.SecretVersion != before.SecretVersion || row.Previous != before.Previous || row.CredentialsUpdatedAt != before.CredentialsUpdatedAt {
			t.Errorf("the credentials have changed: %+v", row)
		}
		if len(f.Carrier.TakeAsked()) != 1 || !row.VerifiedAt.Equal(f.Clock) || len(f.History(f.id)) != 3+n {
			t.Errorf("it is not verified: %+v", row)
		}
		if again := f.change(body, "Idempotency-Key", strconv.Itoa(n)); again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" || len(f.Carrier.TakeAsked()) != 0 {
			t.Errorf("again: %d %s", again.StatusCode, again.Body)
		}
	}
	if resp := f.rollback(); resp.StatusCode != http.StatusOK {
		t.Errorf("rollback: %d %s", resp.StatusCode, resp.Body)
	}
	f.One(t, functiontest.Number, oldCredentials)
}

// TestChangeRepairsAConnection: new credentials repair a refused connection, and one whose
// secret is gone.
func TestChangeRepairsAConnection(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		f := inMemory(t)
		row := f.Row(f.id)
		row.Status, row.ConsecutiveFailures, row.NextRefreshAt = connection.ActionRequired, 2, time.Time{}
		if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		f.change(bodyNew)
		if row := f.One(t, functiontest.Number, newCredentials); row.Status != connection.Active || row.ConsecutiveFailures != 0 || !row.Scheduled() {
			t.Errorf("row %+v", row)
		}
	})
	t.Run("the secret is gone", func(t *testing.T) {
		f := inMemory(t)
		if err := f.Vault.Delete(t.Context(), functiontest.Account, f.id, 0); err != nil {
			t.Fatal(err)
		}
		wants(t, f.change(`{"account_number":"`+functiontest.OtherNumber+`"}`), "409", "invalid_status: credentials_missing")
		f.change(bodyNew)
		f.One(t, functiontest.Number, newCredentials)
		wants(t, f.rollback(), "409", "invalid_status")
	})
}

func TestChangeOfTheNumber(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want connection.Credentials
	}{
		"alone":            {`{"account_number":"` + functiontest.OtherNumber + `"}`, oldCredentials},
		"with credentials": {`{"account_number":"` + functiontest.OtherNumber + `",` + bodyNew[1:], newCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			resp := f.change(tc.body)
			if got := functiontest.Read[views.Connection](t, resp, http.StatusOK); got.AccountNumber != functiontest.OtherNumber || got.AccountNumberMasked != "*******700" {
				t.Errorf("%s", resp.Body)
			}
			f.One(t, functiontest.OtherNumber, tc.want)
			f.Pass(time.Minute)
			if resp := f.rollback(); resp.StatusCode != http.StatusOK {
				t.Errorf("rollback: %d %s", resp.StatusCode, resp.Body)
			}
			f.One(t, functiontest.Number, oldCredentials)
		})
	}
}

func TestChangeToALinkedNumber(t *testing.T) {
	f := inMemory(t)
	other := newFrontBeside(f, functiontest.OtherNumber)
	before := f.Row(f.id)
	resp := f.change(`{"account_number":"`+functiontest.OtherNumber+`"}`, "Idempotency-Key", "k")
	wants(t, resp, "409", "carrier_conflict account_number")
	if !strings.Contains(resp.Body, `"existing_carrier_id":"`+other.id+`"`) {
		t.Errorf("%s", resp.Body)
	}
	after := f.Row(f.id)
	before.Version = after.Version // it was at work, and ended
	same(t, before, after)
	if holders := f.Holders(functiontest.OtherNumber); len(holders) != 1 {
		t.Errorf("holders %v", holders)
	}
	for _, yes := range []string{`true`, `"true"`} {
		if resp := f.change(`{"account_number":"`+functiontest.OtherNumber+`","allow_duplicate_account_number":`+yes+`}`, "Idempotency-Key", yes); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", yes, resp.StatusCode, resp.Body)
		}
	}
	if a, b := f.Holders(functiontest.OtherNumber), f.Holders(functiontest.Number); len(a) != 2 || len(b) != 0 {
		t.Errorf("holders %v and %v", a, b)
	}
}

// TestIfMatch: a tag names one version of the connection, contract included, and no other
// request's change is lost.
func TestIfMatch(t *testing.T) {
	f := inMemory(t)
	tag := tagOf(f)
	t.Run("any", func(t *testing.T) {
		if resp := f.change(`{"nickname":"any"}`, "If-Match", "*"); resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
	})
	t.Run("an earlier one", func(t *testing.T) {
		wants(t, f.change(bodyNew, "If-Match", tag), "412", "invalid_field_value If-Match")
	})
	t.Run("a weak one", func(t *testing.T) {
		wants(t, f.change(bodyNew, "If-Match", "W/"+tagOf(f)), "412", "invalid_field_value If-Match")
	})
	t.Run("this one", func(t *testing.T) {
		tag := tagOf(f)
		resp := f.change(bodyNew, "If-Match", `"other", `+tag, "Idempotency-Key", "k")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
		again := f.change(bodyNew, "If-Match", `"other", `+tag, "Idempotency-Key", "k")
		if again.StatusCode != http.StatusOK || again.Body != resp.Body {
			t.Errorf("again: %d %s", again.StatusCode, again.Body)
		}
		// The answer's tag is the next one's.
		if next := f.change(`{"nickname":"next"}`, "If-Match", resp.Headers["ETag"]); next.StatusCode != http.StatusOK {
			t.Errorf("next: %d %s", next.StatusCode, next.Body)
		}
	})
	t.Run("somebody is faster", func(t *testing.T) {
		row := f.Row(f.id)
		f.Carrier.Meanwhile = func() { f.change(`{"nickname":"faster"}`) }
		wants(t, f.change(bodyNew, "If-Match", views.ConnectionETag(&row, f.Clock)), "412", "invalid_field_value If-Match")
		if now := f.Row(f.id); now.Nickname != "faster" || now.SecretVersion != row.SecretVersion {
			t.Errorf("row %+v", now)
		}
	})
	// `*` does not pin a version: a change on top of another is fine.
	t.Run("somebody is faster than any", func(t *testing.T) {
		f.Carrier.Meanwhile = func() { f.change(`{"nickname":"faster than any"}`) }
		if resp := f.change(bodyNew, "If-Match", "*"); resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
		if now := f.Row(f.id); now.Nickname != "faster than any" {
			t.Errorf("row %+v", now)
		}
	})
}

// TestIfMatchOfEveryChange: what If-Match does not allow is not done, on every route that
// changes or checks the connection, and the tag of an answer is that of the next read.
func TestIfMatchOfEveryChange(t *testing.T) {
	for name, do := range map[string]func(*front, ...string) events.APIGatewayProxyResponse{
		"rollback": (*front).rollback, "verify": (*front).verify, "refresh": (*front).refresh,
	} {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			f.change(bodyNew)
			before := f.Row(f.id)
			f.Carrier.TakeAsked()
			f.Pass(time.Hour)
			for _, match := range []string{`"x"`, "W/" + tagOf(f)} {
				wants(t, do(f, "If-Match", match, "Idempotency-Key", "k"), "412", "invalid_field_value If-Match")
			}
			wants(t, do(f, "If-Match", "x"), "400", "invalid_field_value If-Match")
			same(t, before, f.Row(f.id))
			if n := len(f.Carrier.TakeAsked()); n != 0 {
				t.Errorf("the carrier was asked %d times", n)
			}
			resp := do(f, "If-Match", `"x", `+tagOf(f), "Idempotency-Key", "k")
			if resp.StatusCode/100 != 2 {
				t.Errorf("%d %s", resp.StatusCode, resp.Body)
			}
			if name != "verify" && resp.Headers["ETag"] != tagOf(f) {
				t.Errorf("ETag %s, want %s", resp.Headers["ETag"], tagOf(f))
			}
			if again := do(f, "If-Match", `"gone"`, "Idempotency-Key", "k"); again.Body != resp.Body || again.Headers["ETag"] != resp.Headers["ETag"] {
				t.Errorf("again: %d %s", again.StatusCode, again.Body)
			}
			f.Pass(time.Hour)
			if resp := do(f, "If-Match", "*"); resp.StatusCode/100 != 2 {
				t.Errorf("any: %d %s", resp.StatusCode, resp.Body)
			}
		})
	}
	t.Run("somebody is faster than a rollback", func(t *testing.T) {
		f := inMemory(t)
		f.change(bodyNew)
		f.Carrier.Meanwhile = func() { f.change(`{"nickname":"faster"}`) }
		wants(t, f.rollback("If-Match", tagOf(f)), "412", "invalid_field_value If-Match")
		if row := f.One(t, functiontest.Number, newCredentials); row.Nickname != "faster" {
			t.Errorf("row %+v", row)
		}
		f.Carrier.Meanwhile = func() { f.change(`{"nickname":"faster than any"}`) }
		if resp := f.rollback("If-Match", "*"); resp.StatusCode != http.StatusOK {
			t.Errorf("any: %d %s", resp.StatusCode, resp.Body)
		}
	})
}

// TestTwoNumbersAtOnce: of two concurrent changes of the number the later one is
// refused, whatever its If-Match, and the earlier one stands.
func TestTwoNumbersAtOnce(t *testing.T) {
	const first, second = "0000456700", "0000789000"
	for name, tc := range map[string]struct {
		headers func(tag string) []string
		want    []string
	}{
		"of no state":  {func(string) []string { return nil }, []string{"409", "invalid_status"}},
		"of any state": {func(string) []string { return []string{"If-Match", "*"} }, []string{"409", "invalid_status"}},
		"of one state": {func(tag string) []string { return []string{"If-Match", tag} }, []string{"412", "invalid_field_value If-Match"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := inMemory(t)
			tag := tagOf(f)
			f.Carrier.Meanwhile = func() {
				if resp := f.change(`{"account_number":"` + first + `"}`); resp.StatusCode != http.StatusOK {
					t.Errorf("the earlier one: %d %s", resp.StatusCode, resp.Body)
				}
			}
			wants(t, f.change(`{"account_number":"`+second+`"}`, tc.headers(tag)...), tc.want...)
			f.One(t, first, oldCredentials)
			if held := f.Holders(second); len(held) != 0 {
				t.Errorf("the later one's number is held by %v", held)
			}
		})
	}
}

// TestChangeOfNothing: a change without a difference leaves the version and the tag as
// they are. Only its answer is stored, if it has an Idempotency-Key.
func TestChangeOfNothing(t *testing.T) {
	f := inMemory(t)
	const body = `{"nickname":" n","refresh_policy":"hourly","external_carrier_id":"x","metadata":{"a":"b"},"account_number":"0000-123400"}`
	f.change(body)
	before, tag := f.Row(f.id), tagOf(f)
	f.Pass(time.Hour)
	for _, body := range []string{body, `{"nickname":"n"}`, `{"metadata":{"a":"b"}}`, `{"account_number":"` + functiontest.Number + `"}`, `{"refresh_policy":"hourly"}`} {
		for _, headers := range [][]string{nil, {"If-Match", tag}, {"If-Match", "*", "Idempotency-Key", body}, {"Idempotency-Key", body}} {
			resp := f.change(body, headers...)
			if resp.StatusCode != http.StatusOK || resp.Headers["ETag"] != tag {
				t.Errorf("%s %v: %d %s with %v, want the tag %s", body, headers, resp.StatusCode, resp.Body, resp.Headers, tag)
			}
			same(t, before, f.Row(f.id))
		}
		// The answer is kept, although the connection is another one by now.
		f.change(`{"nickname":"another"}`)
		if again := f.change(body, "Idempotency-Key", body); again.Headers["Idempotent-Replayed"] != "true" || again.Headers["ETag"] != tag {
			t.Errorf("%s again: %d %v", body, again.StatusCode, again.Headers)
		}
		f.change(`{"nickname":"n"}`)
		before, tag = f.Row(f.id), tagOf(f)
	}
	t.Run("metadata that there never was", func(t *testing.T) {
		f := inMemory(t)
		before := f.Row(f.id)
		f.change(`{"metadata":{}}`)
		same(t, before, f.Row(f.id))
	})
}

// TestConcurrentChanges: another request changes the connection while this one asks the
// carrier. A change of local fields is kept; a change of credentials is not overwritten.
func TestConcurrentChanges(t *testing.T) {
	t.Run("a nickname", func(t *testing.T) {
		f := inMemory(t)
		f.Carrier.Meanwhile = func() { f.change(`{"nickname":"twin"}`) }
		if resp := f.change(bodyNew); resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
		if row := f.One(t, functiontest.Number, newCredentials); row.Nickname != "twin" {
			t.Errorf("nickname %q", row.Nickname)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		f := inMemory(t)
		f.Carrier.Meanwhile = func() {
			f.change(`{"api_key":"22222222-2222-4333-8444-555555555555","api_secret":"twin-canary"}`)
		}
		resp := f.change(bodyNew)
		if wants(t, resp, "409", "invalid_status"); resp.Headers["Retry-After"] == "" {
			t.Errorf("headers %v", resp.Headers)
		}
		f.One(t, functiontest.Number, functiontest.Credentials("22222222-2222-4333-8444-555555555555", "twin-canary"))
	})
	t.Run("unlinked", func(t *testing.T) {
		f := inMemory(t)
		f.Carrier.Meanwhile = func() { f.unlink() }
		wants(t, f.change(bodyNew), "404", "not_found")
		f.Gone(t)
	})
	t.Run("the same request", func(t *testing.T) {
		f := inMemory(t)
		f.Carrier.Meanwhile = func() { wants(t, f.change(bodyNew, "Idempotency-Key", "k"), "409", "invalid_status Idempotency-Key") }
		if resp := f.change(bodyNew, "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
		f.One(t, functiontest.Number, newCredentials)
	})
}

// TestRetryAfterOfConcurrentChanges: Retry-After is a second, because most changes are over by
// then; their lease is only the upper limit.
func TestRetryAfterOfConcurrentChanges(t *testing.T) {
	f := inMemory(t)
	row := f.Row(f.id)
	row.Work, row.LeaseUntil = connection.WorkCredentials, f.Clock.Add(28*time.Second)
	if err := f.Store.SaveConnection(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() events.APIGatewayProxyResponse{
		"a nickname":  func() events.APIGatewayProxyResponse { return f.change(`{"nickname":"n"}`) },
		"credentials": func() events.APIGatewayProxyResponse { return f.change(bodyNew) },
		"unlink":      f.unlink,
	} {
		resp := ask()
		if wants(t, resp, "409", "invalid_status"); resp.Headers["Retry-After"] != "1" {
			t.Errorf("%s: Retry-After %q, want 1", name, resp.Headers["Retry-After"])
		}
	}
	if n := len(f.Carrier.TakeAsked()); n != 0 {
		t.Errorf("the carrier was asked %d times", n)
	}
}

// TestChangeHints: the carrier is asked about credentials of another kind too; if it
// refuses them the diagnosis says what is needed.
func TestChangeHints(t *testing.T) {
	f := inMemory(t)
	f.Carrier.Reading = &connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: 401}
	resp := f.change(`{"api_key":"28744ed5982391881611cca6cf5c2409","api_secret":"x-canary-0123456789"}`)
	wants(t, resp, "400", "verification_failure: credentials_refused")
	if len(f.Carrier.TakeAsked()) != 1 || !strings.Contains(resp.Body, "Postage Assessment Calculator") || !strings.Contains(resp.Body, connection.Needed) {
		t.Errorf("%s", resp.Body)
	}
}

// TestChangeWhenTheVaultFails: either nothing has changed, or everything has.
func TestChangeWhenTheVaultFails(t *testing.T) {
	for method, changed := range map[string]bool{"Stage": false, "Align": true} {
		t.Run(method, func(t *testing.T) {
			f := inMemory(t)
			f.Vault.Fail = func(m string) error {
				if m == method {
					return errors.New("AccessDenied")
				}
				return nil
			}
			resp := f.change(bodyNew, "Idempotency-Key", "k")
			want, status := oldCredentials, http.StatusInternalServerError
			if changed {
				want, status = newCredentials, http.StatusOK
			}
			if resp.StatusCode != status {
				t.Errorf("%d %s, want %d", resp.StatusCode, resp.Body, status)
			}
			f.Vault.Fail = nil
			f.Pass(time.Minute)
			if _, err := f.Connections.Reconcile(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			f.One(t, functiontest.Number, want)
			if resp := f.change(bodyNew, "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
				t.Errorf("again: %d %s", resp.StatusCode, resp.Body)
			}
			f.One(t, functiontest.Number, newCredentials)
		})
	}
}

// TestTooManyVersions: at AWS's limit of versions a change is a 429 with a time, nothing has
// changed, and the same request succeeds later.
func TestTooManyVersions(t *testing.T) {
	f := inMemory(t)
	f.Vault.Fail = func(method string) error {
		if method == "Stage" {
			return connection.ErrTooManyVersions(errors.New("LimitExceededException"))
		}
		return nil
	}
	resp := f.change(bodyNew, "Idempotency-Key", "k")
	if wants(t, resp, "429", "rate_limit_exceeded"); resp.Headers["Retry-After"] != "3600" || !strings.Contains(resp.Body, "changed too often today") {
		t.Errorf("Retry-After %q: %s", resp.Headers["Retry-After"], resp.Body)
	}
	f.One(t, functiontest.Number, oldCredentials)
	f.Vault.Fail = nil
	f.Pass(time.Hour)
	if resp := f.change(bodyNew, "Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
		t.Errorf("an hour later: %d %s", resp.StatusCode, resp.Body)
	}
	f.One(t, functiontest.Number, newCredentials)
}

// says checks the reason for a refused rollback, and the explanation of what a rollback
// can do.
func says(t *testing.T, resp events.APIGatewayProxyResponse, why string) {
	t.Helper()
	for _, text := range []string{why, "A rollback brings back the API key, the API secret and the account number", "for 30 days", "credentials.previous_available_until"} {
		if !strings.Contains(resp.Body, text) {
			t.Errorf("%s, want it to say: %s", resp.Body, text)
		}
	}
}

func TestRollbackRefuses(t *testing.T) {
	t.Run("nothing was changed", func(t *testing.T) {
		f := inMemory(t)
		f.change(`{"nickname":"n"}`)
		resp := f.rollback("Idempotency-Key", "k")
		if wants(t, resp, "409", "invalid_status"); resp.Headers["Retry-After"] != "" {
			t.Errorf("headers %v", resp.Headers)
		}
		says(t, resp, "neither credentials nor account number were changed")
	})
	t.Run("too long ago", func(t *testing.T) {
		f := inMemory(t)
		f.change(bodyNew)
		until := f.Clock.Add(connection.PreviousKept)
		f.Pass(connection.PreviousKept)
		resp := f.rollback()
		wants(t, resp, "409", "invalid_status")
		says(t, resp, "were kept until "+until.Format(time.RFC3339))
	})
	t.Run("the version is gone", func(t *testing.T) {
		f := inMemory(t)
		f.change(bodyNew)
		f.Vault.Fail = func(string) error { return fault.New(fault.NotFound, "m") }
		resp := f.rollback()
		wants(t, resp, "409", "invalid_status")
		says(t, resp, "no longer kept")
	})
	t.Run("the vault is down", func(t *testing.T) {
		f := inMemory(t)
		f.change(bodyNew)
		f.Vault.Fail = func(string) error { return errors.New("AccessDenied") }
		wants(t, f.rollback(), "500", "unspecified")
	})
	for _, o := range carrier.Outcomes() {
		if o == carrier.OutcomeOK {
			continue
		}
		t.Run(string(o), func(t *testing.T) {
			f := inMemory(t)
			f.change(bodyNew)
			before := f.Row(f.id)
			f.Carrier.Reading = &connection.Reading{Outcome: o, HTTPStatus: 418}
			if got := functiontest.Problems(t, f.rollback("Idempotency-Key", "k")); !strings.HasSuffix(got[1], f.Carrier.Reading.Diagnosis().Category) {
				t.Errorf("%v", got)
			}
			same(t, before, f.One(t, functiontest.Number, newCredentials))
			f.Carrier.Reading = nil
			if resp := f.rollback("Idempotency-Key", "k"); resp.StatusCode != http.StatusOK {
				t.Errorf("once it works: %d %s", resp.StatusCode, resp.Body)
			}
		})
	}
	t.Run("the number is another connection's by now", func(t *testing.T) {
		f := inMemory(t)
		f.change(`{"account_number":"` + functiontest.OtherNumber + `"}`)
		newFrontBeside(f, functiontest.Number)
		resp := f.rollback()
		wants(t, resp, "409", "carrier_conflict account_number")
		if strings.Contains(resp.Body, "allow_duplicate") || !strings.Contains(resp.Body, "that the rollback restores") || !strings.Contains(resp.Body, "existing_carrier_id") {
			t.Errorf("%s", resp.Body)
		}
		if row := f.Row(f.id); row.AccountNumber != functiontest.OtherNumber || row.Work != connection.NoWork {
			t.Errorf("row %+v", row)
		}
	})
}

func TestRollback(t *testing.T) {
	f := inMemory(t)
	f.change(bodyNew)
	f.Carrier.TakeAsked()
	f.Pass(time.Hour)
	resp := f.rollback("Idempotency-Key", "k")
	got := functiontest.Read[views.Connection](t, resp, http.StatusOK)
	row := f.One(t, functiontest.Number, oldCredentials)
	if diff := cmp.Diff(views.NewConnection(&row, f.Clock), got); diff != "" {
		t.Errorf("the answer is not the row (-row +answer):\n%s", diff)
	}
	if asked := f.Carrier.TakeAsked(); len(asked) != 1 || !asked[0].Account.Credentials.Equal(oldCredentials) {
		t.Errorf("the carrier was asked %d times", len(asked))
	}
	again := f.rollback("Idempotency-Key", "k")
	if again.Body != resp.Body || again.Headers["Idempotent-Replayed"] != "true" || f.Row(f.id).Version != row.Version {
		t.Errorf("again: %d %s", again.StatusCode, again.Body)
	}
	// A second one takes the first one back, and so on.
	for i, want := range []connection.Credentials{newCredentials, oldCredentials, newCredentials} {
		if resp := f.rollback("Idempotency-Key", strconv.Itoa(i)); resp.StatusCode != http.StatusOK {
			t.Errorf("%d: %d %s", i, resp.StatusCode, resp.Body)
		}
		f.One(t, functiontest.Number, want)
	}
	if n := len(f.History(f.id)); n != 6 {
		t.Errorf("the history has %d entries, want one of the link, the change and each rollback", n)
	}
}
