package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/boot"
	"carrierlink/shared/refresh"
)

// failing is a worker whose messages of certain bodies come again.
type failing struct {
	bad []string
	got []refresh.Received
}

func (w *failing) Batch(_ context.Context, batch []refresh.Received) (failed []string) {
	w.got = batch
	for _, r := range batch {
		for _, bad := range w.bad {
			if r.Body == bad {
				failed = append(failed, r.ID)
			}
		}
	}
	return failed
}

func TestWork(t *testing.T) {
	for _, tc := range []struct{ name, bad, want string }{
		{"all fail", "abc", `{"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":"2"},{"itemIdentifier":"3"}]}`},
		{"one fails", "b", `{"batchItemFailures":[{"itemIdentifier":"2"}]}`},
		{"none fails", "", `{"batchItemFailures":[]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &failing{bad: strings.Split(tc.bad, "")}
			h := &handler{worker: w}
			var event events.SQSEvent
			const text = `{"Records":[{"messageId":"1","body":"a"},{"messageId":"2","body":"b"},{"messageId":"3","body":"c"}]}`
			if err := json.Unmarshal([]byte(text), &event); err != nil {
				t.Fatal(err)
			}
			resp, err := h.work(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(resp)
			if err != nil || string(got) != tc.want {
				t.Errorf("work = %s, %v, want %s", got, err, tc.want)
			}
			if diff := cmp.Diff([]refresh.Received{{ID: "1", Body: "a"}, {ID: "2", Body: "b"}, {ID: "3", Body: "c"}}, w.got); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWire: every setting that is missing is told by name, all at once; with all
// of them there is a handler, and nobody was called.
func TestWire(t *testing.T) {
	settings := []string{
		"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "SECRET_PREFIX", "AUSPOST_BASE_URL",
		"REFUSAL_GAP_SECONDS", "SCHEDULE_SPEED",
	}
	empty := boot.NewEnv(func(string) string { return "" })
	wire(empty)
	full := map[string]string{}
	for _, name := range settings {
		if err := empty.Err(); err == nil || !strings.Contains(err.Error(), name+" is not set") {
			t.Errorf("%s is not missed: %v", name, err)
		}
		full[name] = "1"
	}
	full["AUSPOST_BASE_URL"] = "https://carrier.example/shipping/v1"
	env := boot.NewEnv(func(name string) string { return full[name] })
	if handler := wire(env); handler == nil || env.Err() != nil {
		t.Errorf("wire = %v, %v", handler, env.Err())
	}
}
