package httpapi_test

import (
	"strings"
	"testing"

	"carrierlink/shared/httpapi"
)

func TestPreference(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		want   string
	}{
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"another name", []string{"returns=existing"}, ""},
		{"a blank within the name", []string{"ret urn=existing"}, ""},
		{"no value", []string{"return"}, ""},
		{"an empty value", []string{`return=""`}, ""},
		{"a parameter of another one", []string{"respond-async; return=existing"}, ""},
		{"within a quoted string", []string{`x="a, return=existing"`}, ""},
		{"behind an escaped quote", []string{`x="a\", return=existing"`}, ""},
		{"a quote without end", []string{`return="existing`}, ""},
		{"behind a quote without end", []string{`x="a, return=existing`}, ""},
		{"text behind the quote", []string{`return="existing"x`}, ""},
		{"the first of two", []string{"return=minimal, return=existing"}, "minimal"},
		{"the first of two headers", []string{"return=minimal", "return=existing"}, "minimal"},
		{"the first has no value", []string{"return, return=existing"}, ""},
		{"the first of two is the one", []string{"Return=existing, return=minimal"}, "existing"},
		{"plain", []string{"return=existing"}, "existing"},
		{"blanks", []string{"  return \t=  existing  "}, "existing"},
		{"the name in capitals", []string{"RETURN=existing"}, "existing"},
		{"quoted", []string{`return="existing"`}, "existing"},
		{"quoted, with an escape", []string{`return="exi\sting"`}, "existing"},
		{"with a parameter", []string{"return=existing; strict"}, "existing"},
		{"with parameters, one quoted", []string{`return="existing" ; a="b;,c"; d`}, "existing"},
		{"behind others", []string{`respond-async, wait=10; x="return=minimal",,return=existing`}, "existing"},
		{"in the second header", []string{"respond-async", "wait=5, return=existing"}, "existing"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			e := post("{}")
			e.Headers = map[string]string{"Prefer": strings.Join(tc.header[max(0, len(tc.header)-1):], "")} // the last line, as AWS sends it
			e.MultiValueHeaders = map[string][]string{"Prefer": tc.header}
			if got := httpapi.NewRequest("id", e).Preference("return"); got != tc.want {
				t.Errorf("Preference(return) of %q = %q, want %q", tc.header, got, tc.want)
			}
			// Some gateways join the lines into one value.
			e.Headers["Prefer"], e.MultiValueHeaders = strings.Join(tc.header, ","), nil
			if got := httpapi.NewRequest("id", e).Preference("return"); got != tc.want {
				t.Errorf("Preference(return) of %q joined = %q, want %q", tc.header, got, tc.want)
			}
		})
	}
}
