package auspost

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/connection"
)

// accounts returns the examples of Get Accounts answers.
func accounts(tb testing.TB) map[string][]byte {
	tb.Helper()
	list := map[string][]byte{}
	for name := range exampleIndex(tb) {
		if strings.HasPrefix(name, "account_") {
			list[name] = example(tb, name)
		}
	}
	if len(list) != 5 {
		tb.Fatalf("there are %d examples of accounts, want 5", len(list))
	}
	return list
}

func changes(tb testing.TB, before, after string) []connection.Difference {
	tb.Helper()
	list, err := Changes([]byte(before), []byte(after))
	if err != nil {
		tb.Fatalf("Changes = %v\nbefore %s\nafter %s", err, before, after)
	}
	return list
}

// field is a difference in a field that we do not understand.
func field(path string) connection.Difference {
	return connection.Difference{Type: connection.ChangedField, Field: path}
}

func TestChangesRefusesOtherTexts(t *testing.T) {
	const account = `{"account_number":"0009912345"}`
	texts := []string{
		"", " ", "null", "[]", "{}", "<html></html>", account[:10], `{"account_number":""}`, `{"account_number":7}`, `{"account_number":"1","account_number":"2"}`,
		`{"account_number":"1","expired":"perhaps"}`, `{"account_number":"1","credit_blocked":1}`, `{"account_number":"1","postage_products":{}}`,
		`{"account_number":"1","postage_products":[7]}`, `{"account_number":"1","postage_products":[{"contract":[]}]}`,
		`{"account_number":"1","postage_products":[{"contract":{"expired":"no"}}]}`, `{"account_number":"1","x":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`,
		`{"account_number":"1","postage_products":[` + strings.Repeat("{},", maxProducts) + `{}]}`,
	}
	for name, file := range exampleIndex(t) {
		if body := example(t, name); file.Status != 200 {
			texts = append(texts, string(body))
		}
	}
	for _, text := range texts {
		for _, order := range [][2]string{{text, account}, {account, text}, {text, text}} {
			if list, err := Changes([]byte(order[0]), []byte(order[1])); err == nil || list != nil {
				t.Errorf("Changes(%.60q, %.60q) = %v, %v, want an error", order[0], order[1], list, err)
			}
		}
		if _, err := Changes([]byte(account), []byte(text)); err != nil && !strings.Contains(err.Error(), "answer after") {
			t.Errorf("the error does not tell which answer it is: %v", err)
		}
	}
}

// TestChanges edits an example account and small accounts of its own.
func TestChanges(t *testing.T) {
	const account = `{"account_number":"1","postage_products":[%s],"returns_products":[%s]}`
	products := func(list string) string { return fmt.Sprintf(account, list, "") }
	returns := func(list string) string { return fmt.Sprintf(account, "", list) }
	with := func(members string) string { return `{"account_number":"1",` + members + `}` }
	live := string(example(t, "account_auspost.json"))
	edited := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(live, pairs[i]) {
				t.Fatalf("%s is not in the example", pairs[i])
			}
		}
		return strings.NewReplacer(pairs...).Replace(live)
	}
	type list = []connection.Difference
	tests := []struct {
		name, before, after string
		want                list
	}{
		// The account itself.
		{"expired", live, edited("\n  \"expired\": false", "\"expired\":true"), list{{Type: "expired", From: "false", To: "true"}}},
		{"expired, as a text", live, edited("\n  \"expired\": false", "\"expired\":\"TRUE\""), list{{Type: "expired", From: "false", To: "true"}}},
		{"expired no more, as null", with(`"expired":true`), with(`"expired":null`), list{{Type: "expired", From: "true", To: "false"}}},
		{"credit blocked", live, edited(`"credit_blocked": false`, `"credit_blocked":"true"`), list{{Type: "credit_blocked", From: "false", To: "true"}}},
		{"valid to", live, edited("2999-12-31", "2027-06-30"), list{{Type: "valid_to", From: "2999-12-31", To: "2027-06-30"}}},
		{"valid to, new", with(`"x":1`), with(`"x":1,"valid_to":"2027-06-30"`), list{{Type: "valid_to", To: "2027-06-30"}}},
		{"valid to, no longer a date", with(`"valid_to":"2027-06-30"`), with(`"valid_to":"canary"`), list{{Type: "valid_to", From: "2027-06-30"}}},
		{"valid to, never a date", with(`"valid_to":"canary"`), with(`"valid_to":"canary 2"`), list{{Type: "valid_to"}}},
		{"another number", with(`"x":1`), `{"account_number":"2","x":1}`, list{field("account_number")}},
		{"name", live, edited("COASTLINE", "SHORELINE"), list{field("name")}},
		{"valid from", live, edited("\n  \"valid_from\": \"2021-07-01\"", "\"valid_from\":\"2022-07-01\""), list{field("valid_from")}},
		// The address: one change, without values.
		{"address: a line", live, edited("18 Example Drive", "19 Example Drive"), list{{Type: "address"}}},
		{"address: all of it", live, edited("Unit 4", "", "DANDENONG SOUTH\",\n      \"postcode\": \"3175", "PERTH\",\"postcode\":\"6000", `"VIC"`, `"WA"`), list{{Type: "address"}}},
		{"address: gone", live, edited(`"addresses"`, `"was"`), list{{Type: "address"}, field("was")}},
		{"address: a second one", with(`"addresses":[{"a":1}]`), with(`"addresses":[{"a":1},{"a":1}]`), list{{Type: "address"}}},
		{"address: another type", with(`"addresses":"canary"`), with(`"addresses":["canary"]`), list{{Type: "address"}}},
		// Products.
		{"product added", products(``), products(`{"product_id":"T28","type":"PARCEL POST","group":"Parcel Post","contract":{"valid_to":"2027-06-30","expired":true}}`), list{{Type: "product_added", ProductID: "T28", To: "PARCEL POST"}}},
		{"product removed", products(`{"product_id":"T28","type":"PARCEL POST"}`), products(``), list{{Type: "product_removed", ProductID: "T28", From: "PARCEL POST"}}},
		{"the last product, and the list with it", with(`"postage_products":[{"product_id":"T28"}]`), with(`"postage_products":null`), list{{Type: "product_removed", ProductID: "T28"}}},
		{
			"re-coded on a renewal", products(`{"product_id":"3D35","type":"PARCEL POST","group":"Parcel Post","contract":{"expired":true,"valid_to":"2026-06-30","cubing_factor":250}}`),
			products(`{"product_id":"3D85","type":"Parcel Post","group":"PARCEL POST","contract":{"expired":false,"valid_to":"2027-06-30","cubing_factor":167}}`),
			list{
				{Type: "product_recoded", ProductID: "3D85", From: "3D35", To: "3D85"},
				{Type: "product_expired", ProductID: "3D85", From: "true", To: "false"},
				{Type: "product_valid_to", ProductID: "3D85", From: "2026-06-30", To: "2027-06-30"},
				field("postage_products[3D85].contract.cubing_factor"),
			},
		},
		{"re-coded, international", products(`{"product_id":"PTI8","type":"INTL"}`), products(`{"product_id":"PTI9","type":"INTL"}`), list{{Type: "product_recoded", ProductID: "PTI9", From: "PTI8", To: "PTI9"}}},
		{
			"not re-coded: another group", products(`{"product_id":"A","type":"P","group":"G"}`), products(`{"product_id":"B","type":"P","group":"H"}`),
			list{{Type: "product_added", ProductID: "B", To: "P"}, {Type: "product_removed", ProductID: "A", From: "P"}},
		},
		{
			"not re-coded: no group", products(`{"product_id":"A","type":"P","group":"G"}`), products(`{"product_id":"B","type":"P"}`),
			list{{Type: "product_added", ProductID: "B", To: "P"}, {Type: "product_removed", ProductID: "A", From: "P"}},
		},
		{
			"not re-coded: no type", products(`{"product_id":"A"}`), products(`{"product_id":"B"}`),
			list{{Type: "product_added", ProductID: "B"}, {Type: "product_removed", ProductID: "A"}},
		},
		{
			"not re-coded: the old one is still there", products(`{"product_id":"A","type":"P"}`), products(`{"product_id":"B","type":"P"},{"product_id":"A","type":"P"}`),
			list{{Type: "product_added", ProductID: "B", To: "P"}},
		},
		{
			"several re-coded, by the order of their codes", products(`{"product_id":"B","type":"P"},{"product_id":"A","type":"P"},{"product_id":"C","type":"P"},{"product_id":"D","type":"Q"}`),
			products(`{"product_id":"Y","type":"P"},{"product_id":"Z","type":"q"},{"product_id":"X","type":"p"}`),
			list{
				{Type: "product_removed", ProductID: "C", From: "P"},
				{Type: "product_recoded", ProductID: "X", From: "A", To: "X"},
				{Type: "product_recoded", ProductID: "Y", From: "B", To: "Y"},
				{Type: "product_recoded", ProductID: "Z", From: "D", To: "Z"},
			},
		},
		{"product expired", live, edited("\"valid_to\": \"2025-06-30\",\n        \"expired\": true", `"valid_to":"2025-06-30","expired":false`), list{{Type: "product_expired", ProductID: "3J05", From: "true", To: "false"}}},
		{"product expired, as a text", products(`{"product_id":"A"}`), products(`{"product_id":"A","contract":{"expired":"true"}}`), list{{Type: "product_expired", ProductID: "A", From: "false", To: "true"}}},
		{"product valid to", live, edited("2025-06-30", "2028-06-30"), list{{Type: "product_valid_to", ProductID: "3J05", From: "2025-06-30", To: "2028-06-30"}}},
		{"product's contract gone", products(`{"product_id":"A","contract":{"expired":true,"valid_to":"2027-06-30"}}`), products(`{"product_id":"A"}`), list{
			{Type: "product_expired", ProductID: "A", From: "true", To: "false"}, {Type: "product_valid_to", ProductID: "A", From: "2027-06-30"},
		}},
		{"product type", products(`{"product_id":"A","type":"P"}`), products(`{"product_id":"A","type":"Q"}`), list{field("postage_products[A].type")}},
		{"product group", products(`{"product_id":"A","group":"P"}`), products(`{"product_id":"A"}`), list{field("postage_products[A].group")}},
		{"product option", live, edited("\"signature_on_delivery_option\": false", `"signature_on_delivery_option":true`), list{field("postage_products[PTI8].options.signature_on_delivery_option")}},
		{"product features", products(`{"product_id":"A"}`), products(`{"product_id":"A","features":{"TRANSIT_COVER":{"bundled":false}}}`), list{field("postage_products[A].features")}},
		{"product feature", live, edited(`"rate": 2.5`, `"rate": 2.55`), list{field("postage_products[PTI8].features.TRANSIT_COVER.attributes.rate")}},
		{"product without an id", products(`{"type":"P","x":1}`), products(`{"type":"P","x":2}`), list{field("postage_products[].x")}},
		{"product with a number for an id", products(`{"product_id":28.50,"x":1}`), products(`{"product_id":"28.50","x":2}`), list{field("postage_products[28.50].x")}},
		{"product with a boolean for an id", products(`{"product_id":true}`), products(`{"product_id":false}`), list{field("postage_products[].product_id")}},
		// The same id twice.
		{"one of two with the same id changes", products(`{"product_id":"A","x":1},{"product_id":"A","x":2}`), products(`{"product_id":"A","x":3},{"product_id":"A","x":1}`), list{field("postage_products[A].x")}},
		{"one of two with the same id is removed", products(`{"product_id":"A","type":"P","x":1},{"product_id":"A","type":"P","x":2}`), products(`{"product_id":"A","type":"P","x":2}`), list{{Type: "product_removed", ProductID: "A", From: "P"}}},
		// We do not understand returns products.
		{"returns product added", returns(``), returns(`{"product_id":"PR","type":"canary"}`), list{field("returns_products[PR]")}},
		{"returns product added, and the list with it", with(`"x":1`), with(`"x":1,"returns_products":[{"product_id":"PR"}]`), list{field("returns_products[PR]")}},
		{"returns product re-coded", returns(`{"product_id":"PR","type":"P"}`), returns(`{"product_id":"XPR","type":"P"}`), list{field("returns_products[PR]"), field("returns_products[XPR]")}},
		{"returns product expired", returns(`{"product_id":"XPR"},{"product_id":"PR","contract":{"expired":false}}`), returns(`{"product_id":"PR","contract":{"expired":true}},{"product_id":"XPR"}`), list{field("returns_products[PR].contract.expired")}},
		{"returns product, a flag as a text", returns(`{"product_id":"PR","contract":{"expired":false}}`), returns(`{"product_id":"PR","contract":{"expired":"false"}}`), list{field("returns_products[PR].contract.expired")}},
		{"returns products: no longer a list", returns(`{"product_id":"PR"}`), with(`"returns_products":"canary"`), list{field("returns_products")}},
		{"returns products: one has no id", returns(`{"product_id":"PR","x":1},{"x":1}`), returns(`{"product_id":"PR","x":2},{"x":2}`), list{field("returns_products[0].x"), field("returns_products[1].x")}},
		// Anything else.
		{"details", live, edited("\"lodgement_postcode\": \"3175\"", `"lodgement_postcode":"3000"`), list{field("details.lodgement_postcode")}},
		{"details gone", live, edited(`"details": {`, `"other": {`), list{field("details"), field("other")}},
		{"a text for a boolean", live, edited(`"is_location": "false"`, `"is_location": false`), list{field("details.is_location")}},
		{"a type that changes", with(`"x":{"a":1,"b":2}`), with(`"x":[1,2]`), list{field("x")}},
		{"a number becomes a text", with(`"x":{"a":5}`), with(`"x":{"a":"5"}`), list{field("x.a")}},
		{"false, and absent", with(`"x":false`), with(`"y":null`), list{field("x")}},
		{"numbers that are equal as floats", with(`"x":[100000000000000000001,0.1,1e999]`), with(`"x":[100000000000000000002,0.10000000000000000001,1e998]`), list{field("x[0]"), field("x[1]"), field("x[2]")}},
		{"signs", with(`"x":[1,-0]`), with(`"x":[-1,0]`), list{field("x[0]")}},
		{"deep down", with(`"x":{"y":[{"z":[{"product_id":"A","q":[[1]]}]}]}`), with(`"x":{"y":[{"z":[{"product_id":"A","q":[[2]]}]}]}`), list{field("x.y[0].z[A].q[0][0]")}},
		{"a list, by position", with(`"x":["a","b",{"c":1}]`), with(`"x":["b","a",{"c":1}]`), list{field("x[0]"), field("x[1]")}},
		{"a list that grows", with(`"x":["a"]`), with(`"x":["a","b"]`), list{field("x")}},
		{"names that look like paths", with(`"":1,"a.b":1,"a":{"b":1},"[0]":1`), with(`"":2,"a.b":2,"a":{"b":2},"[0]":2`), list{field(""), field("[0]"), field("a.b")}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := changes(t, tc.before, tc.after)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Changes (-want +got):\n%s", diff)
			}
			if text := fmt.Sprint(got); strings.Contains(text, "canary") {
				t.Errorf("a value of a field that we do not understand is shown: %s", text)
			}
			if diff := cmp.Diff(mirrored(tc.want), kinds(changes(t, tc.after, tc.before))); diff != "" {
				t.Errorf("Changes in reverse (-want +got):\n%s", diff)
			}
		})
	}
}

// kinds counts differences by type; mirrored counts those of the reverse comparison.
func kinds(list []connection.Difference) map[connection.DifferenceType]int {
	n := map[connection.DifferenceType]int{}
	for _, c := range list {
		n[c.Type]++
	}
	return n
}

func mirrored(list []connection.Difference) map[connection.DifferenceType]int {
	back := slices.Clone(list)
	for i := range back {
		switch back[i].Type { //nolint:exhaustive // the others are their own mirror
		case connection.ProductAdded:
			back[i].Type = connection.ProductRemoved
		case connection.ProductRemoved:
			back[i].Type = connection.ProductAdded
		}
	}
	return kinds(back)
}

func TestNoChanges(t *testing.T) {
	for _, tc := range []struct{ name, before, after string }{
		{"order of members", `{"account_number":"1","x":{"a":1,"b":2}}`, `{"x":{"b":2,"a":1},"account_number":"1"}`},
		{"order of products", `{"account_number":"1","postage_products":[{"product_id":"A"},{"product_id":"B"}]}`, `{"account_number":"1","postage_products":[{"product_id":"B"},{"product_id":"A"}]}`},
		{"order of the same product", `{"account_number":"1","postage_products":[{"product_id":"A","x":1},{"product_id":"A"}]}`, `{"account_number":"1","postage_products":[{"product_id":"A"},{"product_id":"A","x":1}]}`},
		{"order of returns products", `{"account_number":"1","returns_products":[{"product_id":"A"},{"product_id":"B"}]}`, `{"account_number":"1","returns_products":[{"product_id":"B"},{"product_id":"A"}]}`},
		{"a copy of a product", `{"account_number":"1","postage_products":[{"product_id":"A"},{"product_id":"A"}]}`, `{"account_number":"1","postage_products":[{"product_id":"A"}]}`},
		{"numbers", `{"account_number":"1","x":[500,0.5,-20,0,1e3,120]}`, `{"account_number":"1","x":[500.0,5e-1,-2E+1,-0.00,1000,1.20e2]}`},
		{"a number for an id", `{"account_number":"1","postage_products":[{"product_id":28}]}`, `{"account_number":"1","postage_products":[{"product_id":" 28 "}]}`},
		{"booleans", `{"account_number":"1","expired":true,"credit_blocked":false,"postage_products":[{"contract":{"expired":true}}]}`, `{"account_number":"1","expired":"true","credit_blocked":"False","postage_products":[{"contract":{"expired":" TRUE"}}]}`},
		{"false, and absent", `{"account_number":"1","expired":false,"postage_products":[{"contract":{"expired":false}}]}`, `{"account_number":"1","credit_blocked":null,"postage_products":[{}]}`},
		{"blanks", `{"account_number":"1","name":"A","valid_to":"2027-06-30"}`, ` {"account_number":" 1 ","name":"A ","valid_to":" 2027-06-30"} `},
		{"escapes", `{"account_number":"1","name":"A/B"}`, `{"account_number":"1","n\u0061me":"A\/\u0042"}`},
		{"case of type and group", `{"account_number":"1","postage_products":[{"product_id":"EXP","type":"Express","group":"StarTrack"}]}`, `{"account_number":"1","postage_products":[{"product_id":"EXP","type":"EXPRESS","group":"Startrack"}]}`},
		{"null, empty and absent", `{"account_number":"1","addresses":[],"postage_products":[],"returns_products":null,"details":{"a":null},"x":{}}`, `{"account_number":"1"}`},
		{"missing features", `{"account_number":"1","postage_products":[{"product_id":"A","features":{},"options":{"x":{}}}]}`, `{"account_number":"1","postage_products":[{"product_id":"A"}]}`},
		{"the last of two members", `{"account_number":"1","x":1,"x":2}`, `{"account_number":"1","x":2}`},
	} {
		if got := changes(t, tc.before, tc.after); len(got) != 0 {
			t.Errorf("%s: Changes = %v, want none", tc.name, got)
		}
		if got := changes(t, tc.after, tc.before); len(got) != 0 {
			t.Errorf("%s, in reverse: Changes = %v, want none", tc.name, got)
		}
	}
}

// tree parses JSON so that a test can edit it.
func tree(tb testing.TB, raw []byte) map[string]any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// restyle writes a value differently, with the same meaning.
func restyle(random *rand.Rand, name string, v any) string {
	blank := strings.Repeat(" \n", random.IntN(2))
	switch v := v.(type) {
	case map[string]any:
		names := slices.Collect(maps.Keys(v))
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var list []string
		for _, in := range names {
			list = append(list, restyle(random, "", in)+":"+restyle(random, in, v[in]))
		}
		if random.IntN(3) == 0 {
			list = append(list, fmt.Sprintf(`"made_up_%d":%s`, random.IntN(99), []string{"null", "{}", "[ ]", `{"a":[]}`}[random.IntN(4)]))
		}
		return blank + "{" + strings.Join(list, ",") + "}"
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			list[i] = restyle(random, "", e)
		}
		if strings.HasSuffix(name, "_products") {
			random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
		return blank + "[" + strings.Join(list, ","+blank) + "]"
	case json.Number:
		s := v.String()
		switch random.IntN(4) {
		case 0:
			return s + "e0"
		case 1:
			if strings.Contains(s, ".") {
				return s + "00"
			}
			return s + ".000E0"
		case 2:
			return s + "e+00"
		}
		return s
	case bool:
		if s := strconv.FormatBool(v); name == "expired" || name == "credit_blocked" {
			return []string{s, `"` + s + `"`, `"` + strings.ToUpper(s) + `"`}[random.IntN(3)]
		}
	}
	b, _ := json.Marshal(v) //nolint:errchkjson // it was JSON
	return string(b)
}

func TestRestylingIsNoChange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, raw := range accounts(t) {
		doc := tree(t, raw)
		// We do not understand returns products: their flags must keep their type.
		if list, ok := doc["returns_products"].([]any); ok {
			for _, p := range list {
				if p, ok := p.(map[string]any); ok {
					delete(p, "contract")
				}
			}
			raw, _ = json.Marshal(doc) //nolint:errchkjson // it was JSON
		}
		for range 60 {
			other := restyle(random, "", doc)
			if got := changes(t, string(raw), other); len(got) != 0 {
				t.Fatalf("%s: Changes = %v, want none; after %s", name, got, other)
			}
		}
	}
}

// TestEveryMemberIsCompared changes each value of each example and removes each member: it
// expects exactly one difference, of the member's type.
func TestEveryMemberIsCompared(t *testing.T) {
	seen := map[connection.DifferenceType]int{}
	for name, raw := range accounts(t) {
		doc := tree(t, raw)
		check := func(path, what string, want ...connection.Difference) {
			b, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			got := changes(t, string(raw), string(b))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s %s (-want +got):\n%s", name, path, what, diff)
			}
			for _, c := range got {
				seen[c.Type]++
			}
		}
		var walk func(path, product string, v any, set func(any))
		walk = func(path, product string, v any, set func(any)) {
			inProduct := "postage_products[" + product + "]"
			expect := func(from, to string) connection.Difference {
				switch {
				case path == "expired", path == "credit_blocked", path == "valid_to":
					return connection.Difference{Type: connection.DifferenceType(path), From: from, To: to}
				case strings.HasPrefix(path, "addresses"):
					return connection.Difference{Type: connection.ChangedAddress}
				case path == inProduct+".contract.expired":
					return connection.Difference{Type: connection.ProductExpired, ProductID: product, From: from, To: to}
				case path == inProduct+".contract.valid_to":
					return connection.Difference{Type: connection.ProductValidTo, ProductID: product, From: from, To: to}
				}
				return field(path)
			}
			defer set(v)
			switch v := v.(type) {
			case map[string]any:
				for in := range v {
					old := v[in]
					walk(strings.TrimPrefix(path+"."+in, "."), product, old, func(n any) { v[in] = n })
				}
			case []any:
				for i, e := range v {
					at, id := strconv.Itoa(i), product
					if p, ok := e.(map[string]any); ok && strings.HasSuffix(path, "_products") {
						if at, ok = p["product_id"].(string); ok && path == "postage_products" {
							id = at
						}
					}
					walk(path+"["+at+"]", id, e, func(n any) { v[i] = n })
				}
			case bool:
				set(!v)
				check(path, "altered", expect(strconv.FormatBool(v), strconv.FormatBool(!v)))
			case json.Number:
				set(json.Number("7" + v.String()))
				check(path, "altered", expect("", ""))
			case string:
				to := v + "2"
				if strings.HasSuffix(path, "valid_to") {
					to = "2031-02-03"
				}
				set(to)
				want := []connection.Difference{expect(v, to)}
				switch path {
				case inProduct + ".product_id":
					want = []connection.Difference{{Type: connection.ProductRecoded, ProductID: to, From: v, To: to}}
				case "returns_products[PR].product_id":
					want = []connection.Difference{field("returns_products[PR2]"), field("returns_products[PR]")}
				}
				check(path, "altered", want...)
				if path != "account_number" && !strings.HasSuffix(path, "product_id") {
					set(nil)
					check(path, "gone", expect(v, ""))
				}
			}
		}
		walk("", "", doc, func(any) {})
	}
	for _, c := range []connection.DifferenceType{
		connection.ChangedExpired, connection.ChangedValidTo, connection.ChangedCreditBlocked, connection.ChangedAddress, connection.ProductRecoded, connection.ProductExpired,
		connection.ProductValidTo, connection.ChangedField,
	} {
		if seen[c] < 3 {
			t.Errorf("%s was seen %d times: hardly tested", c, seen[c])
		}
	}
}

// TestExamplesAgainstEachOther compares all pairs of examples.
func TestExamplesAgainstEachOther(t *testing.T) {
	all := accounts(t)
	for one, before := range all {
		for two, after := range all {
			there, back := changes(t, string(before), string(after)), changes(t, string(after), string(before))
			if (len(there) == 0) != (one == two) {
				t.Errorf("%s to %s: %d changes", one, two, len(there))
			}
			if diff := cmp.Diff(mirrored(there), kinds(back)); diff != "" {
				t.Errorf("%s to %s and back (-want +got):\n%s", one, two, diff)
			}
		}
	}
	got := changes(t, string(all["account_auspost_expired_blocked.json"]), string(all["account_auspost_minimal.json"]))
	want := []connection.Difference{
		{Type: connection.ChangedExpired, From: "true", To: "false"},
		{Type: connection.ChangedValidTo, From: "2025-06-30", To: "2999-12-31"},
		{Type: connection.ChangedCreditBlocked, From: "true", To: "false"},
		{Type: connection.ChangedAddress},
		{Type: connection.ProductRemoved, ProductID: "3D55", From: "PARCEL POST + SIGNATURE"},
		field("account_number"), field("details"), field("merchant_location_id"), field("name"), field("valid_from"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
}

// TestMaxChanges: the first differences in order are kept, in whatever order they are
// found.
func TestMaxChanges(t *testing.T) {
	var before, after, products strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&before, `,"x%04d":1`, i)
		fmt.Fprintf(&after, `,"x%04d":2`, 4999-i)
	}
	for i := range 60 {
		fmt.Fprintf(&products, `,{"product_id":"P%02d"}`, i)
	}
	want := []connection.Difference{{Type: connection.ChangedExpired, From: "false", To: "true"}}
	for i := range 60 {
		want = append(want, connection.Difference{Type: connection.ProductAdded, ProductID: fmt.Sprintf("P%02d", i)})
	}
	for i := range connection.MaxDifferences - 61 {
		want = append(want, field(fmt.Sprintf("x%04d", i)))
	}
	got := changes(t, `{"account_number":"1"`+before.String()+`}`, `{"account_number":"1"`+after.String()+`,"expired":true,"postage_products":[`+products.String()[1:]+`]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
}

// TestHostileNames: paths stay short although the names are long and deeply nested.
func TestHostileNames(t *testing.T) {
	long := strings.Repeat("ü", 200_000)
	var leaves strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&leaves, `"%05d":%%d,`, i)
	}
	account := `{"account_number":"1","postage_products":[{"product_id":"` + long[:2000] + `","type":"P","y":%d}],"` + long + `":{` + strings.TrimSuffix(leaves.String(), ",") + `}}`
	fill := func(n int) string { return strings.ReplaceAll(account, "%d", strconv.Itoa(n)) }
	got := changes(t, fill(1), fill(2))
	want := []connection.Difference{field("postage_products[" + strings.Repeat("ü", maxText-len("postage_products["))), field(strings.Repeat("ü", maxText))}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
}

func FuzzChanges(f *testing.F) {
	all := accounts(f)
	for _, before := range all {
		for _, after := range all {
			f.Add(before, after)
		}
	}
	f.Add([]byte(`{"account_number":"1","postage_products":[{"product_id":"A","type":"T"},{"product_id":"A","type":"t","x":1},{}]}`), []byte(`{"account_number":"1","postage_products":[{"product_id":"B","type":"T"},{"product_id":7,"group":null,"x":1.0}]}`))
	f.Add([]byte(`{"account_number":"1","x":[1e400,[],{},null,{"product_id":"A"}],"valid_to":"soon"}`), []byte(`{"account_number":"1","x":[{"product_id":"A"},{"product_id":"A"}],"expired":"TRUE"}`))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		valid := true
		for _, raw := range [][]byte{before, after} {
			_, problem := ParseContract(raw)
			valid = valid && problem == nil
			list, err := Changes(raw, raw)
			if (err == nil) != (problem == nil) || len(list) != 0 {
				t.Errorf("Changes(x, x) = %v, %v; ParseContract: %v", list, err, problem)
			}
		}
		there, err := Changes(before, after)
		back, errBack := Changes(after, before)
		if (err == nil) != valid || (errBack == nil) != valid {
			t.Fatalf("errors %v and %v, readable: %t", err, errBack, valid)
		}
		again, _ := Changes(before, after)
		if diff := cmp.Diff(there, again); diff != "" {
			t.Errorf("two calls differ (-first +second):\n%s", diff)
		}
		if len(there) > connection.MaxDifferences || len(back) > connection.MaxDifferences {
			t.Errorf("%d and %d changes", len(there), len(back))
		}
		for _, c := range there {
			if !slices.Contains(differenceOrder[:], c.Type) {
				t.Errorf("%+v has an unknown type", c)
			}
			for _, s := range []string{c.ProductID, c.Field, c.From, c.To} {
				if utf8.RuneCountInString(s) > maxText || !utf8.ValidString(s) {
					t.Errorf("%+v is too long", c)
				}
			}
			if c.Type == connection.ChangedField && (c.From != "" || c.To != "") {
				t.Errorf("%+v shows a value", c)
			}
		}
		// Changes alike are told once, and may be more on one way than on the other.
		if len(there) < connection.MaxDifferences && len(back) < connection.MaxDifferences {
			a, b := slices.Sorted(maps.Keys(mirrored(there))), slices.Sorted(maps.Keys(kinds(back)))
			if diff := cmp.Diff(a, b); diff != "" {
				t.Errorf("there %v\nand back %v\n%s", there, back, diff)
			}
		}
	})
}
