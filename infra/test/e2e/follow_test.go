package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// unlogged is what only AWS can show of following a request. TestFollow shows the rest.
var unlogged = []string{
	"records of the access log: both emulators make its log group, and drop the stage's setting",
	"the gateway's own 413, 429 and 5xx: both emulators pass every body, limit nothing, and answer a crash in their own words",
	"platform.report, Lambda's own line about an invocation, and its filter of levels",
}

// followed is a request, the function that serves it, and what its record must have.
type followed struct {
	request  request
	function string
	status   int
	level    string
	known    []string // ids that the record has
}

// One request can be followed by its id from the answer to the function's records.
func TestFollow(t *testing.T) {
	t.Parallel()
	m := newMerchant(t, sandbox)
	c := link(t, m, "australia_post", ausPostNumber("00"))
	broken := newMerchant(t, production)
	setItem(t, accountPK(broken.ID), keySK(broken.Key), item{"created_at": txt("not a time")})
	verifyIt := request{method: http.MethodPost, path: connectionPath("australia_post", c.CarrierID) + "/verify", key: m.Key}
	api.call(t, verifyIt).expect(t, http.StatusOK)
	linking := func(number string) request {
		return request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: linkBody(number)}
	}
	account := []string{"key_id", "partner_id", "account_id"}
	connection := append(slices.Clone(account), "carrier_id")
	for name, want := range map[string]followed{
		"200":                     {request{method: http.MethodGet, path: carrierPath(c.CarrierID), key: m.Key}, "list-carriers", http.StatusOK, "INFO", connection},
		"400":                     {request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: fields{}}, "link-carrier", http.StatusBadRequest, "INFO", account},
		"401":                     {request{method: http.MethodGet, path: "/v1/carriers", key: "nobody's key"}, "list-carriers", http.StatusUnauthorized, "INFO", nil},
		"404 of an unknown route": {request{method: http.MethodGet, path: "/v2/nothing"}, "describe-api", http.StatusNotFound, "INFO", nil},
		"413":                     {request{method: http.MethodPost, path: linkPath("australia_post"), key: m.Key, body: strings.Repeat(" ", 64<<10+1)}, "link-carrier", http.StatusRequestEntityTooLarge, "INFO", account},
		"429":                     {verifyIt, "manage-connections", http.StatusTooManyRequests, "INFO", connection},
		"500":                     {request{method: http.MethodGet, path: "/v1/carriers", key: broken.Key}, "list-carriers", http.StatusInternalServerError, "ERROR", nil},
		"502":                     {linking(ausPostNumber("50")), "link-carrier", http.StatusBadGateway, "WARN", account},
		"504, a timeout":          {linking(ausPostNumber("54")), "link-carrier", http.StatusGatewayTimeout, "WARN", account},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "429" { // the others may come long after the first check
				t.Parallel()
			}
			a := api.call(t, want.request)
			for range 2 { // on a busy machine the pause after the call before may be over
				if name == "429" && a.status == http.StatusOK {
					a = api.call(t, want.request)
				}
			}
			if a.status != want.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, want.status)
			}
			checkRecord(t, want, a.header.Get("X-Request-Id"))
		})
	}
	t.Run("access log", func(t *testing.T) {
		text, err := signed(t.Context(), "logs", "Logs_20140328.DescribeLogGroups", map[string]string{"logGroupNamePrefix": "/aws/apigateway/carrierlink-local"})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Groups []struct {
				Name string `json:"logGroupName"`
				Days int    `json:"retentionInDays"`
			} `json:"logGroups"`
		}
		days := 30
		if differs("keeps logs for good") {
			days = 0
		}
		if err := json.Unmarshal(text, &answer); err != nil || len(answer.Groups) != 1 || answer.Groups[0].Name != "/aws/apigateway/carrierlink-local" || answer.Groups[0].Days != days {
			t.Errorf("the log groups are %s (%v), want carrierlink-local's with %d days", text, err, days)
		}
	})
	t.Log("not shown here: " + strings.Join(unlogged, "; "))
}

// checkRecord finds the record of a request in its function's log, and checks its form.
func checkRecord(t *testing.T, want followed, id string) {
	t.Helper()
	lines := linesWith(t, want.function, id)
	var found []map[string]any
	for _, line := range lines {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("not JSON: %v: %s", err, line)
		}
		if record["request_id"] != id || !uuidForm.MatchString(fmt.Sprint(record["lambda_request_id"])) {
			t.Errorf("the record lacks an id: %s", line)
		}
		if record["msg"] == "request" {
			found = append(found, record)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d of %d records of %s are of the end of request %s, want 1", len(found), len(lines), want.function, id)
	}
	record := found[0]
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(record["timestamp"])); err != nil || record["level"] != want.level || record["status"] != float64(want.status) {
		t.Errorf("record %v, want level %s and status %d: %v", record, want.level, want.status, err)
	}
	for _, name := range []string{"key_id", "partner_id", "account_id", "carrier_id"} {
		if _, ok := record[name]; ok != slices.Contains(want.known, name) {
			t.Errorf("record %v: %s is there: %t", record, name, ok)
		}
	}
}

// linesWith waits until the function's log has the record of a request, which the emulator may write after the answer, and
// returns all lines with the id.
func linesWith(t *testing.T, function, id string) (lines []string) {
	t.Helper()
	eventually(t, time.Minute, function+" has logged no end of request "+id, func() bool {
		all, err := service.Logs(t.Context(), function)
		if err != nil {
			t.Fatal(err)
		}
		lines = slices.DeleteFunc(all, func(line string) bool { return !strings.Contains(line, id) })
		return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `"msg":"request"`) })
	})
	return lines
}
