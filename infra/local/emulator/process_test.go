package emulator

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleeper is a command with a child process, as an emulator has. It writes the child's id to a file.
func sleeper(dir string) command {
	return command{args: []string{"/bin/sh", "-c", `sleep 300 & echo $! >"$0"; wait`, filepath.Join(dir, "child")}}
}

func childOf(t *testing.T, dir string) int {
	t.Helper()
	for range 6000 { // a minute
		text, err := os.ReadFile(filepath.Join(dir, "child"))
		if pid, convErr := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && convErr == nil {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the command has not started")
	return 0
}

// running tells whether the process exists and is not a zombie.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for range 6000 { // a minute
		if !running(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still running", pid)
}

func TestStopEndsChildren(t *testing.T) {
	dir := t.TempDir()
	p := &Process{name: "sleeper", Dir: dir, ended: make(chan struct{})}
	if err := p.run(sleeper(dir)); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, dir)
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop() = %v", err)
		}
	}
	select {
	case <-p.Done():
	default:
		t.Error("Done() is open after Stop()")
	}
	if running(child) {
		t.Errorf("child %d outlived Stop()", child)
	}
}

// TestParentKilled starts an emulator from another process and kills that process with SIGKILL.
func TestParentKilled(t *testing.T) {
	if dir := os.Getenv("EMULATOR_TEST_PARENT"); dir != "" {
		p := &Process{name: "sleeper", Dir: dir, ended: make(chan struct{})}
		if err := p.run(sleeper(dir)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestParentKilled$") //nolint:noctx // this very test, killed below
	parent.Env = append(os.Environ(), "EMULATOR_TEST_PARENT="+dir)
	stdin, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, dir)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitGone(t, child)
}

func TestStartReportsEarlyEnd(t *testing.T) {
	_, err := start(t.Context(), "broken", Options{Root: t.TempDir()}, func(string, string, int) (command, error) {
		return command{args: []string{"/bin/sh", "-c", "echo no such option; exit 3"}}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "it ended") || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("start of a command that ends at once = %v, want its end and its output", err)
	}
}

func TestMissingTools(t *testing.T) {
	for name, start := range map[string]func(context.Context, Options) (*Process, error){
		"DynamoDBLocal": StartDynamoDBLocal, "MiniStack": StartMiniStack,
	} {
		_, err := start(t.Context(), Options{Root: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "make tools") {
			t.Errorf("%s without tools: %v, want advice to run make tools", name, err)
		}
	}
}
