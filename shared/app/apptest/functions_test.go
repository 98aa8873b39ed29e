package apptest_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

const root = "../../.."

// TestEveryFunctionIsWired reads the source of all functions. Each must have a TestWire
// that calls apptest.Wire with its build and names exactly the settings that
// template.yaml gives to this function. A function need not use the settings that all
// functions get, nor the memory limit of Go's runtime.
func TestEveryFunctionIsWired(t *testing.T) {
	common, given := templateSettings(t)
	dirs, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil || len(dirs) < 14 {
		t.Fatalf("%d functions, %v", len(dirs), err)
	}
	for _, path := range dirs {
		name := filepath.Base(filepath.Dir(path))
		tested, err := wireSettings(filepath.Join(filepath.Dir(path), "main_test.go"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tested = slices.DeleteFunc(tested, func(s string) bool { return slices.Contains(common, s) })
		want, ok := given[name]
		if !ok {
			t.Errorf("%s is not in template.yaml", name)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(tested))); diff != "" {
			t.Errorf("settings of %s (-template.yaml +TestWire):\n%s", name, diff)
		}
	}
}

// TestUntestedFunctions checks what TestEveryFunctionIsWired has to find.
func TestUntestedFunctions(t *testing.T) {
	const head = "package main\nfunc "
	for name, source := range map[string]string{
		"no test":          head + "TestOther(t *testing.T) { apptest.Wire(t, build, `TABLE_NAME`) }",
		"nothing called":   head + "TestWire(t *testing.T) { build(nil) }",
		"another function": head + "TestWire(t *testing.T) { apptest.Wire(t, other, `TABLE_NAME`) }",
		"computed names":   head + "TestWire(t *testing.T) { apptest.Wire(t, build, names...) }",
	} {
		path := filepath.Join(t.TempDir(), "main_test.go")
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := wireSettings(path); err == nil {
			t.Errorf("%s: settings %q, want an error", name, got)
		}
	}
	if _, err := wireSettings(filepath.Join(t.TempDir(), "main_test.go")); err == nil {
		t.Error("no main_test.go: want an error")
	}
}

// wireSettings returns the settings that a file's TestWire names.
func wireSettings(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var settings []string
	err = fmt.Errorf("%s has no TestWire that calls apptest.Wire(t, build, ...)", filepath.Base(path))
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "TestWire" {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isWire(call) {
				return true
			}
			settings, err = nil, nil
			for _, arg := range call.Args[2:] {
				text, ok := arg.(*ast.BasicLit)
				if !ok {
					err = fmt.Errorf("%s does not name each setting as a literal", filepath.Base(path))
					return false
				}
				value, _ := strconv.Unquote(text.Value)
				setting, _, _ := strings.Cut(value, ":")
				settings = append(settings, setting)
			}
			return false
		})
	}
	return settings, err
}

// isWire tells whether a call is apptest.Wire(t, build, ...).
func isWire(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Wire" || len(call.Args) < 2 {
		return false
	}
	pkg, _ := f.X.(*ast.Ident)
	build, _ := call.Args[1].(*ast.Ident)
	return pkg != nil && pkg.Name == "apptest" && build != nil && build.Name == "build"
}

// templateSettings returns the settings that template.yaml gives to all functions,
// and to each function by the name of its folder.
func templateSettings(t *testing.T) (common []string, given map[string][]string) {
	t.Helper()
	type function struct {
		CodeURI     yaml.Node `yaml:"CodeUri"`
		Environment struct {
			Variables map[string]yaml.Node `yaml:"Variables"`
		} `yaml:"Environment"`
	}
	var template struct {
		Globals struct {
			Function function `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &template)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name := range template.Globals.Function.Environment.Variables {
		common = append(common, name)
	}
	given = map[string][]string{}
	for id, r := range template.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		var f function
		if err := r.Properties.Decode(&f); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		folder := filepath.Base(f.CodeURI.Value)
		given[folder] = []string{}
		delete(f.Environment.Variables, "GOMEMLIMIT")
		for name := range f.Environment.Variables {
			given[folder] = append(given[folder], name)
		}
	}
	return common, given
}
