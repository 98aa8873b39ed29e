package main

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// emptyAccount answers as an AWS account without stacks does.
func emptyAccount(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/account-settings"):
			fmt.Fprint(w, `{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":1000}}`)
		case r.FormValue("Action") == "GetCallerIdentity":
			fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/deployer</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		case r.FormValue("Action") == "DescribeStacks":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id %s does not exist</Message></Error></ErrorResponse>`, r.FormValue("StackName"))
		default:
			t.Errorf("the checklist called %s %s %s", r.Method, r.URL.Path, r.FormValue("Action"))
			w.WriteHeader(http.StatusNotImplemented)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// deployment runs a target of the Makefile with a sam that builds, but writes down the arguments of its deploy instead. It
// returns them, nil if there was no deploy, and the output of make.
func deployment(t *testing.T, target string, settings ...string) (args []string, output string, err error) {
	t.Helper()
	root := absolute(t, root)
	dir := t.TempDir()
	sam := filepath.Join(dir, "sam")
	script := fmt.Sprintf("#!/usr/bin/env bash\nif [ \"$1\" = deploy ]; then printf '%%s\\n' \"$@\" >%s/arguments; exit; fi\nexec %s/.cache/sam/bin/sam \"$@\"\n", dir, root)
	if err := os.WriteFile(sam, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"-C", root, "--no-print-directory", target, "STAGE=staging", "SAM=" + sam}, settings...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "AWS_") || strings.HasPrefix(setting, "MAKE") || strings.HasPrefix(setting, "MFLAGS")
	}), "AWS_ENDPOINT_URL="+emptyAccount(t), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "NO_PROXY=127.0.0.1")
	text, err := cmd.CombinedOutput()
	if found, readErr := os.ReadFile(filepath.Join(dir, "arguments")); readErr == nil {
		args = strings.Split(strings.TrimSpace(string(found)), "\n")
	}
	return args, string(text), err
}

// TestDeployMachine: for each architecture, `make deploy` gives sam a template and parameters with which AWS runs the functions
// on the machines that they were built for.
func TestDeployMachine(t *testing.T) {
	machines := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}
	for architecture, machine := range machines {
		t.Run(architecture, func(t *testing.T) {
			build := filepath.Join(t.TempDir(), "build")
			args, output, err := deployment(t, "deploy", "ARCHITECTURE="+architecture, "BUILD_DIR="+build, "PARAMETERS="+alarmed)
			if err != nil || args == nil {
				t.Fatalf("make deploy: %v\n%s", err, output)
			}
			want := []string{"deploy", "--config-file", absolute(t, root) + "/samconfig.toml", "--config-env", "staging", "--template-file", build + "/template.yaml", "--parameter-overrides", "file://" + build + ".parameters.yaml"}
			if diff := cmp.Diff(want, args); diff != "" {
				t.Errorf("arguments of sam (-want +got):\n%s", diff)
			}
			var given map[string]string
			decode(t, build+".parameters.yaml", &given)
			if given["Stage"] != "staging" || given["RateLimitPerMinute"] != "200" || given["AlarmEmail"] != "ops@example.com" {
				t.Errorf("parameters = %v, want those of samconfig.toml and of the command line", given)
			}
			for function, file := range functions(t, build, given["Architecture"]) {
				binary, err := elf.Open(file)
				if err != nil {
					t.Fatal(err)
				}
				if binary.Machine != machine {
					t.Errorf("%s is built for %s, want %s", function, binary.Machine, machine)
				}
				if err := binary.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// functions returns the binaries of the functions of a built template by their ids, after it has checked that AWS would run
// each on the architecture.
func functions(t *testing.T, build, architecture string) map[string]string {
	t.Helper()
	var template struct {
		Globals struct {
			Function struct {
				Architectures []yaml.Node `yaml:"Architectures"`
			} `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				CodeURI       string      `yaml:"CodeUri"`
				Architectures []yaml.Node `yaml:"Architectures"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	decode(t, build+"/template.yaml", &template)
	global := template.Globals.Function.Architectures
	if len(global) != 1 {
		t.Fatalf("Architectures = %v, want one", global)
	}
	if function, argument := intrinsic(&global[0]); function != "Ref" || argument.Value != "Architecture" {
		t.Fatalf("Architectures = %v, want the parameter Architecture", global)
	}
	if architecture == "" {
		t.Error("no Architecture is passed: AWS would use the template's default, or what the stack had before")
	}
	files := make(map[string]string)
	for id, resource := range template.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		if len(resource.Properties.Architectures) > 0 {
			t.Errorf("%s has Architectures of its own", id)
		}
		files[id] = filepath.Join(build, resource.Properties.CodeURI, "bootstrap")
	}
	if len(files) == 0 {
		t.Fatal("the built template has no functions")
	}
	return files
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestSamReadsParameters: sam makes of the file of the parameters what the checklist has checked.
func TestSamReadsParameters(t *testing.T) {
	given := map[string]string{
		"Empty": "", "Number": "0600", "Exponent": "1e3", "Octal": "0o17", "Underscore": "1_000", "Sexagesimal": "12:30", "Date": "2026-11-27",
		"Off": "off", "Null": "null", "True": "True", "List": "a,b , ,c", "Text": ` two  "words": #5 '=' `, "Address": "https://example.com/a?b=c",
		"Reference": "file://absent.yaml", "Topic": topicARN,
	}
	for _, stage := range []string{"staging", "production"} {
		section, err := readSection(filepath.Join(root, "samconfig.toml"), stage)
		if err != nil {
			t.Fatal(err)
		}
		own, err := overrides(section.Overrides)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(given, own)
	}
	file := filepath.Join(t.TempDir(), "build.parameters.yaml")
	if err := writeParameters(file, given); err != nil {
		t.Fatal(err)
	}
	const program = `import json, sys
from samcli.cli.types import CfnParameterOverridesType
print(json.dumps(CfnParameterOverridesType().convert([sys.argv[1]], None, None)))`
	cmd := exec.CommandContext(t.Context(), filepath.Join(absolute(t, root), ".cache/sam/bin/python"), "-c", program, "file://"+file)
	cmd.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0")
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("sam does not accept the file: %v", err)
	}
	var got map[string]string
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff(given, got); diff != "" {
		t.Errorf("the parameters that sam reads (-want +got):\n%s", diff)
	}
}

// TestDiff: `make diff` shows the change set and does not execute it.
func TestDiff(t *testing.T) {
	build := filepath.Join(t.TempDir(), "build")
	args, output, err := deployment(t, "diff", "BUILD_DIR="+build, "PARAMETERS="+alarmed)
	if err != nil || !slices.Contains(args, "--no-execute-changeset") || !slices.Contains(args, build+"/template.yaml") {
		t.Errorf("make diff calls sam with %q, %v\n%s", args, err, output)
	}
}

// TestEmptyStage: an empty STAGE is named as the mistake.
func TestEmptyStage(t *testing.T) {
	args, output, err := deployment(t, "deploy", "STAGE=")
	if err == nil || args != nil || !strings.Contains(output, "checklist: STAGE is empty: it names a section of samconfig.toml, such as STAGE=staging") {
		t.Errorf("make deploy STAGE=: %v, sam deploy %q\n%s", err, args, output)
	}
}

// TestRefusedBeforeAnything: of a deployment that cannot work, nothing is built and nothing reaches sam.
func TestRefusedBeforeAnything(t *testing.T) {
	for _, target := range []string{"deploy", "diff"} {
		build := filepath.Join(t.TempDir(), "build")
		args, output, err := deployment(t, target, "BUILD_DIR="+build, "PARAMETERS=DomainName=api.example.com")
		if err == nil || args != nil {
			t.Errorf("make %s: %v, sam deploy %q", target, err, args)
		}
		for _, want := range []string{"Nobody would get the alarms", "DomainName needs CertificateArn", "Nothing was changed: 2"} {
			if !strings.Contains(output, want) {
				t.Errorf("make %s does not print %q:\n%s", target, want, output)
			}
		}
		if _, err := os.Stat(build); !os.IsNotExist(err) {
			t.Errorf("make %s built into %s: %v", target, build, err)
		}
	}
}
