// Package lambdaproc builds the functions as they are deployed, and runs them as
// processes of this machine behind a Lambda Runtime API, for tests that kill a
// process and for benchmarks that measure one.
package lambdaproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Build builds the binary of a package, named by its folder below root, with the
// flags of the Makefile's build target. arch is a GOARCH.
func Build(ctx context.Context, root, pkg, arch, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags=lambda.norpc", "-trimpath", "-buildvcs=false",
		"-gcflags=carrierlink/...=-l", "-gcflags=github.com/aws/aws-sdk-go-v2/...=-l", "-gcflags=github.com/aws/smithy-go/...=-l",
		"-ldflags=-s -w -buildid=", "-o", out, "./"+pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// startWithin is how long a start may take on a busy machine. It usually takes a
// few hundredths of a second.
const startWithin = 2 * time.Minute

// Process is the running process of a function.
type Process struct {
	cmd    *exec.Cmd
	server *http.Server
	asked  chan struct{} // receives when the process asks for its next event
	next   chan event
	answer chan answer
	ended  chan struct{} // closed when the process has ended
}

type event struct {
	body     []byte
	deadline time.Time
}

type answer struct {
	body   []byte
	failed bool
}

// Start starts a binary with exactly these environment variables and its output in
// log. It returns when the process asks for its first event, with the time that
// this took.
func Start(ctx context.Context, file string, env []string, log io.Writer) (*Process, time.Duration, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, fmt.Errorf("listening: %w", err)
	}
	p := &Process{
		asked: make(chan struct{}, 1), next: make(chan event), answer: make(chan answer, 1), ended: make(chan struct{}),
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.runtimeAPI), ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }()
	p.cmd = exec.CommandContext(ctx, file)
	p.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		_ = p.server.Close()
		return nil, 0, fmt.Errorf("starting %s: %w", file, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	select {
	case <-p.asked:
		return p, time.Since(begin), nil
	case <-p.ended:
		p.Kill()
		return nil, 0, fmt.Errorf("%s ended before it asked for an event", file)
	case <-time.After(startWithin):
		p.Kill()
		return nil, 0, fmt.Errorf("%s did not ask for an event within %s", file, startWithin)
	}
}

// runtimeAPI serves the calls of the Runtime API that a function makes.
func (p *Process) runtimeAPI(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/invocation/next") {
		p.asked <- struct{}{}
		select {
		case e := <-p.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "11111111-2222-4333-8444-555555555555")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
			_, _ = w.Write(e.body)
		case <-r.Context().Done():
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	p.answer <- answer{body, strings.HasSuffix(r.URL.Path, "/error")}
}

// ErrKilled is the error of an invocation whose process ended before it
// answered.
var ErrKilled = errors.New("the process ended before it answered")

// Invoke passes an event to the function, which has until the deadline, and waits
// for its answer and for its request for the next event. It decodes the answer into
// out, unless out is nil. The error is ErrKilled if the process ended before that.
func (p *Process) Invoke(in any, deadline time.Time, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	select {
	case p.next <- event{body, deadline}:
	case <-p.ended:
		return ErrKilled
	}
	var a answer
	select {
	case a = <-p.answer:
	case <-p.ended:
		return ErrKilled
	}
	if a.failed {
		return fmt.Errorf("the function failed: %s", a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			return fmt.Errorf("decoding an answer: %w", err)
		}
	}
	select {
	case <-p.asked:
	case <-p.ended:
	}
	return nil
}

// PeakKiB returns the peak memory of the process in KiB.
func (p *Process) PeakKiB() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the peak memory: %w", err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		}
	}
	return 0, fmt.Errorf("no VmHWM of process %d", p.cmd.Process.Pid)
}

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.server.Close()
}
