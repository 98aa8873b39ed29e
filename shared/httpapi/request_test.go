package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// TestHeader: names are case-insensitive, and different values are refused.
func TestHeader(t *testing.T) {
	event := func(one map[string]string, many map[string][]string) events.APIGatewayProxyRequest {
		return events.APIGatewayProxyRequest{Headers: one, MultiValueHeaders: many}
	}
	twice := []string{"invalid API-Key"}
	tests := []struct {
		name    string
		event   events.APIGatewayProxyRequest
		want    string
		given   bool
		problem []string
	}{
		{"two values", event(map[string]string{"API-Key": "l"}, map[string][]string{"API-Key": {"k", "l"}}), "", true, twice},
		{"two values in two spellings", event(nil, map[string][]string{"API-Key": {"k"}, "api-key": {"l"}}), "", true, twice},
		{"two values in two spellings, without lists", event(map[string]string{"API-Key": "k", "api-key": "l"}, nil), "", true, twice},
		{"a value and an empty one", event(nil, map[string][]string{"API-Key": {"k", ""}}), "", true, twice},
		{"in another letter case", event(nil, map[string][]string{"API-Key": {"k", "K"}}), "", true, twice},
		{"none", event(nil, nil), "", false, nil},
		{"another", event(map[string]string{"API-Keys": "k", "X-API-Key": "l"}, map[string][]string{"API-Keys": {"k", "l"}}), "", false, nil},
		{"an empty list", event(nil, map[string][]string{"API-Key": nil}), "", false, nil},
		{"empty", event(map[string]string{"API-Key": ""}, nil), "", true, nil},
		{"as it is spelled", event(map[string]string{"API-Key": "k"}, nil), "k", true, nil},
		{"in another case", event(map[string]string{"Api-kEY": "k"}, nil), "k", true, nil},
		{"in lower case", event(map[string]string{"api-key": "k"}, nil), "k", true, nil},
		{"in a list", event(nil, map[string][]string{"API-KEY": {"k"}}), "k", true, nil},
		{"in both", event(map[string]string{"Api-kEY": "k"}, map[string][]string{"API-KEY": {"k"}}), "k", true, nil},
		{"twice the same", event(map[string]string{"API-Key": "k"}, map[string][]string{"API-Key": {"k", "k"}}), "k", true, nil},
		{"twice the same in two spellings", event(nil, map[string][]string{"API-Key": {"k"}, "api-key": {"k"}}), "k", true, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, given, err := httpapi.NewRequest("id", tc.event).Header("API-Key")
			if diff := cmp.Diff(tc.problem, told(err)); diff != "" || got != tc.want || given != tc.given {
				t.Errorf("Header = %q, %t, want %q, %t; problems (-want +got):\n%s", got, given, tc.want, tc.given, diff)
			}
		})
	}
	e := post(`{}`)
	e.MultiValueHeaders = map[string][]string{"Content-Type": {"application/json", "text/plain"}}
	if diff := cmp.Diff([]string{"invalid Content-Type"}, told(httpapi.NewRequest("id", e).JSON())); diff != "" {
		t.Errorf("Content-Type twice (-want +got):\n%s", diff)
	}
	e.MultiValueHeaders = map[string][]string{"Idempotency-Key": {"k", "l"}}
	if _, err := httpapi.NewChange(t.Context(), sealer(), httpapi.NewRequest("id", e), caller("caller"), now()); !cmp.Equal([]string{"invalid Idempotency-Key"}, told(err)) {
		t.Errorf("Idempotency-Key twice: %v", err)
	}
	e.MultiValueHeaders = map[string][]string{"Idempotency-Key": {"k", "k"}}
	if rec := record(t, httpapi.NewRequest("id", e), "caller", httpapi.JSON(200, nil)); rec.Key != "k" {
		t.Errorf("Idempotency-Key twice with one value: %q", rec.Key)
	}
}

func TestParamIsDecodedOnce(t *testing.T) {
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"%", "", false},
		{"%2", "", false},
		{"%zz", "", false},
		{"a%ff", "", false},
		{"%c0%af", "", false},
		{"a%2520b", "a%20b", true},
		{"a%20b", "a b", true},
		{"a+b", "a+b", true},
		{"%2e%2e%2Fx", "../x", true},
		{"caf%C3%A9", "café", true},
		{"se-1", "se-1", true},
		{"", "", true},
	}
	for _, tc := range tests {
		t.Run(tc.in, func(t *testing.T) {
			req := httpapi.NewRequest("id", events.APIGatewayProxyRequest{PathParameters: map[string]string{"carrier_id": tc.in}})
			got, err := req.Param("carrier_id")
			if got != tc.want || (err == nil) != tc.ok {
				t.Fatalf("Param(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
			if !tc.ok && (!fault.Is(err, fault.Identifier) || fault.Of(err)[0].Field != "carrier_id") {
				t.Errorf("Param(%q): %v, want an identifier problem", tc.in, err)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	single, many := map[string]string{"a": "2"}, map[string][]string{"a": {"1", "2"}}
	tests := []struct {
		name  string
		event events.APIGatewayProxyRequest
		want  []string
	}{
		{"none", events.APIGatewayProxyRequest{}, nil},
		{"another case is another one", events.APIGatewayProxyRequest{QueryStringParameters: map[string]string{"A": "1"}}, nil},
		{"both maps", events.APIGatewayProxyRequest{QueryStringParameters: single, MultiValueQueryStringParameters: many}, []string{"1", "2"}},
		{"the single one", events.APIGatewayProxyRequest{QueryStringParameters: single}, []string{"2"}},
		{"the lists", events.APIGatewayProxyRequest{MultiValueQueryStringParameters: many}, []string{"1", "2"}},
		{"empty value", events.APIGatewayProxyRequest{QueryStringParameters: map[string]string{"a": ""}}, []string{""}},
		{"an empty list beside a value", events.APIGatewayProxyRequest{QueryStringParameters: single, MultiValueQueryStringParameters: map[string][]string{"a": {}}}, []string{"2"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, httpapi.NewRequest("id", tc.event).Query("a")); diff != "" {
				t.Errorf("Query (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSingle(t *testing.T) {
	refuse := fault.Field(fault.Length, "a", "No.")
	tests := []struct {
		name   string
		values []string
		read   string // argument of parse
		want   []string
	}{
		{"twice", []string{"1", "2"}, "", []string{"invalid a"}},
		{"twice the same", []string{"1", "1"}, "", []string{"invalid a"}},
		{"empty ones", []string{"", ""}, "", []string{"invalid a"}},
		{"refused", []string{"no"}, "no", []string{"length a"}},
		{"none", nil, "", nil},
		{"one", []string{"1"}, "1", nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			e := events.APIGatewayProxyRequest{MultiValueQueryStringParameters: map[string][]string{"a": tc.values, "b": {"x", "y"}}}
			read := ""
			problems := httpapi.NewRequest("id", e).Single("a", func(v string) *fault.Error {
				if read = v; v == "no" {
					return refuse
				}
				return nil
			})
			if diff := cmp.Diff(tc.want, told(problems.Err())); diff != "" || read != tc.read {
				t.Errorf("Single parsed %q, want %q; problems (-want +got):\n%s", read, tc.read, diff)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[string]int{
		"": -1, "x": -1, " 7": -1, "7 ": -1, "+7": -1, "-7": -1, "07": -1, "00": -1, "-0": -1, "7.0": -1, "7e0": -1, "0x7": -1, "1_0": -1, "\u0667": -1, "31": -1,
		"99999999999999999999": -1, "18446744073709551623": -1, "0": 0, "7": 7, "30": 30,
	} {
		e := events.APIGatewayProxyRequest{QueryStringParameters: map[string]string{"a": value}}
		got := -1
		var problem []string
		if want < 0 {
			problem = []string{"invalid a"}
		}
		if diff := cmp.Diff(problem, told(httpapi.NewRequest("id", e).Number("a", &got, 0, 30).Err())); diff != "" || got != want {
			t.Errorf("Number of %q = %d, want %d; problems (-want +got):\n%s", value, got, want, diff)
		}
	}
	got := 5
	if problems := httpapi.NewRequest("id", events.APIGatewayProxyRequest{}).Number("a", &got, 7, 30); problems != nil || got != 5 {
		t.Errorf("without the parameter: %d, %v", got, problems)
	}
}

// TestServers: the API is known by its own URL and by the domain that the gateway was called
// by, which no header changes.
func TestServers(t *testing.T) {
	const gateway = "abc.execute-api.ap-southeast-2.amazonaws.com"
	for _, tc := range []struct {
		name, url, domain string
		want              []string
	}{
		{"neither", "", "", nil},
		{"called by the gateway's name", "", gateway, []string{"https://" + gateway}},
		{"behind a proxy", "https://api.example.com/base", gateway, []string{"https://api.example.com/base", "https://" + gateway}},
		{"without a gateway", "http://127.0.0.1:8080", "", []string{"http://127.0.0.1:8080"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			api := httpapi.API{URL: tc.url, Log: slog.New(slog.DiscardHandler), Routes: []httpapi.Route{{
				Method: "GET", Resource: "/x", Handler: func(_ context.Context, req *httpapi.Request) (*httpapi.Response, error) {
					got = req.Servers()
					return httpapi.NoContent(), nil
				},
			}}}
			e := events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: "/x", Path: "/x", Headers: map[string]string{"Host": "shop.example"}}
			e.RequestContext.DomainName = tc.domain
			if resp, err := api.Serve(t.Context(), e); err != nil || resp.StatusCode != http.StatusNoContent {
				t.Fatalf("Serve = %d, %v, want 204", resp.StatusCode, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Servers (-want +got):\n%s", diff)
			}
		})
	}
}
