package fault_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNoDuplicateTexts: each message for callers is written in one place of the product
// code. Messages that begin with the name of their field, literally or as %s, count as
// the same text.
func TestNoDuplicateTexts(t *testing.T) {
	places := map[string][]string{}
	product(t, func(set *token.FileSet, file *ast.File) {
		for _, text := range texts(file) {
			places[text.words] = append(places[text.words], set.Position(text.at).String())
		}
	})
	if len(places) < 80 {
		t.Errorf("found only %d texts: %v", len(places), places)
	}
	for words, at := range places {
		if len(at) > 1 {
			t.Errorf("%q is written %d times; give it a function in faults.go of its package:\n\t%s", words, len(at), strings.Join(at, "\n\t"))
		}
	}
}

// TestOneReaderOfIfMatch: one function reads the header, and one writes the error of a
// pinned change that came too late.
func TestOneReaderOfIfMatch(t *testing.T) {
	var at []string
	product(t, func(set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if expr, ok := n.(ast.Expr); ok {
				if words, _ := literal(expr); strings.EqualFold(words, "If-Match") {
					at = append(at, filepath.Base(set.Position(expr.Pos()).Filename))
				}
			}
			return true
		})
	})
	if want := []string{"texts.go", "conditional.go"}; !slices.Equal(at, want) {
		t.Errorf("If-Match is named in %v, want %v", at, want)
	}
}

// TestExamplesQuoteTheCode: every message in the contract's examples is one that the
// product code can make: a string of its source with values, and the help of a rollback.
func TestExamplesQuoteTheCode(t *testing.T) {
	contract, err := os.ReadFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*regexp.Regexp
	add := func(parts string) {
		if len(words.FindAllString(parts, -1)) >= 2 {
			patterns = append(patterns, regexp.MustCompile("^"+parts+"( A rollback .*)?$"))
		}
	}
	product(t, func(_ *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			parts := pattern(expr)
			add(parts)
			return parts == ".*" // the parts of a sum are no messages
		})
	})
	messages := regexp.MustCompile(`\bmessage: (?:"([^"]*)"|'([^']*)'|([^,}\n]+))`).FindAllStringSubmatch(string(contract), -1)
	if len(messages) < 100 {
		t.Errorf("found only %d messages", len(messages))
	}
	for _, m := range messages {
		message := m[1] + m[2] + m[3]
		if message != "null" && !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(message) }) {
			t.Errorf("the contract has the message %q, which the code cannot make", message)
		}
	}
}

var (
	verb  = regexp.MustCompile(`%[a-z]`) // of a format string
	words = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// pattern returns a regular expression for the values of a string expression.
func pattern(e ast.Expr) string {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		return pattern(sum.X) + pattern(sum.Y)
	}
	if text, ok := literal(e); ok {
		return verb.ReplaceAllString(regexp.QuoteMeta(text), ".*")
	}
	return ".*"
}

// product visits every file of the product code, except tests and generated files.
func product(t *testing.T, visit func(*token.FileSet, *ast.File)) {
	t.Helper()
	for _, root := range []string{"../../shared", "../../functions"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
			if err == nil && !ast.IsGenerated(file) {
				visit(set, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// text is a string literal of a message.
type text struct {
	words string
	at    token.Pos
}

// texts returns the literals of the messages in a file: those in calls of package fault
// and in the member Message of fault.Error.
func texts(file *ast.File) []text {
	own := file.Name.Name == "fault"
	from := func(e ast.Expr) string { return exported(e, own) }
	var found []text
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch name := from(n.Fun); {
			case name == "Field" && len(n.Args) > 2:
				field, _ := literal(n.Args[1])
				found = append(found, literals(n.Args[2], field)...)
			case name == "New" && len(n.Args) > 1:
				found = append(found, literals(n.Args[1], "")...)
			case name == "TooLate" && len(n.Args) > 0:
				found = append(found, literals(n.Args[0], "")...)
			}
		case *ast.CompositeLit:
			if from(n.Type) != "Error" {
				break
			}
			members := map[string]ast.Expr{}
			for _, e := range n.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						members[key.Name] = pair.Value
					}
				}
			}
			field, _ := literal(members["Field"])
			found = append(found, literals(members["Message"], field)...)
		}
		return true
	})
	return found
}

// exported returns the name of an identifier of package fault; empty for any other
// expression.
func exported(e ast.Expr, own bool) string {
	switch e := e.(type) {
	case *ast.Ident:
		if own {
			return e.Name
		}
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok && pkg.Name == "fault" {
			return e.Sel.Name
		}
	}
	return ""
}

// literals returns the string literals in an expression, with %s for the field's name.
func literals(e ast.Expr, field string) []text {
	var found []text
	if e == nil {
		return nil
	}
	ast.Inspect(e, func(n ast.Node) bool {
		expr, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if words, ok := literal(expr); ok && strings.Contains(words, " ") {
			if rest, ok := strings.CutPrefix(words, field+" "); ok && field != "" {
				words = "%s " + rest
			}
			found = append(found, text{words, expr.Pos()})
		}
		return true
	})
	return found
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
