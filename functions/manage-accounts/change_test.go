package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/effects"
	"carrierlink/shared/email"
	"carrierlink/shared/views"
)

func TestChangeRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	tests := []struct {
		name, body string
		want       []string
	}{
		{"no body", ``, []string{"400", "request_body_required"}},
		{"null", `null`, []string{"400", "request_body_required"}},
		{"no object", `[]`, []string{"400", "invalid_field_value"}},
		{"too large", `{"first_name":"` + strings.Repeat("a", 65<<10) + `"}`, []string{"413", "invalid_field_value"}},
		{"twice", `{"first_name":"a","first_name":"b"}`, []string{"400", "invalid_field_value first_name"}},
		{"in another letter case", `{"First_Name":"a"}`, []string{"400", "invalid_field_value First_Name"}},
		{"first_name too long by one", `{"first_name":"` + long(25) + `"}`, []string{"400", "invalid_string_length first_name"}},
		{"last_name empty", `{"last_name":""}`, []string{"400", "invalid_string_length last_name"}},
		{"company_name of blanks", `{"company_name":"  "}`, []string{"400", "invalid_string_length company_name"}},
		{"external_account_id empty", `{"external_account_id":""}`, []string{"400", "invalid_string_length external_account_id"}},
		{"country in small letters", `{"origin_country_code":"nz"}`, []string{"400", "invalid_field_value origin_country_code"}},
		{"country empty", `{"origin_country_code":""}`, []string{"400", "invalid_string_length origin_country_code"}},
		{"email without @", `{"email":"ada"}`, []string{"400", "invalid_field_value email"}},
		{"metadata no object", `{"metadata":[]}`, []string{"400", "invalid_field_value metadata"}},
		{"a wrong one among right ones", `{"first_name":"Eve","email":"ada"}`, []string{"400", "invalid_field_value email"}},
		{
			"everything", `{"x":1,"metadata":{"a":1},"email":"ada","origin_country_code":"nz","external_account_id":"","company_name":7,"last_name":"\u0000","first_name":"` + long(25) + `"}`,
			[]string{
				"400", "invalid_string_length first_name", "invalid_field_value last_name", "invalid_field_value company_name", "invalid_string_length external_account_id",
				"invalid_field_value origin_country_code", "invalid_field_value email", "invalid_field_value metadata.a", "invalid_field_value x",
			},
		},
		{"another's external id", `{"external_account_id":"shop/2"}`, []string{"409", "identifier_conflict external_account_id (72)"}},
		{"another's email", `{"email":"bob@example.com"}`, []string{"409", "identifier_conflict email (72)"}},
		{"another's email in another letter case", `{"email":"BOB@example.com"}`, []string{"409", "identifier_conflict email (72)"}},
		{"another partner's email: whose is not told", `{"email":"cy@example.com"}`, []string{"409", "identifier_conflict email"}},
		{"both", `{"external_account_id":"shop/2","email":"cy@example.com"}`, []string{"409", "identifier_conflict external_account_id (72)", "identifier_conflict email"}},
	}
	for _, field := range []string{
		"account_id", "created_at", "modified_at", "active", "environment", "carriers_count", "purge_at", "api_key", "password", "partner_id", "version", "PK",
	} {
		for _, value := range []string{"null", "1", `"x"`} {
			tests = append(tests, struct {
				name, body string
				want       []string
			}{"read-only or unknown " + field + " " + value, `{"first_name":"Eve","` + field + `":` + value + `}`, []string{"400", "invalid_field_value " + field}})
		}
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			before := d.accountsAsTheyAre(t)
			resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", tc.body, "Idempotency-Key", "k")
			if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" {
				t.Errorf("%.100s (-want +got):\n%s", tc.body, diff)
			}
			if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
				t.Errorf("a refused request changed something:\n%s", diff)
			}
		})
	}
	t.Run("content type", func(t *testing.T) {
		d := newFront(t)
		resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `first_name=Eve`, "Content-Type", "application/x-www-form-urlencoded")
		if diff := cmp.Diff([]string{"415", "invalid_field_value Content-Type"}, functiontest.Problems(t, resp)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestChange changes each field alone; the others stay as they are.
func TestChange(t *testing.T) {
	tests := []struct {
		name, body string
		edit       func(*account.Account)
	}{
		{"nothing", `{}`, func(*account.Account) {}},
		{"everything as it is", `{"first_name":" Ada","last_name":"King","company_name":"Engines & Co","email":"ada@example.com","origin_country_code":"AU","metadata":{"tier":"gold"}}`, func(*account.Account) {}},
		{"one of many", `{"first_name":"Ada","last_name":"Hop","metadata":{"tier":"gold"}}`, func(a *account.Account) { a.LastName = "Hop" }},
		{"nulls", `{"first_name":null,"email":null,"metadata":null,"origin_country_code":null,"external_account_id":null}`, func(*account.Account) {}},
		{"first_name", `{"first_name":" Eve "}`, func(a *account.Account) { a.FirstName = "Eve" }},
		{"last_name", `{"last_name":"Hop"}`, func(a *account.Account) { a.LastName = "Hop" }},
		{"company_name", `{"company_name":"Motors & Co"}`, func(a *account.Account) { a.CompanyName = "Motors & Co" }},
		{"external_account_id", `{"external_account_id":" a/b% é"}`, func(a *account.Account) { a.ExternalID = " a/b% é" }},
		{"external_account_id of another partner's account", `{"external_account_id":"shop/3"}`, func(a *account.Account) { a.ExternalID = "shop/3" }},
		{"its own external_account_id", `{"external_account_id":"shop/1"}`, func(*account.Account) {}},
		{"country", `{"origin_country_code":"NZ"}`, func(a *account.Account) { a.OriginCountryCode = "NZ" }},
		{"email", `{"email":"eve@example.com"}`, func(a *account.Account) { a.Email = "eve@example.com" }},
		{"its own email in another letter case", `{"email":"ADA@example.com"}`, func(a *account.Account) { a.Email = "ADA@example.com" }},
		{"metadata", `{"metadata":{"a":"1","b":""}}`, func(a *account.Account) { a.Metadata = map[string]string{"a": "1", "b": ""} }},
		{"metadata emptied", `{"metadata":{}}`, func(a *account.Account) { a.Metadata = nil }},
		{
			"everything",
			`{"first_name":"F","last_name":"L","company_name":"C","external_account_id":"e","origin_country_code":"GB","email":"n@example.com","metadata":{"k":"v"}}`,
			func(a *account.Account) {
				a.FirstName, a.LastName, a.CompanyName, a.ExternalID, a.OriginCountryCode, a.Email = "F", "L", "C", "e", "GB", "n@example.com"
				a.Metadata = map[string]string{"k": "v"}
			},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			d.AddAccount(account.Account{ID: 82, PartnerID: 6, ExternalID: "shop/3", Active: true})
			want := d.accountsAsTheyAre(t)
			d.Clock = d.Clock.Add(time.Hour + 999*time.Microsecond)
			resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", tc.body)
			got := functiontest.Read[views.Account](t, resp, http.StatusOK)
			read := want[0]
			tag := `"1-0"`
			tc.edit(&want[0])
			want[0].EmailKey = email.Key(want[0].Email)
			if !want[0].Same(read) {
				want[0].Version, want[0].ModifiedAt = 2, d.Clock.Truncate(time.Millisecond)
				tag = `"2-0"`
			}
			after := d.accountsAsTheyAre(t)
			if diff := cmp.Diff(want, after); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(views.NewAccount(after[0]), got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			then := d.Do("partner 5", http.MethodGet, allPath+"/71", "")
			if then.Body != resp.Body || then.Headers["ETag"] != tag || resp.Headers["ETag"] != tag {
				t.Errorf("answer and account as read afterwards, want the tag %s:\n%s %s\n%s %s", tag, resp.Body, resp.Headers["ETag"], then.Body, then.Headers["ETag"])
			}
		})
	}
	t.Run("identifiers that are given up are free", func(t *testing.T) {
		d := newFront(t)
		functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"external_account_id":"new","email":"new@example.com"}`), http.StatusOK)
		functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/72", `{"external_account_id":"shop/1","email":"ada@example.com"}`), http.StatusOK)
		for id, want := range map[string]int64{"new": 71, "shop%2F1": 72} {
			if got := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodGet, allPath+"/external_account_id/"+id, ""), http.StatusOK); got.AccountID != want {
				t.Errorf("%s is %d, want %d", id, got.AccountID, want)
			}
		}
		if resp := d.Do("partner 5", http.MethodGet, allPath+"/external_account_id/shop%2F2", ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("reading the account by its old external id: %d", resp.StatusCode)
		}
	})
}

func TestCountryWithCarriers(t *testing.T) {
	d := newFront(t)
	d.link(t, 71)
	if diff := cmp.Diff([]string{"409", "invalid_status origin_country_code"}, functiontest.Problems(t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"origin_country_code":"NZ"}`))); diff != "" {
		t.Errorf("another country (-want +got):\n%s", diff)
	}
	// A wrong body is reported first.
	if diff := cmp.Diff([]string{"400", "invalid_field_value email"}, functiontest.Problems(t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"origin_country_code":"NZ","email":"x"}`))); diff != "" {
		t.Errorf("another country and a wrong email (-want +got):\n%s", diff)
	}
	got := functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"origin_country_code":"AU","first_name":"Eve"}`), http.StatusOK)
	if got.OriginCountryCode != "AU" || *got.FirstName != "Eve" || got.CarriersCount != 1 {
		t.Errorf("the same country: %+v", got)
	}
}

func TestIfMatch(t *testing.T) {
	d := newFront(t)
	tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
	refusesWith := func(t *testing.T, status, value string) {
		t.Helper()
		resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"first_name":"Mal"}`, "If-Match", value)
		if diff := cmp.Diff([]string{status, "invalid_field_value If-Match"}, functiontest.Problems(t, resp)); diff != "" {
			t.Errorf("If-Match: %s (-want +got):\n%s", value, diff)
		}
	}
	refuses := func(t *testing.T, value string) {
		t.Helper()
		refusesWith(t, "412", value)
	}
	for _, value := range []string{"", " ", strings.Trim(tag, `"`), tag + "x", ",", `"x", *`} {
		refusesWith(t, "400", value)
	}
	for _, value := range []string{`"x"`, `"x", "y"`, `"1-1"`, `"2-0"`, "W/" + tag} {
		refuses(t, value)
	}
	for i, form := range []string{"*", "%", `"x",%`, `W/"x", %`, " % "} {
		tag = d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
		functiontest.Read[views.Account](t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"first_name":"Eve`+strconv.Itoa(i)+`"}`, "if-match", strings.Replace(form, "%", tag, 1)), http.StatusOK)
		refuses(t, tag)
	}
	t.Run("a wrong body is reported first", func(t *testing.T) {
		if resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"x":1}`, "If-Match", `"x"`); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("other changes change the tag", func(t *testing.T) {
		tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
		want204(t, d.Do("partner 5", http.MethodPut, allPath+"/71/disable", ""))
		refuses(t, tag)
	})
	t.Run("one of many concurrent requests wins", func(t *testing.T) {
		tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
		var all sync.WaitGroup
		statuses := make([]int, 10)
		for i := range statuses {
			all.Go(func() {
				statuses[i] = d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"first_name":"`+string(rune('A'+i))+`"}`, "If-Match", tag).StatusCode
			})
		}
		all.Wait()
		won := map[int]int{}
		for _, s := range statuses {
			won[s]++
		}
		if diff := cmp.Diff(map[int]int{200: 1, 412: 9}, won); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
	})
}

// TestIfMatchOfStates: enable, disable and restore honour If-Match.
func TestIfMatchOfStates(t *testing.T) {
	for _, tc := range []struct {
		action, before string
		active         bool
	}{
		{"disable", "", false}, {"disable", "disable", false}, {"enable", "disable", true}, {"enable", "", true}, {"restore", "delete", true},
	} {
		for _, form := range []string{"%", `"x", %`, "*"} {
			t.Run(tc.action+" after "+tc.before+", "+form, func(t *testing.T) {
				d := newFront(t)
				switch tc.before {
				case "":
				case "delete":
					want204(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", ""))
				default:
					want204(t, d.Do("partner 5", http.MethodPut, allPath+"/71/"+tc.before, ""))
				}
				before := d.accountsAsTheyAre(t)
				tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
				for value, status := range map[string]string{`"7-7"`: "412", "W/" + tag: "412", "": "400", strings.Trim(tag, `"`): "400"} {
					resp := d.Do("partner 5", http.MethodPut, allPath+"/71/"+tc.action, "", "If-Match", value, "Idempotency-Key", "k")
					if diff := cmp.Diff([]string{status, "invalid_field_value If-Match"}, functiontest.Problems(t, resp)); diff != "" {
						t.Errorf("If-Match: %s (-want +got):\n%s", value, diff)
					}
					if diff := cmp.Diff(before, d.accountsAsTheyAre(t)); diff != "" {
						t.Errorf("If-Match: %s changed the account:\n%s", value, diff)
					}
				}
				for range 2 { // the second request is a repeat after the version has changed
					want204(t, d.Do("partner 5", http.MethodPut, allPath+"/71/"+tc.action, "", "If-Match", strings.Replace(form, "%", tag, 1), "Idempotency-Key", "k"))
				}
				if a := d.accountsAsTheyAre(t)[0]; a.Active != tc.active || a.Deleted() {
					t.Errorf("active %t, deleted %t, want active %t", a.Active, a.Deleted(), tc.active)
				}
			})
		}
	}
}

// TestIfMatchOfDeletion: a deletion honours If-Match, and so does a repeated one.
func TestIfMatchOfDeletion(t *testing.T) {
	d := newFront(t)
	tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
	for value, status := range map[string]string{`"7-7"`: "412", "W/" + tag: "412", "": "400", "x": "400"} {
		resp := d.Do("partner 5", http.MethodDelete, allPath+"/71", "", "If-Match", value)
		if diff := cmp.Diff([]string{status, "invalid_field_value If-Match"}, functiontest.Problems(t, resp)); diff != "" {
			t.Errorf("If-Match: %s (-want +got):\n%s", value, diff)
		}
	}
	if d.accountsAsTheyAre(t)[0].Deleted() {
		t.Fatal("refused deletions deleted the account")
	}
	want204(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", "", "If-Match", tag))
	if diff := cmp.Diff([]string{"412", "invalid_field_value If-Match"}, functiontest.Problems(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", "", "If-Match", tag))); diff != "" {
		t.Errorf("the tag before the deletion (-want +got):\n%s", diff)
	}
	tag = d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
	for _, value := range []string{tag, "*"} {
		want204(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", "", "If-Match", value))
	}
}

// TestConcurrentChangesOfState: a request pinned by If-Match never changes a later version;
// any other request changes the current version.
func TestConcurrentChangesOfState(t *testing.T) {
	for _, tc := range []struct{ method, action, before string }{
		{http.MethodPut, "/disable", ""}, {http.MethodPut, "/enable", "/disable"}, {http.MethodPut, "/restore", "delete"}, {http.MethodDelete, "", ""},
	} {
		for name, pin := range map[string]func(tag string) []string{
			"without": func(string) []string { return nil },
			"any":     func(string) []string { return []string{"If-Match", "*"} },
			"pinned":  func(tag string) []string { return []string{"If-Match", tag} },
		} {
			t.Run(tc.method+tc.action+" "+name, func(t *testing.T) {
				d := newFront(t)
				switch tc.before {
				case "":
				case "delete":
					want204(t, d.Do("partner 5", http.MethodDelete, allPath+"/71", ""))
				default:
					want204(t, d.Do("partner 5", http.MethodPut, allPath+"/71"+tc.before, ""))
				}
				tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]
				var between []account.Account
				d.accounts.Store = &racing{Store: d.Store, before: func() {
					a := d.accountsAsTheyAre(t)[0]
					var err error
					if a.Deleted() { // a deleted account changes only by being restored and deleted again
						err = d.Store.RestoreAccount(t.Context(), a, false, effects.Effects{}, d.Clock)
						if err == nil {
							err = d.Store.DeleteAccount(t.Context(), d.accountsAsTheyAre(t)[0], false, a.PurgeAt, effects.Effects{}, d.Clock)
						}
					} else {
						next := a
						next.LastName = "First"
						err = d.Store.UpdateAccount(t.Context(), account.Update{Old: a, New: next}, effects.Effects{}, d.Clock)
					}
					if err != nil {
						t.Error(err)
					}
					between = d.accountsAsTheyAre(t)
				}}
				resp := d.Do("partner 5", tc.method, allPath+"/71"+tc.action, "", pin(tag)...)
				if name != "pinned" {
					want204(t, resp)
					return
				}
				if diff := cmp.Diff([]string{"412", "invalid_field_value If-Match"}, functiontest.Problems(t, resp)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(between, d.accountsAsTheyAre(t)); diff != "" {
					t.Errorf("a refused request changed the account:\n%s", diff)
				}
			})
		}
	}
}

// TestConcurrentChanges: a change between the read and the write is neither lost nor
// overwritten. A request without If-Match changes the new version, and its stored answer
// shows that version.
func TestConcurrentChanges(t *testing.T) {
	tests := []struct {
		name  string
		times int // how often another request is faster
		pin   string
		want  []string // problems
	}{
		{"pinned", 1, "tag", []string{"412", "invalid_field_value If-Match"}},
		{"pinned among others", 1, `"x", tag`, []string{"412", "invalid_field_value If-Match"}},
		{"again and again", 4, "", []string{"409", "invalid_status"}},
		{"again and again, of any version", 9, "*", []string{"409", "invalid_status"}},
		{"once", 1, "", nil},
		{"once, of any version", 1, "*", nil},
		{"three times", 3, "", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newFront(t)
			headers := []string{"Idempotency-Key", "k"}
			if tag := d.Do("partner 5", http.MethodGet, allPath+"/71", "").Headers["ETag"]; tc.pin != "" {
				headers = append(headers, "If-Match", strings.Replace(tc.pin, "tag", tag, 1))
			}
			faster := 0
			d.accounts.Store = &racing{Store: d.Store, before: func() {
				if faster == tc.times {
					return
				}
				faster++
				a := d.accountsAsTheyAre(t)[0]
				next := a
				next.LastName, next.Metadata = "First "+strconv.Itoa(faster), map[string]string{"faster": strconv.Itoa(faster)}
				if err := d.Store.UpdateAccount(t.Context(), account.Update{Old: a, New: next}, effects.Effects{}, d.Clock); err != nil {
					t.Error(err)
				}
			}}
			d.Clock = d.Clock.Add(time.Hour)
			resp := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"last_name":"Second"}`, headers...)
			a := d.accountsAsTheyAre(t)[0]
			if tc.want != nil {
				if tc.want[0] == "409" && (resp.Headers["Retry-After"] != "1" || faster != 4) {
					t.Errorf("Retry-After %q after %d concurrent changes", resp.Headers["Retry-After"], faster)
				}
				if diff := cmp.Diff(tc.want, functiontest.Problems(t, resp)); diff != "" || !strings.HasPrefix(a.LastName, "First ") || a.Version != int64(faster+1) || tc.pin != "" && tc.pin != "*" && faster != 1 {
					t.Errorf("account %+v; answer (-want +got):\n%s", a, diff)
				}
				return
			}
			if a.LastName != "Second" || a.FirstName != "Ada" || a.Metadata["faster"] != strconv.Itoa(tc.times) || a.Version != int64(tc.times+2) {
				t.Errorf("account %+v", a)
			}
			then := d.Do("partner 5", http.MethodGet, allPath+"/71", "")
			again := d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"last_name":"Second"}`, headers...)
			for name, other := range map[string]events.APIGatewayProxyResponse{"what is read then": then, "the same request again": again} {
				if resp.StatusCode != http.StatusOK || other.Body != resp.Body || other.Headers["ETag"] != resp.Headers["ETag"] {
					t.Errorf("answer and %s:\n%d %s %s\n%s %s", name, resp.StatusCode, resp.Body, resp.Headers["ETag"], other.Body, other.Headers["ETag"])
				}
			}
			if again.Headers["Idempotent-Replayed"] != "true" {
				t.Errorf("again: %v", again.Headers)
			}
		})
	}
	t.Run("deleted concurrently", func(t *testing.T) {
		d := newFront(t)
		d.accounts.Store = &racing{Store: d.Store, before: func() {
			if err := d.Store.DeleteAccount(t.Context(), d.accountsAsTheyAre(t)[0], false, d.Clock.Add(time.Hour), effects.Effects{}, d.Clock); err != nil {
				t.Error(err)
			}
		}}
		if diff := cmp.Diff([]string{"409", "invalid_status"}, functiontest.Problems(t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"last_name":"Second"}`))); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	})
	t.Run("a carrier is linked concurrently", func(t *testing.T) {
		d := newFront(t)
		linked := false
		d.accounts.Store = &racing{Store: d.Store, before: func() {
			if !linked {
				linked = true
				d.link(t, 71)
			}
		}}
		if diff := cmp.Diff([]string{"409", "invalid_status origin_country_code"}, functiontest.Problems(t, d.Do("partner 5", http.MethodPatch, allPath+"/71", `{"origin_country_code":"NZ"}`))); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	})
}
