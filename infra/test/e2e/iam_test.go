package e2e

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"carrierlink/infra/local/stack"
)

// may lists the attempts below that each function's role allows.
var may = map[string][]string{
	"create-account":          {"read the service secret"},
	"link-carrier":            {"DeleteItem", "read the service secret", "read a carrier secret", "delete a carrier secret"},
	"get-carrier-account":     {"read a carrier secret"},
	"manage-accounts":         {"GetItem", "DeleteItem", "Query", "read the service secret", "delete a carrier secret"},
	"manage-api-keys":         {"GetItem", "DeleteItem", "Query", "read the service secret"},
	"list-carriers":           {"Query", "read the service secret"},
	"list-events":             {"Query", "Query events", "read the service secret"},
	"manage-webhooks":         {"GetItem", "DeleteItem", "Query", "Query events", "read the service secret"},
	"create-partner":          {},
	"rotate-service-secret":   {"read the service secret", "write the service secret"},
	"operate-partner":         {"DeleteItem", "Query"},
	"describe-api":            {},
	"validate-carrier":        {},
	"manage-connections":      {"DeleteItem", "read the service secret", "read a carrier secret", "delete a carrier secret"},
	"track-shipments":         {"Query", "read a carrier secret"},
	"manage-parcels":          {"DeleteItem", "Query", "read the service secret"},
	"portal":                  {"DeleteItem", "Query", "read the service secret", "read a carrier secret", "delete a carrier secret"},
	"manage-logins":           {"GetItem", "DeleteItem", "read the service secret"},
	"track-parcels":           {"DeleteItem", "Query", "Query what is due", "read a carrier secret"},
	"publish-events":          {"put an event on the bus"},
	"queue-deliveries":        {},
	"deliver-webhook":         {"Query", "read the service secret"},
	"send-mail":               {"read the service secret"},
	"schedule-refresh":        {"Query", "Query what is due", "look at the queue"},
	"refresh-carrier-account": {"Query", "read a carrier secret", "look at the queue"},
	"reconcile":               {"DeleteItem", "Query", "Query what is due", "read the service secret", "delete a carrier secret"},
}

// attempt is a call that a role may or may not allow. None of them changes anything.
type attempt struct {
	name string
	do   func(ctx context.Context, cfg aws.Config) error
}

func attempts(serviceSecret, carrierSecret string) []attempt {
	absent := itemKey("NOBODY", "NOTHING")
	return []attempt{
		{"Scan", func(ctx context.Context, cfg aws.Config) error {
			_, err := dynamodb.NewFromConfig(cfg).Scan(ctx, &dynamodb.ScanInput{TableName: &service.TableName, Limit: aws.Int32(1)})
			return err
		}},
		{"GetItem", func(ctx context.Context, cfg aws.Config) error {
			_, err := dynamodb.NewFromConfig(cfg).GetItem(ctx, &dynamodb.GetItemInput{TableName: &service.TableName, Key: absent})
			return err
		}},
		{"DeleteItem", func(ctx context.Context, cfg aws.Config) error {
			_, err := dynamodb.NewFromConfig(cfg).DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &service.TableName, Key: absent})
			return err
		}},
		{"Query", queryNothing(nil, "pk")},
		{"Query what is due", queryNothing(aws.String("by_due"), "due_pk")},
		{"Query events", queryNothing(aws.String("by_event"), "event_pk")},
		{"look at the queue", func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
				QueueUrl: &service.RefreshQueueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
			})
			return err
		}},
		{"look into the dead letters", func(ctx context.Context, cfg aws.Config) error {
			_, err := sqs.NewFromConfig(cfg).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &service.RefreshDeadLetterQueueURL})
			return err
		}},
		{"put an event on the bus", func(ctx context.Context, cfg aws.Config) error {
			// No rule passes it on.
			_, err := eventbridge.NewFromConfig(cfg).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{
				{EventBusName: &service.EventBusName, Source: aws.String("e2e"), DetailType: aws.String("attempt"), Detail: aws.String("{}")},
			}})
			return err
		}},
		{"read the service secret", readSecret(serviceSecret)},
		{"write the service secret", func(ctx context.Context, cfg aws.Config) error {
			// AWSPENDING is a label that no function reads.
			_, err := secretsmanager.NewFromConfig(cfg).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
				SecretId: &serviceSecret, SecretString: aws.String("{}"), VersionStages: []string{"AWSPENDING"},
			})
			return err
		}},
		{"read a carrier secret", readSecret(carrierSecret)},
		{"delete a carrier secret", func(ctx context.Context, cfg aws.Config) error {
			_, err := secretsmanager.NewFromConfig(cfg).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(carrierSecret + "-absent")})
			if _, none := errors.AsType[*smtypes.ResourceNotFoundException](err); none {
				return nil
			}
			return err
		}},
		{"create a secret elsewhere", func(ctx context.Context, cfg aws.Config) error {
			_, err := secretsmanager.NewFromConfig(cfg).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &serviceSecret, SecretString: aws.String("{}")})
			return err
		}},
	}
}

// queryNothing queries an absent key of the table or of an index.
func queryNothing(index *string, partitionKey string) func(ctx context.Context, cfg aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := dynamodb.NewFromConfig(cfg).Query(ctx, &dynamodb.QueryInput{
			TableName: &service.TableName, IndexName: index, KeyConditionExpression: aws.String(partitionKey + " = :nobody"),
			ExpressionAttributeValues: item{":nobody": txt("NOBODY")},
		})
		return err
	}
}

func readSecret(id string) func(ctx context.Context, cfg aws.Config) error {
	return func(ctx context.Context, cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		return err
	}
}

// iamIsEnforced checks that MiniStack refuses an unsigned call, and that each function's role allows exactly what the
// function needs. LocalStack's free edition has no IAM.
func iamIsEnforced(ctx context.Context) error {
	if emulatorName() != stack.MiniStack {
		return nil
	}
	if err := unsignedIsRefused(ctx); err != nil {
		return err
	}
	names, err := secretNames(ctx, false)
	if err != nil {
		return err
	}
	carrierSecret, serviceSecret := "", ""
	for _, name := range names {
		if strings.HasPrefix(name, service.SecretPrefix) {
			carrierSecret = name
		} else {
			serviceSecret = name
		}
	}
	if carrierSecret == "" {
		return nil // this part of the suite links nothing
	}
	var errs []error
	for function := range service.FunctionNames {
		if _, known := may[function]; !known {
			errs = append(errs, fmt.Errorf("nothing says what the role of %s may", function))
		}
	}
	for function, allowed := range may {
		cfg, err := asRoleOf(ctx, function)
		if err != nil {
			return err
		}
		for _, attempt := range attempts(serviceSecret, carrierSecret) {
			err := attempt.do(ctx, cfg)
			var api smithy.APIError
			denied := errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "AccessDenied")
			if want := !slices.Contains(allowed, attempt.name); denied != want || !denied && err != nil {
				errs = append(errs, fmt.Errorf("the role of %s, %s: %w, want it denied: %t", function, attempt.name, err, want))
			}
		}
	}
	return errors.Join(errs...)
}

func unsignedIsRefused(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, service.EmulatorURL+"/", strings.NewReader(`{"TableName":"`+service.TableName+`"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
	body, status, err := send(req)
	if err == nil && status >= 400 && status < 500 {
		return nil
	}
	return fmt.Errorf("an unsigned Scan was answered %d %.200s: %w", status, body, err)
}

// asRoleOf assumes a function's role as the root user. Usually only Lambda may.
func asRoleOf(ctx context.Context, function string) (aws.Config, error) {
	cfg := service.AWSConfig()
	arn, err := roleOf(ctx, function)
	if err != nil {
		return cfg, err
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	_, err = query(ctx, "iam", url.Values{
		"Action": {"UpdateAssumeRolePolicy"}, "Version": {"2010-05-08"}, "RoleName": {arn[strings.LastIndex(arn, "/")+1:]}, "PolicyDocument": {trust},
	})
	if err != nil {
		return cfg, err
	}
	body, err := query(ctx, "sts", url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {arn}, "RoleSessionName": {"e2e"},
	})
	if err != nil {
		return cfg, err
	}
	var answer struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string `xml:"SecretAccessKey"`
			SessionToken    string `xml:"SessionToken"`
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil || answer.Credentials.SessionToken == "" {
		return cfg, fmt.Errorf("assuming the role of %s: %.200s: %w", function, body, err)
	}
	c := answer.Credentials
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	})
	return cfg, nil
}

func roleOf(ctx context.Context, function string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, service.EmulatorURL+"/2015-03-31/functions/"+service.FunctionNames[function]+"/configuration", nil)
	if err != nil {
		return "", err
	}
	body, err := sendSigned(ctx, req, "lambda", nil)
	if err != nil {
		return "", err
	}
	var answer struct {
		Role string `json:"Role"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Role == "" {
		return "", fmt.Errorf("reading the role of %s: %.200s: %w", function, body, err)
	}
	return answer.Role, nil
}

// query calls a service with the query protocol.
func query(ctx context.Context, name string, values url.Values) ([]byte, error) {
	body := []byte(values.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, service.EmulatorURL+"/", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return sendSigned(ctx, req, name, body)
}
