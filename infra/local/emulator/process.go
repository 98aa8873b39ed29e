package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin is how long an emulator may take to answer its first request, on a busy machine.
const readyWithin = 3 * time.Minute

// supervise runs a command that cannot outlive this process, however this process ends. The shell leads a
// process group of its own. Its standard input is a pipe whose other end only this process holds: when it closes, the
// cleanup runs and the whole group is killed, with every child that the command started in it.
const supervise = `
cleanup=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
{ read -r _ <&3; $cleanup; kill -KILL 0; } >/dev/null 2>&1 &
exec 3<&-
wait "$command"
`

// command says how an emulator is run.
type command struct {
	args    []string
	env     []string
	health  string // path that answers when the emulator is ready
	cleanup string // shell command that ends what is outside the process group; may be empty
}

// Process is a running emulator.
type Process struct {
	// URL is its address, without a trailing slash.
	URL string
	// Dir holds its log and the output of the functions that it runs.
	Dir string

	name      string
	temporary bool
	shell     *exec.Cmd
	pipe      io.Closer
	cleanup   string
	ended     chan struct{} // closed when the shell has ended
	stop      sync.Once
	stopErr   error
}

// Log returns the path of the emulator's own output.
func (p *Process) Log() string { return filepath.Join(p.Dir, p.name+".log") }

// FunctionLog returns the path of the output of a function, from all of its processes. The file does not exist before the
// function prints something.
func (p *Process) FunctionLog(name string) string {
	return filepath.Join(p.Dir, "functions", name+".log")
}

// Actions returns the path of the list of what IAM has allowed: a line of principal, action and resource for each. Only
// MiniStack writes it.
func (p *Process) Actions() string { return filepath.Join(p.Dir, "iam-actions.log") }

// Done is closed when the emulator has ended, by Stop or unexpectedly.
func (p *Process) Done() <-chan struct{} { return p.ended }

func start(ctx context.Context, name string, opts Options, build func(root, dir string, port int) (command, error)) (_ *Process, err error) {
	root := opts.Root
	if root == "" {
		if root, err = Root(); err != nil {
			return nil, err
		}
	}
	p := &Process{name: name, Dir: opts.Dir, ended: make(chan struct{})}
	if p.Dir == "" {
		p.temporary = true
		if p.Dir, err = os.MkdirTemp("", "carrierlink-"+name+"-"); err != nil {
			return nil, fmt.Errorf("starting %s: %w", name, err)
		}
	}
	defer func() {
		if err != nil && p.temporary {
			_ = os.RemoveAll(p.Dir)
		}
	}()
	port := opts.Port
	if port == 0 {
		if port, err = FreePort(ctx); err != nil {
			return nil, fmt.Errorf("starting %s: %w", name, err)
		}
	}
	for _, sub := range []string{"functions", "tmp"} {
		if err := os.MkdirAll(filepath.Join(p.Dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("starting %s: %w", name, err)
		}
	}
	p.URL = localURL(port)
	how, err := build(root, p.Dir, port)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.run(how); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := p.waitReady(ctx, how.health); err != nil {
		err = fmt.Errorf("starting %s on %s: %w\n%s", name, p.URL, err, p.lastLines())
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Process) run(how command) error {
	log, err := os.Create(p.Log())
	if err != nil {
		return err
	}
	defer log.Close()
	p.cleanup = how.cleanup
	if p.cleanup == "" {
		p.cleanup = "true"
	}
	p.shell = exec.Command("/bin/sh", append([]string{"-c", supervise, "supervise", p.cleanup}, how.args...)...) //nolint:noctx // ends with Stop
	p.shell.Dir = p.Dir
	p.shell.Stdout, p.shell.Stderr = log, log
	p.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Only PATH comes from our own environment: an emulator passes its environment to functions, which must not see the
	// developer's real AWS credentials or proxies.
	p.shell.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + p.Dir,
		"TMPDIR=" + filepath.Join(p.Dir, "tmp"),
		"LANG=C.UTF-8",
	}, how.env...)
	pipe, err := p.shell.StdinPipe()
	if err != nil {
		return err
	}
	p.pipe = pipe
	if err := p.shell.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.shell.Wait()
		close(p.ended)
	}()
	return nil
}

func (p *Process) waitReady(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no answer within %s", readyWithin))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() {
		select {
		case <-p.ended:
			ended(errors.New("it ended"))
		case <-ctx.Done():
		}
	}()
	return waitForAnswer(ctx, p.URL+path)
}

// Stop kills the emulator and every process that it started; all of their state is in memory. It may be called more than
// once.
func (p *Process) Stop() error {
	p.stop.Do(func() { p.stopErr = p.kill() })
	return p.stopErr
}

func (p *Process) kill() error {
	if p.cleanup != "true" {
		args := strings.Fields(p.cleanup)
		_ = exec.Command(args[0], args[1:]...).Run() //nolint:noctx // our own command; its target may have ended already
	}
	group := -p.shell.Process.Pid
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-p.ended
	_ = p.pipe.Close()
	deadline := time.Now().Add(30 * time.Second)
	for syscall.Kill(group, 0) == nil {
		if time.Now().After(deadline) {
			return fmt.Errorf("stopping %s: processes of group %d still exist", p.name, -group)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if p.temporary {
		return os.RemoveAll(p.Dir)
	}
	return os.RemoveAll(filepath.Join(p.Dir, "tmp"))
}

// lastLines returns the end of the emulator's log, for an error message.
func (p *Process) lastLines() string {
	text, err := os.ReadFile(p.Log())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
