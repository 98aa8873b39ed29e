package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/stack"
)

// operatedPartner is a part of all answers of operate-partner.
type operatedPartner struct {
	PartnerID  int64   `json:"partner_id"`
	DisabledAt *string `json:"disabled_at"`
	Changed    bool    `json:"changed"`
	APIKeyID   int64   `json:"api_key_id"`
	Key        string  `json:"encrypted_api_key"`
	Partners   []struct {
		PartnerID int64 `json:"partner_id"`
	} `json:"partners"`
	Next    *int64 `json:"next"`
	APIKeys []struct {
		APIKeyID int64    `json:"api_key_id"`
		Scopes   []string `json:"scopes"`
	} `json:"api_keys"`
}

const operatorName = "jo@example.com"

// operate runs a command of the operator; members are names and values by turns.
func operate(t *testing.T, command string, members ...any) (operatedPartner, error) {
	t.Helper()
	body, err := service.Invoke(t.Context(), "operate-partner", fields{"command": command, "operator": operatorName}.with(members...))
	if err != nil {
		return operatedPartner{}, err
	}
	var answer operatedPartner
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v: %s", command, err, body)
	}
	if answer.Key != "" {
		api.secrets.add(answer.Key)
	}
	return answer, nil
}

func mustOperate(t *testing.T, command string, members ...any) operatedPartner {
	t.Helper()
	answer, err := operate(t, command, members...)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return answer
}

// partnerAnswers checks what a partner's key answers on a partner route.
func partnerAnswers(t *testing.T, what, key string, status int, problems ...problem) {
	t.Helper()
	a := api.call(t, request{method: http.MethodGet, path: accountsPath, key: key})
	a.expect(t, status, problems...)
	if t.Failed() {
		t.Fatalf("the last answer was for %s", what)
	}
}

// TestOperatorsCommands runs the commands of operate-partner in the order in which somebody uses them whose partner has
// lost a key, and checks what the keys can do after each, and what was recorded in the end.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	p, err := service.CreatePartner(t.Context(), "Operated", "production")
	if err != nil {
		t.Fatal(err)
	}
	api.secrets.add(p.APIKey)
	m := newMerchant(t, p)
	id := []any{"partner_id", p.ID}
	with := func(members ...any) []any { return append(slices.Clone(id), members...) }

	if _, err := operate(t, "disable_partner", "partner_id", "x"); err == nil || !strings.Contains(err.Error(), "partner_id") {
		t.Errorf("a wrong partner_id: %v", err)
	}
	if got := mustOperate(t, "disable_partner", id...); !got.Changed || got.DisabledAt == nil {
		t.Errorf("disable_partner = %+v", got)
	}
	partnerAnswers(t, "a disabled partner", p.APIKey, http.StatusForbidden, inactive)
	api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: p.APIKey, header: [][2]string{{"On-Behalf-Of", strconv.FormatInt(m.ID, 10)}}}).
		expect(t, http.StatusForbidden, inactive)
	api.call(t, request{method: http.MethodGet, path: "/v1/carriers", key: m.Key}).expect(t, http.StatusOK)

	first := mustOperate(t, "list_keys", id...).APIKeys[0].APIKeyID
	lost := mustOperate(t, "rotate_key", with("api_key_id", first, "grace_period_seconds", 0)...)
	if got := mustOperate(t, "disable_partner", id...); got.Changed {
		t.Error("disable_partner twice changes something")
	}
	partnerAnswers(t, "a key of a disabled partner", lost.Key, http.StatusForbidden, inactive)
	mustOperate(t, "enable_partner", id...)
	partnerAnswers(t, "the leaked key", p.APIKey, http.StatusUnauthorized, unauthorized)
	partnerAnswers(t, "its replacement", lost.Key, http.StatusOK)

	if _, err := operate(t, "rotate_key", with("api_key_id", first)...); err == nil {
		t.Error("an ended key was rotated again")
	}
	next := mustOperate(t, "rotate_key", with("api_key_id", lost.APIKeyID)...)
	partnerAnswers(t, "a key in its grace period", lost.Key, http.StatusOK)
	partnerAnswers(t, "its replacement", next.Key, http.StatusOK)

	reader := with("description", "Reports", "scopes", []string{"read"}, "expires_at", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	added := mustOperate(t, "add_key", reader...)
	partnerAnswers(t, "a key that may read", added.Key, http.StatusOK)
	api.call(t, request{method: http.MethodPost, path: accountsPath, key: added.Key, body: "{}"}).expect(t, http.StatusForbidden, problem{"security", "forbidden", "", ""})
	if _, err := operate(t, "add_key", reader...); err == nil || !strings.Contains(err.Error(), strconv.FormatInt(added.APIKeyID, 10)) {
		t.Errorf("the same command again: %v, want an error that names key %d", err, added.APIKeyID)
	}
	if keys := mustOperate(t, "list_keys", id...).APIKeys; len(keys) != 4 || !slices.Equal(keys[3].Scopes, []string{"read"}) {
		t.Errorf("keys = %+v, want four", keys)
	}
	mustOperate(t, "delete_key", with("api_key_id", added.APIKeyID)...)
	partnerAnswers(t, "a deleted key", added.Key, http.StatusUnauthorized, unauthorized)

	if !listsPartner(t, p.ID) {
		t.Errorf("list_partners lacks partner %d", p.ID)
	}
	checkRecords(t, p)
}

// listsPartner walks the list of partners.
func listsPartner(t *testing.T, id int64) bool {
	t.Helper()
	var members []any
	for {
		page := mustOperate(t, "list_partners", members...)
		for _, p := range page.Partners {
			if p.PartnerID == id {
				return true
			}
		}
		if page.Next == nil {
			return false
		}
		members = []any{"after", *page.Next}
	}
}

// checkRecords checks the events of a partner and the log of operate-partner.
func checkRecords(t *testing.T, p stack.Partner) {
	t.Helper()
	var told []string
	pages := dynamodb.NewQueryPaginator(table(), &dynamodb.QueryInput{
		TableName: &service.TableName, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": txt(fmt.Sprintf("EVENTS#%d#0", p.ID))},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page.Items {
			told = append(told, str(it, "type")+" by "+str(it, "actor")+" "+str(it, "by_operator"))
		}
	}
	want := []string{"partner_created by operator "}
	for _, kind := range []string{"disabled", "key_rotated", "enabled", "key_rotated", "key_created", "key_deleted"} {
		want = append(want, "partner_"+kind+" by operator "+operatorName)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	waitFor(t, time.Minute, func() string {
		lines, err := service.Logs(t.Context(), "operate-partner")
		if err != nil {
			t.Fatal(err)
		}
		ran := map[string]int{}
		for _, line := range lines {
			var record struct {
				Operator  string `json:"operator"`
				Command   string `json:"command"`
				PartnerID int64  `json:"partner_id"`
			}
			if json.Unmarshal([]byte(line), &record) == nil && record.Operator == operatorName && record.PartnerID == p.ID {
				ran[record.Command]++
			}
		}
		wanted := map[string]int{"disable_partner": 2, "enable_partner": 1, "rotate_key": 3, "add_key": 2, "delete_key": 1, "list_keys": 2}
		if maps.Equal(ran, wanted) {
			return ""
		}
		return fmt.Sprintf("the log has %v, want %v", ran, wanted)
	})
}
