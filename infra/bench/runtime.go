package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// runtime is the AWS Lambda Runtime API for one bootstrap process at a time.
type runtime struct {
	listener net.Listener
	asked    chan struct{} // the process asked for its next event
	next     chan []byte
	answers  chan []byte
}

func newRuntime(ctx context.Context) (*runtime, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	r := &runtime{listener: listener, asked: make(chan struct{}, 1), next: make(chan []byte), answers: make(chan []byte)}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return r, nil
}

// ServeHTTP speaks the two calls of the Runtime API that a bootstrap makes.
func (r *runtime) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasSuffix(req.URL.Path, "/invocation/next") {
		r.asked <- struct{}{}
		select {
		case event := <-r.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "11111111-2222-4333-8444-555555555555")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(28*time.Second).UnixMilli(), 10))
			_, _ = w.Write(event)
		case <-req.Context().Done():
		}
		return
	}
	body, _ := io.ReadAll(req.Body)
	w.WriteHeader(http.StatusAccepted)
	r.answers <- body
}

// process is a running bootstrap.
type process struct {
	cmd *exec.Cmd
	r   *runtime
}

// start runs a bootstrap with an environment and returns once it asks for its
// first event, with how long that took.
func (r *runtime) start(ctx context.Context, file string, env []string) (*process, time.Duration, error) {
	cmd := exec.CommandContext(ctx, file)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + r.listener.Addr().String()}, env...)
	cmd.Stderr = os.Stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("starting %s: %w", file, err)
	}
	p := &process{cmd, r}
	select {
	case <-r.asked:
		return p, time.Since(begin), nil
	case <-time.After(10 * time.Second):
		p.kill()
		return nil, 0, fmt.Errorf("%s did not ask for an event", file)
	}
}

// invoke hands an event over, waits for the answer and for the next question.
func (p *process) invoke(event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	var resp events.APIGatewayProxyResponse
	b, err := json.Marshal(event)
	if err != nil {
		return resp, fmt.Errorf("encoding an event: %w", err)
	}
	p.r.next <- b
	if err := json.Unmarshal(<-p.r.answers, &resp); err != nil {
		return resp, fmt.Errorf("decoding an answer: %w", err)
	}
	<-p.r.asked
	return resp, nil
}

// peakKiB is the most memory that the process ever held.
func (p *process) peakKiB() (int64, error) {
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

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
