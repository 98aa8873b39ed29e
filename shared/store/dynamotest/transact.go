package dynamotest

import (
	"context"
	"errors"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// remembered is how many transactions a token is known for: DynamoDB knows it for
// ten minutes.
const remembered = 1000

// request is a transaction that was done.
type request struct {
	token string
	parts []types.TransactWriteItem
}

// TransactWriteItems is DynamoDB's.
func (t *Table) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return call(ctx, t, "TransactWriteItems", in, func(int) (*dynamodb.TransactWriteItemsOutput, error) {
		token := aws.ToString(in.ClientRequestToken)
		if in.ClientRequestToken != nil && (token == "" || len(token) > 36) {
			return nil, invalid("ClientRequestToken must have 1 to 36 characters")
		}
		writes := make([]*write, len(in.TransactItems))
		_, err := distinct(len(writes), mostParts, func(i int) (k Key, err error) {
			if writes[i], err = t.part(in.TransactItems[i]); err != nil {
				return Key{}, err
			}
			return writes[i].key, nil
		})
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if n, known := t.tokens[token]; known && token != "" {
			if !reflect.DeepEqual(t.recent[n].parts, in.TransactItems) {
				return nil, &types.IdempotentParameterMismatchException{Message: aws.String("Idempotent token used with different parameters")}
			}
			return &dynamodb.TransactWriteItemsOutput{}, nil
		}
		if err := t.transact(writes); err != nil {
			return nil, err
		}
		if token != "" {
			t.remember(request{token, in.TransactItems})
		}
		return &dynamodb.TransactWriteItemsOutput{}, nil
	})
}

// remember keeps a request in the place of the oldest one.
func (t *Table) remember(r request) {
	if len(t.recent) < remembered {
		t.recent = append(t.recent, request{})
	}
	delete(t.tokens, t.recent[t.next].token)
	t.recent[t.next], t.tokens[r.token] = r, t.next
	t.next = (t.next + 1) % remembered
}

// transact makes all writes or none.
func (t *Table) transact(writes []*write) error {
	next := make([]Item, len(writes))
	reasons := make([]types.CancellationReason, len(writes))
	cancelled := false
	for i, w := range writes {
		var err error
		next[i], err = w.next(t, t.get(w.key))
		reasons[i] = reason(err)
		cancelled = cancelled || err != nil
	}
	if cancelled {
		return &types.TransactionCanceledException{
			Message: aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons"), CancellationReasons: reasons,
		}
	}
	if len(writes) > mostWrite/mostItem { // fewer cannot be too large
		size := 0
		for _, it := range next {
			size += sizeOf(it)
		}
		if size > mostWrite {
			return invalid("The items of a transaction are larger than 4 MB")
		}
	}
	for i, w := range writes {
		if w.changed != nil {
			t.put(w.key, next[i])
		}
	}
	return nil
}

// reason is why a part is none that can be written, None where it can.
func reason(err error) types.CancellationReason {
	if err == nil {
		return types.CancellationReason{Code: aws.String("None")}
	}
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Message: refused.Message, Item: refused.Item}
	}
	message := err.Error()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		message = api.ErrorMessage()
	}
	return types.CancellationReason{Code: aws.String("ValidationError"), Message: &message}
}

// part is a part of a transaction, checked.
func (t *Table) part(in types.TransactWriteItem) (*write, error) {
	given := 0
	for _, is := range []bool{in.Put != nil, in.Update != nil, in.Delete != nil, in.ConditionCheck != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	switch {
	case in.Update != nil:
		if in.Update.UpdateExpression == nil {
			return nil, invalid("An update of a transaction needs an UpdateExpression")
		}
		return t.updating(in.Update)
	case in.Put != nil:
		p := in.Put
		own, err := t.putItem(p.Item)
		if err != nil {
			return nil, err
		}
		w, err := writing(p.TableName, own, false, p.ConditionExpression, p.ExpressionAttributeNames, p.ExpressionAttributeValues, p.ReturnValuesOnConditionCheckFailure, nil)
		if err != nil {
			return nil, err
		}
		w.changed = func(Item) (Item, error) { return own, nil }
		return w, nil
	case in.Delete != nil:
		d := in.Delete
		w, err := writing(d.TableName, d.Key, true, d.ConditionExpression, d.ExpressionAttributeNames, d.ExpressionAttributeValues, d.ReturnValuesOnConditionCheckFailure, nil)
		if err != nil {
			return nil, err
		}
		w.changed = func(Item) (Item, error) { return nil, nil }
		return w, nil
	}
	c := in.ConditionCheck
	if c.ConditionExpression == nil {
		return nil, invalid("A check needs a ConditionExpression")
	}
	return writing(c.TableName, c.Key, true, c.ConditionExpression, c.ExpressionAttributeNames, c.ExpressionAttributeValues, c.ReturnValuesOnConditionCheckFailure, nil)
}
