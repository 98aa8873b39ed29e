package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestLinkBadBodies(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for _, test := range badBodies() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api.call(t, request{
				method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: test.body, header: test.header,
			}).expect(t, test.status, test.problem)
		})
	}
}

func TestLinkBadFields(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	key, secret := newCredentials()
	good := fields{"nickname": "Main", "account_number": "0001234500", "api_key": key, "api_secret": secret}
	many := fields{}
	for i := range 21 {
		many[fmt.Sprint("k", i)] = "v"
	}
	number := func(category string) []problem { return []problem{preflight("account_number", category)} }
	apiKey := func(category string) []problem { return []problem{preflight("api_key", category)} }
	apiSecret := func(category string) []problem { return []problem{preflight("api_secret", category)} }
	tests := []struct {
		name     string
		carrier  string // empty: australia_post
		body     any
		problems []problem
	}{
		{"nothing", "", "{}", []problem{required("nickname"), required("account_number"), required("api_key"), required("api_secret")}},
		{"nulls", "", good.with("nickname", nil, "account_number", nil, "api_key", nil, "api_secret", nil), []problem{
			required("nickname"), required("account_number"), required("api_key"), required("api_secret"),
		}},
		{"nickname missing", "", good.with("nickname", absent), []problem{required("nickname")}},
		{"nickname empty", "", good.with("nickname", ""), []problem{length("nickname")}},
		{"nickname blank", "", good.with("nickname", "  "), []problem{length("nickname")}},
		{"nickname of 101 characters", "", good.with("nickname", strings.Repeat("😀", 101)), []problem{length("nickname")}},
		{"nickname with a control character", "", good.with("nickname", "a\u0007b"), []problem{invalid("nickname")}},
		{"nickname number", "", good.with("nickname", 1), []problem{invalid("nickname")}},
		{"nickname half a surrogate", "", `{"nickname":"\ud83d"}`, []problem{
			invalid("nickname"), required("account_number"), required("api_key"), required("api_secret"),
		}},
		{"account_number missing", "", good.with("account_number", absent), []problem{required("account_number")}},
		{"account_number empty", "", good.with("account_number", ""), []problem{length("account_number")}},
		{"account_number blank", "", good.with("account_number", " - "), []problem{length("account_number")}},
		{"account_number as a JSON number", "", good.with("account_number", 1234500), []problem{invalid("account_number")}},
		{"account_number of 7 digits", "", good.with("account_number", "1234500"), number("lost_leading_zeros")},
		{"account_number of 8 digits", "", good.with("account_number", "01234500"), number("startrack_number")},
		{"account_number of 9 digits", "", good.with("account_number", "001234500"), number("lost_leading_zeros")},
		{"account_number of 9 digits and blanks", "", good.with("account_number", "001 234 500"), number("lost_leading_zeros")},
		{"account_number of 11 digits", "", good.with("account_number", "00012345000"), number("account_number_format")},
		{"account_number of 10,000 digits", "", good.with("account_number", strings.Repeat("0", 10_000)), number("account_number_format")},
		{"account_number with a letter", "", good.with("account_number", "000123450O"), number("account_number_format")},
		{"account_number with a slash", "", good.with("account_number", "/../"), number("account_number_format")},
		{"account_number that climbs", "", good.with("account_number", "../../../x"), number("account_number_format")},
		{"account_number with an escaped dot", "", good.with("account_number", "%2e%2e%2f123"), number("account_number_format")},
		{"account_number with a query", "", good.with("account_number", "000123450?"), number("account_number_format")},
		{"account_number with a line break", "", good.with("account_number", "0001234500\r\nX: y"), number("account_number_format")},
		{"account_number in other digits", "", good.with("account_number", "٠٠٠١٢٣٤٥٠٠"), number("account_number_format")},
		{"account_number with a zero-width blank", "", good.with("account_number", "0001234\u200b500"), number("account_number_format")},
		{"account_number with NUL", "", good.with("account_number", "0001234500\x00"), number("account_number_format")},
		{"StarTrack, 7 digits", "startrack", good.with("account_number", "1234500"), number("lost_leading_zeros")},
		{"StarTrack, 9 digits", "star_track", good.with("account_number", "001234500"), number("account_number_format")},
		{"StarTrack, 10 digits", "startrack", good.with("account_number", "0001234500"), number("australia_post_number")},
		{"StarTrack, letters", "star_track", good.with("account_number", "ABCDEFGH"), number("account_number_format")},
		{"api_key missing", "", good.with("api_key", absent), []problem{required("api_key")}},
		{"api_key empty", "", good.with("api_key", ""), []problem{length("api_key")}},
		{"api_key blank", "", good.with("api_key", " \n"), []problem{length("api_key")}},
		{"api_key of 257 characters", "", good.with("api_key", "k"+wide(256)), []problem{length("api_key")}},
		{"api_key array", "", good.with("api_key", []string{key}), []problem{invalid("api_key")}},
		{"api_key with a control character", "", good.with("api_key", key+"\x01x"), []problem{invalid("api_key")}},
		{"api_key with a blank inside", "", good.with("api_key", key[:18]+" "+key[18:]), apiKey("inner_blank")},
		{"api_key across a line break", "", good.with("api_key", key[:18]+"\r\n"+key[18:]), apiKey("inner_blank")},
		{"api_key in quotes", "", good.with("api_key", `"`+key+`"`), apiKey("quotes")},
		{"api_key in curly quotes", "", good.with("api_key", "“"+key+"”"), apiKey("quotes")},
		{"api_key with a zero-width blank", "", good.with("api_key", key+"\u200b"), apiKey("invisible_character")},
		{"api_key with a byte order mark", "", good.with("api_key", "\ufeff"+key), apiKey("invisible_character")},
		{"api_key with a soft hyphen", "", good.with("api_key", key[:9]+"\u00ad"+key[9:]), apiKey("invisible_character")},
		{"api_key is the account number", "", good.with("api_key", "0007654300"), apiKey("account_number_as_key")},
		{"api_key is a StarTrack number", "", good.with("api_key", "07 654-300"), []problem{preflight("api_key", "inner_blank")}},
		{"api_key and secret in one", "", good.with("api_key", key+":"+secret), apiKey("key_format")},
		{"api_secret missing", "", good.with("api_secret", absent), []problem{required("api_secret")}},
		{"api_secret empty", "", good.with("api_secret", ""), []problem{length("api_secret")}},
		{"api_secret of 257 characters", "", good.with("api_secret", "s"+wide(256)), []problem{length("api_secret")}},
		{"api_secret number", "", good.with("api_secret", 12345678), []problem{invalid("api_secret")}},
		{"api_secret with a zero-width joiner", "", good.with("api_secret", secret[:4]+"\u200d"+secret[4:]), apiSecret("invisible_character")},
		{"api_secret with a no-break blank", "", good.with("api_secret", secret[:4]+"\u00a0"+secret[4:]), apiSecret("inner_blank")},
		{"api_secret in quotes", "", good.with("api_secret", "'"+secret+"'"), apiSecret("quotes")},
		{"key equal to secret", "", good.with("api_secret", key), apiSecret("key_equals_secret")},
		{"key equal to secret but for blanks", "", good.with("api_secret", " "+key+"\n"), apiSecret("key_equals_secret")},
		{"key and secret swapped", "", good.with("api_key", secret, "api_secret", key), apiSecret("key_and_secret_swapped")},
		{"allow_duplicate_account_number word", "", good.with("allow_duplicate_account_number", "yes"), []problem{invalid("allow_duplicate_account_number")}},
		{"allow_duplicate_account_number number", "", good.with("allow_duplicate_account_number", 1), []problem{invalid("allow_duplicate_account_number")}},
		{"allow_duplicate_account_number empty", "", good.with("allow_duplicate_account_number", ""), []problem{length("allow_duplicate_account_number")}},
		{"refresh_policy unknown", "", good.with("refresh_policy", "weekly"), []problem{invalid("refresh_policy")}},
		{"refresh_policy empty", "", good.with("refresh_policy", ""), []problem{length("refresh_policy")}},
		{"external_carrier_id empty", "", good.with("external_carrier_id", ""), []problem{length("external_carrier_id")}},
		{"external_carrier_id of 129 characters", "", good.with("external_carrier_id", wide(129)), []problem{length("external_carrier_id")}},
		{"metadata of 21", "", good.with("metadata", many), []problem{invalid("metadata")}},
		{"metadata value", "", good.with("metadata", fields{"a": true}), []problem{invalid("metadata.a")}},
		{"verify unknown", "", good.with("verify", "never"), []problem{invalid("verify")}},
		{"verify empty", "", good.with("verify", ""), []problem{length("verify")}},
		{"verify true", "", good.with("verify", true), []problem{invalid("verify")}},
		{"unknown field", "", good.with("password", "pw-unknown-1"), []problem{invalid("password")}},
		{"field twice", "", `{"nickname":"a","nickname":"b","account_number":"0001234500","api_key":"` + key + `","api_secret":"` + secret + `"}`, []problem{invalid("nickname")}},
		{"everything at once", "", fields{
			"zebra": 1, "verify": 1, "metadata": 1, "external_carrier_id": "", "refresh_policy": "x", "allow_duplicate_account_number": "x",
			"api_secret": key, "api_key": key, "account_number": "1234500", "nickname": "",
		}, []problem{
			length("nickname"), preflight("account_number", "lost_leading_zeros"), preflight("api_secret", "key_equals_secret"),
			invalid("allow_duplicate_account_number"), invalid("refresh_policy"), length("external_carrier_id"), invalid("metadata"), invalid("verify"), invalid("zebra"),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			carrier := test.carrier
			if carrier == "" {
				carrier = "australia_post"
			}
			a := api.call(t, request{method: http.MethodPost, path: linkPath(carrier), key: m.Key, body: test.body})
			a.expect(t, http.StatusBadRequest, test.problems...)
			for _, e := range a.errors() {
				if d := e.Diagnosis; d != nil && (d.WhoMustAct != "merchant" || d.Retryable || d.CarrierError != nil) {
					t.Errorf("diagnosis = %+v, want a pre-flight finding for the merchant", d)
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := post.count("0001234500"); n > 0 {
			t.Errorf("the carrier was asked %d times", n)
		}
	})
}

func TestLinkUnknownCarriers(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for _, carrier := range []string{
		"dhl", "AUSTRALIA_POST", "australia_post%20", "australia%2Fpost", "star-track", "auspost", "%2e", "%2e%2e", "%2E%2E%2Fcarriers", "..;", "a%00b", "caf%C3%A9", "%25", "%2561ustralia_post",
	} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			a := api.call(t, request{method: http.MethodPost, path: linkPath(carrier), key: m.Key, body: linkBody(ausPostNumber("00"))})
			a.expect(t, http.StatusBadRequest, problem{"validation", "carrier_not_supported", "carrier_name", ""})
		})
	}
	t.Run("not UTF-8", func(t *testing.T) {
		t.Parallel()
		a := api.call(t, request{method: http.MethodPost, path: linkPath("caf%E9"), key: m.Key, body: linkBody(ausPostNumber("00"))})
		a.expect(t, http.StatusBadRequest, identifier("carrier_name"))
	})
}

// The account that a request acts for, on both merchant routes.
func TestOnBehalfOf(t *testing.T) {
	t.Parallel()
	m, other, foreign := newMerchant(t, production), newMerchant(t, production), newMerchant(t, otherProduction)
	c, otherC, foreignC := link(t, m, "australia_post", ausPostNumber("00")), link(t, other, "australia_post", ausPostNumber("00")), link(t, foreign, "australia_post", ausPostNumber("00"))
	disabled := newMerchant(t, production)
	disabledC := link(t, disabled, "australia_post", ausPostNumber("00"))
	setItem(t, accountPK(disabled.ID), "ACCOUNT", item{"active": nil})
	// An id that does not exist, the largest.
	const nobody = "2147483647"
	behalf := func(id any) [][2]string { return [][2]string{{"On-Behalf-Of", fmt.Sprint(id)}} }

	routes := []request{
		{method: http.MethodPost, path: linkPath("australia_post"), body: linkBody(ausPostNumber("00"))},
		{method: http.MethodPost, path: linkPath("startrack"), body: "not JSON"},
		{method: http.MethodGet, path: readPath(c.CarrierID)},
		{method: http.MethodGet, path: readPath("x")},
	}
	tests := []struct {
		name    string
		key     string
		header  [][2]string
		status  int
		problem problem
	}{
		{"partner without it", production.APIKey, nil, 400, required("On-Behalf-Of")},
		{"partner with a word", production.APIKey, behalf("abc"), 400, identifier("On-Behalf-Of")},
		{"partner with zero", production.APIKey, behalf("0"), 400, identifier("On-Behalf-Of")},
		{"partner with a sign", production.APIKey, behalf(fmt.Sprintf("+%d", m.ID)), 400, identifier("On-Behalf-Of")},
		{"partner with a sign behind the prefix", production.APIKey, behalf("se--1"), 400, identifier("On-Behalf-Of")},
		{"partner with the prefix alone", production.APIKey, behalf("se-"), 400, identifier("On-Behalf-Of")},
		{"partner with too large a number", production.APIKey, behalf("2147483648"), 400, identifier("On-Behalf-Of")},
		{"partner with a path", production.APIKey, behalf("../1"), 400, identifier("On-Behalf-Of")},
		{"partner for nobody", production.APIKey, behalf(nobody), 404, notFound},
		{"partner for another partner's account", production.APIKey, behalf(foreign.ID), 404, notFound},
		{"sandbox partner for a production account", sandbox.APIKey, behalf(m.ID), 404, notFound},
		{"merchant for another account", m.Key, behalf(other.ID), 404, notFound},
		{"merchant for nobody", m.Key, behalf(nobody), 404, notFound},
		{"merchant with a word", m.Key, behalf("abc"), 400, identifier("On-Behalf-Of")},
		{"disabled, merchant", disabled.Key, nil, 403, inactive},
		{"disabled, partner", production.APIKey, behalf(disabled.ID), 403, inactive},
	}
	for _, r := range routes {
		if differs("joins headers") {
			break
		}
		t.Run("two values "+r.method+" "+r.path, func(t *testing.T) {
			t.Parallel()
			r.key, r.header, r.more = production.APIKey, behalf(m.ID), behalf(other.ID)
			api.call(t, r).expect(t, http.StatusBadRequest, invalid("On-Behalf-Of"))
			r.more = [][2]string{{"api-key", m.Key}}
			api.call(t, r).expect(t, http.StatusBadRequest, invalid("API-Key"))
		})
	}
	for _, test := range tests {
		for _, r := range routes {
			t.Run(test.name+" "+r.method+" "+r.path, func(t *testing.T) {
				t.Parallel()
				r.key, r.header = test.key, test.header
				api.call(t, r).expect(t, test.status, test.problem)
			})
		}
	}
	t.Run("disabled, its own connection", func(t *testing.T) {
		t.Parallel()
		api.call(t, request{method: http.MethodGet, path: readPath(disabledC.CarrierID), key: disabled.Key}).expect(t, 403, inactive)
	})

	// The answers for an absent account and for another partner's do not differ.
	equal := func(name string, absent, foreign request) {
		t.Run("equal answers "+name, func(t *testing.T) {
			t.Parallel()
			a, b := api.call(t, absent), api.call(t, foreign)
			a.expect(t, http.StatusNotFound, notFound)
			if diff := cmp.Diff(bare(a), bare(b)); diff != "" {
				t.Errorf("absent (-) and another caller's (+):\n%s", diff)
			}
		})
	}
	for _, r := range routes[:3] {
		one, two := r, r
		one.key, one.header, two.key, two.header = production.APIKey, behalf(nobody), production.APIKey, behalf(foreign.ID)
		equal("account "+r.path, one, two)
		three := two
		three.key, three.header = m.Key, behalf(other.ID)
		four := three
		four.header = behalf(nobody)
		equal("merchant's "+r.path, four, three)
	}
	get := func(id, key string, header [][2]string) request {
		return request{method: http.MethodGet, path: readPath(id), key: key, header: header}
	}
	equal("another account's connection", get("se-1234567890123456", m.Key, nil), get(otherC.CarrierID, m.Key, nil))
	equal("another partner's connection", get("se-1234567890123456", m.Key, nil), get(foreignC.CarrierID, m.Key, nil))
	equal("another account's connection, partner", get("se-1234567890123456", production.APIKey, behalf(m.ID)), get(otherC.CarrierID, production.APIKey, behalf(m.ID)))

	for _, id := range []string{strconv.FormatInt(m.ID, 10), fmt.Sprintf("se-%d", m.ID)} {
		t.Run("partner for its own "+id[:3], func(t *testing.T) {
			t.Parallel()
			api.call(t, get(c.CarrierID, production.APIKey, behalf(id))).expect(t, http.StatusOK)
			api.call(t, get(c.CarrierID, m.Key, behalf(id))).expect(t, http.StatusOK)
			api.call(t, request{
				method: http.MethodPost, path: linkPath("australia_post"), key: production.APIKey, header: behalf(id), body: linkBody(ausPostNumber("00")),
			}).expect(t, http.StatusOK)
		})
	}
}

// bare returns an answer without the parts that differ in every request.
func bare(a answer) map[string]string {
	id := a.header.Get("X-Request-Id")
	out := map[string]string{"body": strings.ReplaceAll(string(a.body), id, "ID")}
	for name := range a.header {
		switch value := a.header.Get(name); {
		case name == "X-Request-Id", name == "Date", strings.HasPrefix(name, "Ratelimit-"), strings.HasPrefix(name, "X-Amz"):
			out[name] = "present"
		default:
			out[name] = value
		}
	}
	return out
}

func TestLinkTwice(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, p)
			number, starTrack := ausPostNumber("00"), starTrackNumber("00")
			first, st := link(t, m, "australia_post", number), link(t, m, "star_track", starTrack)
			if st.CarrierName != "startrack" {
				t.Errorf("carrier_name = %s, want startrack", st.CarrierName)
			}
			for _, again := range []struct{ carrier, number, existing string }{
				{"australia_post", number, first.CarrierID},
				{"australia_post", " " + number[:4] + " " + number[4:7] + "-" + number[7:], first.CarrierID},
				{"startrack", starTrack, st.CarrierID},
				{"star_track", starTrack, st.CarrierID},
			} {
				calls := post.count(number)
				a := api.call(t, request{method: http.MethodPost, path: linkPath(again.carrier), key: m.Key, body: linkBody(again.number)})
				a.expect(t, http.StatusConflict, conflict)
				if got := a.errors()[0].ExistingCarrierID; got != again.existing {
					t.Errorf("existing_carrier_id = %q, want %q", got, again.existing)
				}
				if post.count(number) != calls {
					t.Error("the carrier was asked all the same")
				}
			}
			for _, allow := range []any{true, "true"} {
				if c := link(t, m, "australia_post", number, "allow_duplicate_account_number", allow); c.CarrierID == first.CarrierID {
					t.Error("the duplicate has the first one's id")
				}
			}
			for _, deny := range []any{false, "false", nil} {
				api.call(t, request{
					method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(number).with("allow_duplicate_account_number", deny),
				}).expect(t, http.StatusConflict, conflict)
			}
			// Another account has numbers of its own.
			link(t, newMerchant(t, p), "australia_post", number)
		})
	}
}

func TestLinkKeeps(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	number := ausPostNumber("00")
	key, secret := newCredentials()
	a := api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: fields{
		"nickname": " " + strings.Repeat("😀", 98) + " ", "account_number": number[:4] + "-" + number[4:] + " ", "api_key": "\t" + key + "\n", "api_secret": " " + secret + " ",
		"refresh_policy": "hourly", "external_carrier_id": wide(128), "metadata": fields{"depot": "MEL"}, "verify": "now",
	}})
	a.expect(t, http.StatusOK)
	c := decode[connectionBody](t, a)
	if c.AccountNumber != number || c.AccountNumberMasked != "*******"+number[7:] || c.Nickname != strings.Repeat("😀", 98) || c.RefreshPolicy != "hourly" ||
		*c.ExternalCarrierID != wide(128) || c.Metadata["depot"] != "MEL" || *c.Credentials.APIKeyLastFour != key[32:] || c.LastCheck.Outcome != "ok" || c.LastCheck.Trigger != "link" {
		t.Errorf("connection = %s", a.body)
	}
	if strings.Contains(string(a.body), key) || strings.Contains(string(a.body), secret) {
		t.Error("the answer shows the credentials")
	}
	for name, changes := range map[string][]any{
		"a nickname of 100 characters": {"nickname", wide(100)},
		"nulls":                        {"refresh_policy", nil, "external_carrier_id", nil, "metadata", nil, "verify", nil, "allow_duplicate_account_number", nil},
		"a key that is no UUID":        {"api_key", "legacy-" + uuid.NewString()[:18]},
		"a secret that is a UUID too":  {"api_secret", uuid.NewString()},
		"a secret with a colon":        {"api_secret", "a:b/" + uuid.NewString()},
		"a secret in other letters":    {"api_secret", "pässwörd-" + uuid.NewString()},
		"credentials of 256":           {"api_key", "k" + strings.Repeat("q", 255), "api_secret", "s" + strings.Repeat("r", 255)},
		"a daily refresh":              {"refresh_policy", "daily"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link(t, m, "australia_post", ausPostNumber("00"), changes...)
		})
	}
}

func TestIdempotentLink(t *testing.T) {
	t.Parallel()
	idempotency := func(key string) [][2]string { return [][2]string{{"Idempotency-Key", key}} }
	call := func(t *testing.T, m merchant, key string, body any) answer {
		t.Helper()
		return api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: body, header: idempotency(key)})
	}

	t.Run("a malformed key", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		call(t, m, strings.Repeat("k", 256), linkBody(ausPostNumber("00"))).expect(t, 400, length("Idempotency-Key"))
		call(t, m, "caf\u00e9", linkBody(ausPostNumber("00"))).expect(t, 400, invalid("Idempotency-Key"))
	})
	for _, p := range environments() {
		t.Run("a failure releases the key "+p.Environment, func(t *testing.T) {
			t.Parallel()
			m, key, body := newMerchant(t, p), uuid.NewString(), linkBody(ausPostNumber("00"))
			refusals["40"].expect(t, call(t, m, key, body.with("api_secret", "wrong-"+uuid.NewString())))
			call(t, m, key, body.with("nickname", "")).expect(t, 400, length("nickname"))
			first := call(t, m, key, body)
			first.expect(t, 200)
			call(t, m, key, body.with("nickname", "Another")).expect(t, 422, problem{"validation", "field_conflict", "Idempotency-Key", ""})
			again := call(t, m, key, body)
			again.expect(t, 200)
			replayed(t, first, again)
		})
		t.Run("replay of a 202 "+p.Environment, func(t *testing.T) {
			t.Parallel()
			m, key, body := troubled(t, p), uuid.NewString(), linkBody(ausPostNumber("50")).with("verify", "later")
			first := call(t, m, key, body)
			first.expect(t, 202)
			again := call(t, m, key, body)
			again.expect(t, 202)
			replayed(t, first, again)
		})
	}
	t.Run("a twin is still running", func(t *testing.T) {
		t.Parallel()
		m, key, number := newMerchant(t, production), uuid.NewString(), ausPostNumber("00")
		arrived := make(chan struct{}, 8)
		release := make(chan struct{})
		post.play(number, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
			post.simulator.ServeHTTP(w, r)
		})
		body := linkBody(number)
		var first answer
		var group sync.WaitGroup
		group.Go(func() { first = call(t, m, key, body) })
		select {
		case <-arrived:
		case <-time.After(time.Minute): // a busy machine
			t.Error("the carrier was not asked")
		}
		twin := call(t, m, key, body)
		close(release)
		group.Wait()
		twin.expect(t, 409, problem{"business_rules", "invalid_status", "Idempotency-Key", ""})
		if twin.header.Get("Retry-After") == "" {
			t.Error("Retry-After is absent")
		}
		first.expect(t, 200)
		replayed(t, first, call(t, m, key, body))
	})
	t.Run("another account", func(t *testing.T) {
		t.Parallel()
		key, body := uuid.NewString(), linkBody(ausPostNumber("00"))
		one, two := call(t, newMerchant(t, production), key, body), call(t, newMerchant(t, production), key, body)
		one.expect(t, 200)
		two.expect(t, 200)
		if two.header.Get("Idempotent-Replayed") != "" {
			t.Error("another account got a replay")
		}
	})
}

// Ten links of one number at once make one connection. That there is one secret for it, and no more, is seen in the end.
func TestLinksAtOnce(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m, number := newMerchant(t, p), ausPostNumber("00")
			answers := make([]answer, 10)
			var group sync.WaitGroup
			for i := range answers {
				body := linkBody(number)
				group.Go(func() {
					answers[i] = api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: body})
				})
			}
			group.Wait()
			linked := 0
			for _, a := range answers {
				switch {
				case a.status == http.StatusOK:
					linked++
				case a.status != http.StatusConflict:
					t.Errorf("status = %d %s", a.status, a.body)
				case a.errors()[0].ErrorCode == "invalid_status" && a.header.Get("Retry-After") == "":
					t.Errorf("Retry-After is absent: %s", a.body)
				}
			}
			if linked != 1 {
				t.Errorf("%d of 10 were linked, want 1", linked)
			}
			if rows := connectionsOf(t, m); len(rows) != 1 {
				t.Errorf("there are %d connections, want 1: %v", len(rows), rows)
			}
		})
	}
}

// Of links at once that all begin below a cap, those that are refused leave nothing.
func TestLinksAtOnceBelowACap(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	setItem(t, accountPK(m.ID), "ACCOUNT", item{"carriers_count": num(999_998)}) // the local stack's cap is a million
	numbers := make([]string, 10)
	answers := make([]answer, len(numbers))
	var group sync.WaitGroup
	for i := range numbers {
		numbers[i] = ausPostNumber("00")
		body := linkBody(numbers[i])
		group.Go(func() {
			answers[i] = api.call(t, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: body})
		})
	}
	group.Wait()
	linked := 0
	var refused []string
	for i, a := range answers {
		if a.status == http.StatusOK {
			linked++
			if again := getCarrier(t, m, decode[connectionBody](t, a).CarrierID); a.header.Get("ETag") == "" || again.header.Get("ETag") != a.header.Get("ETag") {
				t.Errorf("ETag %q, of the next read %q", a.header.Get("ETag"), again.header.Get("ETag"))
			}
			continue
		}
		a.expect(t, http.StatusConflict, problem{"business_rules", "invalid_status", "", ""})
		refused = append(refused, numbers[i])
	}
	if linked != 2 {
		t.Errorf("%d were linked, want 2", linked)
	}
	// On a busy machine the time to undo a link may be too short; the reconciler does it then.
	reconciles(t, map[string]func() bool{"a refused link has left a connection": func() bool { return len(connectionsOf(t, m)) == 2 }})
	for _, number := range refused {
		nothingLinked(t, m, "australia_post", number)
	}
}
