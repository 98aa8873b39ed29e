package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/app"
	"carrierlink/shared/httpapi"
	"carrierlink/shared/invocation"
)

// captureLog returns what the default logger writes at INFO and above.
func captureLog(t *testing.T) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(invocation.NewLogger(&out, slog.LevelInfo))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &out
}

func invoked(ctx context.Context) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "the invocation"})
}

// TestGuardFailures: a failed invocation of a function of whatever event fails the
// invocation, is logged once, with Lambda's id, and shows no value of a panic.
func TestGuardFailures(t *testing.T) {
	const canary = "hunter2-canary-7f3a"
	long := strings.Repeat("x", 300<<10)
	for name, tc := range map[string]struct {
		handler any
		payload string
		want    string
	}{
		"a panic, API": {func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
			panic(canary)
		}, `{}`, "panic: string"},
		"a panic, queue":    {func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) { panic(errors.New(canary)) }, `{}`, "panic: *errors.errorString"},
		"a panic, rule":     {func(context.Context) (map[string]int, error) { panic(struct{ s string }{canary}) }, `{}`, "panic: struct { s string }"},
		"a panic, operator": {func(context.Context, struct{ Name string }) (*string, error) { var p *string; return new(*p), nil }, `{}`, "panic: runtime error: invalid memory address"},
		"an error":          {func(context.Context) error { return errors.New("no such table") }, `{}`, "no such table"},
		"a long error":      {func(context.Context) error { return errors.New(long) }, `{}`, "… (cut, 307200 bytes)"},
		"a payload":         {func(context.Context, struct{ Name string }) error { return nil }, `[`, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			log := captureLog(t)
			answer, err := app.Guard(tc.handler).Invoke(invoked(t.Context()), []byte(tc.payload))
			if err == nil || answer != nil {
				t.Fatalf("Invoke = %q, %v, want an error", answer, err)
			}
			var record struct {
				Level           string `json:"level"`
				LambdaRequestID string `json:"lambda_request_id"`
				Error           string `json:"error"`
			}
			if err := json.Unmarshal(log.Bytes(), &record); err != nil {
				t.Fatalf("want one record: %v\n%.2000s", err, log)
			}
			if record.Level != "ERROR" || record.LambdaRequestID != "the invocation" || record.Error != err.Error() {
				t.Errorf("record %.300v, error %.300v", record, err)
			}
			if !strings.Contains(record.Error, tc.want) || strings.Contains(record.Error, canary) || len(record.Error) > 16<<10 {
				t.Errorf("error %.500s, want %q", record.Error, tc.want)
			}
		})
	}
}

// TestGuard passes a good answer on, and ends the context before Lambda ends the process.
func TestGuard(t *testing.T) {
	log := captureLog(t)
	end := time.Now().Add(28 * time.Second)
	ctx, cancel := context.WithDeadline(invoked(t.Context()), end)
	defer cancel()
	answer, err := app.Guard(func(ctx context.Context, in struct{ N int }) (map[string]int, error) {
		slog.InfoContext(ctx, "hello")
		if got, _ := ctx.Deadline(); !got.Equal(end.Add(-1500 * time.Millisecond)) {
			t.Errorf("the context ends at %v, Lambda at %v", got, end)
		}
		return map[string]int{"n": in.N + 1}, nil
	}).Invoke(ctx, []byte(`{"N":1}`))
	if err != nil || strings.TrimSpace(string(answer)) != `{"n":2}` {
		t.Errorf("Invoke = %s, %v", answer, err)
	}
	if !strings.Contains(log.String(), `"msg":"hello","lambda_request_id":"the invocation"`) {
		t.Errorf("the record lacks Lambda's id: %s", log)
	}
}

// TestSlowAWS: an AWS that does not answer costs an attempt, and in the end a 503 that comes
// before Lambda ends the process.
func TestSlowAWS(t *testing.T) {
	const lambda, margin, attempt = 28 * time.Second, 1500 * time.Millisecond, 5 * time.Second
	for name, tc := range map[string]struct {
		time        time.Duration // of the invocation
		slow        int64         // calls that are not answered at once
		after       time.Duration // when they are
		status      int
		least, most time.Duration
		calls       int64
	}{
		"one call hangs":             {lambda, 1, time.Minute, http.StatusOK, attempt, lambda - margin, 2},
		"every answer takes 10 s":    {lambda, 100, 10 * time.Second, http.StatusServiceUnavailable, 3 * attempt, lambda - margin, 3},
		"no answer, and little time": {4 * time.Second, 100, time.Minute, http.StatusServiceUnavailable, 2500 * time.Millisecond, time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			stop := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) <= tc.slow {
					select {
					case <-time.After(tc.after):
					case <-r.Context().Done():
					case <-stop:
					}
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				_, _ = w.Write([]byte(`{}`))
			}))
			t.Cleanup(s.Close)
			t.Cleanup(func() { close(stop) })
			db := dynamodb.NewFromConfig(env(map[string]string{
				"AWS_REGION": "ap-southeast-2", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": s.URL,
			}).AWS(), func(o *dynamodb.Options) { o.BaseEndpoint = &s.URL })
			api := &httpapi.API{Log: slog.New(slog.DiscardHandler), Routes: []httpapi.Route{{
				Method: http.MethodGet, Resource: "/", Handler: func(ctx context.Context, _ *httpapi.Request) (*httpapi.Response, error) {
					if _, err := db.ListTables(ctx, nil); err != nil {
						return nil, err
					}
					return httpapi.JSON(http.StatusOK, "fine"), nil
				},
			}}}
			start := time.Now()
			ctx, cancel := context.WithDeadline(t.Context(), start.Add(tc.time))
			defer cancel()
			text, err := app.Guard(api.Serve).Invoke(ctx, []byte(`{"httpMethod":"GET","resource":"/"}`))
			took := time.Since(start)
			var answer events.APIGatewayProxyResponse
			if err != nil || json.Unmarshal(text, &answer) != nil {
				t.Fatalf("Invoke = %s, %v", text, err)
			}
			if answer.StatusCode != tc.status || took < tc.least || took > tc.most || calls.Load() != tc.calls {
				t.Errorf("%d after %v and %d calls, want %d after %v to %v and %d calls", answer.StatusCode, took, calls.Load(), tc.status, tc.least, tc.most, tc.calls)
			}
			if tc.status == http.StatusOK {
				return
			}
			var envelope httpapi.Envelope
			if err := json.Unmarshal([]byte(answer.Body), &envelope); err != nil || !envelope.Errors[0].Retryable || answer.Headers["Retry-After"] != "5" {
				t.Errorf("%v, headers %v: %s", err, answer.Headers, answer.Body)
			}
		})
	}
}
