package httpapi_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

func TestHeaderInAnyCase(t *testing.T) {
	one := map[string]string{"Api-kEY": "k"}
	many := map[string][]string{"API-KEY": {"k", "l"}}
	tests := []struct {
		name  string
		event events.APIGatewayProxyRequest
		want  string
	}{
		{"none", events.APIGatewayProxyRequest{}, ""},
		{"another", events.APIGatewayProxyRequest{Headers: map[string]string{"API-Keys": "k", "X-API-Key": "l"}}, ""},
		{"an empty list", events.APIGatewayProxyRequest{MultiValueHeaders: map[string][]string{"API-Key": nil}}, ""},
		{"as it is spelled", events.APIGatewayProxyRequest{Headers: map[string]string{"API-Key": "k"}}, "k"},
		{"in another case", events.APIGatewayProxyRequest{Headers: one}, "k"},
		{"in lower case", events.APIGatewayProxyRequest{Headers: map[string]string{"api-key": "k"}}, "k"},
		{"among the lists", events.APIGatewayProxyRequest{MultiValueHeaders: many}, "k"},
		{"in both", events.APIGatewayProxyRequest{Headers: one, MultiValueHeaders: many}, "k"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := httpapi.NewRequest("id", tc.event).Header("API-Key"); got != tc.want {
				t.Errorf("Header = %q, want %q", got, tc.want)
			}
		})
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
		read   string // what read gets
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
				t.Errorf("Single read %q, want %q; problems (-want +got):\n%s", read, tc.read, diff)
			}
		})
	}
}
