package httpapi_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
)

// lists are values of If-Match and If-None-Match; the current tag is "a".
var lists = []struct {
	name         string
	value        string
	malformed    bool
	strong, weak bool // whether the list matches by strong and weak comparison
	any          bool
}{
	{name: "empty", value: "", malformed: true},
	{name: "a blank", value: " ", malformed: true},
	{name: "commas", value: ",, ,", malformed: true},
	{name: "no quotes", value: "a", malformed: true},
	{name: "half a pair of quotes", value: `"a`, malformed: true},
	{name: "the other half", value: `a"`, malformed: true},
	{name: "a single quote", value: `"`, malformed: true},
	{name: "single quotes", value: `'a'`, malformed: true},
	{name: "a small w", value: `w/"a"`, malformed: true},
	{name: "a weak nothing", value: `W/`, malformed: true},
	{name: "a blank after W/", value: `W/ "a"`, malformed: true},
	{name: "no comma", value: `"a" "b"`, malformed: true},
	{name: "no comma, no blank", value: `"a""b"`, malformed: true},
	{name: "something behind", value: `"a"x`, malformed: true},
	{name: "a tag and a word", value: `"a", b`, malformed: true},
	{name: "a blank in a tag", value: `"a b"`, malformed: true},
	{name: "a control character in a tag", value: "\"a\x00\"", malformed: true},
	{name: "* in a list", value: `"a", *`, malformed: true},
	{name: "* before a list", value: `*, "a"`, malformed: true},
	{name: "two *", value: `**`, malformed: true},
	{name: "another", value: `"b"`},
	{name: "in another letter case", value: `"A"`},
	{name: "* as a tag", value: `"*"`},
	{name: "an empty tag", value: `""`},
	{name: "a tag with the current one in it", value: `"b,"`},
	{name: "a comma in a tag", value: `"b,c", "d"`},
	{name: "weak", value: `W/"a"`, weak: true},
	{name: "weak among others", value: `"b", W/"a"`, weak: true},
	{name: "weak and strong", value: `W/"a", "a"`, weak: true, strong: true},
	{name: "the tag", value: `"a"`, weak: true, strong: true},
	{name: "the tag in a list", value: `"b","a"`, weak: true, strong: true},
	{name: "blanks and tabs", value: "\"b\" ,\t\"a\" ", weak: true, strong: true},
	{name: "empty members", value: `,"b",, "a",`, weak: true, strong: true},
	{name: "after a tag with a comma", value: `"b,c", "a"`, weak: true, strong: true},
	{name: "any", value: "*", any: true},
	{name: "any among blanks", value: " * ", any: true},
}

func TestIfMatch(t *testing.T) {
	for _, tc := range lists {
		t.Run(tc.name, func(t *testing.T) {
			pinned, err := httpapi.IfMatch(asking("if-match", tc.value), `"a"`)
			var want fault.Kind
			switch {
			case tc.malformed:
				want = fault.Invalid
			case !tc.any && !tc.strong:
				want = fault.Precondition
			}
			switch {
			case want != fault.Internal:
				if p := fault.Of(err); err == nil || p[0].Kind != want || p[0].Field != "If-Match" {
					t.Errorf("IfMatch(%s) = %v, want %s of If-Match", tc.value, err, want)
				}
			case err != nil || pinned != tc.strong:
				t.Errorf("IfMatch(%s) = %t, %v, want pinned %t", tc.value, pinned, err, tc.strong)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		if pinned, err := httpapi.IfMatch(asking("If-None-Match", `"b"`), `"a"`); pinned || err != nil {
			t.Errorf("IfMatch = %t, %v", pinned, err)
		}
	})
	for name, tc := range map[string]struct {
		lines []string
		want  fault.Kind
	}{
		"of several lines one names it": {[]string{`"b"`, `"a"`}, fault.Internal},
		"several lines, none of them":   {[]string{`"b"`, `"c"`}, fault.Precondition},
		"a tag and *":                   {[]string{`"a"`, "*"}, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			e := events.APIGatewayProxyRequest{
				Headers:           map[string]string{"If-Match": tc.lines[len(tc.lines)-1]}, // API Gateway keeps the last
				MultiValueHeaders: map[string][]string{"if-match": tc.lines},
			}
			pinned, err := httpapi.IfMatch(httpapi.NewRequest("id", e), `"a"`)
			if err == nil != (tc.want == fault.Internal) || err != nil && !fault.Is(err, tc.want) || pinned != (err == nil) {
				t.Errorf("IfMatch(%q) = %t, %v, want %s", tc.lines, pinned, err, tc.want)
			}
		})
	}
}

func TestConditional(t *testing.T) {
	for _, tc := range lists {
		for _, tag := range []string{`"a"`, `W/"a"`} {
			t.Run(tc.name+" of "+tag, func(t *testing.T) {
				shown := 0
				resp := httpapi.Conditional(asking("if-none-match", tc.value), tag, func() *httpapi.Response {
					shown++
					return httpapi.JSON(200, "body")
				})
				want := httpapi.Response{Status: 200, Header: map[string]string{"ETag": tag}, Body: []byte(`"body"`)}
				hit := tc.weak || tc.any
				if hit {
					want.Status, want.Body = 304, nil
				}
				if diff := cmp.Diff(&want, resp); diff != "" || (shown == 0) != hit {
					t.Errorf("If-None-Match: %s calls show %d times (-want +got):\n%s", tc.value, shown, diff)
				}
			})
		}
	}
}

// asking returns a request with one header.
func asking(name, value string) *httpapi.Request {
	return httpapi.NewRequest("id", events.APIGatewayProxyRequest{Headers: map[string]string{name: value}})
}
