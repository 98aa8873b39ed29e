package connection

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestFormsOfCredentials compares the hand-written checks with the equivalent regular
// expressions, for texts that almost match.
func TestFormsOfCredentials(t *testing.T) {
	const (
		uuid   = "6fda3d2a-1B2c-4d5e-8f90-0123456789AB"
		v2ID   = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"
		secret = "q1W2e3R4t5Y6u7I8o9P0-aSdFgHjKlZxCvBnM_q1W2e3R4t5Y6u7I8o9P0aSdFgHj"
		pay    = "0oaxb9i8P9vQdXTsn3l5"
		pac    = "28744ed5982391881611cca6cf5c2409"
	)
	forms := []struct {
		name, form string
		is         func(string) bool
	}{
		{"isUUID", `^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, isUUID},
		{"isV2ID", `^[A-Za-z0-9]{32}$`, isV2ID},
		{"isV2Secret", `^[A-Za-z0-9_-]{60,72}$`, isV2Secret},
		{"isSecurePayID", `^0oa[A-Za-z0-9]{17}$`, isSecurePayID},
		{"isPACKey", `^[0-9a-f]{32}$`, isPACKey},
	}
	texts := []string{
		"", uuid, v2ID, secret, pay, pac, strings.ToUpper(uuid), strings.ToUpper(pac), uuid + "\n", strings.Repeat("a", 59), strings.Repeat("a", 60),
		strings.Repeat("a", 72), strings.Repeat("a", 73), strings.Repeat("é", 16), strings.Repeat("-", 36), uuid[:35], uuid[:35] + "\x10", uuid[:35] + "K", uuid[:33] + "\u212a",
	}
	random := rand.New(rand.NewPCG(9, 7))
	odd := []rune("0fFgGzZ-_\x10\x19@`{é\u212a ")
	for _, text := range []string{uuid, v2ID, secret, pay, pac} {
		for range 200 {
			runes := []rune(text)
			runes[random.IntN(len(runes))] = odd[random.IntN(len(odd))]
			texts = append(texts, string(runes), string(runes[1:]), string(runes)+"0")
		}
	}
	for _, f := range forms {
		form := regexp.MustCompile(f.form)
		hits := 0
		for _, text := range texts {
			got := f.is(text)
			if got != form.MatchString(text) {
				t.Errorf("%s(%q) = %t, want %t", f.name, text, got, !got)
			}
			if got {
				hits++
			}
		}
		if hits < 10 {
			t.Errorf("%s: only %d texts have the form", f.name, hits)
		}
	}
}
