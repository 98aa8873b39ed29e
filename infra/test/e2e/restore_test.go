package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// TestRestoredTable copies the table as a restore does, attaches a second stack to the copy and to the secrets of the first,
// and checks that its connections can be read, verified and changed, and that the first stack sees nothing of that.
// (DynamoDB's restore itself, which is no emulator's, makes a table with the same items and indexes.)
func TestRestoredTable(t *testing.T) {
	t.Parallel()
	type linked struct {
		merchant
		carrier, id string
	}
	var all []linked
	for _, p := range environments() {
		m := newMerchant(t, p)
		number, carrier := ausPostNumber("00"), "australia_post"
		c := link(t, m, carrier, number)
		key, secret := newCredentials() // so that the row names the second version of its secret
		change(t, m, carrier, c.CarrierID, fields{"api_key": key, "api_secret": secret}).expect(t, http.StatusOK)
		all = append(all, linked{m, carrier, c.CarrierID})
	}

	// Names of their own, for a test that runs twice. The API of the first stack is found by its stack's name.
	suffix := strings.ToLower(rand.Text()[:8])
	name := "carrierlink-drill-" + suffix
	restored, stream := copyTable(t, "carrierlink-restored-"+suffix)
	second, err := service.Beside(t.Context(), name, map[string]string{
		"TableName": restored, "TableStreamLabel": stream, "SecretPrefix": service.SecretPrefix, "BackgroundWork": "disabled",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Down(); err != nil {
			t.Error(err)
		}
		// The rest of the suite expects one service secret.
		_, err := secretsmanager.NewFromConfig(service.AWSConfig()).DeleteSecret(context.WithoutCancel(t.Context()), &secretsmanager.DeleteSecretInput{
			SecretId: &second.ServiceSecretARN, ForceDeleteWithoutRecovery: aws.Bool(true),
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for function := range second.FunctionNames {
			lines, err := second.Logs(t.Context(), function)
			for _, line := range lines {
				if strings.Contains(line, `"level":"ERROR"`) {
					t.Logf("%s: %s", function, line)
				}
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	if second.TableName != restored || second.SecretPrefix != service.SecretPrefix {
		t.Errorf("the second stack uses the table %s and the secrets %s", second.TableName, second.SecretPrefix)
	}
	tables, err := table().ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil || slices.ContainsFunc(tables.TableNames, func(made string) bool { return strings.HasPrefix(made, name) }) {
		t.Errorf("tables %v, %v: the second stack has made one", tables.TableNames, err)
	}

	type history struct {
		Checks []json.RawMessage `json:"checks"`
	}
	type verified struct {
		Check struct {
			Outcome string `json:"outcome"`
		} `json:"check"`
	}
	there, err := newClient(second.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	there.secrets = api.secrets
	for _, c := range all {
		checks := carrierPath(c.id) + "/history"
		before := decode[history](t, api.call(t, request{method: http.MethodGet, path: checks, key: c.Key}))
		a := there.call(t, request{method: http.MethodPost, path: connectionPath(c.carrier, c.id) + "/verify", key: c.Key})
		a.expect(t, http.StatusOK)
		if outcome := decode[verified](t, a).Check.Outcome; outcome != "ok" {
			t.Errorf("%s: verify on the restored table: outcome %s", c.partner.Environment, outcome)
		}
		there.call(t, request{method: http.MethodGet, path: readPath(c.id), key: c.Key}).expect(t, http.StatusOK)
		there.call(t, request{method: http.MethodPut, path: connectionPath(c.carrier, c.id), key: c.Key, body: fields{"nickname": "Restored"}}).expect(t, http.StatusOK)
		there.call(t, request{method: http.MethodGet, path: accountsPath, key: c.partner.APIKey}).expect(t, http.StatusOK)

		after := decode[history](t, api.call(t, request{method: http.MethodGet, path: checks, key: c.Key}))
		if len(after.Checks) != len(before.Checks) {
			t.Errorf("%s: the first stack's history has grown from %d to %d checks", c.partner.Environment, len(before.Checks), len(after.Checks))
		}
		checkTag(t, c.merchant, c.id)
	}
}

// checkTag checks the tag of a connection's secret.
func checkTag(t *testing.T, m merchant, connectionID string) {
	t.Helper()
	out, err := secretsmanager.NewFromConfig(service.AWSConfig()).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(secretName(m, connectionID))})
	stack, _, _ := strings.Cut(service.SecretPrefix, "/")
	if err != nil || len(out.Tags) != 1 || aws.ToString(out.Tags[0].Key) != "carrierlink:stack" || aws.ToString(out.Tags[0].Value) != stack {
		t.Errorf("the tags of a secret: %v, %v, want carrierlink:stack", out, err)
	}
}

// copyTable makes a table with all items, the indexes and the stream of the stack's, until the test ends.
func copyTable(t *testing.T, name string) (_, stream string) {
	t.Helper()
	of, err := table().DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &service.TableName})
	if err != nil {
		t.Fatal(err)
	}
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, AttributeDefinitions: of.Table.AttributeDefinitions, KeySchema: of.Table.KeySchema,
		StreamSpecification: of.Table.StreamSpecification,
	}
	for _, index := range of.Table.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: index.IndexName, KeySchema: index.KeySchema, Projection: index.Projection,
		})
	}
	made, err := table().CreateTable(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := table().DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Error(err)
		}
	})
	items, err := allItems(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(items, 25) {
		var puts []types.WriteRequest
		for _, it := range batch {
			puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		}
		for left := map[string][]types.WriteRequest{name: puts}; len(left) > 0; {
			out, err := table().BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: left})
			if err != nil {
				t.Fatal(err)
			}
			left = out.UnprocessedItems
		}
	}
	return name, aws.ToString(made.TableDescription.LatestStreamLabel)
}
