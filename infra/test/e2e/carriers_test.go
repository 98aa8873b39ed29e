package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	gen "carrierlink/infra/test/client"
)

// The properties of a carrier that ShipEngine's own clients read. All must be present.
var shipEngineCarrier = []string{
	"carrier_id", "carrier_code", "account_number", "requires_funded_amount", "balance", "nickname", "friendly_name", "funding_source_id", "primary",
	"has_multi_package_supporting_services", "allows_returns", "supports_label_messages", "disabled_by_billing_plan", "services", "packages", "options",
	"send_rates", "supports_user_managed_rates", "connection_status",
}

var shipEngineService = []string{
	"carrier_id", "carrier_code", "service_code", "name", "domestic", "international", "is_multi_package_supported", "is_return_supported",
}

func TestListCarriers(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		t.Run(p.Environment, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, p)
			c := as(t, m.Key)
			if got := c.carriers(); len(got) != 0 || !strings.Contains(string(c.last.body), `"carriers":[]`) || !strings.Contains(string(c.last.body), `"errors":[]`) {
				t.Errorf("the list of nothing = %s", c.last.body)
			}
			parcels, star := link(t, m, "australia_post", ausPostNumber("00")), link(t, m, "startrack", starTrackNumber("00"), "nickname", "Trucks")
			later := ausPostNumber("50")
			if p.Environment == "production" { // a good number, so that its later checks do not open the breaker
				later = later[:8] + "00"
				post.play(later, answering(http.StatusServiceUnavailable, "text/html", "<html>Later</html>"))
			}
			pending := link(t, m, "australia_post", later, "verify", "later")
			post.play(later, nil)
			link(t, newMerchant(t, p), "australia_post", ausPostNumber("00")) // another account's
			all := c.carriers()
			var raw struct {
				Carriers  []map[string]json.RawMessage `json:"carriers"`
				RequestID string                       `json:"request_id"`
			}
			if raw = decode[struct {
				Carriers  []map[string]json.RawMessage `json:"carriers"`
				RequestID string                       `json:"request_id"`
			}](t, c.last); raw.RequestID != c.last.header.Get("X-Request-Id") {
				t.Errorf("request_id = %q", raw.RequestID)
			}
			var ids []string
			for i, carrier := range all {
				ids = append(ids, carrier.CarrierId)
				for _, name := range shipEngineCarrier {
					if _, ok := raw.Carriers[i][name]; !ok {
						t.Errorf("carrier %d has no %s", i, name)
					}
				}
				var services []map[string]json.RawMessage
				if err := json.Unmarshal(raw.Carriers[i]["services"], &services); err != nil {
					t.Fatal(err)
				}
				for _, s := range services {
					for _, name := range shipEngineService {
						if _, ok := s[name]; !ok {
							t.Errorf("a service of carrier %d has no %s", i, name)
						}
					}
				}
				for _, body := range []string{string(c.last.body)} {
					if leaked := api.secrets.in(body, false); leaked != "" {
						t.Errorf("the list shows %s", leaked)
					}
				}
				one := c.carrier(carrier.CarrierId)
				if diff := cmp.Diff(carrier, *one, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ExpiresInDays" }, cmp.Ignore())); diff != "" {
					t.Errorf("in the list (-) and alone (+):\n%s", diff)
				}
				if c.last.header.Get("ETag") == "" {
					t.Error("ETag is absent")
				}
				c.carriers()
			}
			if diff := cmp.Diff([]string{parcels.CarrierID, star.CarrierID, pending.CarrierID}, ids); diff != "" {
				t.Fatalf("carriers (-want +got):\n%s", diff)
			}
			// The services are the products of the contract that have not expired.
			for i, id := range ids[:2] {
				var want, got []string
				account := decode[carrierAccount](t, read(t, m, id, ""))
				for _, product := range account.Summary.Products {
					want = append(want, product.ProductID)
				}
				for _, s := range all[i].Services {
					got = append(got, s.ServiceCode)
					if s.CarrierId != id || string(s.CarrierCode) != account.CarrierCode || s.Domestic == s.International || s.Name == "" {
						t.Errorf("service = %+v", s)
					}
				}
				if len(got) == 0 || slices.ContainsFunc(got, func(code string) bool { return !slices.Contains(want, code) }) {
					t.Errorf("services = %v of the products %v", got, want)
				}
				if all[i].ConnectionStatus != "approved" {
					t.Errorf("connection_status = %s", all[i].ConnectionStatus)
				}
			}
			if got := all[2]; len(got.Services) != 0 || got.ConnectionStatus != "pending_approval" || got.Status != "pending_verification" {
				t.Errorf("the pending connection = %+v", got)
			}
			if all[0].FriendlyName == all[1].FriendlyName || all[1].Nickname != "Trucks" {
				t.Errorf("names = %s %s, %s", all[0].FriendlyName, all[1].FriendlyName, all[1].Nickname)
			}
			// The partner sees the same on the merchant's behalf.
			a := api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: p.APIKey, header: behalf(m.ID)})
			if diff := cmp.Diff(all, decode[gen.CarrierList](t, a).Carriers); diff != "" {
				t.Errorf("the merchant's (-) and the partner's (+):\n%s", diff)
			}
			if got := as(t, p.APIKey).account(m.ID).CarriersCount; got != 3 {
				t.Errorf("carriers_count = %d, want 3", got)
			}
		})
	}
}

func TestCarrierStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"pending_verification": "pending_approval", "active": "approved", "degraded": "approved", "restricted": "approved", "action_required": "pending_approval",
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			m := newMerchant(t, production)
			l, c := link(t, m, "australia_post", ausPostNumber("00")), as(t, m.Key)
			c.carrier(l.CarrierID)
			tag := c.last.header.Get("ETag")
			get := request{method: http.MethodGet, path: "/v1/carriers/" + l.CarrierID, key: m.Key}
			for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				get.header = [][2]string{{"If-None-Match", header}}
				a := api.call(t, get)
				a.expect(t, http.StatusNotModified)
				if a.header.Get("ETag") != tag {
					t.Errorf("ETag = %s, want %s", a.header.Get("ETag"), tag)
				}
			}
			setItem(t, accountPK(m.ID), "CARRIER#"+l.CarrierID, item{"status": txt(status)})
			for _, got := range []gen.Carrier{*c.carrier(l.CarrierID), c.carriers()[0]} {
				if string(got.Status) != status || string(got.ConnectionStatus) != want {
					t.Errorf("status = %s, connection_status = %s, want %s", got.Status, got.ConnectionStatus, want)
				}
			}
			get.header = [][2]string{{"If-None-Match", tag}}
			if a := api.call(t, get); (a.status == http.StatusNotModified) != (status == "active") {
				t.Errorf("status = %d after the connection became %s", a.status, status)
			}
		})
	}
	t.Run("linking", func(t *testing.T) {
		t.Parallel()
		m := newMerchant(t, production)
		l := link(t, m, "australia_post", ausPostNumber("00"))
		setItem(t, accountPK(m.ID), "CARRIER#"+l.CarrierID, item{"status": txt("linking")})
		api.call(t, request{method: http.MethodGet, path: "/v1/carriers/" + l.CarrierID, key: m.Key}).expect(t, http.StatusNotFound, notFound)
		if got := as(t, m.Key).carriers(); len(got) != 0 {
			t.Errorf("carriers = %+v, want none", got)
		}
		setItem(t, accountPK(m.ID), "CARRIER#"+l.CarrierID, item{"status": txt("active")})
	})
}

// The fields are enough to build a form, and linkCarrier accepts exactly what they allow.
func TestSupportedCarriers(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	c := as(t, m.Key)
	got, err := c.ListSupportedCarriersWithResponse(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	forms := ok(t, c, got.JSON200, err).Carriers
	if len(forms) != 2 || forms[0].CarrierName != "australia_post" || forms[1].CarrierName != "startrack" {
		t.Fatalf("carriers = %s", c.last.body)
	}
	number := map[string]string{"australia_post": ausPostNumber("00"), "startrack": starTrackNumber("00")}
	for _, form := range forms {
		values := map[string]string{}
		good := linkBody(number[string(form.CarrierName)])
		for _, f := range form.Fields {
			value, known := good[string(f.Name)].(string)
			if !known || values[string(f.Name)] != "" {
				t.Errorf("%s asks for %s, which linkCarrier does not want", form.CarrierName, f.Name)
			}
			values[string(f.Name)] = value
			for _, v := range []string{value, f.Example} {
				if len(v) < f.MinLength || len(v) > f.MaxLength || f.Pattern != nil && !ecma(*f.Pattern).MatchString(v) {
					t.Errorf("%s of %s does not fit its own field", f.Name, form.CarrierName)
				}
			}
			if strings.Contains(string(f.Name), "secret") != (string(f.Type) == "password" && f.Secret && f.Name == "api_secret") || f.Label == "" || f.Help == "" {
				t.Errorf("field = %+v", f)
			}
			if !f.Required {
				delete(values, string(f.Name))
			}
		}
		api.call(t, request{method: http.MethodPost, path: linkPath(string(form.CarrierName)), key: m.Key, body: values}).expect(t, http.StatusOK)
	}
	a := api.call(t, request{method: http.MethodGet, path: "/v1/connections/carriers", key: production.APIKey, header: behalf(m.ID)})
	if a.expect(t, http.StatusOK); string(a.body) != string(c.last.body) {
		t.Errorf("the partner's answer = %s", a.body)
	}
}

// ecma compiles a pattern that is written for JavaScript.
func ecma(pattern string) *regexp.Regexp {
	return regexp.MustCompile(regexp.MustCompile(`\\u([0-9a-fA-F]{4})`).ReplaceAllString(pattern, `\x{$1}`))
}

// A client follows the links unchanged, without other knowledge of this API.
func TestLinksAsTheyStand(t *testing.T) {
	t.Parallel()
	p := newPartner(t, "Follower")
	m := newMerchant(t, p)
	newMerchant(t, p)
	for range 3 {
		link(t, m, "australia_post", ausPostNumber("00"))
	}
	carriers := decode[gen.CarrierList](t, api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: m.Key})).Carriers
	read(t, m, carriers[0].CarrierId, "?refresh=true").expect(t, http.StatusOK)
	for _, test := range []struct{ path, key string }{
		{accountsPath, p.APIKey}, {"/v1/carriers", m.Key}, {carrierPath(carriers[0].CarrierId) + "/history", m.Key},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			type page struct {
				Page  int `json:"page"`
				Links map[string]struct {
					Href string `json:"href"`
				} `json:"links"`
			}
			follow := func(href string) page {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, href, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("API-Key", test.key)
				// Headers of the caller do not influence links.
				req.Header.Set("X-Forwarded-Host", "elsewhere.example")
				req.Header.Set("Forwarded", "host=elsewhere.example")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var got page
				if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d, %v", href, resp.StatusCode, err)
				}
				for name, link := range got.Links {
					if link.Href != "" && !strings.HasPrefix(link.Href, service.APIURL+test.path+"?") {
						t.Errorf("%s is %s", name, link.Href)
					}
				}
				return got
			}
			first := follow(service.APIURL + test.path + "?page_size=1")
			second := follow(first.Links["next"].Href)
			back, again := follow(second.Links["prev"].Href), follow(second.Links["first"].Href)
			if first.Page != 1 || second.Page != 2 || back.Page != 1 || again.Page != 1 {
				t.Errorf("pages %d, %d, back %d, first %d; want 1, 2, 1, 1", first.Page, second.Page, back.Page, again.Page)
			}
		})
	}
}

// The pages of the list of carriers together are the list in one page: the same carriers in the same order.
func TestPagesOfCarriers(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	for range 5 {
		link(t, m, "australia_post", ausPostNumber("00"))
	}
	ids := func(all []gen.Carrier) (ids []string) {
		for _, c := range all {
			ids = append(ids, c.CarrierId)
		}
		return ids
	}
	list := func(path string) gen.CarrierList {
		a := api.call(t, request{method: http.MethodGet, path: path, key: m.Key})
		a.expect(t, http.StatusOK)
		return decode[gen.CarrierList](t, a)
	}
	whole := list("/v1/carriers")
	if whole.Page != 1 || whole.PageSize != 25 || len(whole.Carriers) != 5 || whole.Links.Next.Href != nil {
		t.Errorf("at once: page %d of %d with %d carriers", whole.Page, whole.PageSize, len(whole.Carriers))
	}
	var walked []gen.Carrier
	for path := "/v1/carriers?page_size=2"; path != ""; {
		page := list(path)
		walked = append(walked, page.Carriers...)
		if path = ""; page.Links.Next.Href != nil {
			path = *page.Links.Next.Href
		}
	}
	if diff := cmp.Diff(ids(whole.Carriers), ids(walked)); diff != "" {
		t.Errorf("at once (-) and by pages (+):\n%s", diff)
	}
	for query, want := range map[string][]problem{
		"?page=0&page_size=x&cursor=": {invalid("page"), invalid("page_size"), invalid("cursor")},
		"?page=1&page=2":              {invalid("page")},
	} {
		api.call(t, request{method: http.MethodGet, path: "/v1/carriers" + query, key: m.Key}).expect(t, http.StatusBadRequest, want...)
	}
}
