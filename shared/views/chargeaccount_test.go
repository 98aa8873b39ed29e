package views_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/views"
)

// told returns the kind and field of each problem.
func told(err error) []string {
	var all []string
	for _, p := range fault.Of(err) {
		what := p.Kind.String()
		if p.Field != "" {
			what += " " + p.Field
		}
		all = append(all, what)
	}
	return all
}

// TestChargeAccount: problems of preflight are sorted among those of the other fields, and
// concern only members that are texts.
func TestChargeAccount(t *testing.T) {
	const key, secret = "6fda3d2a-91a5-4f39-a3a7-1cf0ed9d9dd1", "xA7pQ2mW9rT4vB6n"
	tests := []struct {
		name, body string
		want       []string
	}{
		{"nothing", `{}`, []string{"required name", "required api_key"}},
		{"no body", ``, []string{"body required"}},
		{"wrong types", `{"name":"n","account_number":1,"api_key":[],"api_secret":{}}`, []string{"invalid account_number", "invalid api_key", "invalid api_secret"}},
		{"nulls", `{"name":"n","account_number":null,"api_key":"` + key + `","api_secret":null}`, nil},
		{"empty texts", `{"name":"n","account_number":"","api_key":"","api_secret":""}`, []string{"length account_number", "length api_key", "length api_secret"}},
		{"a number alone", `{"name":"n","account_number":"1","api_key":"` + key + `"}`, []string{"invalid account_number"}},
		{"the same twice", `{"name":"n","api_key":"` + key + `","api_secret":"` + key + `"}`, []string{"invalid api_secret"}},
		{
			"everything", `{"zip":1,"metadata":{"b":1,"a":2},"name":"","account_number":"1","api_secret":"` + key + `","api_key":"k"}`,
			[]string{"length name", "invalid account_number", "invalid api_secret", "invalid metadata.b", "invalid metadata.a", "invalid zip"},
		},
		{"all that is needed", `{"name":"n","account_number":" 0000-123400","api_key":"` + key + `","api_secret":"` + secret + `"}`, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var name string
			var metadata map[string]string
			var typed views.ChargeAccount
			fields := []httpapi.Field{httpapi.Require(httpapi.String("name", &name, account.NameRule.Clean)), typed.Number(), httpapi.Require(typed.Key()), typed.Secret(), httpapi.Metadata("metadata", &metadata)}
			err := httpapi.NewRequest("id", events.APIGatewayProxyRequest{Body: tc.body}).JSON(fields...)
			charge, problems := typed.Preflight(carrier.AustraliaPost, "")
			err = httpapi.InOrder(fields, err, problems)
			if diff := cmp.Diff(tc.want, told(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			number, hasKey, hasSecret := typed.Given()
			if all := number && hasKey && hasSecret; err == nil && (charge.Number != "0000123400" && all || charge.Number != "" && !all) {
				t.Errorf("account %v, given %t, %t, %t", charge, number, hasKey, hasSecret)
			}
		})
	}
}

// TestPeekNumber: only carrier and number count, and only if both are valid.
func TestPeekNumber(t *testing.T) {
	for _, tc := range []struct{ name, carrier, body, want string }{
		{"no body", "australia_post", ``, ""},
		{"no number", "australia_post", `{"nickname":"n"}`, ""},
		{"no such carrier", "ups", `{"account_number":"0000123400"}`, ""},
		{"a carrier that does not decode", "%zz", `{"account_number":"0000123400"}`, ""},
		{"no text", "australia_post", `{"account_number":1234000000}`, ""},
		{"twice", "australia_post", `{"account_number":"0000123400","account_number":"0000123400"}`, ""},
		{"without its zeros", "australia_post", `{"account_number":"123400"}`, ""},
		{"the other carrier's", "startrack", `{"account_number":"0000123400"}`, ""},
		{"of a good body", "australia_post", `{"account_number":" 0000-123400"}`, "australia_post 0000123400"},
		{"by an alias", "star_track", `{"account_number":"04123456"}`, "startrack 04123456"},
		{"beside wrong members", "australia_post", `{"api_key":1,"api_secret":"\u200b","nickname":"","x":1,"account_number":"0000123400"}`, "australia_post 0000123400"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name, number := views.PeekNumber(httpapi.NewRequest("id", events.APIGatewayProxyRequest{Body: tc.body, PathParameters: map[string]string{"carrier_name": tc.carrier}}))
			got := ""
			if number != "" {
				got = string(name) + " " + number
			}
			if got != tc.want {
				t.Errorf("PeekNumber = %q, want %q", got, tc.want)
			}
		})
	}
}
