package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/functiontest"
	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/effects"
	"carrierlink/shared/fault"
	"carrierlink/shared/store/storetest"
)

func at() time.Time { return time.Date(2026, 3, 1, 0, 0, 30, 123456789, time.UTC) }

const partnerID = 5

// open returns the function over a table with partner 5 and its first key.
func open(t *testing.T) (*handler, account.APIKey) {
	t.Helper()
	h := &handler{&account.Service{Store: storetest.NewMemory(), Now: at, Random: rand.Reader}}
	p := account.Partner{ID: partnerID, Name: "Shop", Environment: carrier.Sandbox, DefaultCountryCode: "AU", CreatedAt: at()}
	k, err := account.MakeKey(rand.Reader, account.APIKey{PartnerID: partnerID, Environment: carrier.Sandbox, Description: "First", CreatedAt: at()})
	if err == nil {
		err = h.accounts.Store.CreatePartner(t.Context(), p, k.APIKey, effects.Effects{}, at())
	}
	if err != nil {
		t.Fatal(err)
	}
	return h, k.APIKey
}

func TestPayloadRefuses(t *testing.T) {
	h, _ := open(t)
	key, err := account.NewKey(rand.Reader, carrier.Production, partnerID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ payload, want string }{
		{`null`, "body required"},
		{`[]`, "invalid"},
		{`{"command":"list_partners","operator":"jo"} {}`, "invalid"},
		{`{}`, "required command"},
		{`{"command":"drop_table","operator":"jo"}`, "invalid command"},
		{`{"command":"LIST_PARTNERS","operator":"jo"}`, "invalid command"},
		{`{"command":"list_partners","command":"list_partners","operator":"jo"}`, "invalid command"},
		{`{"command":"list_partners"}`, "required operator"},
		{`{"command":"list_partners","operator":""}`, "length operator"},
		{`{"command":"list_partners","operator":"jo\u0000"}`, "invalid operator"},
		{`{"command":"list_partners","operator":"` + key.Text.Reveal() + `"}`, "invalid operator"},
		{`{"command":"list_partners","operator":"jo","partner_id":5}`, "invalid partner_id"},
		{`{"command":"list_partners","operator":"jo","after":0}`, "invalid after"},
		{`{"command":"disable_partner","operator":"jo"}`, "required partner_id"},
		{`{"command":"disable_partner","operator":"jo","partner_id":"5"}`, "invalid partner_id"},
		{`{"command":"disable_partner","operator":"jo","partner_id":2147483648}`, "invalid partner_id"},
		{`{"command":"disable_partner","operator":"jo","partner_id":6}`, "not found"},
		{`{"command":"enable_partner","operator":"jo","partner_id":6}`, "not found"},
		{`{"command":"list_keys","operator":"jo","partner_id":6}`, "not found"},
		{`{"command":"add_key","operator":"jo","partner_id":5}`, "required description"},
		{`{"command":"add_key","operator":"jo","partner_id":5,"description":"x","scopes":[]}`, "invalid scopes"},
		{`{"command":"add_key","operator":"jo","partner_id":5,"description":"x","scopes":["write"]}`, "invalid scopes"},
		{`{"command":"add_key","operator":"jo","partner_id":5,"description":"x","expires_at":"tomorrow"}`, "invalid expires_at"},
		{`{"command":"add_key","operator":"jo","partner_id":5,"description":"x","expires_at":"2026-03-01T00:00:30Z"}`, "invalid expires_at"},
		{`{"command":"add_key","operator":"jo","partner_id":5,"description":"First"}`, "state description"},
		{`{"command":"rotate_key","operator":"jo","partner_id":5}`, "required api_key_id"},
		{`{"command":"rotate_key","operator":"jo","partner_id":5,"api_key_id":1,"grace_period_seconds":604801}`, "invalid grace_period_seconds"},
		{`{"command":"rotate_key","operator":"jo","partner_id":5,"api_key_id":1}`, "not found"},
		{`{"command":"delete_key","operator":"jo","partner_id":5,"api_key_id":1}`, "not found"},
	} {
		by := functiontest.RecordAccounts(h.accounts)
		got, err := h.run(t.Context(), json.RawMessage(tc.payload))
		if told := describe(err); got != nil || told != tc.want || len(by.Take()) > 0 {
			t.Errorf("run(%s) = %v, %s, want %s", tc.payload, got, told, tc.want)
		}
	}
}

// describe returns kind and field of an error's first problem.
func describe(err error) string {
	if err == nil {
		return ""
	}
	p := fault.Of(err)[0]
	return strings.TrimSuffix(p.Kind.String()+" "+p.Field, " ")
}

// TestCommands runs every command, and checks its answer, and what the log and the store
// are told about it.
func TestCommands(t *testing.T) {
	h, first := open(t)
	by := functiontest.RecordAccounts(h.accounts)
	usual := slog.Default()
	t.Cleanup(func() { slog.SetDefault(usual) })
	stamp, day := `"2026-03-01T00:00:30.123Z"`, `"2026-03-02T00:00:30.123Z"`
	partner := func(disabled string) string {
		return `"partner_id":5,"name":"Shop","environment":"sandbox","default_country_code":"AU","created_at":` + stamp + `,"disabled_at":` + disabled
	}
	key := func(id, description, prefix, last, scopes, expires, replaced string) string {
		return `"partner_id":5,"api_key_id":` + id + `,"description":"` + description + `","key_prefix":"` + prefix + `","last_four":"` + last +
			`","scopes":` + scopes + `,"expires_at":` + expires + `,"last_used_at":null,"created_at":` + stamp + `,"account_id":null,"replaced_by":` + replaced
	}
	all := `["read","link","admin"]`
	for _, tc := range []struct {
		name, members string
		want          func(got map[string]any) string
		changes       bool
	}{
		{"list_partners", "", func(map[string]any) string { return `{"partners":[{` + partner("null") + `}],"next":null}` }, false},
		{"list_partners", `,"after":5`, func(map[string]any) string { return `{"partners":[],"next":null}` }, false},
		{"disable_partner", `,"partner_id":5`, func(map[string]any) string { return `{` + partner(stamp) + `,"changed":true}` }, true},
		{"disable_partner", `,"partner_id":5`, func(map[string]any) string { return `{` + partner(stamp) + `,"changed":false}` }, false},
		{"enable_partner", `,"partner_id":5`, func(map[string]any) string { return `{` + partner("null") + `,"changed":true}` }, true},
		{"add_key", `,"partner_id":5,"description":"Reader","scopes":["read"],"expires_at":"2026-03-02T00:00:30.123Z"`, func(got map[string]any) string {
			text := fmt.Sprint(got["encrypted_api_key"])
			if k, ok := account.ParseKey(text); !ok || k.PartnerID != partnerID || k.Environment != carrier.Sandbox {
				t.Errorf("the new key %q is of %+v", text, k)
			}
			return `{"encrypted_api_key":"` + text + `",` + key(id(got["api_key_id"]), "Reader", text[:14], text[len(text)-4:], `["read"]`, day, "null") + `}`
		}, true},
		{"rotate_key", fmt.Sprintf(`,"partner_id":5,"api_key_id":%d`, first.ID), func(got map[string]any) string {
			text := fmt.Sprint(got["encrypted_api_key"])
			return `{"encrypted_api_key":"` + text + `",` + key(id(got["api_key_id"]), "First", text[:14], text[len(text)-4:], all, "null", "null") +
				fmt.Sprintf(`,"previous":{"api_key_id":%d,"expires_at":%s}}`, first.ID, day)
		}, true},
		{"delete_key", fmt.Sprintf(`,"partner_id":5,"api_key_id":%d`, first.ID), func(map[string]any) string {
			return fmt.Sprintf(`{"partner_id":5,"deleted_api_key_id":%d}`, first.ID)
		}, true},
	} {
		var log bytes.Buffer
		slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
		answer, err := h.run(t.Context(), json.RawMessage(`{"command":"`+tc.name+`","operator":"jo@example.com"`+tc.members+`}`))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		body, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parsed(t, tc.want(got)), got); diff != "" {
			t.Errorf("%s: answer (-want +got):\n%s", tc.name, diff)
		}
		var want []effects.By
		if tc.changes {
			want = []effects.By{{Actor: effects.Operator, Operator: "jo@example.com"}}
		}
		if diff := cmp.Diff(want, by.Take()); diff != "" {
			t.Errorf("%s: who makes the change (-want +got):\n%s", tc.name, diff)
		}
		record := parsed(t, log.String())
		if record["operator"] != "jo@example.com" || record["command"] != tc.name || strings.Contains(log.String(), "cl_test_") {
			t.Errorf("%s: the log says %s", tc.name, log.String())
		}
		if id := got["api_key_id"]; id != nil && record["new_api_key_id"] != id {
			t.Errorf("%s: the log names another key than %v: %s", tc.name, id, log.String())
		}
	}
	answer, err := h.run(t.Context(), json.RawMessage(`{"command":"list_keys","operator":"jo","partner_id":5}`))
	list, ok := answer.(keyList)
	if err != nil || !ok || len(list.APIKeys) != 2 || list.Partner.PartnerID != partnerID {
		t.Errorf("list_keys = %+v, %v, want two keys", answer, err)
	}
}

// TestPartnersInPages: a page has 100 partners at most, and leads to the next one.
func TestPartnersInPages(t *testing.T) {
	h, _ := open(t)
	for id := int64(partnerID + 1); id <= 250; id++ {
		if err := h.accounts.Store.CreatePartner(t.Context(), account.Partner{ID: id}, account.APIKey{ID: id, PartnerID: id, Hash: strconv.FormatInt(id, 10)}, effects.Effects{}, at()); err != nil {
			t.Fatal(err)
		}
	}
	var got []int64
	pages := 0
	for after := ""; ; pages++ {
		answer, err := h.run(t.Context(), json.RawMessage(`{"command":"list_partners","operator":"jo"`+after+`}`))
		list, ok := answer.(partnerList)
		if err != nil || !ok || pages > 3 {
			t.Fatalf("page %d = %+v, %v", pages, answer, err)
		}
		for _, p := range list.Partners {
			got = append(got, p.PartnerID)
		}
		if list.Next == nil {
			break
		}
		after = fmt.Sprintf(`,"after":%d`, *list.Next)
	}
	if len(got) != 246 || !slices.IsSorted(got) || pages != 2 {
		t.Errorf("%d partners in %d pages and a last one: %v; want 246 in their order, in 2 and a last one", len(got), pages, got)
	}
}

// id formats an id as JSON has it.
func id(v any) string {
	n, _ := v.(float64)
	return strconv.FormatInt(int64(n), 10)
}

func parsed(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
