package account_test

import (
	"strings"
	"testing"
	"time"

	"carrierlink/shared/account"
	"carrierlink/shared/fault"
)

// assigned lists the officially assigned codes of ISO 3166-1 alpha-2, from iso3166.tab of
// the tz database, 2026.
const assigned = `
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP
KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ
UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`

// TestCheckCountry tries every pair of capitals, including pairs that span two neighbours
// in the list.
func TestCheckCountry(t *testing.T) {
	known := map[string]bool{}
	for code := range strings.FieldsSeq(assigned) {
		known[code] = true
	}
	if len(known) != 249 {
		t.Fatalf("assigned has %d codes, want 249", len(known))
	}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if got := account.CheckCountry("f", code) == nil; got != known[code] {
				t.Errorf("CheckCountry(%q) accepts it: %t, want %t", code, got, known[code])
			}
		}
	}
	for _, code := range []string{"", "A", "au", "Au", "aU", "AUS", "AU ", " AU", "AUNZ", "36", "A\x00", "ÄU", "ＡＵ", "UK", "XX", "ADAE"} {
		p := account.CheckCountry("origin_country_code", code)
		if p == nil || p.Kind != fault.Invalid || p.Field != "origin_country_code" {
			t.Errorf("CheckCountry(%q) = %v, want an invalid field", code, p)
		}
	}
}

func TestStanding(t *testing.T) {
	for _, tc := range []struct {
		name string
		a    account.Account
		want account.Standing
	}{
		{"active", account.Account{Active: true}, account.StandingActive},
		{"active, and its connections are following", account.Account{Active: true, Following: true}, account.StandingActive},
		{"disabled", account.Account{}, account.StandingPaused},
		{"deleted", account.Account{Active: true, PurgeAt: time.Unix(1_800_000_000, 0)}, account.StandingDeleted},
		{"deleted while disabled", account.Account{PurgeAt: time.Unix(1_800_000_000, 0)}, account.StandingDeleted},
	} {
		if got := tc.a.Standing(); got != tc.want {
			t.Errorf("%s: Standing = %q, want %q", tc.name, got, tc.want)
		}
	}
}
