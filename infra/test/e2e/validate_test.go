package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"carrierlink/infra/local/stack"
	gen "carrierlink/infra/test/client"
)

func validate(t *testing.T, m merchant, carrier string, body any) answer {
	t.Helper()
	return api.call(t, request{method: http.MethodPost, path: linkPath(carrier) + "/validate", key: m.Key, body: body})
}

// validateBody returns a good request to validate a number.
func validateBody(number string) fields { return linkBody(number).with("nickname", absent) }

func TestValidateBadFields(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	good := validateBody("0001234500")
	for _, test := range []struct {
		name, carrier string
		body          any
		problems      []problem
	}{
		{"nothing", "australia_post", "{}", []problem{required("account_number"), required("api_key"), required("api_secret")}},
		{"an unknown member", "australia_post", good.with("zip", "3000"), []problem{invalid("zip")}},
		{"what a link refuses too", "australia_post", good.with("verify", "never", "metadata", 1, "nickname", "", "refresh_policy", "x"), []problem{
			length("nickname"), invalid("refresh_policy"), invalid("metadata"), invalid("verify"),
		}},
		{"account_number as a JSON number", "australia_post", good.with("account_number", 1234500), []problem{invalid("account_number")}},
		{"api_secret null", "australia_post", good.with("api_secret", nil), []problem{required("api_secret")}},
		{"another carrier", "dhl", good, []problem{{"validation", "carrier_not_supported", "carrier_name", ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			validate(t, m, test.carrier, test.body).expect(t, http.StatusBadRequest, test.problems...)
		})
	}
	t.Cleanup(func() {
		if n := post.count("0001234500"); n > 0 {
			t.Errorf("the carrier was asked %d times", n)
		}
	})
}

// Pre-flight findings are a 200, not an error.
func TestValidateFindsBeforeItAsks(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, production)
	key, secret := newCredentials()
	for category, changes := range map[string][]any{
		"startrack_number":       {"account_number", "01234500"},
		"lost_leading_zeros":     {"account_number", "1234500"},
		"account_number_as_key":  {"api_key", "0007654300"},
		"key_equals_secret":      {"api_key", key, "api_secret", key},
		"key_and_secret_swapped": {"api_key", secret, "api_secret", key},
		"invisible_character":    {"api_secret", secret + "\u200b"},
		"account_number_format":  {"account_number", "000123450O"},
		"inner_blank":            {"api_key", key[:9] + " " + key[9:]},
		"australia_post_number":  {"account_number", "0001234500"},
		"":                       {"account_number", ""},
	} {
		t.Run(category, func(t *testing.T) {
			t.Parallel()
			carrier, number := "australia_post", ausPostNumber("00")
			if category == "australia_post_number" {
				carrier = "startrack"
			}
			a := validate(t, m, carrier, validateBody(number).with(changes...))
			a.expect(t, http.StatusOK)
			got := decode[gen.Validation](t, a)
			if got.Valid || got.AccountPreview != nil || len(got.Checks) == 0 {
				t.Fatalf("answer = %s, want the findings and no preview", a.body)
			}
			if category != "" && (got.Diagnosis == nil || string(got.Diagnosis.Category) != category || string(got.Diagnosis.WhoMustAct) != "merchant") {
				t.Errorf("diagnosis = %s, want %s", a.body, category)
			}
			failed := 0
			for _, c := range got.Checks {
				if string(c.Name) == "carrier" {
					t.Error("the answer has the carrier's check, although the carrier was not asked")
				}
				if !c.Passed {
					failed++
				}
				if c.Passed != (c.Message == nil) {
					t.Errorf("check = %+v", c)
				}
			}
			if failed == 0 || post.count(number) > 0 {
				t.Errorf("%d checks failed, the carrier was asked %d times", failed, post.count(number))
			}
		})
	}
}

// Validates every case of the simulator. Nothing is stored.
func TestEveryStoryAtValidate(t *testing.T) {
	t.Parallel()
	for _, p := range environments() {
		m := newMerchant(t, p)
		before := holdings(t, m)
		t.Run(p.Environment, func(t *testing.T) {
			for story, want := range refusals {
				for carrier, number := range validated(p, story) {
					t.Run(carrier+" "+story, func(t *testing.T) {
						t.Parallel()
						a := validate(t, m, carrier, validateBody(number))
						if want.who == "carrier" {
							want.expect(t, a)
							return
						}
						a.expect(t, http.StatusOK)
						got := decode[gen.Validation](t, a)
						if last := got.Checks[len(got.Checks)-1]; string(last.Name) != "carrier" || last.Passed || last.Message == nil {
							t.Errorf("the last check = %+v, want the carrier's, failed", last)
						}
						if got.Valid || got.AccountPreview != nil || got.Diagnosis == nil || string(got.Diagnosis.Category) != want.problem.Category ||
							string(got.Diagnosis.WhoMustAct) != want.who || got.Diagnosis.CarrierError == nil {
							t.Errorf("answer = %s, want a refusal: %+v", a.body, want)
						}
						notShown(t, a, number)
					})
				}
			}
			for story, want := range kept {
				for carrier, number := range validated(p, story) {
					t.Run(carrier+" "+story, func(t *testing.T) {
						t.Parallel()
						a := validate(t, m, carrier, validateBody(number))
						a.expect(t, http.StatusOK)
						got := decode[gen.Validation](t, a)
						if !got.Valid || got.Diagnosis != nil || got.AccountPreview == nil {
							t.Fatalf("answer = %s, want a good one", a.body)
						}
						for _, c := range got.Checks {
							if !c.Passed || c.Message != nil {
								t.Errorf("check = %+v, want it passed", c)
							}
						}
						preview := got.AccountPreview
						reason := ""
						if preview.RestrictedReason != nil {
							reason = string(*preview.RestrictedReason)
						}
						if preview.Name == nil || preview.AccountNumberMasked != strings.Repeat("*", len(number)-3)+number[len(number)-3:] || len(preview.Products) == 0 ||
							reason != want.reason || preview.AbnLastThree != nil && len(*preview.AbnLastThree) != 3 {
							t.Errorf("account_preview = %s", a.body)
						}
						notShown(t, a, number)
					})
				}
			}
		})
		if diff := cmp.Diff(before, holdings(t, m)); diff != "" {
			t.Errorf("the account in %s (-before +after):\n%s", p.Environment, diff)
		}
	}
	t.Run("wrong in the secret", func(t *testing.T) {
		t.Parallel()
		a := validate(t, newMerchant(t, production), "star_track", validateBody(starTrackNumber("00")).with("api_secret", "wrong-"+uuid.NewString()))
		a.expect(t, http.StatusOK)
		if got := decode[gen.Validation](t, a); got.Valid || string(got.Diagnosis.Category) != "credentials_refused" {
			t.Errorf("answer = %s", a.body)
		}
	})
	t.Run("a number that is linked", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, production)
		number := str(getItem(t, accountPK(c.ID), "CARRIER#"+c.carrier), "account_number")
		before := holdings(t, c.merchant)
		// The body of a link, which a form sends to both routes.
		a := validate(t, c.merchant, "australia_post", linkBody(number))
		a.expect(t, http.StatusOK)
		got := decode[gen.Validation](t, a)
		if last := got.Checks[len(got.Checks)-1]; got.Valid || string(last.Name) != "not_linked_yet" || last.Passed || *last.ExistingCarrierId != c.carrier {
			t.Errorf("answer = %s, want that it is linked as %s", a.body, c.carrier)
		}
		if string(got.Diagnosis.Category) != "already_linked" {
			t.Errorf("diagnosis = %+v", got.Diagnosis)
		}
		a = validate(t, c.merchant, "australia_post", linkBody(number).with("allow_duplicate_account_number", true, "metadata", fields{"a": "b"}, "verify", "later", "refresh_policy", "off"))
		if got := decode[gen.Validation](t, a); !got.Valid {
			t.Errorf("answer = %s, want a good one", a.body)
		}
		if diff := cmp.Diff(before, holdings(t, c.merchant)); diff != "" {
			t.Errorf("the account (-before +after):\n%s", diff)
		}
	})
}

// validated returns a number for a case of the simulator, by carrier.
func validated(p stack.Partner, story string) map[string]string {
	numbers := map[string]string{"australia_post": ausPostNumber(story)}
	if p.Environment == "production" && !differs("is slow") {
		numbers["startrack"] = starTrackNumber(story)
	}
	return numbers
}

// notShown checks that a preview shows neither number nor credentials, because the caller may not own the account.
func notShown(t *testing.T, a answer, number string) {
	t.Helper()
	if strings.Contains(string(a.body), number) {
		t.Errorf("the answer shows the account number: %s", a.body)
	}
	if leaked := api.secrets.in(string(a.body), false); leaked != "" {
		t.Errorf("the answer shows %s", leaked)
	}
}

// holdings reads the keys of an account's items and the names of its secrets.
func holdings(t *testing.T, m merchant) []string {
	t.Helper()
	all := secretsOf(t, m)
	for _, it := range itemsOf(t, m) {
		all = append(all, str(it, "sk"))
	}
	slices.Sort(all)
	return all
}
