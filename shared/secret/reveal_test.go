package secret_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reveals lists the files of the product that may call Reveal, and why.
var reveals = map[string]string{
	"shared/auspost/client.go":           "a merchant's credentials, sent to the carrier",
	"shared/auspost/failure.go":          "a merchant's credentials, to remove them from network errors",
	"shared/connection/preflight.go":     "a merchant's credentials, validated before the carrier is called",
	"shared/vault/service.go":            "the service secret, on its way into Secrets Manager",
	"shared/vault/vault.go":              "a merchant's credentials, on their way into Secrets Manager",
	"shared/account/keytext.go":          "the visible prefix of our own API keys",
	"shared/views/key.go":                "a new API key of ours, in the answer to its creation",
	"shared/signin/changing.go":          "a password that somebody chooses, for its rule",
	"shared/signin/signing.go":           "a password, for its length",
	"shared/signin/text.go":              "the cookie of a session, to read the ids in it",
	"shared/password/password.go":        "a merchant's password, to hash it",
	"functions/portal/kept.go":           "what was entered in a form, to seal it for the form that saves it unchecked",
	"functions/portal/connection.go":     "a merchant's own credentials, shown after the password was entered again",
	"functions/manage-logins/handler.go": "the text of a link or a token that a partner hands to its merchant: the answer is the only place that has it",
	"shared/mail/copy.go":                "the token of a link, in the mail that has the link",
	"shared/queue/mail.go":               "the token of a link, to seal it on its way to send-mail",
	"shared/seal/keys.go":                "the service secret, to read its keys and to add one",
	"shared/seal/seal.go":                "the keys of the service secret, to derive keys from",
	"shared/secret/secret.go":            "this package",
	"shared/views/webhook.go":            "a webhook's secret, in the answer that makes it, and its headers, in its owner's answers",
	"shared/web/form.go":                 "the session cookie, set in a browser",
	"shared/webhook/rules.go":            "a webhook's headers, to check them",
	"shared/webhook/service.go":          "a webhook's headers and signing secret, to seal them",
	"shared/webhook/request.go":          "a webhook's headers, sent with each request, and its secrets, to remove them from answers",
	"shared/webhook/sign.go":             "a webhook's signing secret, to sign with",
}

// TestFilesThatCallReveal: these files and no others take the plain text out of a
// secret.Text.
func TestFilesThatCallReveal(t *testing.T) {
	const root = "../.."
	found := map[string]bool{}
	for _, dir := range []string{"shared", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			// Packages named *test hold fakes for tests.
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
					rel, _ := filepath.Rel(root, path)
					found[filepath.ToSlash(rel)] = true
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(reveals)), slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("files that call Reveal (-want +got):\n%s", diff)
	}
}
