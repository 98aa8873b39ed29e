package main

import (
	"fmt"
	"slices"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/test/calltrace"
	"carrierlink/infra/test/functiontest"
)

// remoteCalls checks the calls after the concurrent reads of the key, the connection, its
// account and the breakers. Before the carrier is called an allowance is counted, for new
// credentials the account's too; verify counts it with its claim. An Idempotency-Key costs
// one claim.
func remoteCalls(t *calltrace.Attempt, engines functiontest.Engines) {
	t.Helper()
	f := newFront(t, functiontest.OnEngines(t, engines, fmt.Sprint("calls-", t.N)), functiontest.Number)
	f.change("")                                                                // the first use of a key in a minute is one call more
	take, ask, transaction := "UpdateItem", "carrier GET", "TransactWriteItems" // a call that reads stored credentials is recorded with that, in a transaction
	for _, tc := range []struct {
		name   string
		do     func() events.APIGatewayProxyResponse
		status int
		after  []string
	}{
		{"a wrong change", func() events.APIGatewayProxyResponse { return f.change(`{"zip":1}`) }, 400, nil},
		{"nothing to go back to", func() events.APIGatewayProxyResponse { return f.rollback() }, 409, nil},
		{"a nickname", func() events.APIGatewayProxyResponse { return f.change(`{"nickname":"n"}`) }, 200, []string{transaction}},
		{"a nickname, with a key", func() events.APIGatewayProxyResponse { return f.change(`{"nickname":"n"}`, "Idempotency-Key", "k") }, 200, []string{transaction, transaction}},
		{"a nickname, again", func() events.APIGatewayProxyResponse { return f.change(`{"nickname":"n"}`, "Idempotency-Key", "k") }, 200, []string{transaction}},
		{"refused credentials", func() events.APIGatewayProxyResponse {
			return f.change(`{"api_key":"` + newKey + `","api_secret":"wrong-canary"}`)
		}, 400, []string{take, take, ask, take, take, ask}},
		{"refused credentials, with a key", func() events.APIGatewayProxyResponse {
			return f.change(`{"api_key":"`+newKey+`","api_secret":"wrong-canary"}`, "Idempotency-Key", "k2")
		}, 400, []string{transaction, take, take, ask, take, take, ask, transaction}},
		// The version is staged, becomes the current one, and is no longer pending.
		{"credentials", func() events.APIGatewayProxyResponse { return f.change(bodyNew) }, 200, []string{
			take, take, ask, transaction, "PutSecretValue", transaction, "DescribeSecret", "UpdateSecretVersionStage", "UpdateSecretVersionStage", transaction,
		}},
		{"the same credentials", func() events.APIGatewayProxyResponse { return f.change(bodyNew) }, 200, []string{transaction, "GetSecretValue", ask, transaction}},
		{"rollback", func() events.APIGatewayProxyResponse { return f.rollback() }, 200, []string{
			transaction, "GetSecretValue", ask, transaction, transaction, "DescribeSecret", "UpdateSecretVersionStage", transaction,
		}},
		{"a number", func() events.APIGatewayProxyResponse {
			return f.change(`{"account_number":"` + functiontest.OtherNumber + `"}`)
		}, 200, []string{transaction, "GetSecretValue", ask, transaction, transaction, "DescribeSecret", "UpdateSecretVersionStage", transaction}},
		{"a number again", func() events.APIGatewayProxyResponse {
			return f.change(`{"account_number":"` + functiontest.Number + `"}`)
		}, 200, []string{transaction, "GetSecretValue", ask, transaction, transaction, "DescribeSecret", transaction}},
		{"refresh", func() events.APIGatewayProxyResponse { return f.refresh() }, 202, []string{transaction}},
		{"verify", func() events.APIGatewayProxyResponse { return f.verify() }, 200, []string{transaction, "GetSecretValue", ask, transaction, "UpdateItem"}},
		{"verify, too soon", func() events.APIGatewayProxyResponse { return f.verify() }, 429, nil},
		{"unlink", func() events.APIGatewayProxyResponse { return f.unlink() }, 204, []string{transaction, "DeleteSecret", transaction}},
		{"unlink, again", func() events.APIGatewayProxyResponse { return f.unlink() }, 404, nil},
	} {
		t.Run(tc.name, func(t *calltrace.Attempt) {
			f.Transport.Reset()
			if resp := tc.do(); resp.StatusCode != tc.status {
				t.Fatalf("%d %s, want %d", resp.StatusCode, resp.Body, tc.status)
			}
			calls := f.Transport.Calls()
			beside := slices.Sorted(slices.Values(calls[:2])) // at once, in either order
			if diff := cmp.Diff([]string{"BatchGetItem", "UpdateItem"}, beside); diff != "" {
				t.Errorf("calls of authentication (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.after, append([]string(nil), calls[2:]...)); diff != "" {
				t.Errorf("calls after authentication (-want +got):\n%s", diff)
			}
		})
	}
}
