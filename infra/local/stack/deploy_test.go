package stack

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
)

// TestReadTemplate checks that deployments are compared with the real template: every deployment would agree with an
// empty list.
func TestReadTemplate(t *testing.T) {
	root, err := emulator.Root()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for id, folder := range got.functions {
		if _, err := os.Stat(filepath.Join(root, "functions", folder, "main.go")); err != nil {
			t.Errorf("%s is built from functions/%s: %v", id, folder, err)
		}
	}
	folders, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.functions) != len(folders) {
		t.Errorf("the template has %d functions, functions/ has %d", len(got.functions), len(folders))
	}
	for _, route := range []string{"POST /v1/partners/accounts", "GET /{proxy+}", "OPTIONS /"} {
		if !slices.Contains(got.routes, route) {
			t.Errorf("routes = %q, want %s among them", got.routes, route)
		}
	}
	for function, rate := range map[string]string{"ScheduleRefreshFunction": "rate(1 minute)", "ReconcileFunction": "rate(15 minutes)"} {
		if !slices.Contains(got.schedules, schedule{function, rate}) {
			t.Errorf("schedules = %v, want %s at %s among them", got.schedules, function, rate)
		}
	}
	queues := map[string]queue{
		"RefreshQueue":           {visibilitySeconds: 180, deadLetters: "RefreshDeadLetterQueue", attempts: 5},
		"SandboxRefreshQueue":    {visibilitySeconds: 180, deadLetters: "RefreshDeadLetterQueue", attempts: 5},
		"ParcelQueue":            {visibilitySeconds: 360, deadLetters: "RefreshDeadLetterQueue", attempts: 5},
		"SandboxParcelQueue":     {visibilitySeconds: 360, deadLetters: "RefreshDeadLetterQueue", attempts: 5},
		"DeliveryQueue":          {visibilitySeconds: 240, deadLetters: "RefreshDeadLetterQueue", attempts: 5},
		"RefreshDeadLetterQueue": {},
		"MailQueue":              {visibilitySeconds: 360, deadLetters: "MailDeadLetterQueue", attempts: 5},
		"MailDeadLetterQueue":    {},
	}
	if diff := cmp.Diff(queues, got.queues, cmp.AllowUnexported(queue{})); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
	newEvents := []string{`{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"EVENTS#"}]}},"NewImage":{"type":{"S":[{"anything-but":["secret_read"]}]}}}}`}
	mappings := map[string]mapping{
		"RefreshMapping": {
			source: "RefreshQueue", function: "RefreshCarrierAccountFunction", batchSize: 10, responses: []string{"ReportBatchItemFailures"},
		},
		"SandboxRefreshMapping": {
			source: "SandboxRefreshQueue", function: "RefreshCarrierAccountFunction", batchSize: 10, responses: []string{"ReportBatchItemFailures"},
		},
		"ParcelMapping": {
			source: "ParcelQueue", function: "TrackParcelsFunction", batchSize: 10, responses: []string{"ReportBatchItemFailures"},
		},
		"SandboxParcelMapping": {
			source: "SandboxParcelQueue", function: "TrackParcelsFunction", batchSize: 10, responses: []string{"ReportBatchItemFailures"},
		},
		"EventsMapping": {
			source: "Table", function: "PublishEventsFunction", batchSize: 100, start: "TRIM_HORIZON", bisects: true, filters: newEvents,
		},
		"DeliveriesMapping": {
			source: "Table", function: "QueueDeliveriesFunction", batchSize: 100, start: "TRIM_HORIZON", bisects: true, filters: newEvents,
		},
		"DeliveryMapping": {
			source: "DeliveryQueue", function: "DeliverWebhookFunction", batchSize: 1, responses: []string{"ReportBatchItemFailures"},
		},
		"MailMapping": {
			source: "MailQueue", function: "SendMailFunction", batchSize: 5, responses: []string{"ReportBatchItemFailures"},
		},
	}
	if diff := cmp.Diff(mappings, got.mappings, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
}

// TestDeployedQueue: a queue without the properties that an emulator may ignore is refused. Both notations of a number
// are accepted.
func TestDeployedQueue(t *testing.T) {
	const policy = `{"deadLetterTargetArn":"arn:aws:sqs:ap-southeast-2:000000000000:dead","maxReceiveCount":5}`
	tests := []struct {
		name, visibility, policy, want string
	}{
		{"hidden too short", "30", policy, `a message is hidden for "30" s, want 180`},
		{"no policy", "180", "", "it has no redrive policy"},
		{"unreadable policy", "180", "{", "reading its redrive policy: unexpected end of JSON input"},
		{"other attempts", "180", strings.Replace(policy, ":5}", ":3}", 1), "it moves messages to"},
		{"another queue", "180", strings.Replace(policy, "dead\"", "other\"", 1), "it moves messages to"},
		{"as wanted", "180", policy, ""},
		{"the number as a string", "180", strings.Replace(policy, ":5}", `:"5"}`, 1), ""},
	}
	want := queue{visibilitySeconds: 180, deadLetters: "RefreshDeadLetterQueue", attempts: 5}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := want.check(map[string]string{"VisibilityTimeout": tc.visibility, "RedrivePolicy": tc.policy}, "http://127.0.0.1:1/000000000000/dead"); err != nil {
				got = err.Error()
			}
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
				t.Errorf("check() = %q, want %q", got, tc.want)
			}
		})
	}
}
