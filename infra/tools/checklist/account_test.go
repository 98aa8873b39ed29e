package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// answering returns an account whose AWS gives every call the same answer.
func answering(t *testing.T, status int, body string) realAccount {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return realAccount{config: aws.Config{
		Region:       "ap-southeast-2",
		BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}}
}

func TestTable(t *testing.T) {
	absent, err := answering(t, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`).Table(t.Context(), "restored")
	if absent != nil || err != nil {
		t.Errorf("Table() of a table that does not exist = %v, %v, want nil, nil", absent, err)
	}
	if _, err := answering(t, http.StatusBadRequest, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`).Table(t.Context(), "restored"); !denied(err) {
		t.Errorf("Table() without the right = %v, want an error that is a denial", err)
	}
	got, err := answering(t, http.StatusOK, `{"Table":{"TableStatus":"UPDATING","GlobalSecondaryIndexes":[{"IndexName":"by_due","IndexStatus":"CREATING"}]}}`).Table(t.Context(), "restored")
	if diff := cmp.Diff(&table{status: "UPDATING", indexes: map[string]string{"by_due": "CREATING"}}, got, cmp.AllowUnexported(table{})); diff != "" || err != nil {
		t.Errorf("Table() (-want +got):\n%s\n%v", diff, err)
	}
}

func TestSubscriptions(t *testing.T) {
	const member = "<member><Endpoint>%s@example.com</Endpoint><SubscriptionArn>%s</SubscriptionArn></member>"
	body := "<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>" +
		fmt.Sprintf(member, "new", "PendingConfirmation") + fmt.Sprintf(member, "old", "Deleted") + fmt.Sprintf(member, "ops", topicARN+":1") +
		"</Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>"
	got, err := answering(t, http.StatusOK, body).Subscriptions(t.Context(), topicARN)
	want := []subscription{{"new@example.com", true}, {"old@example.com", true}, {"ops@example.com", false}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(subscription{})); diff != "" || err != nil {
		t.Errorf("Subscriptions() (-want +got):\n%s\n%v", diff, err)
	}
}
