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
		done := t.recent[token]
		if done == nil {
			done = t.older[token]
		}
		if done != nil && !reflect.DeepEqual(done, in.TransactItems) {
			return nil, &types.IdempotentParameterMismatchException{Message: aws.String("Idempotent token used with different parameters")}
		}
		if done != nil {
			return &dynamodb.TransactWriteItemsOutput{}, nil
		}
		if err := t.transact(writes); err != nil {
			return nil, err
		}
		if token != "" {
			if len(t.recent) == 1000 {
				t.recent, t.older = map[string][]types.TransactWriteItem{}, t.recent
			}
			t.recent[token] = in.TransactItems
		}
		return &dynamodb.TransactWriteItemsOutput{}, nil
	})
}

// transact makes all writes or none.
func (t *Table) transact(writes []*write) error {
	next := make([]Item, len(writes))
	reasons := make([]types.CancellationReason, len(writes))
	cancelled := false
	for i, w := range writes {
		var err error
		next[i], err = w.next(t)
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
		if w.change != nil {
			t.put(w.key, next[i])
		}
	}
	return nil
}

// reason is why a part cannot be written, with the code None if it can.
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

// part checks a part of a transaction.
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
		u := in.Update
		if u.UpdateExpression == nil {
			return nil, invalid("An update of a transaction needs an UpdateExpression")
		}
		return writing(u.TableName, u.Key, u.ConditionExpression, u.UpdateExpression, u.ExpressionAttributeNames, u.ExpressionAttributeValues, u.ReturnValuesOnConditionCheckFailure)
	case in.ConditionCheck != nil:
		c := in.ConditionCheck
		if c.ConditionExpression == nil {
			return nil, invalid("A check needs a ConditionExpression")
		}
		return writing(c.TableName, c.Key, c.ConditionExpression, nil, c.ExpressionAttributeNames, c.ExpressionAttributeValues, c.ReturnValuesOnConditionCheckFailure)
	case in.Delete != nil:
		d := in.Delete
		w, err := writing(d.TableName, d.Key, d.ConditionExpression, nil, d.ExpressionAttributeNames, d.ExpressionAttributeValues, d.ReturnValuesOnConditionCheckFailure)
		if err == nil {
			w.change = func(Item) (Item, error) { return nil, nil }
		}
		return w, err
	}
	p := in.Put
	own, err := t.putItem(p.Item)
	if err != nil {
		return nil, err
	}
	key := Item{attrPK: own[attrPK], attrSK: own[attrSK]}
	w, err := writing(p.TableName, key, p.ConditionExpression, nil, p.ExpressionAttributeNames, p.ExpressionAttributeValues, p.ReturnValuesOnConditionCheckFailure)
	if err == nil {
		w.change = func(Item) (Item, error) { return own, nil }
	}
	return w, err
}
