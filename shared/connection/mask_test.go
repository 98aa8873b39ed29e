package connection_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carrierlink/shared/account"
	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// isMask reports whether Preflight takes a text for a mask, as key and as secret.
func isMask(t *testing.T, text string) bool {
	t.Helper()
	in := func(key, secret, field string) bool {
		_, problems := connection.Preflight(charge(carrier.AustraliaPost, "0009912345", key, secret))
		return slices.ContainsFunc(problems, func(p *fault.Error) bool {
			return p.Field == field && p.Diagnosis != nil && p.Diagnosis.Category == "mask_instead_of_secret"
		})
	}
	asKey, asSecret := in(text, goodSecret, "api_key"), in(goodKey, text, "api_secret")
	if asKey != asSecret {
		t.Errorf("%q is a mask as the key: %t, as the secret: %t", text, asKey, asSecret)
	}
	return asSecret
}

func TestMasks(t *testing.T) {
	for _, text := range []string{
		"*", "***", "********", "••••", "•", "●●●●●●●●", "∙∙∙∙∙∙", "⋅⋅⋅⋅", "····", "■■■■", "████████", "░░░░", "＊＊＊＊", "∗∗∗∗", "✱✱✱✱", "○○○○○○", "⬤⬤⬤⬤", "・・・・",
		"xxxxxxxx", "XXXXXXXX", "########", "........", "--------", "____", "????",
		"********7c8d", "••••7c8d", "***7c8d", "7c8d****", "6f****8d", "…7c8d", "6fda…9dd1", "...7c8d", "xxxxxxxxxxxx7c8d", "XXXX7c8d", "####7c8d",
		"•••• •••• •••• 7c8d", "XXXX-XXXX-XXXX-7c8d", "** ** **", "**-**-**", "6fda3d2a-****-****-****-********9dd1", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxx9dd1",
		"6fda3d2a-xxxx-xxxx-xxxx-xxxxxxxx9dd1", "********-****-****-****-************", "6fda3d2a••••••••••••••••••••••••••••",
		"6fda3d2a-1b2c-4d5e-****-********9dd1", "6fda3d2a-1b2c-••••-8f90-0e02b2c39dd1", "6fda3d2a-1b2c-xxxx-8f90-0e02b2c39dd1", "6f**3d2a-1b**-4d**-8f**-0e02b2c39d**",
		"6fda12********9dd1fe", "A7pQ2mW9rT4****vB6nQ", "6fdaxxxxxxxxxxxx9dd1", "__REDACTED__", "--hidden--", "(sensitive value)", "(unchanged)",
		"[REDACTED]", "redacted", "***REDACTED***", "<hidden>", "(masked)", "[FILTERED]", " ******** ", "\t••••••••\n", "x93f21a9c77b0c12de5•", "*" + strings.Repeat("•", 30) + "9dd1", strings.Repeat("*", 300),
	} {
		if !isMask(t, text) {
			t.Errorf("%q is not taken for a mask", text)
		}
	}
}

// TestSecretsThatAreNoMasks: a real secret may have runs, asterisks and other signs.
func TestSecretsThatAreNoMasks(t *testing.T) {
	for _, text := range []string{
		goodSecret, goodKey, "x0123456789abcdef012", "x0000000000000000000", "x1111111111111111111", "xA7pQxxxxxxxx2mW9rT4", "xxxxA7pQ2mW9rT4vB6nQ", "A7pQ2mW9rT4vB6nQXXXX", "xxA7",
		"x*3f*a9*77b0c*12de5*", "***A7pQ2mW9rT4vB6nQ1", "A7pQ2mW9rT4***vB6nQ1", "p@ss:wörd/=%25+&\\{}é", "YWJjZGVmZ2hpamtsbW5vcA===", "x%%%93f21a9c77b0c12d",
		"a--b__c..d##e??f1234", "111111111111", "00000000", "ssssssss", "hidden-x7p", "unchanged-x7p", "6fda3d2a-1b2c-4d5e-8f90-0e02b2c39ddx", "6fda3d2a-1b2c-4d5e-8f90-0e02b2c39dd1", "redactedx93f21a9c77b", "k", "x", "#", "-", "é",
	} {
		if isMask(t, text) {
			t.Errorf("%q is taken for a mask", text)
		}
	}
}

// TestMasksInOtherForms: a mask stays one in short, in another case or width, and encoded or
// garbled on its way.
func TestMasksInOtherForms(t *testing.T) {
	for _, text := range []string{
		"••7c8d", "•7c8d", "7c8d•", "6fda·9dd1", "●7c8d9e0f", "x93f∙21a9c77b0c12de", "•8d2f-91a5-4f39-a3a7-1cf0ed9d", "*7c8d", "**7c8d", "7c**8d",
		"5e0d...7f11", "5e0d....7f11", "6fda3d2a...9dd1", "5e0d1a...", "...7f11", "5e0d…7f11", "6fda3d2a…9dd1fe00", "5e0d###7f11", "5e0dXXXX7f11", "6fda3d2a-####-4d5e-8f90-0e02b2c39dd1",
		"%5BREDACTED%5D", "%5bredacted%5d", "%2A%2A%2A%2A", "%2a%2a%2a%2a7c8d", "%E2%80%A2%E2%80%A27c8d", "%3Csecret%3E", "%7B%7Bapi_secret%7D%7D",
		"&bull;&bull;&bull;&bull;", "&bull;7c8d", "&#8226;&#8226;&#8226;&#8226;", "&#x2022;&#X25CF;7c8d", "&ast;&ast;&ast;", "&amp;bull;&amp;bull;", "5e0d&hellip;7f11", "&lt;secret&gt;", "&#91;REDACTED&#93;",
		"â€¢â€¢â€¢â€¢", "â€¢7c8d", "â—\u008fâ—\u008f", "â– â– ", "â–ˆâ–ˆ", "âˆ™âˆ™", "5e0dâ€¦7f11", "Â·Â·Â·Â·", "ï¼Šï¼Š", "ãƒ»ãƒ»",
		"［ＲＥＤＡＣＴＥＤ］", "ｎｕｌｌ", "＊＊7c8d", "ＸＸＸＸ7c8d", "｛｛ａｐｉ＿ｓｅｃｒｅｔ｝｝",
		"[encrypted]", "ENCRYPTED", "<Encrypted>", "null", "NULL", "(null)", "undefined", "Undefined", "[object Object]", "None", "<nil>", "NaN", "__PLACEHOLDER__",
		"{{api_secret}}", "{{ apiSecret }}", "{secret}", "${API_SECRET}", "${{ secrets.AUSPOST }}", "$API_SECRET", "%API_SECRET%", "$(auspost-secret)", "#{secret}", "<%= api_secret %>",
		"<secret>", "<SECRET>", "<your secret>", "[your_key_2]", "your-api-key", "YOUR_API_KEY", "Your API key here", "yourApiSecret", "enter-api-secret-here", "<auspost_password>", "changeme", "CHANGE-ME",
	} {
		if !isMask(t, text) {
			t.Errorf("%q is not taken for a mask", text)
		}
	}
}

// TestNoRealSecretIsAMask makes texts in the forms of real keys and secrets.
func TestNoRealSecretIsAMask(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 9))
	raw := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	words := strings.Fields("correct horse battery staple your orange parcel secret value river masking keyboard tokens nullable harbour")
	forms := map[string]func() string{
		"UUID": func() string {
			b := raw(16)
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		},
		"capital UUID": func() string {
			b := raw(16)
			return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		},
		"x and hex": func() string { return "x" + hex.EncodeToString(raw(10))[:19] },
		"x, hex, sign": func() string {
			h := hex.EncodeToString(raw(9))
			return "x" + h[:9] + string("%&*.#$"[random.IntN(6)]) + h[9:]
		},
		"hex":        func() string { return hex.EncodeToString(raw(8 + random.IntN(25))) },
		"base64":     func() string { return base64.StdEncoding.EncodeToString(raw(12 + random.IntN(37))) },
		"base64 URL": func() string { return base64.URLEncoding.EncodeToString(raw(12 + random.IntN(37))) },
		"padded": func() string {
			return base64.RawStdEncoding.EncodeToString(raw(12)) + strings.Repeat("=", random.IntN(5))
		},
		"escaped": func() string { return url.QueryEscape(base64.StdEncoding.EncodeToString(raw(16))) },
		"words": func() string {
			return fmt.Sprintf("%s-%s-%s-%s", words[random.IntN(4)], words[random.IntN(len(words))], words[random.IntN(len(words))], words[random.IntN(len(words))])
		},
		"printable ASCII": func() string {
			b := raw(16 + random.IntN(33))
			for i := range b {
				b[i] = byte(random.IntN(94)) + '!'
				if strings.ContainsRune("\"'`:", rune(b[i])) { // other checks refuse these
					b[i] = '!'
				}
			}
			return string(b)
		},
	}
	for name, form := range forms {
		for range 3000 {
			if text := form(); isMask(t, text) {
				t.Errorf("%s: %q is taken for a mask", name, text)
			}
		}
	}
}

// TestOurOwnKeys: a key of our API is refused in the carrier's fields, masked or not.
func TestOurOwnKeys(t *testing.T) {
	random := rand.NewChaCha8([32]byte{7})
	for _, env := range []carrier.Environment{carrier.Production, carrier.Sandbox} {
		key, err := account.NewKey(random, env, 0, 71)
		if err != nil {
			t.Fatal(err)
		}
		own := key.Text.Reveal()
		for _, text := range []string{own, " " + own + "\n", strings.ToUpper(own), own[:20]} {
			for field, in := range map[string]connection.ChargeAccount{
				"api_key":    charge(carrier.AustraliaPost, "0009912345", text, goodSecret),
				"api_secret": charge(carrier.AustraliaPost, "0009912345", goodKey, text),
			} {
				cleaned, problems := connection.Preflight(in)
				if got := found(problems); !slices.Equal(got, []string{field + ": credentials_of_another_kind"}) || !cleaned.Credentials.APIKey.IsZero() {
					t.Errorf("%s %q: Preflight finds %v", field, text, got)
				}
			}
		}
		// What the other field looks like is no warning beside a refusal.
		_, checks := connection.PreflightChecks(charge(carrier.AustraliaPost, "0009912345", own, "eyJhbGciOi"))
		if last := checks[len(checks)-1]; last.Name != "credentials_of_another_kind" || len(last.Problems) != 1 || last.Warning != "" {
			t.Errorf("the last check is %+v", last)
		}
	}
}
