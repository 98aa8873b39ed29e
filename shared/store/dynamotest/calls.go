package dynamotest

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Limits of DynamoDB.
const (
	mostRead    = 100       // keys of a BatchGetItem
	mostWritten = 25        // requests of a BatchWriteItem
	mostParts   = 100       // of a transaction
	mostItem    = 400 << 10 // bytes
	mostPage    = 1 << 20
	mostBatch   = 16 << 20
	mostWrite   = 4 << 20 // of a transaction
	mostPK      = 2048    // bytes of a key
	mostSK      = 1024
)

func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

func unknown(what string) error { return invalid("%s is unknown to dynamotest", what) }

// Throttled is the error of a call that DynamoDB throttles, after the SDK's
// retries.
func Throttled() error {
	return &types.ProvisionedThroughputExceededException{Message: aws.String("The level of configured provisioned throughput for the table was exceeded.")}
}

// Conflicting is the error of a single write whose item is in a transaction.
func Conflicting() error {
	return &types.TransactionConflictException{Message: aws.String("Transaction is ongoing for the item")}
}

// Cancelled is the error of a transaction, with the code of each of its parts:
// such as None, TransactionConflict or ThrottlingError.
func Cancelled(codes ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons")}
	for _, code := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return e
}

// call makes a call, unless its context has ended or Trouble refuses it.
func call[In, Out any](ctx context.Context, t *Table, operation string, in *In, do func(left int) (*Out, error)) (*Out, error) {
	err := ctx.Err()
	if err != nil {
		err = &smithy.CanceledError{Err: err}
	}
	var trouble Trouble
	if err == nil && t.Trouble != nil {
		trouble = t.Trouble(operation, in)
		err = trouble.Err
	}
	var out *Out
	if err == nil {
		out, err = do(trouble.Left)
		if err == nil {
			err = trouble.Lost
		}
	}
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: "DynamoDB", OperationName: operation, Err: err}
	}
	return out, nil
}

// checkTable refuses another table.
func checkTable(name *string) error {
	if aws.ToString(name) != Name {
		return &types.ResourceNotFoundException{Message: aws.String("Requested resource not found")}
	}
	return nil
}

// keyOf is the key of an item; with only, the item has to be just a key.
func keyOf(it Item, only bool) (Key, error) {
	pk, ok := it[attrPK].(*types.AttributeValueMemberS)
	sk, also := it[attrSK].(*types.AttributeValueMemberS)
	switch {
	case !ok || !also || only && len(it) != 2:
		return Key{}, invalid("The provided key element does not match the schema")
	case pk.Value == "" || sk.Value == "":
		return Key{}, invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value.")
	case len(pk.Value) > mostPK || len(sk.Value) > mostSK:
		return Key{}, invalid("One or more parameter values were invalid: Size of a key has exceeded the maximum size limit")
	}
	return Key{pk.Value, sk.Value}, nil
}

// checkItem checks an item that is about to be written.
func (t *Table) checkItem(it Item) error {
	for _, v := range t.indexes {
		for _, attr := range []string{v.pk, v.sk} {
			value := it[attr]
			if text, ok := value.(*types.AttributeValueMemberS); value != nil && (!ok || text.Value == "") {
				return invalid("One or more parameter values were invalid: %s is a key of index %s and has to be a text that is not empty", attr, v.name)
			}
		}
	}
	if sizeOf(it) > mostItem {
		return invalid("Item size has exceeded the maximum allowed size")
	}
	return nil
}

// GetItem is DynamoDB's.
func (t *Table) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return call(ctx, t, "GetItem", in, func(int) (*dynamodb.GetItemOutput, error) {
		if in.ProjectionExpression != nil || in.AttributesToGet != nil || in.ExpressionAttributeNames != nil {
			return nil, unknown("a projection")
		}
		k, err := keyOf(in.Key, true)
		if err := errors.Join(checkTable(in.TableName), err); err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		return &dynamodb.GetItemOutput{Item: private(t.get(k))}, nil
	})
}

// only is the request of a batch for the table.
func only[T any](requests map[string]T) (request T, err error) {
	if len(requests) != 1 {
		return request, invalid("%d tables in one call", len(requests))
	}
	for name := range requests {
		err = checkTable(&name)
	}
	return requests[Name], err
}

// BatchGetItem is DynamoDB's. It answers in the order of the keys.
func (t *Table) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return call(ctx, t, "BatchGetItem", in, func(left int) (*dynamodb.BatchGetItemOutput, error) {
		ask, err := only(in.RequestItems)
		if err != nil {
			return nil, err
		}
		if ask.ProjectionExpression != nil || ask.AttributesToGet != nil || ask.ExpressionAttributeNames != nil {
			return nil, unknown("a projection")
		}
		keys, err := distinct(len(ask.Keys), mostRead, func(i int) (Key, error) { return keyOf(ask.Keys[i], true) })
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		var items []map[string]types.AttributeValue
		n, size := 0, 0
		for ; n < len(keys)-left; n++ {
			it := t.get(keys[n])
			if it == nil {
				continue
			}
			if size += t.items.entries[keys[n]].size; size > mostBatch {
				break
			}
			items = append(items, private(it))
		}
		out := &dynamodb.BatchGetItemOutput{
			Responses: map[string][]map[string]types.AttributeValue{Name: items}, UnprocessedKeys: map[string]types.KeysAndAttributes{},
		}
		if n < len(keys) {
			rest := ask
			rest.Keys = ask.Keys[n:]
			out.UnprocessedKeys[Name] = rest
		}
		return out, nil
	})
}

// distinct are n keys: at least one, at most most, and all different.
func distinct(n, most int, key func(i int) (Key, error)) ([]Key, error) {
	if n < 1 || n > most {
		return nil, invalid("%d requests in one call, want 1 to %d", n, most)
	}
	keys := make([]Key, n)
	seen := make(map[Key]bool, n)
	for i := range keys {
		k, err := key(i)
		if err != nil {
			return nil, err
		}
		if seen[k] {
			return nil, invalid("One call includes an item twice")
		}
		keys[i], seen[k] = k, true
	}
	return keys, nil
}

// BatchWriteItem is DynamoDB's.
func (t *Table) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	return call(ctx, t, "BatchWriteItem", in, func(left int) (*dynamodb.BatchWriteItemOutput, error) {
		requests, err := only(in.RequestItems)
		if err != nil {
			return nil, err
		}
		items := make([]Item, len(requests))
		keys, err := distinct(len(requests), mostWritten, func(i int) (Key, error) {
			r := requests[i]
			switch {
			case r.PutRequest != nil && r.DeleteRequest == nil:
				if items[i], err = t.putItem(r.PutRequest.Item); err != nil {
					return Key{}, err
				}
				return keyOf(items[i], false)
			case r.DeleteRequest != nil && r.PutRequest == nil:
				return keyOf(r.DeleteRequest.Key, true)
			}
			return Key{}, invalid("A write request has to be a put or a delete")
		})
		if err != nil {
			return nil, err
		}
		done := max(len(keys)-left, 0)
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, k := range keys[:done] {
			t.put(k, items[i])
		}
		out := &dynamodb.BatchWriteItemOutput{UnprocessedItems: map[string][]types.WriteRequest{}}
		if done < len(keys) {
			out.UnprocessedItems[Name] = requests[done:]
		}
		return out, nil
	})
}

// putItem is an item as the table keeps it.
func (t *Table) putItem(it Item) (Item, error) {
	own, err := keptItem(it)
	if err != nil {
		return nil, err
	}
	return own, t.checkItem(own)
}

// UpdateItem is DynamoDB's.
func (t *Table) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return call(ctx, t, "UpdateItem", in, func(int) (*dynamodb.UpdateItemOutput, error) {
		if in.AttributeUpdates != nil || in.Expected != nil || in.ConditionalOperator != "" || in.UpdateExpression == nil {
			return nil, unknown("a legacy parameter, or an update without an expression")
		}
		if in.ReturnValues != types.ReturnValueAllNew && in.ReturnValues != types.ReturnValueNone && in.ReturnValues != "" {
			return nil, unknown("ReturnValues " + string(in.ReturnValues))
		}
		w, err := writing(in.TableName, in.Key, in.ConditionExpression, in.UpdateExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		next, err := w.next(t)
		if err != nil {
			return nil, err
		}
		t.put(w.key, next)
		out := &dynamodb.UpdateItemOutput{}
		if in.ReturnValues == types.ReturnValueAllNew {
			out.Attributes = private(next)
		}
		return out, nil
	})
}

// write is a write of one item.
type write struct {
	key    Key
	terms  *terms
	allOld bool                         // a refusal returns the item
	change func(old Item) (Item, error) // into nil: deletes it. Without it the write is a check
}

// next is the item after the write, nil for none. A condition that does not hold is a
// ConditionalCheckFailedException.
func (w *write) next(t *Table) (Item, error) {
	old := t.get(w.key)
	if where := w.terms.where; where != nil && !w.terms.holds(*where, old) {
		refused := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
		if w.allOld {
			refused.Item = private(old)
		}
		return nil, refused
	}
	if w.change == nil {
		return old, nil
	}
	next, err := w.change(old)
	if err != nil {
		return nil, err
	}
	return next, t.checkItem(next)
}

// writing is a write of an item: an update, or a check if update is nil.
func writing(table *string, key Item, condition, update *string, names map[string]string, values Item, back types.ReturnValuesOnConditionCheckFailure) (*write, error) {
	if err := checkTable(table); err != nil {
		return nil, err
	}
	k, err := keyOf(key, true)
	if err != nil {
		return nil, err
	}
	terms, err := newTerms(condition, update, names, values)
	if err != nil {
		return nil, err
	}
	w := &write{key: k, terms: terms, allOld: back == types.ReturnValuesOnConditionCheckFailureAllOld}
	if update != nil {
		w.change = func(old Item) (Item, error) {
			if old == nil {
				old = key
			}
			return terms.update(old)
		}
	}
	return w, nil
}
