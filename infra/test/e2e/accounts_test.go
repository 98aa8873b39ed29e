package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
)

// Strings of n characters, each of more than one byte.
func wide(n int) string { return strings.Repeat("é", n) }

func email() string { return "mia." + uuid.NewString()[:13] + "@example.com" }

func externalID() string { return "shop " + uuid.NewString() }

func create(t *testing.T, key string, body any, header ...[2]string) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: accountsPath, key: key, body: body, header: header})
}

// badBodies are bodies that every route with a body refuses.
func badBodies() []struct {
	name    string
	body    any
	header  [][2]string
	status  int
	problem problem
} {
	type row = struct {
		name    string
		body    any
		header  [][2]string
		status  int
		problem problem
	}
	contentType := func(s string) [][2]string { return [][2]string{{"Content-Type", s}} }
	return []row{
		{"no body", nil, nil, 400, bodyRequired},
		{"empty body", "", nil, 400, bodyRequired},
		{"blank body", " \r\n\t", nil, 400, bodyRequired},
		{"null", " null ", nil, 400, bodyRequired},
		{"array", "[]", nil, 400, invalid("")},
		{"array of one", `[{"nickname":"x"}]`, nil, 400, invalid("")},
		{"text", `"{}"`, nil, 400, invalid("")},
		{"number", "17", nil, 400, invalid("")},
		{"true", "true", nil, 400, invalid("")},
		{"cut off", `{"nickname":"x"`, nil, 400, invalid("")},
		{"cut off in an escape", `{"nickname":"\u00`, nil, 400, invalid("")},
		{"trailing text", "{} x", nil, 400, invalid("")},
		{"trailing bracket", "{}}", nil, 400, invalid("")},
		{"two objects", "{}{}", nil, 400, invalid("")},
		{"trailing comma", `{"nickname":"x",}`, nil, 400, invalid("")},
		{"comment", `{/* */}`, nil, 400, invalid("")},
		{"single quotes", `{'nickname':'x'}`, nil, 400, invalid("")},
		{"raw control character", "{\"nickname\":\"a\nb\"}", nil, 400, invalid("")},
		{"half a surrogate as a name", `{"\ud800":1}`, nil, 400, invalid("")},
		{"byte order mark", "\ufeff{}", nil, 400, invalid("")},
		{"form", "nickname=x&email=y", nil, 400, invalid("")},
		{"base64 of JSON", "eyJuaWNrbmFtZSI6IngifQ==", nil, 400, invalid("")},
		{"deep nesting", strings.Repeat(`{"a":`, 12_000), nil, 400, invalid("")},
		{"64 KiB and a byte", "{" + strings.Repeat(" ", 64<<10-1) + "}", nil, 413, invalid("")},
		{"65 KiB", `{"nickname":"` + strings.Repeat("x", 65<<10) + `"}`, nil, 413, invalid("")},
		{"content type text", "{}", contentType("text/plain"), 415, invalid("Content-Type")},
		{"content type XML", "{}", contentType("application/xml"), 415, invalid("Content-Type")},
		{"content type form", "{}", contentType("application/x-www-form-urlencoded"), 415, invalid("Content-Type")},
		{"content type of a patch", "{}", contentType("application/merge-patch+json"), 415, invalid("Content-Type")},
		// LocalStack's gateway unpacks gzip itself.
		{"compressed", "{}", [][2]string{{"Content-Encoding", "br"}}, 415, invalid("Content-Encoding")},
		{"content type broken", "{}", contentType("application/json;;=;"), 415, invalid("Content-Type")},
		{"charset Latin-1", "{}", contentType("application/json; charset=iso-8859-1"), 415, invalid("Content-Type")},
		{"binary", []byte{0x1f, 0x8b, 0x08, 0x00, 0xff, 0xfe, 0x00, 0x01, 0x80}, contentType("application/octet-stream"), 415, invalid("Content-Type")},
		{"binary as JSON", []byte{0x1f, 0x8b, 0x08, 0x00, 0xff, 0xfe, 0x00, 0x01, 0x80}, nil, 400, invalid("")},
		{"image", []byte("\x89PNG\r\n\x1a\n\x00\x00"), contentType("image/png"), 415, invalid("Content-Type")},
	}
}

func TestCreateAccountBadBodies(t *testing.T) {
	t.Parallel()
	for _, test := range badBodies() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			create(t, production.APIKey, test.body, test.header...).expect(t, test.status, test.problem)
		})
	}
}

func TestCreateAccountBadFields(t *testing.T) {
	t.Parallel()
	long := map[string]string{}
	for i := range 21 {
		long[fmt.Sprint("k", i)] = "v"
	}
	tests := []struct {
		name     string
		body     any
		problems []problem
	}{
		{"first_name empty", fields{"first_name": ""}, []problem{length("first_name")}},
		{"first_name blank", fields{"first_name": " \t "}, []problem{length("first_name")}},
		{"first_name of 25 characters", fields{"first_name": wide(25)}, []problem{length("first_name")}},
		{"first_name with NUL", fields{"first_name": "a\x00b"}, []problem{invalid("first_name")}},
		{"first_name with a line break", fields{"first_name": "a\nb"}, []problem{invalid("first_name")}},
		{"first_name with DEL", fields{"first_name": "a\u007fb"}, []problem{invalid("first_name")}},
		{"first_name with C1", fields{"first_name": "a\u0085b"}, []problem{invalid("first_name")}},
		{"first_name number", fields{"first_name": 1}, []problem{invalid("first_name")}},
		{"first_name true", fields{"first_name": true}, []problem{invalid("first_name")}},
		{"first_name array", fields{"first_name": []string{"a"}}, []problem{invalid("first_name")}},
		{"first_name object", fields{"first_name": fields{}}, []problem{invalid("first_name")}},
		{"first_name half a surrogate", `{"first_name":"\ud83d"}`, []problem{invalid("first_name")}},
		{"first_name low surrogate first", `{"first_name":"\udc00\ud800"}`, []problem{invalid("first_name")}},
		{"last_name empty", fields{"last_name": ""}, []problem{length("last_name")}},
		{"last_name of 25 characters", fields{"last_name": strings.Repeat("😀", 25)}, []problem{length("last_name")}},
		{"last_name with a tab", fields{"last_name": "a\tb"}, []problem{invalid("last_name")}},
		{"company_name empty", fields{"company_name": ""}, []problem{length("company_name")}},
		{"company_name of 51 characters", fields{"company_name": wide(51)}, []problem{length("company_name")}},
		{"company_name with ESC", fields{"company_name": "\u001b[31m"}, []problem{invalid("company_name")}},
		{"external_account_id empty", fields{"external_account_id": ""}, []problem{length("external_account_id")}},
		{"external_account_id of 129 characters", fields{"external_account_id": wide(129)}, []problem{length("external_account_id")}},
		{"external_account_id with a line break", fields{"external_account_id": "shop\r\n1"}, []problem{invalid("external_account_id")}},
		{"external_account_id number", fields{"external_account_id": 4711}, []problem{invalid("external_account_id")}},
		{"country au", fields{"origin_country_code": "au"}, []problem{invalid("origin_country_code")}},
		{"country XX", fields{"origin_country_code": "XX"}, []problem{invalid("origin_country_code")}},
		{"country AUS", fields{"origin_country_code": "AUS"}, []problem{invalid("origin_country_code")}},
		{"country empty", fields{"origin_country_code": ""}, []problem{length("origin_country_code")}},
		{"country A1", fields{"origin_country_code": "A1"}, []problem{invalid("origin_country_code")}},
		{"country across two codes", fields{"origin_country_code": "DA"}, []problem{invalid("origin_country_code")}},
		{"email empty", fields{"email": ""}, []problem{length("email")}},
		{"email without @", fields{"email": "mia.example.com"}, []problem{invalid("email")}},
		{"email with two @", fields{"email": "mia@chen@example.com"}, []problem{invalid("email")}},
		{"email with nothing before @", fields{"email": "@example.com"}, []problem{invalid("email")}},
		{"email with nothing behind @", fields{"email": "mia@"}, []problem{invalid("email")}},
		{"email with a name", fields{"email": "Mia <mia@example.com>"}, []problem{invalid("email")}},
		{"email with a blank", fields{"email": "mia chen@example.com"}, []problem{invalid("email")}},
		{"email of 51 characters", fields{"email": strings.Repeat("a", 39) + "@example.com"}, []problem{length("email")}},
		{"email with a line break", fields{"email": "mia@example.com\nbcc:x@example.com"}, []problem{invalid("email")}},
		{"password of 6", fields{"email": email(), "password": "pw-é7q"}, []problem{length("password")}},
		{"password of 129", fields{"email": email(), "password": "pw" + wide(127)}, []problem{length("password")}},
		{"password empty", fields{"email": email(), "password": ""}, []problem{length("password")}},
		{"password with NUL", fields{"email": email(), "password": "pass\x00word-7"}, []problem{invalid("password")}},
		{"password without email", fields{"password": "pw-lonely-17"}, []problem{required("email")}},
		{"password with email null", fields{"password": "pw-lonely-18", "email": nil}, []problem{required("email")}},
		{"password and a bad email", fields{"password": "pw-3", "email": "mia"}, []problem{invalid("email"), length("password")}},
		{"metadata text", fields{"metadata": "x"}, []problem{invalid("metadata")}},
		{"metadata array", fields{"metadata": []string{}}, []problem{invalid("metadata")}},
		{"metadata of 21", fields{"metadata": long}, []problem{invalid("metadata")}},
		{"metadata key of 41", fields{"metadata": fields{wide(41): "v"}}, []problem{length("metadata")}},
		{"metadata key empty", fields{"metadata": fields{"": "v"}}, []problem{length("metadata")}},
		{"metadata value of 501", fields{"metadata": fields{"k": wide(501)}}, []problem{length("metadata.k")}},
		{"metadata value number", fields{"metadata": fields{"k": 1}}, []problem{invalid("metadata.k")}},
		{"metadata value null", fields{"metadata": fields{"k": nil}}, []problem{invalid("metadata.k")}},
		{"metadata key twice", `{"metadata":{"k":"1","k":"2"}}`, []problem{invalid("metadata.k")}},
		{"field twice", `{"first_name":"a","first_name":"b"}`, []problem{invalid("first_name")}},
		{"field twice, once escaped", `{"first_name":"a","first\u005fname":"b"}`, []problem{invalid("first_name")}},
		{"unknown field", fields{"nickname": "x"}, []problem{invalid("nickname")}},
		{"unknown field twice", `{"x":1,"x":2}`, []problem{invalid("x")}},
		{"field in capitals", fields{"First_Name": "x"}, []problem{invalid("First_Name")}},
		{"field of an answer", fields{"account_id": 1}, []problem{invalid("account_id")}},
		{"everything at once", fields{
			"zebra": 1, "password": "pw-4", "email": "mia", "origin_country_code": "au", "external_account_id": "", "company_name": wide(51),
			"last_name": "a\nb", "first_name": 1, "metadata": 1,
		}, []problem{
			invalid("first_name"), invalid("last_name"), length("company_name"), length("external_account_id"), invalid("origin_country_code"),
			invalid("email"), length("password"), invalid("metadata"), invalid("zebra"),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			create(t, production.APIKey, test.body).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
}

// Broken UTF-8 is refused, also where a gateway has replaced it.
func TestCreateAccountInvalidUTF8(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{
		"Latin-1":           []byte("{\"company_name\":\"Caf\xe9\"}"),
		"cut character":     []byte("{\"company_name\":\"Caf\xc3\"}"),
		"overlong":          []byte("{\"company_name\":\"\xc0\xaf\"}"),
		"encoded surrogate": []byte("{\"company_name\":\"\xed\xa0\x80\"}"),
		"in a name":         []byte("{\"compan\xff\":\"x\"}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			create(t, production.APIKey, body).expect(t, http.StatusBadRequest, invalid(""))
		})
	}
}

func TestCreateAccountTakenIdentifiers(t *testing.T) {
	t.Parallel()
	mail, id := email(), externalID()
	first := decode[createdAccount](t, create(t, production.APIKey, fields{"email": mail, "external_account_id": id, "first_name": "Mia"}))
	otherMail, otherID := email(), externalID()
	second := decode[createdAccount](t, create(t, production.APIKey, fields{"email": otherMail, "external_account_id": otherID}))
	prefer := [2]string{"Prefer", "return=existing"}

	taken := func(field string) problem { return problem{"business_rules", "identifier_conflict", field, ""} }
	tests := []struct {
		name     string
		key      string
		body     fields
		header   [][2]string
		problems []problem
		existing []int64 // by problem; 0: not shown
	}{
		{"email", production.APIKey, fields{"email": mail}, nil, []problem{taken("email")}, []int64{first.AccountID}},
		{"email in another letter case", production.APIKey, fields{"email": strings.ToUpper(mail)}, nil, []problem{taken("email")}, []int64{first.AccountID}},
		{"email with blanks", production.APIKey, fields{"email": " " + mail + " "}, nil, []problem{taken("email")}, []int64{first.AccountID}},
		{"email, another partner", otherProduction.APIKey, fields{"email": mail}, nil, []problem{taken("email")}, []int64{0}},
		{"external id", production.APIKey, fields{"external_account_id": id}, nil, []problem{taken("external_account_id")}, []int64{first.AccountID}},
		{
			"both", production.APIKey,
			fields{"email": mail, "external_account_id": id},
			nil,
			[]problem{taken("external_account_id"), taken("email")},
			[]int64{first.AccountID, first.AccountID},
		},
		{
			"both, of two accounts", production.APIKey,
			fields{"email": mail, "external_account_id": otherID},
			nil,
			[]problem{taken("external_account_id"), taken("email")},
			[]int64{second.AccountID, first.AccountID},
		},
		{
			"both, of two accounts, with Prefer", production.APIKey,
			fields{"email": mail, "external_account_id": otherID},
			[][2]string{prefer},
			[]problem{taken("external_account_id"), taken("email")},
			[]int64{second.AccountID, first.AccountID},
		},
		{"email of another partner, with Prefer", otherProduction.APIKey, fields{"email": mail}, [][2]string{prefer}, []problem{taken("email")}, []int64{0}},
		{
			"another preference", production.APIKey,
			fields{"external_account_id": id},
			[][2]string{{"Prefer", "return=minimal"}},
			[]problem{taken("external_account_id")},
			[]int64{first.AccountID},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := create(t, test.key, test.body, test.header...)
			a.expect(t, http.StatusConflict, test.problems...)
			for i, e := range a.errors() {
				if e.ExistingAccountID != test.existing[i] {
					t.Errorf("existing_account_id of problem %d = %d, want %d", i, e.ExistingAccountID, test.existing[i])
				}
			}
		})
	}
	for name, test := range map[string]struct {
		body   fields
		prefer string
		want   int64
	}{
		"Prefer with the external id":              {fields{"external_account_id": id}, "return=existing", first.AccountID},
		"Prefer with the email":                    {fields{"email": strings.ToUpper(mail)}, "return=existing", first.AccountID},
		"Prefer with both":                         {fields{"email": mail, "external_account_id": id, "first_name": "Zoe"}, "return=existing", first.AccountID},
		"Prefer among others":                      {fields{"external_account_id": otherID}, "respond-async, return = existing", second.AccountID},
		"Prefer with the external id and an email": {fields{"external_account_id": id, "email": email()}, "return=existing", first.AccountID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := create(t, production.APIKey, test.body, [2]string{"Prefer", test.prefer})
			a.expect(t, http.StatusOK)
			got := decode[createdAccount](t, a)
			if got.AccountID != test.want || got.APIKey != nil || a.header.Get("Preference-Applied") != "return=existing" {
				t.Errorf("answer = %s, want account %d without a key", a.body, test.want)
			}
		})
	}
	t.Run("an external id is the partner's own", func(t *testing.T) {
		t.Parallel()
		a := create(t, otherProduction.APIKey, fields{"external_account_id": id}, prefer)
		a.expect(t, http.StatusOK)
		if got := decode[createdAccount](t, a); got.AccountID == first.AccountID || got.APIKey == nil {
			t.Errorf("answer = %s, want a new account", a.body)
		}
	})
	t.Run("an email is unique within its environment", func(t *testing.T) {
		t.Parallel()
		create(t, sandbox.APIKey, fields{"email": mail}).expect(t, http.StatusOK)
		create(t, sandbox.APIKey, fields{"email": mail}).expect(t, http.StatusConflict, problem{"business_rules", "identifier_conflict", "email", ""})
	})
	t.Run("letter case makes another external id", func(t *testing.T) {
		t.Parallel()
		create(t, production.APIKey, fields{"external_account_id": strings.ToUpper(id)}).expect(t, http.StatusOK)
	})
}

// Invalid keys are refused on every route, before anything else of the request is checked.
func TestKeys(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	number := ausPostNumber("00")
	c := link(t, m, "australia_post", number)
	deleted := newMerchant(t, production)
	_, err := table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &service.TableName, Key: itemKey(accountPK(deleted.ID), keySK(deleted.Key)),
	})
	if err != nil {
		t.Fatal(err)
	}
	expired := newMerchant(t, production)
	setItem(t, accountPK(expired.ID), keySK(expired.Key), item{"valid_until": num(time.Now().Add(-time.Second).UnixMilli())})
	partner, err := service.CreatePartner(t.Context(), "Gone", "production")
	if err != nil {
		t.Fatal(err)
	}
	_, err = table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &service.TableName, Key: itemKey(fmt.Sprint("PARTNER#", partner.ID), keySK(partner.APIKey)),
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := newMerchant(t, production) // the item of the account is deleted, its key is not
	_, err = table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &service.TableName, Key: itemKey(accountPK(gone.ID), "ACCOUNT"),
	})
	if err != nil {
		t.Fatal(err)
	}

	keys := map[string]string{
		"none": "", "blank": " ", "word": "secret-word", "prefix": "cl_live_", "mistyped": mistype(m.Key), "swapped environment": "cl_test_" + m.Key[8:],
		"longer": m.Key + "0", "shorter": m.Key[:len(m.Key)-1], "in capitals": strings.ToUpper(m.Key), "bearer": "Bearer " + m.Key,
		"deleted": deleted.Key, "expired": expired.Key, "deleted partner's": partner.APIKey, "latin": "cl_live_ééééééééééééééééééééééééééééééééééééééé",
	}
	routes := []request{
		{method: http.MethodPost, path: accountsPath, body: "not JSON"},
		{method: http.MethodPost, path: linkPath("dhl"), body: "not JSON"},
		{method: http.MethodPost, path: linkPath("australia_post"), body: linkBody(ausPostNumber("00"))},
		{method: http.MethodGet, path: readPath(c.CarrierID)},
		{method: http.MethodGet, path: readPath("x") + "?max_age=x"},
	}
	for name, key := range keys {
		for _, r := range routes {
			t.Run(name+" "+r.method+" "+r.path, func(t *testing.T) {
				t.Parallel()
				r.key = key
				api.call(t, r).expect(t, http.StatusUnauthorized, unauthorized)
			})
		}
	}
	for _, r := range routes[2:4] {
		t.Run("of an absent account "+r.method+" "+r.path, func(t *testing.T) {
			t.Parallel()
			r.key = gone.Key
			api.call(t, r).expect(t, http.StatusUnauthorized, unauthorized)
		})
	}
	t.Run("a merchant's on a partner route", func(t *testing.T) {
		t.Parallel()
		create(t, m.Key, "not JSON").expect(t, http.StatusForbidden, problem{"security", "forbidden", "", ""})
	})
	for _, name := range []string{"api-key", "API-KEY", "Api-Key"} {
		t.Run("header "+name, func(t *testing.T) {
			t.Parallel()
			r := request{method: http.MethodGet, path: readPath(c.CarrierID), key: m.Key}
			req, err := api.request(t.Context(), r, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Del("API-Key")
			req.Header[name] = []string{m.Key} // unchanged, not in Go's canonical form
			resp, err := api.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("status = %d, want 200", resp.StatusCode)
			}
		})
	}
}

// mistype changes a character in the middle.
func mistype(key string) string {
	b := []byte(key)
	if b[20]++; b[20] == '{' || b[20] == '[' || b[20] == ':' {
		b[20] = 'a'
	}
	return string(b)
}

func TestCreateAccountStores(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			mail, id := "MIA."+email(), " "+externalID()+" "
			a := api.call(t, request{
				method: http.MethodPost, path: accountsPath, key: p.APIKey, loose: true, // for the contract outer blanks count
				body: fields{
					"first_name": "  Mïa ", "last_name": strings.Repeat("😀", 24), "company_name": "\t" + wide(50) + "\n", "external_account_id": id,
					"origin_country_code": "NZ", "email": " " + mail + "\n", "password": "pw " + wide(125), "metadata": fields{"plan": " gold\u200b "},
				},
			})
			a.expect(t, http.StatusOK)
			got := decode[createdAccount](t, a)
			if got.FirstName != nil || got.LastName != nil || got.CompanyName != nil || got.Email != nil {
				t.Errorf("the answer shows the owner's data: %s", a.body)
			}
			if got.Environment != p.Environment || !got.Active || got.OriginCountryCode != "NZ" || got.CarriersCount != 0 || *got.ExternalAccountID != id ||
				got.Metadata["plan"] != " gold\u200b " || got.APIKey.AccountID != got.AccountID {
				t.Errorf("account = %s", a.body)
			}
			prefix := map[string]string{"production": "cl_live_", "sandbox": "cl_test_"}[p.Environment]
			if !strings.HasPrefix(got.APIKey.EncryptedAPIKey, prefix) {
				t.Errorf("the key of a %s account does not begin with %s", p.Environment, prefix)
			}
			it := getItem(t, accountPK(got.AccountID), "ACCOUNT")
			for name, want := range map[string]string{
				"first_name": "Mïa", "last_name": strings.Repeat("😀", 24), "company_name": wide(50), "email": mail, "external_account_id": id,
			} {
				if str(it, name) != want {
					t.Errorf("stored %s = %q, want %q", name, str(it, name), want)
				}
			}
			if hash := str(it, "password_hash"); !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
				t.Errorf("password_hash = %q", hash)
			}
			if getItem(t, accountPK(got.AccountID), keySK(got.APIKey.EncryptedAPIKey)) == nil {
				t.Error("the key is not kept under its hash")
			}
		})
	}
	for name, body := range map[string]any{
		"nothing":                     "{}",
		"blanks around":               " \r\n {} \t",
		"64 KiB":                      "{" + strings.Repeat(" ", 64<<10-2) + "}",
		"nulls":                       `{"first_name":null,"email":null,"password":null,"metadata":null}`,
		"a password of 7":             fields{"email": email(), "password": "pw-é7q4"},
		"a password of 128":           fields{"email": email(), "password": "pw " + wide(125)},
		"metadata of 20 full pairs":   fields{"metadata": fullMetadata()},
		"an external id of blanks":    fields{"external_account_id": "  " + uuid.NewString()},
		"an external id with slashes": fields{"external_account_id": "../a/b?c#d%2e " + uuid.NewString()},
		"an emoji as escapes":         `{"first_name":"\ud83d\ude00"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := create(t, production.APIKey, body)
			a.expect(t, http.StatusOK)
			if got := decode[createdAccount](t, a); got.OriginCountryCode != "AU" {
				t.Errorf("origin_country_code = %s, want the partner's", got.OriginCountryCode)
			}
		})
	}
	for _, contentType := range []string{"", "application/json", "Application/JSON; charset=UTF-8", "application/json; charset=utf8", "application/json ; charset=\"utf-8\""} {
		t.Run("content type "+contentType, func(t *testing.T) {
			t.Parallel()
			api.call(t, request{
				method: http.MethodPost, path: accountsPath, key: production.APIKey, body: "{}", loose: true, header: [][2]string{{"Content-Type", contentType}},
			}).expect(t, http.StatusOK)
		})
	}
}

func fullMetadata() fields {
	f := fields{}
	for i := range 20 {
		f[fmt.Sprintf("%02d%s", i, wide(38))] = wide(500)
	}
	return f
}

func TestIdempotentCreate(t *testing.T) {
	t.Parallel()
	idempotency := func(key string) [2]string { return [2]string{"Idempotency-Key", key} }

	t.Run("a malformed key", func(t *testing.T) {
		t.Parallel()
		create(t, production.APIKey, "{}", idempotency(strings.Repeat("k", 256))).expect(t, 400, length("Idempotency-Key"))
		create(t, production.APIKey, "{}", idempotency("caf\u00e9")).expect(t, 400, invalid("Idempotency-Key"))
		create(t, production.APIKey, "{}", idempotency("a\tb")).expect(t, 400, invalid("Idempotency-Key"))
	})
	t.Run("another payload", func(t *testing.T) {
		t.Parallel()
		key := idempotency(uuid.NewString())
		create(t, production.APIKey, `{"first_name":"Mia"}`, key).expect(t, 200)
		conflict := problem{"validation", "field_conflict", "Idempotency-Key", ""}
		create(t, production.APIKey, `{"first_name":"Zoe"}`, key).expect(t, 422, conflict)
		create(t, production.APIKey, `{"first_name":"Mia" }`, key).expect(t, 422, conflict)
	})
	t.Run("a failure keeps nothing", func(t *testing.T) {
		t.Parallel()
		key, mail := idempotency(uuid.NewString()), email()
		create(t, production.APIKey, `{"first_name":""}`, key).expect(t, 400, length("first_name"))
		create(t, production.APIKey, fields{"email": mail}).expect(t, 200)
		create(t, production.APIKey, fields{"email": mail}, key).expect(t, 409, problem{"business_rules", "identifier_conflict", "email", ""})
		create(t, production.APIKey, fields{"first_name": "Mia"}, key).expect(t, 200)
	})
	t.Run("another caller", func(t *testing.T) {
		t.Parallel()
		key := idempotency(uuid.NewString())
		first := create(t, production.APIKey, "{}", key)
		first.expect(t, 200)
		second := create(t, otherProduction.APIKey, "{}", key)
		second.expect(t, 200)
		if bytes.Equal(first.body, second.body) || second.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("another partner got %s", second.body)
		}
	})
	t.Run("another route", func(t *testing.T) {
		t.Parallel()
		key := idempotency(uuid.NewString())
		create(t, production.APIKey, "{}", key).expect(t, 200)
		m := newMerchant(t, production)
		api.call(t, request{
			method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(ausPostNumber("00")), header: [][2]string{key},
		}).expect(t, 200)
	})
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		key := idempotency(strings.Repeat(" ~", 100) + uuid.NewString())
		body := fields{"email": email(), "external_account_id": externalID(), "password": "pw-replayed-1"}
		first := create(t, production.APIKey, body, key)
		first.expect(t, 200)
		for range 2 {
			again := create(t, production.APIKey, body, key)
			again.expect(t, 200)
			replayed(t, first, again)
		}
	})
	t.Run("20 at once", func(t *testing.T) {
		t.Parallel()
		key := idempotency(uuid.NewString())
		body := fields{"external_account_id": externalID(), "email": email()}
		answers := make([]answer, 20)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() { answers[i] = create(t, production.APIKey, body, key) })
		}
		group.Wait()
		var first *answer
		made := 0
		for i := range answers {
			switch a := &answers[i]; a.status {
			case http.StatusConflict:
				a.expect(t, 409, problem{"business_rules", "invalid_status", "", ""})
			case http.StatusOK:
				if a.header.Get("Idempotent-Replayed") == "" {
					made++
				}
				if first == nil {
					first = a
				}
				if !bytes.Equal(a.body, first.body) {
					t.Errorf("two answers:\n%s\n%s", a.body, first.body)
				}
			default:
				t.Errorf("status = %d %s", a.status, a.body)
			}
		}
		if made != 1 {
			t.Errorf("%d accounts were made, want 1", made)
		}
	})
}

// replayed fails the test unless again is the stored answer first, marked as a replay.
func replayed(t *testing.T, first, again answer) {
	t.Helper()
	if !bytes.Equal(first.body, again.body) {
		t.Errorf("replay =\n%s\nwant\n%s", again.body, first.body)
	}
	if got := again.header.Get("Idempotent-Replayed"); got != "true" {
		t.Errorf("Idempotent-Replayed = %q, want true", got)
	}
	if got, want := again.header.Get("X-Request-Id"), first.header.Get("X-Request-Id"); got != want {
		t.Errorf("X-Request-Id = %s, want the first one's, %s", got, want)
	}
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer says that it is a replay")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	m, tried := newMerchant(t, production), newMerchant(t, sandbox)
	partner, err := service.CreatePartner(t.Context(), "Busy", "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	api.secrets.add(partner.APIKey)
	for name, test := range map[string]struct {
		pk, key string
		limit   int
		r       request
	}{
		"merchant": {accountPK(m.ID), m.Key, stack.RateLimit, request{method: http.MethodGet, path: readPath("se-1"), key: m.Key}},
		"link":     {accountPK(m.ID), m.Key, stack.RateLimit, request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: "not JSON"}},
		"sandbox":  {accountPK(tried.ID), tried.Key, stack.SandboxRateLimit, request{method: http.MethodGet, path: readPath("se-1"), key: tried.Key}},
		"partner":  {fmt.Sprint("PARTNER#", partner.ID), partner.APIKey, stack.SandboxRateLimit, request{method: http.MethodPost, path: accountsPath, key: partner.APIKey, body: "{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 { // the minute may end between the calls
				window := time.Now().Truncate(time.Minute)
				setItem(t, test.pk, keySK(test.key), item{"rate_window": num(window.Unix()), "rate_used": num(int64(test.limit) - 1)})
				last, a := api.call(t, test.r), api.call(t, test.r)
				if time.Now().Truncate(time.Minute) != window {
					continue
				}
				if h := last.header; last.status == http.StatusTooManyRequests || h.Get("RateLimit-Limit") != strconv.Itoa(test.limit) || h.Get("RateLimit-Remaining") != "0" {
					t.Errorf("with one call left: %d, header = %v", last.status, h)
				}
				a.expect(t, http.StatusTooManyRequests, problem{"system", "rate_limit_exceeded", "", ""})
				if h := a.header; h.Get("RateLimit-Limit") != strconv.Itoa(test.limit) || h.Get("RateLimit-Remaining") != "0" || h.Get("Retry-After") != h.Get("RateLimit-Reset") {
					t.Errorf("header = %v", h)
				}
				if !a.errors()[0].Retryable {
					t.Error("retryable is not true")
				}
				return
			}
			t.Fatal("three minutes ended")
		})
	}
}

// A failure of ours reveals nothing.
func TestOurOwnFailure(t *testing.T) {
	t.Parallel()
	partner, err := service.CreatePartner(t.Context(), "Broken", "production")
	if err != nil {
		t.Fatal(err)
	}
	api.secrets.add(partner.APIKey)
	m := newMerchant(t, partner)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	setItem(t, fmt.Sprint("PARTNER#", partner.ID), keySK(partner.APIKey), item{"created_at": txt("not a time")})
	setItem(t, accountPK(m.ID), "ACCOUNT", item{"created_at": txt("not a time")})
	for name, r := range map[string]request{
		"create": {method: http.MethodPost, path: accountsPath, key: partner.APIKey, body: "{}"},
		"link":   {method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(ausPostNumber("00"))},
		"read":   {method: http.MethodGet, path: readPath(c.CarrierID), key: m.Key},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := api.call(t, r)
			a.expect(t, http.StatusInternalServerError, problem{"system", "unspecified", "", ""})
			if strings.Contains(string(a.body), "time") {
				t.Errorf("the answer shows the cause: %s", a.body)
			}
		})
	}
}
