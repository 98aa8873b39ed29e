package connection_test

import (
	"slices"
	"strings"
	"testing"

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
		"[REDACTED]", "redacted", "***REDACTED***", "<hidden>", "(masked)", "[FILTERED]", " ******** ", "\t••••••••\n", "*" + strings.Repeat("•", 30) + "9dd1", strings.Repeat("*", 300),
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
		"a--b__c..d##e??f1234", "111111111111", "00000000", "ssssssss", "hidden-x7p", "unchanged-x7p", "6fda3d2a-1b2c-4d5e-8f90-0e02b2c39ddx", "6fda3d2a-1b2c-4d5e-8f90-0e02b2c39dd1", "redactedx93f21a9c77b", "x93f21a9c77b0c12de5•", "k", "x", "#", "-", "é",
	} {
		if isMask(t, text) {
			t.Errorf("%q is taken for a mask", text)
		}
	}
}
