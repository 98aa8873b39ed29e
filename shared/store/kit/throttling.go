package kit

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"carrierlink/shared/fault"
	"carrierlink/shared/metrics"
)

// throttling makes the errors of throttled calls fault.Overloaded. The SDK has retried
// such a call by then. It does not retry what is throttled within a transaction: write
// does.
type throttling struct{ API }

// throttles tells whether a code says that DynamoDB throttles a call or an item of a
// transaction.
func throttles(code string) bool {
	switch code {
	case "ThrottlingException", "ThrottlingError", "Throttling", "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded",
		"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "SlowDown":
		return true
	}
	return false
}

func overloaded(ctx context.Context, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && throttles(api.ErrorCode()) {
		return throttled(ctx, err)
	}
	return err
}

// throttled counts a throttled call and returns its error, fault.Overloaded.
func throttled(ctx context.Context, err error) error {
	metrics.Add(ctx, metrics.Throttles, "dynamodb", 1)
	return fault.Throttled(err)
}

func (t throttling) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out, err := t.API.GetItem(ctx, in, o...)
	return out, overloaded(ctx, err)
}

func (t throttling) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out, err := t.API.BatchGetItem(ctx, in, o...)
	return out, overloaded(ctx, err)
}

func (t throttling) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	out, err := t.API.UpdateItem(ctx, in, o...)
	return out, overloaded(ctx, err)
}

func (t throttling) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	out, err := t.API.BatchWriteItem(ctx, in, o...)
	return out, overloaded(ctx, err)
}

func (t throttling) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	out, err := t.API.Query(ctx, in, o...)
	return out, overloaded(ctx, err)
}

func (t throttling) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	out, err := t.API.TransactWriteItems(ctx, in, o...)
	return out, overloaded(ctx, err)
}
