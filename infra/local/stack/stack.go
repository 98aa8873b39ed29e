// Package stack runs the whole service on this machine, behind one address: the functions as they are built for AWS,
// deployed from template.yaml to an emulator by `sam deploy`, and a simulator of Australia Post. `make run`, `make demo`
// and the end-to-end tests use it.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrierlink/infra/local/emulator"
	"carrierlink/shared/auspost/simulator"
)

// Names of the emulators that a stack can run on.
const (
	MiniStack  = "ministack"
	LocalStack = "localstack"
)

// healthyWithin is how long the deployed API may take to answer GET /health, on a busy machine.
const healthyWithin = 2 * time.Minute

// The requests that a key may make in a minute: more than any test makes, and different, so that a function that confuses
// the two fails.
const (
	RateLimit        = 100_000
	SandboxRateLimit = 90_000
)

// Options say what Up runs. The zero value is usable: MiniStack, the simulator and a free port.
type Options struct {
	// Emulator is MiniStack or LocalStack. Empty: MiniStack.
	Emulator string
	// Dir is the directory for builds and logs. Empty: a temporary one, removed by Down.
	Dir string
	// Port is where the API is served on 127.0.0.1. 0: a free port.
	Port int
	// Log gets a line for each step. Nil: none.
	Log io.Writer
	// Carrier stands for Australia Post, under /shipping/v1. Nil: the simulator.
	Carrier http.Handler
	// RefusalGapSeconds is the template's parameter of that name. 0: 1 s, so that no test waits for it.
	RefusalGapSeconds int
	// LoneRefusalSeconds is the template's parameter of that name. 0: 1 s likewise.
	LoneRefusalSeconds int
	// ScheduleSpeed is the template's parameter of that name. 0: 1, as on AWS.
	ScheduleSpeed int
	// SchedulePasses is the template's SchedulePassesPerMinute. 0: 6, a pass every 10 s.
	SchedulePasses int
}

// Stack is a running service.
type Stack struct {
	// APIURL is the address of the API, for example http://127.0.0.1:8080, without a trailing slash.
	APIURL string
	// EmulatorURL is the address of the emulated AWS.
	EmulatorURL string
	// SimulatorURL is the carrier's base address that the functions use. It ends with /shipping/v1.
	SimulatorURL string
	Region       string
	// TableName, SecretPrefix and ServiceSecretARN are the stack's outputs.
	TableName        string
	SecretPrefix     string
	ServiceSecretARN string
	// RefreshQueueURL, SandboxRefreshQueueURL, DeliveryQueueURL and RefreshDeadLetterQueueURL are outputs too: the queues of
	// the scheduled checks of production and of sandbox accounts and of the deliveries, and the dead-letter queue of all.
	RefreshQueueURL           string
	SandboxRefreshQueueURL    string
	DeliveryQueueURL          string
	RefreshDeadLetterQueueURL string
	// MailQueueURL and MailDeadLetterQueueURL are outputs, too.
	MailQueueURL, MailDeadLetterQueueURL string
	// EventBusName is an output too.
	EventBusName string
	// FunctionNames maps the folder of each function, such as "link-carrier", to its deployed name.
	FunctionNames map[string]string

	dir        string
	temporary  bool
	emulator   *emulator.Process
	caught     *mailCatcher      // the mails, on LocalStack
	beside     bool              // the emulator belongs to another stack
	direct     bool              // the emulator needs no help at the front door
	parameters map[string]string // of the template
	servers    []*http.Server
	down       sync.Once
	downErr    error
}

// Up builds, deploys and serves the service, and returns when it answers. The caller must call Down in the end.
func Up(ctx context.Context, opts Options) (_ *Stack, err error) {
	steps := newSteps(opts.Log)
	root, err := emulator.Root()
	if err != nil {
		return nil, err
	}
	startEmulator, err := emulatorNamed(opts.Emulator)
	if err != nil {
		return nil, err
	}
	s := &Stack{Region: emulator.Region, dir: opts.Dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Down())
		}
	}()
	if s.dir == "" {
		s.temporary = true
		if s.dir, err = os.MkdirTemp("", "carrierlink-stack-"); err != nil {
			return nil, fmt.Errorf("starting the stack: %w", err)
		}
	}

	// The port comes first: a port in use should fail before the minutes of work, not after them.
	door, err := listen(ctx, opts.Port)
	if err != nil {
		return nil, fmt.Errorf("serving the API: %w", err)
	}
	defer func() {
		if err != nil {
			_ = door.Close()
		}
	}()
	s.APIURL = "http://" + door.Addr().String()

	carrier := opts.Carrier
	if carrier == nil {
		carrier = simulator.NewHandler(time.Now)
	}
	listener, err := listen(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("serving the simulator: %w", err)
	}
	s.serve(listener, carrier)
	s.SimulatorURL = "http://" + listener.Addr().String() + "/shipping/v1"
	steps.done("the simulator of Australia Post serves at %s", s.SimulatorURL)

	options := emulator.Options{Root: root, Dir: filepath.Join(s.dir, "emulator")}
	if opts.Emulator == LocalStack {
		if listener, err = listen(ctx, 0); err != nil {
			return nil, fmt.Errorf("serving the catcher of mails: %w", err)
		}
		s.caught = &mailCatcher{}
		s.serve(listener, s.caught)
		options.MailURL = "http://" + listener.Addr().String()
	}

	deployment := deployment{root: root, dir: s.dir, stackName: stackName}
	if err := inParallel(ctx,
		func(ctx context.Context) error {
			if err := deployment.build(ctx); err != nil {
				return err
			}
			steps.done("the functions are built")
			return nil
		},
		func(ctx context.Context) (err error) {
			if s.emulator, err = startEmulator(ctx, options); err != nil {
				return err
			}
			s.EmulatorURL = s.emulator.URL
			steps.done("the emulator runs at %s", s.EmulatorURL)
			return nil
		},
	); err != nil {
		return nil, err
	}

	s.direct, s.parameters = opts.Emulator == LocalStack, map[string]string{
		"Stage":                     "local",
		"Architecture":              Architecture(),
		"AusPostBaseUrl":            s.SimulatorURL,
		"PublicUrl":                 s.APIURL,
		"RateLimitPerMinute":        strconv.Itoa(RateLimit),
		"SandboxRateLimitPerMinute": strconv.Itoa(SandboxRateLimit),
		"SandboxRefreshesPerMinute": "600",
		"CarrierCallsPerMinute":     "1000000",
		"LinksPerMinute":            "1000000",
		"MaxConnectionsPerAccount":  "1000000",
		"MaxDuplicatesPerNumber":    "1000000",
		"MaxLinksPerDay":            "1000000",
		"RefusalGapSeconds":         strconv.Itoa(cmp.Or(opts.RefusalGapSeconds, 1)),
		"LoneRefusalSeconds":        strconv.Itoa(cmp.Or(opts.LoneRefusalSeconds, 1)),
		"ScheduleSpeed":             strconv.Itoa(cmp.Or(opts.ScheduleSpeed, 1)),
		"SchedulePassesPerMinute":   strconv.Itoa(cmp.Or(opts.SchedulePasses, 6)),
		"WebhookAllowLoopback":      "true",
		"MailFrom":                  mailFrom,
	}
	if err := s.account().makeBucket(ctx); err != nil {
		return nil, err
	}
	if err := s.verifySender(ctx); err != nil {
		return nil, err
	}
	if err := s.deploy(ctx, deployment, door, steps); err != nil {
		return nil, err
	}
	return s, nil
}

// deploy deploys template.yaml with the stack's parameters and serves its API.
func (s *Stack) deploy(ctx context.Context, d deployment, door net.Listener, steps *steps) error {
	d.account, d.idle = s.account(), s.parameters["BackgroundWork"] == "disabled"
	deployed, err := d.deploy(ctx, s.parameters)
	if err != nil {
		return err
	}
	s.TableName = deployed.outputs["TableName"]
	s.SecretPrefix = deployed.outputs["SecretPrefix"]
	s.ServiceSecretARN = deployed.outputs["ServiceSecretArn"]
	s.RefreshQueueURL = deployed.outputs["RefreshQueueUrl"]
	s.SandboxRefreshQueueURL = deployed.outputs["SandboxRefreshQueueUrl"]
	s.DeliveryQueueURL = deployed.outputs["DeliveryQueueUrl"]
	s.RefreshDeadLetterQueueURL = deployed.outputs["RefreshDeadLetterQueueUrl"]
	s.MailQueueURL, s.MailDeadLetterQueueURL = deployed.outputs["MailQueueUrl"], deployed.outputs["MailDeadLetterQueueUrl"]
	s.EventBusName = deployed.outputs["EventBusName"]
	s.FunctionNames = deployed.functions
	steps.done("template.yaml is deployed: %d functions, %d routes", len(deployed.functions), deployed.routes)

	stage, err := url.Parse(s.EmulatorURL + "/_aws/execute-api/" + deployed.outputs["ApiId"] + "/live")
	if err != nil {
		return fmt.Errorf("serving the API: %w", err)
	}
	s.serve(door, s.withOwnPages(frontDoor(stage, !s.direct)))
	if err := s.waitHealthy(ctx); err != nil {
		return err
	}
	steps.done("the API answers at %s", s.APIURL)
	return nil
}

// Beside deploys the same build once more to the same account, as a stack of another name, with some other parameters. The
// emulator ends with the first stack; Down of this one only stops serving.
func (s *Stack) Beside(ctx context.Context, name string, parameters map[string]string) (*Stack, error) {
	root, err := emulator.Root()
	if err != nil {
		return nil, err
	}
	door, err := listen(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("serving the API: %w", err)
	}
	other := &Stack{
		APIURL: "http://" + door.Addr().String(), EmulatorURL: s.EmulatorURL, SimulatorURL: s.SimulatorURL, Region: s.Region,
		dir: s.dir, emulator: s.emulator, caught: s.caught, beside: true, direct: s.direct, parameters: maps.Clone(s.parameters),
	}
	maps.Copy(other.parameters, parameters)
	other.parameters["PublicUrl"] = other.APIURL
	if err := other.deploy(ctx, deployment{root: root, dir: s.dir, stackName: name}, door, newSteps(nil)); err != nil {
		return nil, errors.Join(err, door.Close(), other.Down())
	}
	return other, nil
}

func (s *Stack) account() account { return account{url: s.EmulatorURL, config: s.AWSConfig()} }

// AWSConfig returns the configuration of SDK clients that act as the root user of the emulated account.
func (s *Stack) AWSConfig() aws.Config { return emulator.Config(s.EmulatorURL) }

// Environment returns this process's environment with the emulated AWS account instead of any other, for programs that
// use AWS.
func (s *Stack) Environment() []string { return awsEnvironment(s.EmulatorURL) }

// Done is closed when the emulator has ended, by Down or unexpectedly.
func (s *Stack) Done() <-chan struct{} { return s.emulator.Done() }

// Down stops everything that Up started and waits for its end. It may be called more than once.
func (s *Stack) Down() error {
	s.down.Do(func() {
		var errs []error
		for _, server := range s.servers {
			errs = append(errs, server.Close())
		}
		if s.emulator != nil && !s.beside {
			errs = append(errs, s.emulator.Stop())
		}
		if s.temporary {
			errs = append(errs, os.RemoveAll(s.dir))
		}
		if err := errors.Join(errs...); err != nil {
			s.downErr = fmt.Errorf("stopping the stack: %w", err)
		}
	})
	return s.downErr
}

func (s *Stack) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }()
}

func (s *Stack) waitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthyWithin, fmt.Errorf("it did not answer 200 within %s", healthyWithin))
	defer cancel()
	last := "no answer"
	for {
		status, body, err := get(ctx, s.APIURL+"/health")
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err == nil {
			last = fmt.Sprintf("%d %s", status, body)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for GET /health: %w; it answered: %s", context.Cause(ctx), last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func emulatorNamed(name string) (func(context.Context, emulator.Options) (*emulator.Process, error), error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("the local stack runs the functions as processes of this machine, so it needs Linux: use a Linux container or virtual machine")
	}
	switch name {
	case "", MiniStack:
		return emulator.StartMiniStack, nil
	case LocalStack:
		return emulator.StartLocalStack, nil
	default:
		return nil, fmt.Errorf("there is no emulator %q: EMULATOR is %s or %s", name, MiniStack, LocalStack)
	}
}

// Architecture returns the template's name of this machine's architecture, because the functions run here.
func Architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, body, err
}

// inParallel runs all tasks, cancels the others when one fails, and returns the first error when all have ended.
func inParallel(ctx context.Context, tasks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, task := range tasks {
		group.Go(func() {
			if err := task(ctx); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// steps prints what has been done, and how long after the start.
type steps struct {
	mu    sync.Mutex
	to    io.Writer
	start time.Time
}

func newSteps(to io.Writer) *steps {
	if to == nil {
		to = io.Discard
	}
	return &steps{to: to, start: time.Now()}
}

func (s *steps) done(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.to, "%5.1f s  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}
