package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/secret"
)

// input holds the decoded members of these tests.
type input struct {
	Name, Note string
	Flag       bool
	Metadata   map[string]string
}

func (in *input) fields() []httpapi.Field {
	return []httpapi.Field{
		httpapi.Require(httpapi.String("name", &in.Name, account.NameRule.Clean)),
		httpapi.String("note", &in.Note, func(_, s string) (string, *fault.Error) { return s, nil }),
		httpapi.Bool("flag", &in.Flag),
		httpapi.Metadata("metadata", &in.Metadata),
	}
}

// told describes an error: "kind field" of each problem.
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

func post(body string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{HTTPMethod: "POST", Path: "/v1/things", Resource: "/v1/things", Body: body}
}

func TestJSONRefuses(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	tests := []struct {
		name, body string
		want       []string
	}{
		{"empty", "", []string{"body required"}},
		{"blanks", " \r\n\t", []string{"body required"}},
		{"null", " null\n", []string{"body required"}},
		{"array", `[{"name":"Ada"}]`, []string{"invalid"}},
		{"string", `"name"`, []string{"invalid"}},
		{"number", `1`, []string{"invalid"}},
		{"true", `true`, []string{"invalid"}},
		{"not JSON", `name=Ada`, []string{"invalid"}},
		{"byte order mark", "\ufeff{\"name\":\"Ada\"}", []string{"invalid"}},
		{"truncated within the name", `{"na`, []string{"invalid"}},
		{"truncated after the name", `{"name"`, []string{"invalid"}},
		{"truncated after the colon", `{"name":`, []string{"invalid"}},
		{"truncated within the value", `{"name":"Ad`, []string{"invalid"}},
		{"truncated after the value", `{"name":"Ada"`, []string{"invalid"}},
		{"trailing comma", `{"name":"Ada",}`, []string{"invalid"}},
		{"no comma", `{"name":"Ada" "note":"x"}`, []string{"invalid"}},
		{"no quotes", `{name:"Ada"}`, []string{"invalid"}},
		{"single quotes", `{'name':'Ada'}`, []string{"invalid"}},
		{"comment", `{"name":"Ada"/**/}`, []string{"invalid"}},
		{"a number for a name", `{1:"Ada"}`, []string{"invalid"}},
		{"control character in a text", "{\"name\":\"A\x01da\"}", []string{"invalid"}},
		{"raw line break in a text", "{\"name\":\"A\nda\"}", []string{"invalid"}},
		{"trailing object", `{"name":"Ada"}{"name":"Bob"}`, []string{"invalid"}},
		{"trailing text", `{"name":"Ada"} x`, []string{"invalid"}},
		{"trailing brace", `{"name":"Ada"}}`, []string{"invalid"}},
		{"trailing NUL", "{\"name\":\"Ada\"}\x00", []string{"invalid"}},
		{"invalid UTF-8 in a value", "{\"name\":\"A\xffda\"}", []string{"invalid"}},
		{"invalid UTF-8 in a name", "{\"na\xc3me\":\"Ada\"}", []string{"invalid"}},
		{"UTF-8 that a gateway has repaired", "{\"name\":\"A\ufffdda\"}", []string{"invalid"}},
		{"a surrogate in UTF-8", "{\"name\":\"\xed\xa0\x80\"}", []string{"invalid"}},
		{"overlong UTF-8", "{\"name\":\"\xc0\xaf\"}", []string{"invalid"}},
		{"deep nesting", `{"name":"Ada","note":` + deep + `}`, []string{"invalid"}},

		{"high surrogate alone", `{"name":"A\ud800da"}`, []string{"invalid name"}},
		{"low surrogate alone", `{"name":"A\udc00da"}`, []string{"invalid name"}},
		{"surrogates swapped", `{"name":"\udc00\ud800"}`, []string{"invalid name"}},
		{"high surrogate before another escape", `{"name":"\ud83d\n"}`, []string{"invalid name"}},
		{"high surrogate twice", `{"name":"\ud83d\ud83d\ude00"}`, []string{"invalid name"}},
		{"high surrogate at the end", `{"name":"Ada\uD83D"}`, []string{"invalid name"}},
		{"surrogate after a backslash", `{"name":"\\\ud800"}`, []string{"invalid name"}},
		{"lone surrogate in a name", `{"name":"Ada","\ud800":1}`, []string{"invalid"}},
		{"lone surrogate in metadata", `{"name":"Ada","metadata":{"a":"\udfff"}}`, []string{"invalid metadata"}},
		{"lone surrogate in a name of metadata", `{"name":"Ada","metadata":{"\udfff":"a"}}`, []string{"invalid metadata"}},

		{"missing", `{}`, []string{"required name"}},
		{"null is missing", `{"name":null}`, []string{"required name"}},
		{"empty", `{"name":""}`, []string{"length name"}},
		{"a number for a text", `{"name":5}`, []string{"invalid name"}},
		{"a boolean for a text", `{"name":true}`, []string{"invalid name"}},
		{"an object for a text", `{"name":{}}`, []string{"invalid name"}},
		{"an array for a text", `{"name":["Ada"]}`, []string{"invalid name"}},
		{"an escaped control character", `{"name":"A\u0000da"}`, []string{"invalid name"}},
		{"a yes for a boolean", `{"name":"Ada","flag":"yes"}`, []string{"invalid flag"}},
		{"a 1 for a boolean", `{"name":"Ada","flag":1}`, []string{"invalid flag"}},
		{"True", `{"name":"Ada","flag":"True"}`, []string{"invalid flag"}},
		{"quotes within quotes", `{"name":"Ada","flag":"\"true\""}`, []string{"invalid flag"}},
		{"twice", `{"name":"Ada","name":"Ada"}`, []string{"invalid name"}},
		{"twice, null first", `{"name":null,"name":"Ada"}`, []string{"invalid name"}},
		{"twice, one escaped", `{"name":"Ada","n\u0061me":"Bob"}`, []string{"invalid name"}},
		{"other case is another field", `{"name":"Ada","Name":"Bob"}`, []string{"invalid Name"}},
		{"other case alone", `{"NAME":"Ada"}`, []string{"required name", "invalid NAME"}},
		{"a name with blanks", `{"name ":"Ada"}`, []string{"required name", "invalid name "}},
		{"unknown, reported once", `{"zip":1,"name":"Ada","zip":2}`, []string{"invalid zip"}},
		{"unknown with null", `{"name":"Ada","zip":null}`, []string{"invalid zip"}},
		{"a long unknown name is shortened", `{"name":"Ada","` + strings.Repeat("é", 65) + `":1}`, []string{"invalid " + strings.Repeat("é", 64) + "…"}},
		{"metadata not an object", `{"name":"Ada","metadata":"a"}`, []string{"invalid metadata"}},
		{"metadata an array", `{"name":"Ada","metadata":["a"]}`, []string{"invalid metadata"}},
		{"metadata with a duplicate", `{"name":"Ada","metadata":{"a":"1","b":"2","a":"3"}}`, []string{"invalid metadata.a"}},
		{"metadata with a duplicate, one escaped", `{"name":"Ada","metadata":{"a":"1","\u0061":"1"}}`, []string{"invalid metadata.a"}},
		{"metadata of another type", `{"name":"Ada","metadata":{"a":1,"b":{},"c":"fine","d":null}}`, []string{"invalid metadata.a", "invalid metadata.b", "invalid metadata.d"}},
		{"metadata by its rules", `{"name":"Ada","metadata":{"":"x","b":"\u0007"}}`, []string{"length metadata", "invalid metadata.b"}},
		{
			"all problems, in the order of the fields, unknown names last",
			`{"zip":1,"metadata":{"a":1},"flag":"x","note":7,"name":"` + strings.Repeat("a", 25) + `","Flag":true}`,
			[]string{"length name", "invalid note", "invalid flag", "invalid metadata.a", "invalid zip", "invalid Flag"},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var in input
			err := httpapi.NewRequest("id", post(tc.body)).JSON(in.fields()...)
			if diff := cmp.Diff(tc.want, told(err)); diff != "" {
				t.Errorf("JSON(%.80s) (-want +got):\n%s", tc.body, diff)
			}
		})
	}
}

func TestJSONAccepts(t *testing.T) {
	tests := []struct {
		name, body string
		want       input
	}{
		{"least", `{"name":"Ada"}`, input{Name: "Ada"}},
		{"blanks around everything", " \n{ \"name\" :\t\"Ada\" , \"flag\" : true }\r\n ", input{Name: "Ada", Flag: true}},
		{"null is absent", `{"name":"Ada","note":null,"flag":null,"metadata":null}`, input{Name: "Ada"}},
		{"boolean in quotes", `{"name":"Ada","flag":"true"}`, input{Name: "Ada", Flag: true}},
		{"false in quotes", `{"name":"Ada","flag":"false"}`, input{Name: "Ada"}},
		{"escapes", `{"n\u0061me":"\u0041d\u0061","note":"\"\\\/\n\ud83d\ude00"}`, input{Name: "Ada", Note: "\"\\/\n😀"}},
		{"an escaped backslash before a u", `{"name":"Ada","note":"\\ud800"}`, input{Name: "Ada", Note: `\ud800`}},
		{"not a character, but no surrogate", `{"name":"Ada","note":"\ufffe\uffff"}`, input{Name: "Ada", Note: "\ufffe\uffff"}},
		{"the replacement character, escaped", `{"name":"Ada","note":"\ufffd"}`, input{Name: "Ada", Note: "�"}},
		{"outer blanks go", `{"name":"  Ada\n"}`, input{Name: "Ada"}},
		{"metadata", `{"metadata":{"b":"2","a":"1"},"name":"Ada"}`, input{Name: "Ada", Metadata: map[string]string{"a": "1", "b": "2"}}},
		{"empty metadata", `{"metadata":{},"name":"Ada"}`, input{Name: "Ada", Metadata: map[string]string{}}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var got input
			if err := httpapi.NewRequest("id", post(tc.body)).JSON(got.fields()...); err != nil {
				t.Fatalf("JSON(%s) = %v", tc.body, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("JSON(%s) (-want +got):\n%s", tc.body, diff)
			}
		})
	}
}

func TestJSONLimit(t *testing.T) {
	body := func(n int) string {
		const empty = `{"name":"Ada","note":""}`
		return `{"name":"Ada","note":"` + strings.Repeat("x", n-len(empty)) + `"}`
	}
	wrap := func(s string) events.APIGatewayProxyRequest {
		e := post(base64.StdEncoding.EncodeToString([]byte(s)))
		e.IsBase64Encoded = true
		return e
	}
	broken := post("{\"name\"")
	broken.IsBase64Encoded = true
	tests := []struct {
		name  string
		event events.APIGatewayProxyRequest
		want  []string
	}{
		{"64 KiB and one", post(body(64<<10 + 1)), []string{"too large"}},
		{"64 KiB and one in base64", wrap(body(64<<10 + 1)), []string{"too large"}},
		{"large and no JSON", post(strings.Repeat("x", 1<<20)), []string{"too large"}},
		{"broken base64", broken, []string{"invalid"}},
		{"64 KiB", post(body(64 << 10)), nil},
		{"64 KiB in base64, which is more", wrap(body(64 << 10)), nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var in input
			if diff := cmp.Diff(tc.want, told(httpapi.NewRequest("id", tc.event).JSON(in.fields()...))); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

// TestJSONOfManyUnknownMembers: the first twenty are named, the others counted.
func TestJSONOfManyUnknownMembers(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"name":"Ada"`)
	n := 0
	for ; b.Len() < httpapi.MaxBody-16; n++ {
		fmt.Fprintf(&b, `,"%x":1`, n)
	}
	b.WriteString("}")
	var in input
	problems := fault.Of(httpapi.NewRequest("id", post(b.String())).JSON(in.fields()...))
	if len(problems) != 21 {
		t.Fatalf("%d problems for %d unknown members, want 21", len(problems), n)
	}
	if got, want := problems[20].Message, fmt.Sprintf("%d more unknown fields.", n-20); got != want {
		t.Errorf("last message = %q, want %q", got, want)
	}
}

func TestContentType(t *testing.T) {
	const body = `{"name":"Ada"}`
	tests := []struct {
		value string
		ok    bool
	}{
		{"text/plain", false},
		{"text/json", false},
		{"application/x-www-form-urlencoded", false},
		{"multipart/form-data; boundary=x", false},
		{"application/problem+json", false},
		{"application/jsonx", false},
		{"application/json; charset=latin1", false},
		{"application/json; charset=utf-16", false},
		{"application/json, text/plain", false},
		{"application/json; charset=utf-8-x", false},
		{"application/json; charset=utf16", false},
		{"json", false},
		{";", false},
		{"application/json", true},
		{"Application/JSON", true},
		{"application/json; charset=utf-8", true},
		{"application/json;charset=\"UTF-8\"", true},
		{"application/json; charset=utf8", true},
		{"application/json;charset=UTF8", true},
		{"application/json; charset=\"utf8\"", true},
		{"application/json; profile=x", true},
		{"", true},
	}
	for _, tc := range tests {
		t.Run(tc.value, func(t *testing.T) {
			e := post(body)
			e.Headers = map[string]string{"content-TYPE": tc.value}
			var in input
			err := httpapi.NewRequest("id", e).JSON(in.fields()...)
			if ok := err == nil; ok != tc.ok || !ok && told(err)[0] != "media type Content-Type" {
				t.Errorf("content type %q: %v, want ok %t", tc.value, err, tc.ok)
			}
		})
	}
	// A missing body is reported first, because it has no content type.
	e := post("")
	e.Headers = map[string]string{"Content-Type": "text/plain"}
	if got := told(httpapi.NewRequest("id", e).JSON()); got[0] != "body required" {
		t.Errorf("no body with a content type: %v", got)
	}
}

// TestCompressedBody: a compressed body is refused because of its header, not as malformed
// JSON.
func TestCompressedBody(t *testing.T) {
	tests := []struct {
		name    string
		headers map[string][]string
		ok      bool
	}{
		{"gzip", map[string][]string{"Content-Encoding": {"gzip"}}, false},
		{"in lower case", map[string][]string{"content-encoding": {"br"}}, false},
		{"behind identity", map[string][]string{"Content-Encoding": {"identity, gzip"}}, false},
		{"in a second header", map[string][]string{"Content-Encoding": {"identity", "deflate"}}, false},
		{"an unknown one", map[string][]string{"Content-Encoding": {"utf-8"}}, false},
		{"beside another type", map[string][]string{"Content-Encoding": {"zstd"}, "Content-Type": {"text/plain"}}, false},
		{"identity", map[string][]string{"Content-Encoding": {"Identity"}}, true},
		{"empty", map[string][]string{"Content-Encoding": {""}}, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for _, body := range []string{`{"name":"Ada"}`, "\x1f\x8b\x08\x00"} {
				e := post(body)
				e.Headers, e.MultiValueHeaders = nil, tc.headers
				var in input
				got := told(httpapi.NewRequest("id", e).JSON(in.fields()...))
				if refused := len(got) == 1 && got[0] == "media type Content-Encoding"; refused == tc.ok {
					t.Errorf("JSON(%q) = %v, want it refused because of Content-Encoding: %t", body, got, !tc.ok)
				}
			}
		})
	}
	e := post("")
	e.Headers = map[string]string{"Content-Encoding": "gzip"}
	if got := told(httpapi.NewRequest("id", e).JSON()); got[0] != "body required" {
		t.Errorf("no body, with Content-Encoding: %v", got)
	}
}

// FuzzDecode compares the decoded members with those of encoding/json, which is less
// strict.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"name":"Ada"}`, `{"name":"Ada","name":"Bob"}`, `{"name":"\ud800"}`, `{"name":"\ud83d\ude00","flag":"true"}`,
		`{"name":"Ada","metadata":{"a":"1","a":"2"}}`, `{"name":"Ada","metadata":{"\u0061":"\\u"}}`, "{\"name\":\"\xff\"}", `{"Name":"Ada"} {}`,
		`{"name":"Ada","note":"\\\\\\ud800"}`, `{"name":"\u00e9","flag":false,"note":null,"metadata":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in input
		err := httpapi.NewRequest("id", post(string(body))).JSON(in.fields()...)
		if err != nil {
			for _, p := range fault.Of(err) {
				if p.Kind == fault.Internal || p.Message == "" || !utf8.ValidString(p.Message) {
					t.Fatalf("JSON(%q): problem %v", body, p)
				}
			}
			return
		}
		var doc map[string]any
		if err := json.Unmarshal(body, &doc); err != nil {
			t.Fatalf("JSON(%q) is accepted, but encoding/json returns %v", body, err)
		}
		if !utf8.Valid(body) {
			t.Fatalf("JSON(%q) is accepted, but is not UTF-8", body)
		}
		if n := names(t, body); n != len(doc) {
			t.Fatalf("JSON(%q) is accepted with %d members, %d of them different", body, n, len(doc))
		}
		got := map[string]any{"name": in.Name}
		if doc["note"] != nil {
			got["note"] = in.Note
		}
		if doc["flag"] != nil {
			got["flag"] = in.Flag
			if s, ok := doc["flag"].(string); ok {
				doc["flag"] = s == "true"
			}
		}
		if m, ok := doc["metadata"].(map[string]any); ok {
			texts := map[string]any{}
			for k, v := range in.Metadata {
				texts[k] = v
			}
			got["metadata"] = texts
			if raw := rawMember(t, body, "metadata"); names(t, raw) != len(m) {
				t.Fatalf("JSON(%q) is accepted with a duplicate in metadata", body)
			}
		}
		maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
		if name, ok := doc["name"].(string); ok {
			doc["name"] = strings.TrimSpace(name)
		}
		if diff := cmp.Diff(doc, got); diff != "" {
			t.Fatalf("JSON(%q) and encoding/json differ (-encoding/json +JSON):\n%s", body, diff)
		}
		if !slices.Contains([]int{1, 2, 3, 4}, len(doc)) {
			t.Fatalf("JSON(%q) is accepted with %d members", body, len(doc))
		}
	})
}

// names counts the members of an object, including duplicates.
func names(t *testing.T, object []byte) int {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for dec.More() {
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func rawMember(t *testing.T, object []byte, name string) json.RawMessage {
	t.Helper()
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(object, &doc); err != nil {
		t.Fatal(err)
	}
	return doc[name]
}

func TestInOrder(t *testing.T) {
	if err := httpapi.InOrder(nil, nil, nil); err != nil {
		t.Errorf("InOrder of nothing = %v", err)
	}
	down := errors.New("down")
	if err := httpapi.InOrder(nil, down, nil); fault.KindOf(err) != fault.Internal || !errors.Is(err, down) {
		t.Errorf("InOrder = %v, want one with the cause in its chain", err)
	}
}

// TestPeek: Peek decodes the requested members and ignores all others.
func TestPeek(t *testing.T) {
	tests := []struct {
		name string
		body string
		ok   bool
		want string // value of the member
	}{
		{"no body", "", false, ""},
		{"not JSON", `{"name":"a"`, false, ""},
		{"no object", `["name"]`, false, ""},
		{"trailing data", `{"name":"a"} x`, false, ""},
		{"no UTF-8", "{\"name\":\"a\",\"b\":\"\xff\"}", false, ""},
		{"too large", `{"name":"a","b":"` + strings.Repeat("b", httpapi.MaxBody) + `"}`, false, ""},
		{"another type", `{"name":1}`, false, ""},
		{"twice", `{"name":"a","name":"a"}`, false, ""},
		{"another letter case", `{"Name":"a"}`, true, ""},
		{"absent", `{}`, true, ""},
		{"alone", `{"name":"a"}`, true, "a"},
		{"beside others that are wrong", `{"flag":7,"note":{},"unknown":[],"note":1,"name":"a"}`, true, "a"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var in input
			req := httpapi.NewRequest("id", post(tc.body))
			ok := req.Peek(httpapi.String("name", &in.Name, func(_, s string) (string, *fault.Error) { return s, nil }))
			if diff := cmp.Diff(input{Name: tc.want}, in); ok != tc.ok || diff != "" {
				t.Errorf("Peek = %t, want %t; decoded (-want +got):\n%s", ok, tc.ok, diff)
			}
		})
	}
	compressed := post(`{"name":"a"}`)
	compressed.Headers = map[string]string{"Content-Encoding": "gzip"}
	if httpapi.NewRequest("id", compressed).Peek() {
		t.Error("Peek of a compressed body = true")
	}
}

// TestSecret: the field wraps the member's text. It stays nil for a member that is absent,
// null or not a text.
func TestSecret(t *testing.T) {
	for body, want := range map[string]*secret.Text{
		`{}`: nil, `{"key":null}`: nil, `{"key":7}`: nil, `{"key":["` + canary + `"]}`: nil, `{"key":""}`: new(secret.New("")), `{"key":"` + canary + `"}`: new(secret.New(canary)),
	} {
		var got *secret.Text
		err := httpapi.NewRequest("id", post(body)).JSON(httpapi.Secret("key", &got))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s decodes as (-want +got):\n%s", body, diff)
		}
		if wrong := strings.Contains(body, "7") && !strings.Contains(body, canary) || strings.Contains(body, "["); wrong != (err != nil) || wrong && !slices.Equal(told(err), []string{"invalid key"}) || err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestParseTime: RFC 3339, section 5.6, and nothing else.
func TestParseTime(t *testing.T) {
	for s, want := range map[string]string{
		"2026-01-01T1:00:00Z": "", "2026-01-01T00:00:00,5Z": "", "2026-01-01T00:00:00+24:00": "", "2026-01-01T00:00:00+00:60": "", "2026-01-01T00:00:00-99:00": "",
		"2026-01-01 00:00:00Z": "", "2026-01-01": "", "2026-01-01T00:00Z": "", "2026-01-01T00:00:00": "", "2026-01-01T00:00:00+0100": "", "2026-01-01T00:00:00.Z": "",
		"2026-02-29T00:00:00Z": "", "2026-01-01T24:00:00Z": "", "2026-1-01T00:00:00Z": "", "+2026-01-01T00:00:00Z": "", "2026-01-01T00:00:00Zz": "", "": "", " ": "",

		"2026-01-01T00:00:00Z":          "2026-01-01T00:00:00Z",
		"2026-01-01t01:02:03z":          "2026-01-01T01:02:03Z",
		"2026-01-01T00:00:00.5Z":        "2026-01-01T00:00:00.5Z",
		"2026-01-01t10:00:00.25+10:00":  "2026-01-01T00:00:00.25Z",
		"2026-01-01T00:00:00-00:00":     "2026-01-01T00:00:00Z",
		"2026-01-01T00:00:00+23:59":     "2025-12-31T00:01:00Z",
		"2024-02-29T23:59:59.999999Z":   "2024-02-29T23:59:59.999999Z",
		"0001-01-01T00:00:00.000000Z":   "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.99999999Z": "9999-12-31T23:59:59.99999999Z",
	} {
		at, err := httpapi.ParseTime(s)
		got := ""
		if err == nil {
			got = at.UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("ParseTime(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
}
