package connection_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
	"carrierlink/shared/secret"
)

// A key and a secret that look like Australia Post's. Both are invented.
const (
	goodKey    = "6fda3d2a-91a5-4f39-a3a7-1cf0ed9d9dd1"
	goodSecret = "xA7pQ2mW9rT4vB6n"
)

func charge(name carrier.Name, number, key, secretText string) connection.ChargeAccount {
	return connection.ChargeAccount{
		Carrier: name, Number: number, Credentials: connection.Credentials{APIKey: secret.New(key), APISecret: secret.New(secretText)},
	}
}

// found names a problem by field and category, or by field and kind if it has no
// diagnosis.
func found(l fault.List) []string {
	var all []string
	for _, p := range l {
		what := p.Kind.String()
		if p.Diagnosis != nil {
			what = p.Diagnosis.Category
		}
		all = append(all, p.Field+": "+what)
	}
	return all
}

func TestPreflightRefuses(t *testing.T) {
	const (
		post, star = carrier.AustraliaPost, carrier.StarTrack
		number     = "0009912345"
	)
	tests := []struct {
		name string
		in   connection.ChargeAccount
		want []string
	}{
		{"no number", charge(post, "", goodKey, goodSecret), []string{"account_number: length"}},
		{"blanks for a number", charge(post, " - ", goodKey, goodSecret), []string{"account_number: length"}},
		{"Australia Post, 1 digit", charge(post, "1", goodKey, goodSecret), []string{"account_number: lost_leading_zeros"}},
		{"Australia Post, 7 digits", charge(post, "9912345", goodKey, goodSecret), []string{"account_number: lost_leading_zeros"}},
		{"Australia Post, 8 digits", charge(post, "99123456", goodKey, goodSecret), []string{"account_number: startrack_number"}},
		{"Australia Post, 9 digits", charge(post, "009912345", goodKey, goodSecret), []string{"account_number: lost_leading_zeros"}},
		{"Australia Post, 11 digits", charge(post, "00099123456", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"StarTrack, 7 digits", charge(star, "9912345", goodKey, goodSecret), []string{"account_number: lost_leading_zeros"}},
		{"StarTrack, 9 digits", charge(star, "009912345", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"StarTrack, 10 digits", charge(star, number, goodKey, goodSecret), []string{"account_number: australia_post_number"}},
		{"StarTrack, 11 digits", charge(star, "00099123456", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"letters", charge(post, "O009912345", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"path", charge(post, "/../000991", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"encoded dot", charge(post, "%2e%2e9912", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"header injection", charge(post, "0009912345\r\nX: y", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"NUL", charge(post, "000991234\x00", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"digits of another script", charge(post, "００09912345", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"zero-width in the number", charge(post, "00099\u200b12345", goodKey, goodSecret), []string{"account_number: account_number_format"}},
		{"minus", charge(post, "\u22120009912345", goodKey, goodSecret), []string{"account_number: account_number_format"}},

		{"no key", charge(post, number, "", goodSecret), []string{"api_key: length"}},
		{"blanks for a key", charge(post, number, " \n", goodSecret), []string{"api_key: length"}},
		{"key too long by one", charge(post, number, strings.Repeat("k", 257), goodSecret), []string{"api_key: length"}},
		{"no secret", charge(post, number, goodKey, ""), []string{"api_secret: length"}},
		{"secret too long by one", charge(post, number, goodKey, strings.Repeat("s", 257)), []string{"api_secret: length"}},
		{"control character in the key", charge(post, number, "6fda\x003d2a", goodSecret), []string{"api_key: invalid"}},
		{"inner blank", charge(post, number, "6fda3d2a 91a5", goodSecret), []string{"api_key: inner_blank"}},
		{"inner no-break space", charge(post, number, goodKey, "xA7p\u00a0Q2mW"), []string{"api_secret: inner_blank"}},
		{"line break inside", charge(post, number, "6fda3d2a\n91a5", goodSecret), []string{"api_key: inner_blank"}},
		{"Windows line break inside", charge(post, number, goodKey, "xA7p\r\nQ2mW"), []string{"api_secret: inner_blank"}},
		{"tab inside", charge(post, number, goodKey, "xA7p\tQ2mW"), []string{"api_secret: inner_blank"}},
		{"zero-width space", charge(post, number, "\u200b"+goodKey, goodSecret), []string{"api_key: invisible_character"}},
		{"zero-width joiner", charge(post, number, goodKey, "xA7p\u200dQ2mW"), []string{"api_secret: invisible_character"}},
		{"byte order mark", charge(post, number, "\ufeff"+goodKey, goodSecret), []string{"api_key: invisible_character"}},
		{"soft hyphen", charge(post, number, "6fda3d2a\u00ad-91a5", goodSecret), []string{"api_key: invisible_character"}},
		{"word joiner at the end", charge(post, number, goodKey, goodSecret+"\u2060"), []string{"api_secret: invisible_character"}},
		{"right-to-left mark", charge(post, number, goodKey, goodSecret+"\u200f"), []string{"api_secret: invisible_character"}},
		{"variation selector", charge(post, number, goodKey, goodSecret+"\ufe0f"), []string{"api_secret: invisible_character"}},
		{"filler letter", charge(post, number, goodKey, goodSecret+"\u3164"), []string{"api_secret: invisible_character"}},
		{"a masked key", charge(post, number, "********7c8d", goodSecret), []string{"api_key: mask_instead_of_secret"}},
		{"a masked secret", charge(post, number, goodKey, "********"), []string{"api_secret: mask_instead_of_secret"}},
		{"the same mask twice", charge(post, number, "•••• ••••", "•••• ••••"), []string{"api_key: mask_instead_of_secret", "api_secret: mask_instead_of_secret"}},
		{"a mask in quotes", charge(post, number, goodKey, `"********"`), []string{"api_secret: mask_instead_of_secret"}},
		{"straight quotes", charge(post, number, `"`+goodKey+`"`, goodSecret), []string{"api_key: quotes"}},
		{"typographic quotes", charge(post, number, goodKey, "“"+goodSecret+"”"), []string{"api_secret: quotes"}},
		{"apostrophes", charge(post, number, goodKey, "'"+goodSecret+"'"), []string{"api_secret: quotes"}},
		{"backticks", charge(post, number, goodKey, "`"+goodSecret+"`"), []string{"api_secret: quotes"}},
		{"the number as the key", charge(post, number, number, goodSecret), []string{"api_key: account_number_as_key"}},
		{"the number with hyphens as the key", charge(post, number, "000-991-2345", goodSecret), []string{"api_key: account_number_as_key"}},
		{"a StarTrack number as the key", charge(post, number, "99123456", goodSecret), []string{"api_key: account_number_as_key"}},
		{"key and secret in one", charge(post, number, goodKey+":"+goodSecret, goodSecret), []string{"api_key: key_format"}},
		{"key equals secret", charge(post, number, goodKey, " "+goodKey+"\n"), []string{"api_secret: key_equals_secret"}},
		{"swapped", charge(post, number, goodSecret, goodKey), []string{"api_secret: key_and_secret_swapped"}},
		{"swapped, in capitals", charge(post, number, goodSecret, strings.ToUpper(goodKey)), []string{"api_secret: key_and_secret_swapped"}},
		{"every field", charge(post, "1", `"k"`, "s t"), []string{"account_number: lost_leading_zeros", "api_key: quotes", "api_secret: inner_blank"}},
		{"nothing at all", charge(post, "", "", ""), []string{"account_number: length", "api_key: length", "api_secret: length"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			account, problems := connection.Preflight(tc.in)
			if diff := cmp.Diff(tc.want, found(problems)); diff != "" {
				t.Fatalf("Preflight finds (-want +got):\n%s", diff)
			}
			// What is wrong does not come back.
			number := slices.ContainsFunc(problems, func(p *fault.Error) bool { return p.Field == "account_number" })
			credentials := slices.ContainsFunc(problems, func(p *fault.Error) bool { return p.Field != "account_number" })
			if (account.Number == "") != number || account.Credentials.APIKey.IsZero() != credentials || account.Credentials.APISecret.IsZero() != credentials {
				t.Errorf("number %q, key %t, secret %t come back", account.Number, !account.Credentials.APIKey.IsZero(), !account.Credentials.APISecret.IsZero())
			}
			for _, p := range problems {
				if p.Kind != fault.Length && p.Kind != fault.Invalid || p.Message == "" {
					t.Errorf("%s: kind %v, message %q", p.Field, p.Kind, p.Message)
				}
				d := p.Diagnosis
				if d == nil {
					continue
				}
				if d.WhoMustAct != fault.Merchant || d.Retryable || d.CarrierError != nil || d.LikelyCause == "" || len(d.NextSteps) == 0 || d.DocURL == "" {
					t.Errorf("%s: diagnosis %+v", p.Field, *d)
				}
			}
		})
	}
}

func TestPreflightSaysHowManyZeros(t *testing.T) {
	for _, tc := range []struct {
		name   carrier.Name
		number string
		want   string
	}{
		{carrier.AustraliaPost, "012345678", "put 1 zero in front"},
		{carrier.AustraliaPost, "01234567", "put 2 zeros in front"},
		{carrier.AustraliaPost, "0123456", "put 3 zeros in front"},
		{carrier.StarTrack, "0123456", "put 1 zero in front"},
		{carrier.StarTrack, "012345", "put 2 zeros in front"},
	} {
		_, problems := connection.Preflight(charge(tc.name, tc.number, goodKey, goodSecret))
		if len(problems) != 1 || !strings.Contains(strings.Join(problems[0].Diagnosis.NextSteps, " "), tc.want) {
			t.Errorf("%s of %d digits: %v, want a step with %q", tc.name, len(tc.number), problems, tc.want)
		}
	}
}

func TestPreflightCleans(t *testing.T) {
	opaque := "p@ss:wörd/=%25+&\\{}é"
	tests := []struct {
		name     string
		in, want connection.ChargeAccount
	}{
		{"as it should be", charge(carrier.AustraliaPost, "0009912345", goodKey, goodSecret), charge(carrier.AustraliaPost, "0009912345", goodKey, goodSecret)},
		{"StarTrack", charge(carrier.StarTrack, "09912345", goodKey, goodSecret), charge(carrier.StarTrack, "09912345", goodKey, goodSecret)},
		{"blanks and hyphens in the number", charge(carrier.AustraliaPost, " 000-991 23\u00a045\n", goodKey, goodSecret), charge(carrier.AustraliaPost, "0009912345", goodKey, goodSecret)},
		{"other hyphens", charge(carrier.StarTrack, "09\u201091\u201123\u201345", goodKey, goodSecret), charge(carrier.StarTrack, "09912345", goodKey, goodSecret)},
		{"outer blanks of credentials", charge(carrier.StarTrack, "09912345", "\t"+goodKey+"\r\n", "\u00a0"+goodSecret+" "), charge(carrier.StarTrack, "09912345", goodKey, goodSecret)},
		{"a key need not be a UUID", charge(carrier.StarTrack, "09912345", "abc123", goodSecret), charge(carrier.StarTrack, "09912345", "abc123", goodSecret)},
		{"both UUIDs", charge(carrier.StarTrack, "09912345", goodKey, strings.ToUpper(goodKey)), charge(carrier.StarTrack, "09912345", goodKey, strings.ToUpper(goodKey))},
		{"a secret may hold anything that shows", charge(carrier.StarTrack, "09912345", goodKey, opaque), charge(carrier.StarTrack, "09912345", goodKey, opaque)},
		{"a key of nine digits is no account number", charge(carrier.StarTrack, "09912345", "123456789", goodSecret), charge(carrier.StarTrack, "09912345", "123456789", goodSecret)},
		{"longest", charge(carrier.StarTrack, "09912345", strings.Repeat("é", 256), goodSecret), charge(carrier.StarTrack, "09912345", strings.Repeat("é", 256), goodSecret)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, problems := connection.Preflight(tc.in)
			if len(problems) > 0 {
				t.Fatalf("Preflight finds %v", found(problems))
			}
			if got.Carrier != tc.want.Carrier || got.Number != tc.want.Number || !got.Credentials.Equal(tc.want.Credentials) {
				t.Errorf("Preflight cleans number to %q, key to %q, secret to %q", got.Number, got.Credentials.APIKey.Reveal(), got.Credentials.APISecret.Reveal())
			}
		})
	}
}

// TestPreflightRepeatsNothing makes thousands of wrong inputs and searches the texts of
// the problems for four successive characters of any input.
func TestPreflightRepeatsNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	spice := []string{"", "", "", " ", "-", "\u200b", "'", "\n", ":", "\x00", "é", "/../", "%2e"}
	text := func(alphabet string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(alphabet[random.IntN(len(alphabet))])
		}
		s := b.String()
		at := random.IntN(len(s) + 1)
		return s[:at] + spice[random.IntN(len(spice))] + s[at:]
	}
	refused := 0
	for range 2000 {
		number := text("0123456789", random.IntN(14))
		// Digits and capitals of no word of ours, so that a hit is a leak.
		key, secret := text("QXZJ7193", 4+random.IntN(40)), text("QXZJ7193", 4+random.IntN(40))
		switch random.IntN(6) {
		case 0:
			key = number
		case 1:
			secret = key
		case 2:
			secret = goodKey
		}
		name := []carrier.Name{carrier.AustraliaPost, carrier.StarTrack}[random.IntN(2)]
		account, problems := connection.Preflight(charge(name, number, key, secret))
		if len(problems) == 0 {
			if fmt.Sprint(account.Credentials) != "{REDACTED REDACTED}" {
				t.Fatalf("credentials print as %v", account.Credentials)
			}
			continue
		}
		refused++
		for _, p := range problems {
			diagnosis, err := json.Marshal(p.Diagnosis)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.NewReplacer("https://developers.auspost.com.au", "").Replace(p.Error() + p.Message + p.Field + string(diagnosis))
			for _, typed := range []string{number, key, secret} {
				for i := 0; i+4 <= len(typed); i++ {
					if part := typed[i : i+4]; strings.TrimSpace(part) == part && strings.Contains(said, part) {
						t.Fatalf("Preflight(%q, %q, %q) repeats %q: %s", number, key, secret, part, said)
					}
				}
			}
		}
	}
	if refused < 1000 {
		t.Errorf("only %d of 2000 inputs were refused: the property is hardly tested", refused)
	}
}

func TestPreflightChecks(t *testing.T) {
	const post, star = carrier.AustraliaPost, carrier.StarTrack
	tests := []struct {
		name string
		in   connection.ChargeAccount
		want map[string][]string // fields by check
	}{
		{"no number", charge(post, " - ", goodKey, goodSecret), map[string][]string{"account_number_format": {"account_number"}}},
		{"lost zeros", charge(post, "1", goodKey, goodSecret), map[string][]string{"lost_leading_zeros": {"account_number"}}},
		{"a StarTrack number", charge(post, "99123456", goodKey, goodSecret), map[string][]string{"startrack_number": {"account_number"}}},
		{"an Australia Post number", charge(star, "0009912345", goodKey, goodSecret), map[string][]string{"australia_post_number": {"account_number"}}},
		{"no credentials", charge(star, "09912345", "", " "), map[string][]string{"key_format": {"api_key", "api_secret"}}},
		{"credentials too long", charge(star, "09912345", goodKey, strings.Repeat("s", 257)), map[string][]string{"key_format": {"api_secret"}}},
		{"a control character", charge(star, "09912345", "6fda\x003d2a", goodSecret), map[string][]string{"invisible_character": {"api_key"}}},
		{"a colon", charge(star, "09912345", goodKey+":"+goodSecret, goodSecret), map[string][]string{"key_format": {"api_key"}}},
		{"the number as the key", charge(star, "09912345", "09912345", goodSecret), map[string][]string{"account_number_as_key": {"api_key"}}},
		{"the same twice", charge(star, "09912345", goodKey, goodKey), map[string][]string{"key_equals_secret": {"api_secret"}}},
		{"swapped", charge(star, "09912345", goodSecret, goodKey), map[string][]string{"key_and_secret_swapped": {"api_secret"}}},
		{"all that one text can have", charge(post, "x", "'a b\u200b'", "' '"), map[string][]string{
			"account_number_format": {"account_number"}, "quotes": {"api_key", "api_secret"}, "inner_blank": {"api_key", "api_secret"}, "invisible_character": {"api_key"},
		}},
		{"masks", charge(post, "0009912345", "********7c8d", "••••"), map[string][]string{"mask_instead_of_secret": {"api_key", "api_secret"}}},
		{"none", charge(post, "0009912345", goodKey, goodSecret), map[string][]string{}},
	}
	names := map[carrier.Name][]string{}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			account, checks := connection.PreflightChecks(tc.in)
			got, all := map[string][]string{}, []string{}
			for _, c := range checks {
				all = append(all, c.Name)
				for _, p := range c.Problems {
					got[c.Name] = append(got[c.Name], p.Field)
					if d := p.Diagnosis; d == nil || d.Category != c.Name || d.WhoMustAct != fault.Merchant || d.LikelyCause == "" || len(d.NextSteps) == 0 || d.DocURL == "" {
						t.Errorf("%s: diagnosis %+v", c.Name, p.Diagnosis)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("PreflightChecks find (-want +got):\n%s", diff)
			}
			inNumber := func(fields []string) bool { return slices.Contains(fields, "account_number") }
			if (account.Number == "") != slices.ContainsFunc(slices.Collect(maps.Values(got)), inNumber) {
				t.Errorf("the cleaned number is %q", account.Number)
			}
			if names[tc.in.Carrier] == nil {
				names[tc.in.Carrier] = all
			}
			if diff := cmp.Diff(names[tc.in.Carrier], all); diff != "" {
				t.Errorf("the checks of a carrier are not always the same:\n%s", diff)
			}
			// What Preflight tells is the first of each field, and no other one.
			_, first := connection.Preflight(tc.in)
			for _, p := range first {
				if !slices.ContainsFunc(checks, func(c connection.PreflightCheck) bool {
					return slices.ContainsFunc(c.Problems, func(q *fault.Error) bool { return q.Field == p.Field && q.Message == p.Message && q.Kind == p.Kind })
				}) {
					t.Errorf("Preflight finds %v, and no check does", p)
				}
			}
			if (len(first) == 0) != (len(got) == 0) {
				t.Errorf("Preflight finds %v", found(first))
			}
		})
	}
	if len(names[post]) != 12 || len(names[star]) != 12 || slices.Contains(names[post], "australia_post_number") || slices.Contains(names[star], "startrack_number") {
		t.Errorf("the checks are %v", names)
	}
}
