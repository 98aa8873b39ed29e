package carrier

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestOutcomesListsEveryConstant parses the source: a new outcome that Outcomes
// does not list would escape every other test.
func TestOutcomesListsEveryConstant(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Outcome" {
				declared += len(spec.Names)
			}
		}
		return true
	})
	listed := Outcomes()
	slices.Sort(listed)
	if got := len(slices.Compact(listed)); got != declared || declared == 0 {
		t.Errorf("Outcomes() lists %d outcomes, %d are declared", got, declared)
	}
}

// TestFailure lists which outcomes count as the carrier's failure once many
// connections have them. A 429 concerns one credential; others are our own fault.
func TestFailure(t *testing.T) {
	want := map[Outcome]string{
		OutcomeOK: "", OutcomeNumberMismatch: "", OutcomeRateLimited: "", OutcomeMalformed: "", OutcomeUnexpected: "", OutcomeNoCredentials: "",
		OutcomeUnavailable: "outage", OutcomeTimeout: "outage", OutcomeUnreadable: "outage",
		OutcomeUnauthorized: "unauthorized", OutcomeForbidden: "forbidden", OutcomeUnknownAccount: "unknown_account",
		OutcomeContractEnded: "contract_not_valid", OutcomeContractAbsent: "contract_not_set_up",
	}
	for _, o := range append(Outcomes(), "", "unknown") {
		failure, ok := want[o]
		if got := o.Failure(); got != failure || !ok && slices.Contains(Outcomes(), o) {
			t.Errorf("Outcome(%q).Failure() = %q, want %q", o, got, failure)
		}
	}
}
