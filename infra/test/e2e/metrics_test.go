package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/infra/local/emf"
	"carrierlink/infra/local/stack"
	"carrierlink/shared/metrics"
)

// awsMetrics are the metrics in alarms that AWS's services make, with the names of their dimensions. No emulator makes them.
var awsMetrics = []string{
	"AWS/ApiGateway 5XXError ApiName Stage",
	"AWS/Lambda ClaimedAccountConcurrency",
	"AWS/Lambda Errors",
	"AWS/Lambda Invocations FunctionName",
	"AWS/Lambda IteratorAge FunctionName", "AWS/Lambda Throttles",
	"AWS/SQS ApproximateAgeOfOldestMessage QueueName",
	"AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName",
	"AWS/SQS ApproximateNumberOfMessagesVisible QueueName",
}

// notHere are the metrics of ours that no emulator can cause: none throttles. TestThrottled of shared/store and shared/vault
// sees them.
var notHere = []string{"carrierlink Throttles{Stage=local}"}

// TestAlarmsWatchWhatIsMade: every metric of ours that an alarm watches is in the logs of the deployed functions, with
// exactly this namespace, name and these dimensions.
func TestAlarmsWatchWhatIsMade(t *testing.T) {
	t.Parallel()
	alarms, err := stack.Alarms()
	if err != nil {
		t.Fatal(err)
	}
	causeMetrics(t)
	var watched, aws []string
	for _, id := range slices.Sorted(maps.Keys(alarms)) {
		for _, m := range alarms[id].Metrics {
			if m.Namespace == metrics.Namespace {
				watched = append(watched, m.Key())
			} else {
				aws = append(aws, strings.Join(append([]string{m.Namespace, m.Name}, slices.Sorted(maps.Keys(m.Dimensions))...), " "))
			}
		}
	}
	slices.Sort(aws)
	if aws = slices.Compact(aws); !slices.Equal(aws, awsMetrics) {
		t.Errorf("alarms watch these metrics of AWS: %q, want %q", aws, awsMetrics)
	}
	made := map[string]bool{}
	waitFor(t, time.Minute, func() (missing string) {
		all, err := service.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all.Series() {
			made[s.Key()] = true
		}
		return strings.Join(slices.DeleteFunc(slices.Clone(watched), func(key string) bool { return made[key] || slices.Contains(notHere, key) }), ", ")
	})
	for _, key := range notHere {
		if made[key] || !slices.Contains(watched, key) {
			t.Errorf("%s: made %t, watched %t: it is no exception", key, made[key], slices.Contains(watched, key))
		}
	}
	t.Logf("%d series were made", len(made))
}

// causeMetrics causes each metric that an alarm watches.
func causeMetrics(t *testing.T) {
	t.Helper()
	m := newMerchant(t, production)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	for _, path := range []string{readPath(c.CarrierID), "/v1/carriers"} {
		a := api.call(t, request{method: http.MethodGet, path: path, key: m.Key})
		a.expect(t, http.StatusOK)
	}
	if shown := page(t, http.MethodGet, "/portal/sign-in", nil, ""); shown.status != http.StatusOK {
		t.Errorf("the page for signing in: %d", shown.status)
	}
	refused := api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: "cl_live_none"})
	refused.expect(t, http.StatusUnauthorized, problem{"security", "unauthorized", "", ""})
	// A row that cannot be read is our fault: of a request, and of a scheduled check. The check is a control check, whose
	// message does not come again; it comes past the queue.
	broken := newMerchant(t, production)
	row := getItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID)
	setItem(t, accountPK(broken.ID), keySK(broken.Key), item{"created_at": txt("not a time")})
	setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"created_at": txt("not a time")})
	defer setItem(t, accountPK(m.ID), "CARRIER#"+c.CarrierID, item{"created_at": row["created_at"]})
	a := api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: broken.Key})
	a.expect(t, http.StatusInternalServerError, problem{"system", "unspecified", "", ""})
	body := fmt.Sprintf(`{"account_id":%d,"carrier_id":%q,"lane":"australia_post","control":true}`, m.ID, c.CarrierID)
	event := map[string]any{"Records": []map[string]string{{"messageId": "1", "body": body}, {"messageId": "2", "body": "not a message"}}}
	if _, err := service.Invoke(t.Context(), "refresh-carrier-account", event); err != nil {
		t.Fatal(err)
	}
	disableWebhook(t, m)
	pass(t)
	if _, err := service.Invoke(t.Context(), "reconcile", map[string]any{}); err != nil {
		t.Logf("reconcile: %v", err) // it may find what other tests have broken
	}
}

// disableWebhook has a webhook disabled whose receiver, where nobody listens, seems to have failed for five days.
func disableWebhook(t *testing.T, m merchant) {
	t.Helper()
	a := api.call(t, request{method: http.MethodPost, path: webhooksPath, key: m.Key, body: fields{"url": "http://127.0.0.1:9/", "event": quietEvent}})
	a.expect(t, http.StatusOK)
	id := decode[hookBody](t, a).WebhookID
	runs, day := itemKey(webhookPK(m, id), "STATE"), 24*time.Hour
	maps.Copy(runs, item{
		"failing_since": num(time.Now().Add(-6 * day).UnixMilli()), "failed_at": num(time.Now().Add(-day / 2).UnixMilli()), "failures": num(9),
		"expires_at": num(time.Now().Add(day).Unix()),
	})
	if _, err := table().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &service.TableName, Item: runs}); err != nil {
		t.Fatal(err)
	}
	a = api.call(t, request{method: http.MethodPost, path: webhooksPath + "/" + id + "/test", key: m.Key})
	a.expect(t, http.StatusAccepted)
}

// TestLocalMetrics: the local stack shows the same figures as a table, and nothing of it is a caller's text, whatever the
// names of accounts.
func TestLocalMetrics(t *testing.T) {
	t.Parallel()
	const odd = `Zoë & Söhne "Shop", {Stage}`
	name, err := json.Marshal(odd)
	if err != nil {
		t.Fatal(err)
	}
	a := api.call(t, request{method: http.MethodPost, path: accountsPath, key: production.APIKey, body: `{"company_name":` + string(name) + `}`})
	a.expect(t, http.StatusOK)
	known := stack.Made()
	waitFor(t, time.Minute, func() string {
		const creation = "Latency Route=accounts,Stage=local"
		text, found := localMetrics(t), false
		for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
			columns := strings.Fields(line)
			if len(columns) != 10 || !known[emf.Key(metrics.Namespace, columns[0], columns[1])] {
				t.Errorf("a line is %q", line)
				continue
			}
			found = found || columns[0]+" "+columns[1] == creation
		}
		if strings.Contains(text, "Zo") {
			t.Errorf("the table has a name:\n%s", text)
		}
		if found {
			return ""
		}
		return creation
	})
}

// localMetrics reads the table of the local stack.
func localMetrics(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.APIURL+stack.MetricsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, status, err := send(req)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s = %d, %v: %s", req.URL, status, err, text)
	}
	return string(text)
}
