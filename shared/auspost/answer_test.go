package auspost

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

var testNow = time.Date(2026, 11, 3, 1, 2, 3, 0, time.UTC)

const asked = "0009912345"

// verdict is the part of a reading that most tests check.
type verdict struct {
	Outcome carrier.Outcome
	Code    string
	Name    string
}

func verdictOf(r connection.Reading) verdict { return verdict{r.Outcome, r.Code, r.Name} }

func example(tb testing.TB, name string) []byte {
	tb.Helper()
	for _, dir := range []string{"simulator", "testdata"} {
		b, err := os.ReadFile(filepath.Join(dir, "examples", name))
		if err == nil {
			return b
		}
		if !errors.Is(err, os.ErrNotExist) {
			tb.Fatal(err)
		}
	}
	tb.Fatalf("there is no example %s", name)
	return nil
}

type exampleFile struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
}

func exampleIndex(tb testing.TB) map[string]exampleFile {
	tb.Helper()
	var index struct {
		Files map[string]exampleFile `json:"files"`
	}
	if err := json.Unmarshal(example(tb, "index.json"), &index); err != nil {
		tb.Fatal(err)
	}
	return index.Files
}

func TestReadExamples(t *testing.T) {
	want := map[string]verdict{
		"error_41001.json":                     {carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"},
		"error_41002.json":                     {carrier.OutcomeUnknownAccount, "41002", "ACCOUNT_NOT_FOUND"},
		"error_41003.json":                     {carrier.OutcomeContractEnded, "41003", "CONTRACT_NOT_VALID_ERROR"},
		"error_41007.json":                     {carrier.OutcomeContractAbsent, "41007", "CONTRACT_SETUP_ERROR"},
		"error_41007_from_postcode.json":       {carrier.OutcomeContractAbsent, "41007", "CONTRACT_SETUP_ERROR"},
		"error_unauthorized.json":              {carrier.OutcomeUnauthorized, "API_001", "Authentication error"},
		"error_rate_limited.json":              {carrier.OutcomeRateLimited, "API_002", "Too many requests"},
		"error_unprocessable.json":             {carrier.OutcomeMalformed, "unprocessable_entity", "unprocessable_entity"},
		"error_legacy_errormessage.json":       {Outcome: carrier.OutcomeUnexpected},
		"error_gateway_503.html":               {Outcome: carrier.OutcomeUnavailable},
		"error_empty_body.txt":                 {Outcome: carrier.OutcomeUnavailable},
		"track_error_51101.json":               {carrier.OutcomeMalformed, "51101", "TOO_MANY_AP_TRACKING_IDS"},
		"track_error_51103.json":               {carrier.OutcomeMalformed, "51103", "TRACKING_IDS_MIX_OF_AP_AND_ST"},
		"address_error_400.json":               {Outcome: carrier.OutcomeUnexpected},
		"track_ok.json":                        {Outcome: carrier.OutcomeUnreadable},
		"track_ok_consignment_nested.json":     {Outcome: carrier.OutcomeUnreadable},
		"track_startrack_ok.json":              {Outcome: carrier.OutcomeUnreadable},
		"track_partial.json":                   {Outcome: carrier.OutcomeUnreadable},
		"track_error.json":                     {Outcome: carrier.OutcomeUnreadable},
		"address_ok.json":                      {Outcome: carrier.OutcomeUnreadable},
		"account_auspost.json":                 {Outcome: carrier.OutcomeOK},
		"account_auspost_docs_2014.json":       {Outcome: carrier.OutcomeOK},
		"account_auspost_minimal.json":         {Outcome: carrier.OutcomeOK},
		"account_auspost_expired_blocked.json": {Outcome: carrier.OutcomeOK},
		"account_startrack.json":               {Outcome: carrier.OutcomeOK},
	}
	files := exampleIndex(t)
	if len(files) != len(want) {
		t.Errorf("there are %d examples but rows for %d", len(files), len(want))
	}
	for name, file := range files {
		body := example(t, name)
		var account struct {
			Number string `json:"account_number"`
		}
		_ = json.Unmarshal(body, &account) // many are not accounts
		t.Run(name, func(t *testing.T) {
			got := readAccountAnswer(answer{status: file.Status, body: body}, account.Number, testNow)
			if d := cmp.Diff(want[name], verdictOf(got)); d != "" {
				t.Errorf("readAccountAnswer(%d %s) -want +got:\n%s", file.Status, name, d)
			}
			if got.Outcome == carrier.OutcomeOK && string(got.Raw) != strings.TrimSpace(string(body)) {
				t.Errorf("readAccountAnswer(%s).Raw is not the unchanged body", name)
			}
		})
	}
}

func TestReadContract(t *testing.T) {
	tests := map[string]connection.Contract{
		"account_auspost.json": {
			AccountNumber: "0009912345", Name: "COASTLINE HOMEWARES P/L", ValidFrom: "2021-07-01", ValidTo: "2999-12-31", MerchantLocationID: "ZZ9",
			Suburb: "DANDENONG SOUTH", State: "VIC", ABNLastThree: "901",
			Products: []connection.Product{
				{ID: "PTI8", Type: "INTL STANDARD/PACK & TRACK", ValidTo: "2027-06-30"},
				{ID: "7D55", Type: "PARCEL POST + SIGNATURE", Group: "Parcel Post", ValidTo: "2027-06-30"},
				{ID: "3J05", Type: "EXPRESS POST + SIGNATURE", Group: "Express Post", ValidTo: "2025-06-30", Expired: true, MaxItemCount: 1},
			},
		},
		"account_startrack.json": {
			AccountNumber: "09912345", Name: "COASTLINE HOMEWARES P/L", ValidFrom: "2022-03-01", ValidTo: "2999-12-31", MerchantLocationID: "9ZZZ",
			Suburb: "DANDENONG SOUTH", State: "VIC", ABNLastThree: "901",
			Products: []connection.Product{
				{ID: "EXP", Type: "EXPRESS", Group: "StarTrack", ValidTo: "2999-12-31"},
				{ID: "PRM", Type: "PREMIUM", Group: "StarTrack", ValidTo: "2999-12-31"},
				{ID: "FPP", Type: "FIXED PRICE PREMIUM", Group: "StarTrack", ValidTo: "2999-12-31"},
			},
		},
		"account_auspost_expired_blocked.json": {
			AccountNumber: "0009912346", Name: "LAPSED TRADER P/L", ValidFrom: "2016-07-01", ValidTo: "2025-06-30", Expired: true, CreditBlocked: true,
			MerchantLocationID: "ZZ7", Suburb: "NORTHGATE", State: "QLD", ABNLastThree: "901",
			Products: []connection.Product{{ID: "3D55", Type: "PARCEL POST + SIGNATURE", Group: "Parcel Post", ValidTo: "2025-06-30", Expired: true}},
		},
		"account_auspost_minimal.json": {
			AccountNumber: "0009912399", Name: "SMALL SELLER", ValidFrom: "2024-01-01", ValidTo: "2999-12-31", MerchantLocationID: "ZZ8",
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got := readAccountAnswer(answer{status: 200, body: example(t, name)}, want.AccountNumber, testNow)
			if d := cmp.Diff(want, got.Contract); d != "" {
				t.Errorf("readAccountAnswer(%s).Contract -want +got:\n%s", name, d)
			}
			parsed, err := ParseContract(got.Raw)
			if d := cmp.Diff(want, parsed); err != nil || d != "" {
				t.Errorf("ParseContract(%s): error %v, -want +got:\n%s", name, err, d)
			}
		})
	}
}

func TestReadAnswers(t *testing.T) {
	const (
		fine = `{"account_number":"0009912345"}`
		html = `<html><body>please wait</body></html>`
	)
	list := func(items string) string { return `{"errors":[` + items + `]}` }
	coded := func(code string) string { return list(`{"code":"` + code + `","name":"x"}`) }
	gateway := func(code string) string {
		return list(`{"message":"m","error_code":"` + code + `","error_name":"n"}`)
	}
	tests := []struct {
		name   string
		status int
		body   string
		want   verdict
	}{
		// Shape 1.
		{"41001", 400, coded("41001"), verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"40001", 400, coded("40001"), verdict{carrier.OutcomeUnknownAccount, "40001", "JSON_NO_CONTRACT_ID"}},
		{"40002", 400, coded("40002"), verdict{carrier.OutcomeMalformed, "40002", "JSON_MANDATORY_FIELD_MISSING"}},
		{"blanks around a code", 400, coded(` 41002\t`), verdict{carrier.OutcomeUnknownAccount, "41002", "ACCOUNT_NOT_FOUND"}},
		{"code as a number", 400, list(`{"code":41001}`), verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"unknown code", 400, coded("42012"), verdict{Outcome: carrier.OutcomeUnexpected}},
		{"context is a list", 400, list(`{"code":"41001","context":[]}`), verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"no code", 400, list(`{"message":"no"}`), verdict{Outcome: carrier.OutcomeUnexpected}},
		{"code is an object", 400, list(`{"code":{"code":"41001"}}`), verdict{Outcome: carrier.OutcomeUnexpected}},
		{"errors is one object", 400, `{"errors":{"code":"41001"}}`, verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"an error without a list", 400, `{"code":"41003"}`, verdict{carrier.OutcomeContractEnded, "41003", "CONTRACT_NOT_VALID_ERROR"}},
		{"several, the first in precedence last", 400, list(`{"code":"99999"},null,7,{"code":"41003"},{"code":"41001"}`), verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"two lists", 400, `{"errors":[{"code":"41003"}],"errors":[{"code":"41002"}]}`, verdict{carrier.OutcomeUnknownAccount, "41002", "ACCOUNT_NOT_FOUND"}},
		{"code and error_code", 400, list(`{"code":"41003","error_code":"API_001"}`), verdict{carrier.OutcomeUnauthorized, "API_001", "Authentication error"}},
		// Shape 2.
		{"API_001 as 401", 401, gateway("API_001"), verdict{carrier.OutcomeUnauthorized, "API_001", "Authentication error"}},
		{"API_001 as 400", 400, gateway("API_001"), verdict{carrier.OutcomeUnauthorized, "API_001", "Authentication error"}},
		{"API_001 as 403", 403, gateway("API_001"), verdict{carrier.OutcomeUnauthorized, "API_001", "Authentication error"}},
		{"API_001 as 500", 500, gateway("API_001"), verdict{carrier.OutcomeUnavailable, "API_001", "Authentication error"}},
		{"API_001 without a list", 401, `{"error_code":"API_001"}`, verdict{carrier.OutcomeUnauthorized, "API_001", "Authentication error"}},
		{"API_002 as 429", 429, gateway("API_002"), verdict{carrier.OutcomeRateLimited, "API_002", "Too many requests"}},
		{"API_002 as 200", 200, gateway("API_002"), verdict{carrier.OutcomeRateLimited, "API_002", "Too many requests"}},
		{"API_002 as 401", 401, gateway("API_002"), verdict{carrier.OutcomeRateLimited, "API_002", "Too many requests"}},
		{"API_002 as 503", 503, gateway("API_002"), verdict{carrier.OutcomeRateLimited, "API_002", "Too many requests"}},
		{"API_002 beside others", 400, list(`{"code":"41001"},{"error_code":"API_002"}`), verdict{carrier.OutcomeRateLimited, "API_002", "Too many requests"}},
		// Shape 3.
		{"unprocessable", 422, list(`{"messages":[],"error":"unprocessable_entity"}`), verdict{carrier.OutcomeMalformed, "unprocessable_entity", "unprocessable_entity"}},
		{"unprocessable as 400", 400, list(`{"error":"unprocessable_entity"}`), verdict{carrier.OutcomeMalformed, "unprocessable_entity", "unprocessable_entity"}},
		{"422 without a code", 422, `{}`, verdict{Outcome: carrier.OutcomeMalformed}},
		// Shape 4.
		{"legacy 404", 404, `{"error":{"errorMessage":"not here"}}`, verdict{Outcome: carrier.OutcomeUnexpected}},
		{"legacy 400", 400, `{"error":{"errorMessage":"no"}}`, verdict{Outcome: carrier.OutcomeUnexpected}},
		{"legacy 403", 403, `{"error":{"errorMessage":"no"}}`, verdict{Outcome: carrier.OutcomeForbidden}},
		{"legacy 200", 200, `{"error":{"errorMessage":"no"}}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		// Shape 5.
		{"access denied 400", 400, `{"error":"access_denied","error_description":"d"}`, verdict{Outcome: carrier.OutcomeUnexpected}},
		{"access denied 401", 401, `{"error":"access_denied","error_description":"d"}`, verdict{Outcome: carrier.OutcomeUnauthorized}},
		// Shape 6 belongs to Track: it has no account.
		{"tracking results", 200, `{"tracking_results":[{"errors":[{"code":"41001"}]}]}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		// Shape 7.
		{"errors in a 200", 200, coded("41007"), verdict{carrier.OutcomeContractAbsent, "41007", "CONTRACT_SETUP_ERROR"}},
		{"errors beside an account", 200, `{"account_number":"0009912345","errors":[{"code":"41001"}]}`, verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"unknown errors in a 200", 200, coded("1"), verdict{Outcome: carrier.OutcomeUnexpected}},
		{"errors in a 202", 202, coded("41001"), verdict{carrier.OutcomeUnknownAccount, "41001", "CUSTOMER_NOT_FOUND"}},
		{"an empty list of errors in a 200", 200, `{"account_number":"0009912345","errors":[],"warnings":[{"code":"41001"}]}`, verdict{Outcome: carrier.OutcomeOK}},
		{"null errors in a 200", 200, `{"account_number":"0009912345","errors":null}`, verdict{Outcome: carrier.OutcomeOK}},
		{"errors with null only", 200, `{"account_number":"0009912345","errors":[null]}`, verdict{Outcome: carrier.OutcomeOK}},
		{"errors is an empty object", 200, `{"account_number":"0009912345","errors":{}}`, verdict{Outcome: carrier.OutcomeOK}},
		{"a code beside an account", 200, `{"account_number":"0009912345","code":"41001"}`, verdict{Outcome: carrier.OutcomeOK}},
		// Shape 8.
		{"html 200", 200, html, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"html 400", 400, html, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"html 401", 401, html, verdict{Outcome: carrier.OutcomeUnavailable}},
		{"html 403", 403, html, verdict{Outcome: carrier.OutcomeUnavailable}},
		{"html 404", 404, html, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"html 422", 422, html, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"html 429", 429, html, verdict{Outcome: carrier.OutcomeRateLimited}},
		{"html 503", 503, html, verdict{Outcome: carrier.OutcomeUnavailable}},
		{"empty 200", 200, "", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"empty 204", 204, "", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"empty 400", 400, "", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"empty 401", 401, "", verdict{Outcome: carrier.OutcomeUnavailable}},
		{"plain text", 200, "OK", verdict{Outcome: carrier.OutcomeUnreadable}},
		// Statuses.
		{"redirect", 302, fine, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"not modified", 304, "", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"switching protocols", 101, "", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"a status that HTTP does not have", 999, fine, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"created", 201, fine, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"unknown code as 404", 404, coded("44013"), verdict{Outcome: carrier.OutcomeUnexpected}},
		{"known code as 500", 500, coded("41002"), verdict{carrier.OutcomeUnavailable, "41002", "ACCOUNT_NOT_FOUND"}},
		{"gone", 410, `{}`, verdict{Outcome: carrier.OutcomeUnexpected}},
		// Bodies of a 200.
		{"null", 200, "null", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"list", 200, "[" + fine + "]", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"empty object", 200, "{}", verdict{Outcome: carrier.OutcomeUnreadable}},
		{"cut", 200, fine[:len(fine)-1], verdict{Outcome: carrier.OutcomeUnreadable}},
		{"trailing data", 200, fine + fine, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"invalid UTF-8", 200, `{"account_number":"0009912345","name":"` + "\xff" + `"}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"deep", 200, `{"account_number":"0009912345","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"as deep as allowed", 200, `{"account_number":"0009912345","x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, verdict{Outcome: carrier.OutcomeOK}},
		{"brackets within a text", 200, `{"account_number":"0009912345","x":"\"` + strings.Repeat("[", 200) + `"}`, verdict{Outcome: carrier.OutcomeOK}},
		{"byte order mark", 200, "\ufeff" + fine + "\r\n", verdict{Outcome: carrier.OutcomeOK}},
		{"other number", 200, `{"account_number":"0009912346"}`, verdict{Outcome: carrier.OutcomeNumberMismatch}},
		{"number without its zeros", 200, `{"account_number":"9912345"}`, verdict{Outcome: carrier.OutcomeNumberMismatch}},
		{"number as a number", 200, `{"account_number":9912345}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"number null", 200, `{"account_number":null}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"null beside the number", 200, `{"account_number":"0009912345","account_number":null}`, verdict{Outcome: carrier.OutcomeOK}},
		{"number blank", 200, `{"account_number":"  "}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"number in another case", 200, `{"Account_Number":"0009912345"}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"blanks around the number", 200, `{ "account_number" : " 0009912345 " }`, verdict{Outcome: carrier.OutcomeOK}},
		{"number twice", 200, `{"account_number":"0009912345","account_number":"0009912345"}`, verdict{Outcome: carrier.OutcomeOK}},
		{"two numbers", 200, `{"account_number":"0009912346","account_number":"0009912345"}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"number with escapes", 200, `{"account_number":"000991234\u0035"}`, verdict{Outcome: carrier.OutcomeOK}},
		{"expired is a number", 200, `{"account_number":"0009912345","expired":1}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"expired is a word", 200, `{"account_number":"0009912345","expired":"null"}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"credit_blocked is an object", 200, `{"account_number":"0009912345","credit_blocked":{}}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"products is an object", 200, `{"account_number":"0009912345","postage_products":{}}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"a product is a text", 200, `{"account_number":"0009912345","postage_products":["7D55"]}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"a product's contract is a list", 200, `{"account_number":"0009912345","postage_products":[{"contract":[]}]}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"a product's expired is a list", 200, `{"account_number":"0009912345","postage_products":[{"contract":{"expired":[]}}]}`, verdict{Outcome: carrier.OutcomeUnreadable}},
		{"too many products", 200, `{"account_number":"0009912345","postage_products":[` + strings.Repeat("{},", 1000) + `{}]}`, verdict{Outcome: carrier.OutcomeUnreadable}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := readAccountAnswer(answer{status: tt.status, body: []byte(tt.body)}, asked, testNow)
			if d := cmp.Diff(tt.want, verdictOf(r)); d != "" {
				t.Errorf("readAccountAnswer(%d %.100s) -want +got:\n%s", tt.status, tt.body, d)
			}
			if r.HTTPStatus != tt.status {
				t.Errorf("readAccountAnswer(%d).HTTPStatus = %d", tt.status, r.HTTPStatus)
			}
			if r.Outcome == carrier.OutcomeUnreadable && r.Cause == nil {
				t.Error("an unreadable answer has no cause")
			}
		})
	}
}

func TestParseContractRefuses(t *testing.T) {
	for _, raw := range []string{"", "null", "{", "{}", `{"account_number":1}`, `{"account_number":"1","expired":7}`} {
		if c, err := ParseContract([]byte(raw)); err == nil {
			t.Errorf("ParseContract(%q) = %+v, want an error", raw, c)
		}
	}
}

// TestReadOwner: fields that identify the owner stay empty rather than guessed, and never
// make an answer unreadable.
func TestReadOwner(t *testing.T) {
	tests := []struct{ name, members, want string }{
		{"nothing", ``, "//"},
		{"nulls", `"addresses":null,"details":null`, "//"},
		{"other types than lists and objects", `"addresses":{"suburb":"A"},"details":"12345678901"`, "//"},
		{"an empty list", `"addresses":[],"details":{}`, "//"},
		{"a list of texts", `"addresses":["A",{"suburb":"B"}],"details":[{"abn":"12345678901"}]`, "//"},
		{"wrong types", `"addresses":[{"suburb":["A"],"state":true}],"details":{"abn":{}}`, "//"},
		{"an ABN too short", `"details":{"abn":"1234567890"}`, "//"},
		{"an ABN with letters", `"details":{"abn":"1234567890A"}`, "//"},
		{"an ABN with non-ASCII digits", `"details":{"abn":"12345678٩"}`, "//"},
		{"an ABN in groups", `"details":{"abn":" 12 345 678 901 "}`, "//901"},
		{"an ABN as a number", `"details":{"abn":12345678901}`, "//901"},
		{"two ABNs", `"details":{"abn":"12345678901","abn":""}`, "//"},
		{"two addresses", `"addresses":[{"suburb":"A","state":"VIC"},{"suburb":"B","state":"NSW"}]`, "A/VIC/"},
		{"one address", `"addresses":[{"state":" NT ","suburb":"` + strings.Repeat("é", 300) + `"}]`, strings.Repeat("é", maxText) + "/NT/"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c, err := ParseContract([]byte(`{"account_number":"1"` + strings.Repeat(",", min(1, len(tc.members))) + tc.members + `}`))
			if got := c.Suburb + "/" + c.State + "/" + c.ABNLastThree; err != nil || got != tc.want {
				t.Errorf("ParseContract = %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestReadToleratesHarmlessTypes(t *testing.T) {
	body := `{"account_number":"0009912345","name":null,"valid_from":20210701,"valid_to":"soon","expired":"True","credit_blocked":null,
		"merchant_location_id":77,"unknown":{"a":1.50,"b":1e400},"Expired":false,
		"postage_products":[{"product_id":7055,"type":["x"],"group":{},"contract":null},{"contract":{"expired":"false","valid_to":"2027-06-30"}},
		{"product_id":"A","product_id":"B","type":"` + strings.Repeat("é", 300) + `"}]}`
	r := readAccountAnswer(answer{status: 200, body: []byte(body)}, asked, testNow)
	want := connection.Contract{
		AccountNumber: asked, Expired: true, MerchantLocationID: "77",
		Products: []connection.Product{{ID: "7055"}, {ValidTo: "2027-06-30"}, {ID: "B", Type: strings.Repeat("é", maxText)}},
	}
	if d := cmp.Diff(want, r.Contract); d != "" {
		t.Errorf("Contract -want +got:\n%s", d)
	}
	if string(r.Raw) != body {
		t.Errorf("Raw = %s, want the body as it came", r.Raw)
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{"soon": 0, "86400": time.Hour, "90": 90 * time.Second} {
		if r := readAccountAnswer(answer{status: 429, header: http.Header{"Retry-After": {value}}}, asked, testNow); r.RetryAfter != want {
			t.Errorf("RetryAfter of %q = %v, want %v", value, r.RetryAfter, want)
		}
	}
}

// TestRetryAfterOfAnOutage: Retry-After counts for outages, not for other answers.
func TestRetryAfterOfAnOutage(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   time.Duration
	}{
		{400, `{"errors":[{"code":"41001"}]}`, 0},
		{403, `{"errors":[{"code":"41001"}]}`, 0},
		{401, `{"errors":[{"error_code":"API_001"}]}`, 0},
		{200, fineBody, 0},
		{302, "", 0},
		{403, "<html>", 90 * time.Second},
		{401, "", 90 * time.Second},
		{500, "", 90 * time.Second},
		{503, "<html>", 90 * time.Second},
	} {
		header := http.Header{"Retry-After": {testNow.Add(90 * time.Second).Format(http.TimeFormat)}}
		if r := readAccountAnswer(answer{status: tc.status, header: header, body: []byte(tc.body)}, asked, testNow); r.RetryAfter != tc.want {
			t.Errorf("RetryAfter of %d %s = %v, want %v", tc.status, tc.body, r.RetryAfter, tc.want)
		}
	}
}

// edge403 is a real answer of an edge in front of the carrier.
const edge403 = "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>Reference #18.0</BODY></HTML>\n"

// TestRefusalNeedsErrorBody: a 401 or 403 is a refusal only in one of the carrier's error
// shapes. Any other is an outage, whose cause tells the operator where to look.
func TestRefusalNeedsErrorBody(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		refusal    bool
	}{
		{"the page of an edge", edge403, false},
		{"empty", "", false},
		{"blanks", " \r\n", false},
		{"a byte order mark alone", "\ufeff", false},
		{"plain text", "Forbidden", false},
		{"XML", `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, false},
		{"AWS's gateway", `{"message":"Forbidden"}`, false},
		{"AWS's gateway, about a key", `{"Message":"User is not authorized"}`, false},
		{"Apigee", `{"fault":{"faultstring":"Invalid ApiKey","detail":{"errorcode":"oauth.v2.InvalidApiKey"}}}`, false},
		{"Kong", `{"message":"No API key found in request","request_id":"1"}`, false},
		{"Spring", `{"timestamp":"2026-01-01T00:00:00Z","status":403,"error":"Forbidden","path":"/"}`, false},
		{"problem+json", `{"type":"about:blank","title":"Forbidden","status":403}`, false},
		{"GraphQL", `{"errors":[{"message":"Forbidden"}]}`, false},
		{"an empty list", `{"errors":[]}`, false},
		{"an empty object", `{"errors":{}}`, false},
		{"texts", `{"errors":["Forbidden"]}`, false},
		{"nulls", `{"errors":[null],"error":null}`, false},
		{"a code without text", `{"errors":[{"code":""}]}`, false},
		{"a code that is an object", `{"errors":[{"code":{}}]}`, false},
		{"a description alone", `{"error_description":"d"}`, false},
		{"an error of one word", `{"error":"Forbidden"}`, false},
		{"an empty error message", `{"error":{"errorMessage":" "}}`, false},
		{"another error object", `{"error":{"message":"Forbidden","code":403}}`, false},
		{"an unknown code without a list", `{"code":"403"}`, false},
		{"an account", fineBody, false},
		{"a list", `[{"code":"API_001"}]`, false},
		{"a text", `"Forbidden"`, false},
		{"cut", `{"errors":[{"code":"41001"}]`, false},
		{"trailing data", `{"errors":[{"code":"41001"}]}<html>`, false},
		{"not UTF-8", `{"errors":[{"code":"41001","name":"` + "\xff" + `"}]}`, false},
		{"too long", strings.Repeat(" ", maxBody) + `{"errors":[{"code":"41001"}]}`, false},
		{"application error", `{"errors":[{"code":"41001","name":"x"}]}`, true},
		{"an unknown code", `{"errors":[{"code":"49999"}]}`, true},
		{"a code as a number", `{"errors":[{"code":49999}]}`, true},
		{"gateway", `{"errors":[{"message":"m","error_code":"API_001","error_name":"n"}]}`, true},
		{"the second error has a code", `{"errors":[{"message":"m"},{"code":"1"}]}`, true},
		{"an error without a list", `{"errors":{"code":"1"}}`, true},
		{"a client's schema", `{"errors":[{"messages":[],"error":"access_denied","error_description":"d"}]}`, true},
		{"legacy", `{"error":{"errorMessage":"no"}}`, true},
		{"token endpoint", `{"error":"access_denied","error_description":"d"}`, true},
		{"a known code without a list", `{"error_code":"API_001"}`, true},
		{"with a byte order mark", "\ufeff" + `{"errors":[{"code":"1"}]}` + "\r\n", true},
	} {
		for status, refused := range map[int]carrier.Outcome{401: carrier.OutcomeUnauthorized, 403: carrier.OutcomeForbidden} {
			r := readAccountAnswer(answer{status: status, body: []byte(tc.body)}, asked, testNow)
			if len(tc.body) > maxBody {
				r = readOnce(t, status, tc.body)
			}
			want := carrier.OutcomeUnavailable
			if tc.refusal {
				want = refused
				if r.Code == "API_001" {
					want = carrier.OutcomeUnauthorized
				}
			}
			if r.Outcome != want {
				t.Errorf("%s under %d = %s, want %s", tc.name, status, r.Outcome, want)
			}
			if tc.refusal {
				continue
			}
			if r.Cause == nil || !strings.Contains(r.Cause.Error(), "blocking this service's address") {
				t.Errorf("%s under %d: cause = %v, want a hint for the operator", tc.name, status, r.Cause)
			}
			if d := r.Diagnosis(); d.WhoMustAct != fault.Carrier || d.CarrierError.HTTPStatus != status {
				t.Errorf("%s under %d: diagnosis = %+v", tc.name, status, d)
			}
		}
	}
}

// readOnce returns the reading of a carrier that always gives this answer.
func readOnce(t *testing.T, status int, body string) connection.Reading {
	t.Helper()
	c, err := New(Options{BaseURL: "https://carrier.example/shipping/v1", Transport: &roundTripper{do: func(int, *http.Request) (*http.Response, error) {
		return response(status, body), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.GetAccount(t.Context(), chargeAccount(asked), 1)
}

// TestKnownCodes: a known code means the same under every 4xx except 401, 403 and 429,
// and nothing under a 5xx.
func TestKnownCodes(t *testing.T) {
	for _, k := range knownCodes {
		body := `{"errors":[{"code":"` + k.code + `","name":"x"}]}`
		for status := 400; status < 510; status++ {
			want := k.outcome
			switch {
			case k.code == codeRateLimited || status == 429:
				want = carrier.OutcomeRateLimited
			case status >= 500:
				want = carrier.OutcomeUnavailable
			case status == 401:
				want = carrier.OutcomeUnauthorized
			case status == 403 && k.code != codeUnauthorized:
				want = carrier.OutcomeForbidden
			}
			if got := verdictOf(readAccountAnswer(answer{status: status, body: []byte(body)}, asked, testNow)); got != (verdict{want, k.code, k.name}) {
				t.Errorf("%s under %d = %v, want %s", k.code, status, got, want)
			}
		}
	}
}

func FuzzAccountAnswer(f *testing.F) {
	for name, file := range exampleIndex(f) {
		f.Add(file.Status, "60", example(f, name))
	}
	f.Add(200, "Tue, 03 Nov 2026 01:02:03 GMT", []byte(`{"account_number":"0009912345","errors":[{"code":1,"error":{}},[],null]}`))
	f.Add(400, "", []byte(`{"errors":{"error_code":"API_002"}}`))
	outcomes := map[carrier.Outcome]bool{}
	for _, o := range carrier.Outcomes() {
		outcomes[o] = true
	}
	names := map[string]string{"": ""}
	for _, k := range knownCodes {
		names[k.code] = k.name
	}
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		r := readAccountAnswer(answer{status: status, header: http.Header{"Retry-After": {after}}, body: body}, asked, testNow)
		if !outcomes[r.Outcome] {
			t.Errorf("outcome %q is not in carrier.Outcomes()", r.Outcome)
		}
		if name, ok := names[r.Code]; !ok || name != r.Name {
			t.Errorf("code %q with name %q is not in knownCodes", r.Code, r.Name)
		}
		if r.RetryAfter < 0 || r.RetryAfter > longestRetryAfter {
			t.Errorf("RetryAfter = %v", r.RetryAfter)
		}
		if r.Outcome != carrier.OutcomeOK {
			if r.Raw != nil || r.Contract.AccountNumber != "" {
				t.Errorf("%s with an account", r.Outcome)
			}
			return
		}
		if status != 200 || r.Contract.AccountNumber != asked {
			t.Errorf("status %d and account %q are ok", status, r.Contract.AccountNumber)
		}
		if !json.Valid(r.Raw) || !utf8.Valid(r.Raw) || r.Raw[0] != '{' {
			t.Errorf("Raw is not a JSON object: %q", r.Raw)
		}
	})
}
