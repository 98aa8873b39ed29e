package connection_test

import (
	"slices"
	"strings"
	"testing"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/secret"
)

func TestHints(t *testing.T) {
	const (
		v2ID     = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"
		v2Secret = "q1W2e3R4t5Y6u7I8o9P0-aSdFgHjKlZxCvBnM_q1W2e3R4t5Y6u7I8o9P0aSdFgHj"
		token    = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	)
	tests := []struct {
		name, key, secret string
		want              string // a part of it; empty for none
	}{
		{"v1", goodKey, goodSecret, ""},
		{"v1, in capitals", strings.ToUpper(goodKey), "x0123456789abcdef012", ""},
		{"v1 with a long secret", goodKey, v2Secret, ""},
		{"nothing", "", "", ""},
		{"a short key", "abc123", goodSecret, ""},
		{"32 letters of one case", strings.ToLower(v2ID), goodSecret, ""},
		{"33 letters and digits", v2ID + "x", goodSecret, ""},
		{"31 hexadecimal digits", "0123456789abcdef0123456789abcde", goodSecret, ""},
		{"0oa and no more", "0oa", goodSecret, ""},
		{"eyJ inside", "keyJ", "xeyJ", ""},
		{"v2", v2ID, v2Secret, "API v2"},
		{"a client ID of v2", " " + v2ID + "\n", goodSecret, "API v2"},
		{"a client secret of v2 beside no UUID", "my-client", v2Secret, "API v2"},
		{"SecurePay", "0oaxb9i8P9vQdXTsn3l5", "0aBsGU3x1bc-UIF_vDBA2JzjpCPHjoCP7oI6jisp", "SecurePay"},
		{"an old PAC key", "28744ed5982391881611cca6cf5c2409", goodSecret, "Postage Assessment"},
		{"v2 in each other's field", v2Secret, v2ID, "API v2"},
		{"SecurePay in each other's field", "0aBsGU3x1bc-UIF_vDBA2JzjpCPHjoCP7oI6jisp", "0oaxb9i8P9vQdXTsn3l5", "SecurePay"},
		{"an old PAC key as the secret", "my-client", "28744ed5982391881611cca6cf5c2409", "Postage Assessment"},
		{"v1 with a secret of 32 hexadecimal digits", goodKey, "28744ed5982391881611cca6cf5c2409", ""},
		{"v1 with a secret that begins with 0oa", goodKey, "0oaxb9i8P9vQdXTsn3l5", ""},
		{"v1 with a secret of 32 letters and digits", goodKey, v2ID, ""},
		{"a token as the key", token, goodSecret, "access token"},
		{"a token as the secret", goodKey, token, "access token"},
		{"a token with its scheme", "Bearer " + token, goodSecret, "access token"},
		{"a scheme in small letters", "bearer  " + token, goodSecret, "access token"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c := connection.Credentials{APIKey: secret.New(tc.key), APISecret: secret.New(tc.secret)}
			hint := connection.HintFor(c)
			if (hint != "") != (tc.want != "") || !strings.Contains(hint, tc.want) {
				t.Fatalf("HintFor = %q, want %q", hint, tc.want)
			}
			// The check of its name warns, and never refuses.
			_, checks := connection.PreflightChecks(connection.ChargeAccount{Carrier: carrier.AustraliaPost, Number: "0009912345", Credentials: c})
			i := slices.IndexFunc(checks, func(c connection.PreflightCheck) bool { return c.Name == "credentials_of_another_kind" })
			if i < 0 || len(checks[i].Problems) != 0 || (checks[i].Warning != "") != (hint != "") {
				t.Fatalf("checks %+v", checks)
			}
			if hint != "" && checks[i].Warning != hint+" "+connection.Needed {
				t.Errorf("it warns: %s", checks[i].Warning)
			}
			said := checks[i].Warning
			for _, typed := range []string{strings.TrimSpace(tc.key), strings.TrimSpace(tc.secret)} {
				if len(typed) > 8 && strings.Contains(said, typed[:8]) {
					t.Errorf("it repeats what was typed: %s", said)
				}
			}
		})
	}
}

// TestHintInADiagnosis: the diagnosis of a 401 begins with what the credentials look
// like and what is needed; its category does not change.
func TestHintInADiagnosis(t *testing.T) {
	plain := connection.Reading{Outcome: carrier.OutcomeUnauthorized, HTTPStatus: 401}
	hinted := plain
	hinted.Hint = "They look like others."
	for range 2 { // a diagnosis is made anew each time
		d := hinted.Diagnosis()
		if !strings.HasSuffix(d.LikelyCause, " They look like others.") || d.NextSteps[0] != connection.Needed || len(d.NextSteps) != len(plain.Diagnosis().NextSteps)+1 {
			t.Errorf("diagnosis %+v", d)
		}
		if d.Category != plain.Diagnosis().Category {
			t.Errorf("category %s", d.Category)
		}
	}
}

// TestTokenThatIsTooLong: most tokens are longer than a credential may be; the refusal
// says that it is a token.
func TestTokenThatIsTooLong(t *testing.T) {
	_, problems := connection.Preflight(charge(carrier.AustraliaPost, "0009912345", "eyJ"+strings.Repeat("a", 600), goodSecret))
	if len(problems) != 1 || problems[0].Diagnosis == nil || !strings.Contains(problems[0].Diagnosis.LikelyCause, "access token") || problems[0].Diagnosis.NextSteps[0] != connection.Needed {
		t.Errorf("Preflight finds %v", problems)
	}
}
