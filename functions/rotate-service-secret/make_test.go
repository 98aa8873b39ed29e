package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMakeTarget runs make rotate-service-secret with a stand-in of the AWS CLI, which
// succeeds even if the function has failed. The Region is that of samconfig.toml, whatever
// the AWS CLI's own is.
func TestMakeTarget(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer, failure string
		status                string // of the AWS CLI
		ok                    bool
	}{
		{"the function fails", `{"errorMessage":"the service secret has 10 keys"}`, "Unhandled", "0", false},
		{"AWS refuses", ``, "None", "254", false},
		{"rotated", `{"key_id":"ABCD"}`, "None", "0", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := "#!/bin/sh\necho \"$@\" >" + dir + "/arguments\nfor last; do :; done\nprintf '%s' '" + tc.answer + "' >\"$last\"\necho " + tc.failure + "\nexit " + tc.status + "\n"
			if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "rotate-service-secret", "STAGE=staging")
			cmd.Env = append(slices.DeleteFunc(os.Environ(), func(setting string) bool {
				return strings.HasPrefix(setting, "REGION=") || strings.HasPrefix(setting, "MAKEFLAGS=")
			}),
				"PATH="+dir+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if (err == nil) != tc.ok || !strings.Contains(string(out), tc.answer) {
				t.Errorf("make: %v, want success %t; it prints %s", err, tc.ok, out)
			}
			arguments, err := os.ReadFile(filepath.Join(dir, "arguments"))
			if err != nil || !strings.HasPrefix(string(arguments), "lambda invoke --region ap-southeast-2 --function-name carrierlink-staging-rotate-service-secret --query FunctionError --output text ") {
				t.Errorf("aws %s, %v", arguments, err)
			}
		})
	}
}
