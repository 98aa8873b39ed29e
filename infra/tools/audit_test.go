// Package tools tests the scripts of this folder that have no test of their own.
package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditWithoutClone: in the files of an archive, where Git knows nothing, the audit checks what it can, says that it has
// searched for no secrets, and leaves nothing behind.
func TestAuditWithoutClone(t *testing.T) {
	root, temporary := filepath.Join(t.TempDir(), "carrierlink"), t.TempDir()
	for _, pattern := range []string{"go.mod", "infra/tools/go.mod", "infra/tools/audit.sh", "infra/tools/dependencies.txt", "infra/tools/gitleaks.toml", "infra/local/tools/*.txt"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			copied := filepath.Join(root, filepath.Dir(pattern), filepath.Base(file))
			if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(copied, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "infra/tools/audit.sh", "check")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "GIT_DIR="+filepath.Join(root, "absent"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "this is no clone, so no secrets were searched for") || strings.Contains(string(out), "clean") {
		t.Errorf("audit.sh check: %v\n%s", err, out)
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("the audit leaves %v, %v", left, err)
	}
}
