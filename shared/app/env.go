// Package app starts a function: it reads the settings from the environment and makes the
// logger and the AWS configuration. It makes no remote call. Package app/construct builds
// the parts of functions.
package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"carrierlink/shared/invocation"
	"carrierlink/shared/metrics"
)

// Main wires a function and serves events until the runtime ends the process. wire returns
// a handler for lambda.Start. If settings are wrong, Main logs all of them by name and
// exits.
func Main(wire func(env *Env) any) {
	env := NewEnv(os.Getenv)
	slog.SetDefault(invocation.NewLogger(os.Stdout, env.LogLevel()))
	log.SetOutput(runtimeLog{})
	handler := wire(env)
	if err := env.Err(); err != nil {
		slog.Error("some settings are missing or wrong", slog.String("error", err.Error()))
		os.Exit(1)
	}
	lambda.Start(Guard(handler))
}

// runtimeLog logs what the runtime's package prints, such as why it ends the process. It
// drops its report of a failed invocation, which Guard has logged.
type runtimeLog struct{}

func (runtimeLog) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte(`{"errorMessage"`)) {
		slog.Error("the Lambda runtime", slog.String("error", string(bytes.TrimSpace(p))))
	}
	return len(p), nil
}

// Guard makes the Lambda handler of a function. The invocation's context ends
// invocation.Margin before Lambda ends the process. A panic fails the invocation and
// not the process; its value, which may be a secret, gets nowhere. Each failure is
// logged once. Every log record has the lambda_request_id.
//
// One process serves one invocation at a time, as Lambda does: the answer's bytes are
// reused by the next one.
func Guard(handler any) lambda.Handler { return &guard{lambda.NewHandler(handler)} }

type guard struct{ lambda.Handler }

func (g *guard) Invoke(ctx context.Context, payload []byte) (answer []byte, err error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-invocation.Margin))
		defer cancel()
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		ctx = invocation.With(ctx, slog.String("lambda_request_id", lc.AwsRequestID))
	}
	defer func() {
		if v := recover(); v != nil {
			answer, err = nil, invocation.Panicked(v)
		}
		if err != nil {
			text := invocation.Cut(err.Error())
			slog.ErrorContext(ctx, "the invocation failed", slog.String("error", text))
			err = errors.New(text) // Lambda and X-Ray get it
		}
	}()
	return g.Handler.Invoke(ctx, payload)
}

// Env reads settings and collects their problems.
type Env struct {
	get      func(string) string
	problems []error
}

// NewEnv reads settings through get, which is os.Getenv outside tests.
func NewEnv(get func(string) string) *Env { return &Env{get: get} }

// Err returns the problems of all settings that were read; nil if there are none.
func (e *Env) Err() error { return errors.Join(e.problems...) }

// Text returns a required setting.
func (e *Env) Text(name string) string {
	v := e.get(name)
	if v == "" {
		e.problems = append(e.problems, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Optional returns a setting that may be missing.
func (e *Env) Optional(name string) string { return e.get(name) }

// OptionalURL returns a URL that may be missing. It has no trailing slash, query or
// fragment, because paths are appended to it.
func (e *Env) OptionalURL(name string) string {
	v := e.get(name)
	u, err := url.Parse(v)
	if v != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(v, "?# ") || strings.HasSuffix(v, "/")) {
		e.problems = append(e.problems, fmt.Errorf("%s must be an address such as https://api.example.com", name))
	}
	return v
}

// Count returns a positive whole number.
func (e *Env) Count(name string) int {
	v := e.Text(name)
	n, err := strconv.Atoi(v)
	if v != "" && (err != nil || n < 1) {
		e.problems = append(e.problems, fmt.Errorf("%s must be a positive whole number", name))
	}
	return n
}

// Switch returns a setting that is on or off.
func (e *Env) Switch(name string) bool {
	v := e.Text(name)
	if v != "" && v != "on" && v != "off" {
		e.problems = append(e.problems, fmt.Errorf("%s must be on or off", name))
	}
	return v == "on"
}

// Seconds returns a duration, set as a positive number of seconds.
func (e *Env) Seconds(name string) time.Duration { return time.Duration(e.Count(name)) * time.Second }

// LogLevel reads LOG_LEVEL: DEBUG, INFO (the default), WARN or ERROR.
func (e *Env) LogLevel() slog.Level {
	var level slog.Level
	if v := e.get("LOG_LEVEL"); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			e.problems = append(e.problems, errors.New("LOG_LEVEL must be DEBUG, INFO, WARN or ERROR"))
		}
	}
	return level
}

// AWS returns the configuration of the SDK's clients. It does not use the SDK's default
// chain, which makes functions half as large again and slower to start
// (infra/docs/decisions/0005). It honours AWS_ENDPOINT_URL_<SERVICE> and
// AWS_ENDPOINT_URL, in this order.
func (e *Env) AWS() aws.Config {
	region := e.Text("AWS_REGION")
	// Lambda's credentials outlive the execution environment, so they are never refreshed.
	credentials := aws.Credentials{
		AccessKeyID: e.Text("AWS_ACCESS_KEY_ID"), SecretAccessKey: e.Text("AWS_SECRET_ACCESS_KEY"), SessionToken: e.get("AWS_SESSION_TOKEN"),
		Source: "environment",
	}
	cfg := aws.Config{
		Region:        region,
		Credentials:   aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		ConfigSources: []any{endpoints{e.get}},
		HTTPClient:    awshttp.NewBuildableClient().WithTimeout(attemptTimeout),
	}
	if url := e.get("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = aws.String(url)
	}
	return cfg
}

// attemptTimeout is the time of one attempt of a call of AWS, from the connection to the
// last byte of the answer. The SDK makes three attempts, with pauses of up to three
// seconds in all: so they end before an invocation of 28 s does.
const attemptTimeout = 5 * time.Second

// endpoints provides the SDK with the endpoints of single services.
type endpoints struct{ get func(string) string }

// GetServiceBaseEndpoint reads AWS_ENDPOINT_URL_<SERVICE>, such as
// AWS_ENDPOINT_URL_SECRETS_MANAGER.
func (p endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (string, bool, error) {
	url := p.get("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	return url, url != "", nil
}

// Check adds a problem that another package found with a setting; err may be nil.
func (e *Env) Check(name string, err error) {
	if err != nil {
		e.problems = append(e.problems, fmt.Errorf("%s: %w", name, err))
	}
}

// Metrics reads STAGE.
func (e *Env) Metrics() metrics.Recorder {
	return metrics.Recorder{Stage: e.Text("STAGE"), Now: time.Now}
}
