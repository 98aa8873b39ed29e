package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// account reads an AWS account. It changes nothing.
type account interface {
	// Caller returns the account's number and the ARN of whoever the credentials belong to.
	Caller(ctx context.Context) (number, arn string, err error)
	// Stack returns a stack, or nil if there is none.
	Stack(ctx context.Context, name string) (*stack, error)
	// Concurrency returns how many functions may run at the same time in the Region, and how much of it no function
	// has reserved.
	Concurrency(ctx context.Context) (limit, unreserved int, err error)
	// Certificate returns the status and the names of a certificate.
	Certificate(ctx context.Context, arn string) (certificate, error)
	// Table returns a table, or nil if there is none.
	Table(ctx context.Context, name string) (*table, error)
	// Subscriptions returns the subscribers of a topic.
	Subscriptions(ctx context.Context, topic string) ([]subscription, error)
	// Topics returns the ARNs of the topics that the stack made.
	Topics(ctx context.Context, stack string) ([]string, error)
}

// stack is a stack that exists.
type stack struct {
	status     string
	parameters map[string]string
}

type certificate struct {
	status string
	names  []string
}

// table is a table that exists.
type table struct {
	status  string
	indexes map[string]string // name to status
	stream  string            // label of its stream of new images; empty without one
}

type subscription struct {
	address string
	pending bool // the mail that asks for a confirmation was not answered, or the address has unsubscribed since
}

// realAccount is an account that the AWS SDK reads, with the credentials that sam would use.
type realAccount struct{ config aws.Config }

func openAccount(ctx context.Context, region, profile string) (realAccount, error) {
	options := []func(*config.LoadOptions) error{config.WithRegion(region)}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if absent := new(config.SharedConfigProfileNotExistError); errors.As(err, absent) {
		return realAccount{}, fmt.Errorf("there is no profile %s in the AWS configuration; `aws configure list-profiles` shows those that exist", absent.Profile)
	}
	if err != nil {
		return realAccount{}, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return realAccount{config: loaded}, nil
}

func (a realAccount) Caller(ctx context.Context) (number, arn string, err error) {
	// The metadata service of EC2 is where the SDK looks last, when it has found no credentials anywhere else.
	var last *smithy.OperationError
	if _, err := a.config.Credentials.Retrieve(ctx); errors.As(err, &last) && last.ServiceID == "ec2imds" {
		return "", "", noCredentialsError{cause: err}
	}
	result, err := sts.NewFromConfig(a.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(result.Account), aws.ToString(result.Arn), nil
}

func (a realAccount) Stack(ctx context.Context, name string) (*stack, error) {
	result, err := cloudformation.NewFromConfig(a.config).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "ValidationError" && strings.Contains(refused.ErrorMessage(), "does not exist") {
		return nil, nil //nolint:nilnil // the interface says that there may be none
	}
	if err != nil {
		return nil, err
	}
	if len(result.Stacks) != 1 {
		return nil, fmt.Errorf("AWS describes %d stacks with the name %s", len(result.Stacks), name)
	}
	found := &stack{status: string(result.Stacks[0].StackStatus), parameters: make(map[string]string)}
	for _, parameter := range result.Stacks[0].Parameters {
		found.parameters[aws.ToString(parameter.ParameterKey)] = aws.ToString(parameter.ParameterValue)
	}
	return found, nil
}

func (a realAccount) Concurrency(ctx context.Context) (limit, unreserved int, err error) {
	result, err := lambda.NewFromConfig(a.config).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil {
		return 0, 0, err
	}
	if result.AccountLimit == nil {
		return 0, 0, errors.New("the answer has no limits")
	}
	return int(result.AccountLimit.ConcurrentExecutions), int(aws.ToInt32(result.AccountLimit.UnreservedConcurrentExecutions)), nil
}

func (a realAccount) Certificate(ctx context.Context, arn string) (certificate, error) {
	result, err := acm.NewFromConfig(a.config).DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
	if err != nil {
		return certificate{}, err
	}
	if result.Certificate == nil {
		return certificate{}, errors.New("the answer has no certificate")
	}
	names := append([]string{aws.ToString(result.Certificate.DomainName)}, result.Certificate.SubjectAlternativeNames...)
	return certificate{status: string(result.Certificate.Status), names: names}, nil
}

func (a realAccount) Table(ctx context.Context, name string) (*table, error) {
	result, err := dynamodb.NewFromConfig(a.config).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if absent := new(types.ResourceNotFoundException); errors.As(err, &absent) {
		return nil, nil //nolint:nilnil // the interface says that there may be none
	}
	if err != nil {
		return nil, err
	}
	if result.Table == nil {
		return nil, errors.New("the answer has no table")
	}
	found := &table{status: string(result.Table.TableStatus), indexes: make(map[string]string)}
	for _, index := range result.Table.GlobalSecondaryIndexes {
		found.indexes[aws.ToString(index.IndexName)] = string(index.IndexStatus)
	}
	if spec := result.Table.StreamSpecification; spec != nil && aws.ToBool(spec.StreamEnabled) && (spec.StreamViewType == types.StreamViewTypeNewImage || spec.StreamViewType == types.StreamViewTypeNewAndOldImages) {
		found.stream = aws.ToString(result.Table.LatestStreamLabel)
	}
	return found, nil
}

func (a realAccount) Subscriptions(ctx context.Context, topic string) ([]subscription, error) {
	var found []subscription
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(a.config), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Subscriptions {
			// The ARN of such a subscription is a word: PendingConfirmation, Deleted.
			found = append(found, subscription{address: aws.ToString(s.Endpoint), pending: !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:")})
		}
	}
	return found, nil
}

func (a realAccount) Topics(ctx context.Context, stack string) ([]string, error) {
	var found []string
	pages := cloudformation.NewListStackResourcesPaginator(cloudformation.NewFromConfig(a.config), &cloudformation.ListStackResourcesInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, resource := range page.StackResourceSummaries {
			if aws.ToString(resource.ResourceType) == "AWS::SNS::Topic" {
				found = append(found, aws.ToString(resource.PhysicalResourceId))
			}
		}
	}
	return found, nil
}

// noCredentialsError says that there are no credentials at all.
type noCredentialsError struct{ cause error }

func (e noCredentialsError) Unwrap() error { return e.cause }

func (e noCredentialsError) Error() string {
	return "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (README.md, \"Deploy\", 2)\n" + e.cause.Error()
}

// unidentified explains an error of Caller: there are no credentials, AWS could not be reached, or it refuses them.
func unidentified(err error) error {
	var absent noCredentialsError
	var refused smithy.APIError
	var unsent *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &absent):
		return err
	case errors.As(err, &unsent):
		return fmt.Errorf("AWS could not be reached to ask whose credentials these are: %w (network, proxy or AWS_ENDPOINT_URL?)", err)
	case errors.As(err, &refused):
		return fmt.Errorf("AWS refuses the credentials (README.md, \"Deploy\", 2): %w", err)
	default:
		return fmt.Errorf("AWS did not say whose credentials these are (README.md, \"Deploy\", 2): %w", err)
	}
}

// denied says that the credentials may not read something: then the checklist does without it.
func denied(err error) bool {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "UnauthorizedOperation":
		return true
	default:
		return false
	}
}
