// Package bustest lets tests hear what is put on an event bus.
package bustest

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Listen makes a rule on a bus as its users would: it passes all events of carrierlink to a
// queue. Rule and queue have this name. It returns the URL of the queue.
func Listen(ctx context.Context, cfg aws.Config, bus, name string) (queueURL string, err error) {
	queues, events := sqs.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg)
	made, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("making the queue of the listener: %w", err)
	}
	read, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return "", fmt.Errorf("reading the queue of the listener: %w", err)
	}
	arn := read.Attributes["QueueArn"]
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		return "", fmt.Errorf("opening the queue of the listener: %w", err)
	}
	if _, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: &bus, EventPattern: aws.String(`{"source":["carrierlink"]}`)}); err != nil {
		return "", fmt.Errorf("making the rule of the listener: %w", err)
	}
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: []eventtypes.Target{{Id: aws.String("queue"), Arn: &arn}}})
	if err != nil {
		return "", fmt.Errorf("making the target of the listener: %w", err)
	}
	return aws.ToString(made.QueueUrl), nil
}
