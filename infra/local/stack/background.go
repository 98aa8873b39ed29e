package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkBackground compares the parts of a deployment that work without a request with the template: queues and their
// dead-letter queues, the mappings that pass messages and the records of the table's stream to functions, and the rules that
// start functions. Without background work they must be there, and stand still.
func (d deployment) checkBackground(ctx context.Context, want template, made map[string]string, tableName string) (err error) {
	arns := make(map[string]string)
	for id := range want.queues {
		attributes, err := d.readQueue(ctx, made[id])
		if err != nil {
			return fmt.Errorf("the queue %s: %w", id, err)
		}
		arns[id] = attributes["QueueArn"]
		if err := want.queues[id].check(attributes, made[want.queues[id].deadLetters]); err != nil {
			return fmt.Errorf("the queue %s: %w", id, err)
		}
	}
	if arns["Table"], err = d.readStream(ctx, tableName); err != nil {
		return fmt.Errorf("the table %s: %w", tableName, err)
	}
	for id, wanted := range want.mappings {
		if err := d.checkMapping(ctx, made[id], wanted, arns[wanted.source], made[wanted.function]); err != nil {
			return fmt.Errorf("the event source mapping %s: %w", id, err)
		}
	}
	schedules, err := d.readSchedules(ctx)
	if err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	for _, wanted := range want.schedules {
		if runs := slices.Contains(schedules, schedule{function: made[wanted.function], rate: wanted.rate}); runs == d.idle {
			return fmt.Errorf("an enabled rule starts %s at %s: %t, want %t", made[wanted.function], wanted.rate, runs, !d.idle)
		}
	}
	return nil
}

// readQueue reads the attributes of the queue at a URL.
func (d deployment) readQueue(ctx context.Context, url string) (map[string]string, error) {
	var answer struct {
		Attributes map[string]string `json:"Attributes"`
	}
	err := d.json(ctx, "sqs", "AmazonSQS.GetQueueAttributes", map[string]any{"QueueUrl": url, "AttributeNames": []string{"All"}}, &answer)
	return answer.Attributes, err
}

// readStream returns the ARN of a table's stream, which must have the new images of items.
func (d deployment) readStream(ctx context.Context, tableName string) (string, error) {
	var answer struct {
		Table struct {
			Stream string `json:"LatestStreamArn"`
			Spec   struct {
				Images string `json:"StreamViewType"`
			} `json:"StreamSpecification"`
		} `json:"Table"`
	}
	if err := d.json(ctx, "dynamodb", "DynamoDB_20120810.DescribeTable", map[string]any{"TableName": tableName}, &answer); err != nil {
		return "", err
	}
	if answer.Table.Stream == "" || answer.Table.Spec.Images != "NEW_IMAGE" {
		return "", fmt.Errorf("its stream is %q with %q, want one with NEW_IMAGE", answer.Table.Stream, answer.Table.Spec.Images)
	}
	return answer.Table.Stream, nil
}

// check compares a deployed queue with the wanted one. deadLetters is the URL of the deployed dead-letter queue.
func (q queue) check(attributes map[string]string, deadLetters string) error {
	if got := attributes["VisibilityTimeout"]; q.visibilitySeconds != 0 && got != strconv.Itoa(q.visibilitySeconds) {
		return fmt.Errorf("a message is hidden for %q s, want %d", got, q.visibilitySeconds)
	}
	if q.deadLetters == "" {
		return nil
	}
	if attributes["RedrivePolicy"] == "" {
		return errors.New("it has no redrive policy")
	}
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
		// A number or a string, depending on the emulator.
		Attempts any `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(attributes["RedrivePolicy"]), &policy); err != nil {
		return fmt.Errorf("reading its redrive policy: %w", err)
	}
	if fmt.Sprint(policy.Attempts) != strconv.Itoa(q.attempts) || lastPart(policy.Target, ":") != lastPart(deadLetters, "/") {
		return fmt.Errorf("it moves messages to %q after %v attempts, want %s after %d", policy.Target, policy.Attempts, deadLetters, q.attempts)
	}
	return nil
}

// checkMapping waits until the mapping is enabled, and compares it with the wanted one. Without background work it leaves out
// the state: MiniStack does not poll the queue of a mapping that is made disabled, but calls it Enabled.
func (d deployment) checkMapping(ctx context.Context, id string, want mapping, sourceARN, function string) error {
	var got struct {
		State     string   `json:"State"`
		BatchSize int      `json:"BatchSize"`
		Source    string   `json:"EventSourceArn"`
		Function  string   `json:"FunctionArn"`
		Responses []string `json:"FunctionResponseTypes"`
		Start     string   `json:"StartingPosition"`
		Criteria  struct {
			Filters []struct {
				Pattern string `json:"Pattern"`
			} `json:"Filters"`
		} `json:"FilterCriteria"`
	}
	for range 100 {
		body, err := d.account.call(ctx, call{service: "lambda", method: http.MethodGet, path: "/2015-03-31/event-source-mappings/" + id})
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &got); err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		if got.State == "Enabled" || d.idle {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	switch {
	case got.State != "Enabled" && !d.idle:
		return fmt.Errorf("its state is %q, want Enabled", got.State)
	case got.Source != sourceARN || lastPart(got.Function, ":") != function:
		return fmt.Errorf("it leads from %q to %q, want from %q to %q", got.Source, got.Function, sourceARN, function)
	case got.BatchSize != want.batchSize:
		return fmt.Errorf("its batch size is %d, want %d", got.BatchSize, want.batchSize)
	case !slices.Equal(got.Responses, want.responses):
		return fmt.Errorf("its response types are %q, want %q", got.Responses, want.responses)
	case want.start != "" && got.Start != want.start: // of a queue MiniStack names one, too
		return fmt.Errorf("it begins at %q, want %q", got.Start, want.start)
	}
	var filters []string
	for _, f := range got.Criteria.Filters {
		filters = append(filters, f.Pattern)
	}
	if !slices.Equal(filters, want.filters) {
		return fmt.Errorf("its filters are %q, want %q", filters, want.filters)
	}
	return nil
}

// readSchedules lists the functions that enabled rules start, by their deployed names, and the rates.
func (d deployment) readSchedules(ctx context.Context) ([]schedule, error) {
	var rules struct {
		Rules []struct {
			Name  string `json:"Name"`
			State string `json:"State"`
			Rate  string `json:"ScheduleExpression"`
		} `json:"Rules"`
	}
	if err := d.json(ctx, "events", "AWSEvents.ListRules", map[string]any{}, &rules); err != nil {
		return nil, err
	}
	var found []schedule
	for _, rule := range rules.Rules {
		if rule.State != "ENABLED" {
			continue
		}
		var targets struct {
			Targets []struct {
				ARN string `json:"Arn"`
			} `json:"Targets"`
		}
		if err := d.json(ctx, "events", "AWSEvents.ListTargetsByRule", map[string]any{"Rule": rule.Name}, &targets); err != nil {
			return nil, err
		}
		for _, target := range targets.Targets {
			found = append(found, schedule{function: lastPart(target.ARN, ":"), rate: rule.Rate})
		}
	}
	return found, nil
}

// json calls an operation of a service with a JSON protocol.
func (d deployment) json(ctx context.Context, service, operation string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	body, err = d.account.call(ctx, call{
		service: service, method: http.MethodPost, path: "/", contentType: "application/x-amz-json-1.1", target: operation, body: body,
	})
	if err != nil {
		return err
	}
	return json.Unmarshal(body, output)
}

func lastPart(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }
