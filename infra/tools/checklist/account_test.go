package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

// TestUnidentified: without the account's number, the checklist says whose fault that is.
func TestUnidentified(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token is expired</Message></Error></ErrorResponse>`)
	}))
	t.Cleanup(refusing.Close)
	garbled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>Bad Gateway</html>")
	}))
	t.Cleanup(garbled.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
	tests := []struct {
		name             string
		endpoint         string
		environment      map[string]string
		first, then, end string
	}{
		{"nothing answers", closed.URL, keys, "AWS could not be reached to ask whose credentials these are: ", "refused", " (network, proxy or AWS_ENDPOINT_URL?)"},
		{"no credentials", refusing.URL, nil, "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (README.md, \"Deploy\", 2)\n", "EC2 IMDS", ""},
		{"refused credentials", refusing.URL, keys, "AWS refuses the credentials (README.md, \"Deploy\", 2): ", "ExpiredToken", "The security token is expired"},
		{"a proxy answers", garbled.URL, keys, "AWS did not say whose credentials these are (README.md, \"Deploy\", 2): ", "502", ""},
		{"no such profile", refusing.URL, map[string]string{"AWS_PROFILE": "nosuch"}, "there is no profile nosuch in the AWS configuration; `aws configure list-profiles` shows", "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			for _, setting := range os.Environ() {
				if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "AWS_") {
					t.Setenv(name, "")
				}
			}
			t.Setenv("AWS_CONFIG_FILE", os.DevNull)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			t.Setenv("AWS_MAX_ATTEMPTS", "1")
			t.Setenv("AWS_ENDPOINT_URL", tc.endpoint)
			t.Setenv("NO_PROXY", "127.0.0.1")
			for name, value := range tc.environment {
				t.Setenv(name, value)
			}
			var out strings.Builder
			err := run(t.Context(), []string{"-root", root, "-stage", "staging", alarmed}, &out)
			if err == nil || !strings.HasPrefix(err.Error(), tc.first) || !strings.Contains(err.Error(), tc.then) || !strings.HasSuffix(err.Error(), tc.end) {
				t.Errorf("run() = %v, want %s… %s …%s", err, tc.first, tc.then, tc.end)
			}
		})
	}
}

func TestTable(t *testing.T) {
	absent, err := answering(t, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}`).Table(t.Context(), "restored")
	if absent != nil || err != nil {
		t.Errorf("Table() of a table that does not exist = %v, %v, want nil, nil", absent, err)
	}
	if _, err := answering(t, http.StatusBadRequest, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`).Table(t.Context(), "restored"); !denied(err) {
		t.Errorf("Table() without the right = %v, want an error that is a denial", err)
	}
	for spec, stream := range map[string]string{
		``: "", `"StreamSpecification":{"StreamEnabled":false,"StreamViewType":"NEW_IMAGE"},`: "", `"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"},`: "",
		`"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"},`: streamLabel, `"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},`: streamLabel,
	} {
		got, err := answering(t, http.StatusOK, `{"Table":{"TableStatus":"UPDATING",`+spec+`"LatestStreamLabel":"`+streamLabel+`","GlobalSecondaryIndexes":[{"IndexName":"by_due","IndexStatus":"CREATING"}]}}`).Table(t.Context(), "restored")
		if diff := cmp.Diff(&table{status: "UPDATING", indexes: map[string]string{"by_due": "CREATING"}, stream: stream}, got, cmp.AllowUnexported(table{})); diff != "" || err != nil {
			t.Errorf("Table() with %s (-want +got):\n%s\n%v", spec, diff, err)
		}
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
