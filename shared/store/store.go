// Package store keeps accounts, keys, connections and idempotency records in
// one DynamoDB table. Every write is on a condition that DynamoDB checks with
// it; nothing is read first and written then. Times are kept to the
// millisecond.
//
// Each method says which fault it returns when. A call that AWS throttles is
// fault.Overloaded with RetryAfter, of whatever method. Anything else, such as
// AWS failing or refusing the function, is fault.Internal with its cause.
package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/connection"
	"carrierlink/shared/fault"
)

// API is what the store calls of the DynamoDB client.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Options are what tests pass; the zero value is what functions use.
type Options struct {
	// Sleep waits between two attempts; nil waits by the clock, until the
	// context ends.
	Sleep func(context.Context, time.Duration) error
	// Random feeds request tokens and the jitter of waits; nil is
	// crypto/rand.Reader. It is read by several goroutines at once.
	Random io.Reader
}

// Store is the table. It is safe for concurrent use.
type Store struct {
	// Caps are held in the transaction that makes the thing. They are set before
	// the first call.
	Caps connection.Caps

	api    API
	table  string
	sleep  func(context.Context, time.Duration) error
	random io.Reader
}

// New makes a store over a table.
func New(api API, table string, o Options) *Store {
	s := &Store{api: throttling{api}, table: table, sleep: o.Sleep, random: o.Random}
	if s.sleep == nil {
		s.sleep = sleep
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	return s
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// The SDK retries throttled and failed requests by itself, but not a write that
// collided with a transaction. That is done here: six attempts, the n-th wait
// being a random part of 25 ms doubled each time, 775 ms at most in all.
const (
	attempts  = 6
	firstWait = 25 * time.Millisecond
)

// backoff waits before attempt n+1, n counting from zero. It gives up where the
// wait would reach the context's deadline.
func (s *Store) backoff(ctx context.Context, n int) error {
	var b [8]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return fmt.Errorf("reading randomness: %w", err)
	}
	wait := time.Duration(binary.BigEndian.Uint64(b[:])>>1) % (firstWait << n)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return context.DeadlineExceeded
	}
	return s.sleep(ctx, wait)
}

// write calls until it neither collides nor is throttled within a transaction,
// at most attempts times. A collision that lasts is fault.State with RetryAfter,
// throttling that does fault.Overloaded: nobody else is at the item.
func (s *Store) write(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		collided, throttled := cancelled(err)
		if !collided && !throttled {
			return err
		}
		if n+1 < attempts && s.backoff(ctx, n) == nil {
			continue
		}
		if throttled {
			return fault.Throttled(err)
		}
		return fault.Busy(err)
	}
}

// cancelled tells whether an identical attempt may succeed, because another
// transaction held an item, or DynamoDB throttled one within the transaction.
// That has priority over conditions: a condition that failed beside a collision
// may have failed because of the very transaction that it collided with, and
// hides what that one leaves behind, such as the twin's idempotency record.
func cancelled(err error) (collided, throttled bool) {
	var single *types.TransactionConflictException
	var running *types.TransactionInProgressException
	if errors.As(err, &single) || errors.As(err, &running) {
		return true, false
	}
	var transaction *types.TransactionCanceledException
	if !errors.As(err, &transaction) {
		return false, false
	}
	for _, reason := range transaction.CancellationReasons {
		code := aws.ToString(reason.Code)
		collided = collided || code == "TransactionConflict"
		throttled = throttled || throttles(code)
	}
	return collided, throttled
}

// part is one item's share of a transaction, by the name that its refusal is
// known under.
type part struct {
	name  string
	write types.TransactWriteItem
}

// refusals are the parts whose condition did not hold, with the items that
// stood in the way (nil where there was none).
type refusals map[string]item

func (r refusals) has(name string) bool { _, ok := r[name]; return ok }

// transact writes all parts or none. refusals is nil when they are written. All
// attempts carry one request token: DynamoDB applies them once.
func (s *Store) transact(ctx context.Context, parts []part) (refusals, error) {
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token}
	for _, p := range parts {
		in.TransactItems = append(in.TransactItems, p.write)
	}
	err = s.write(ctx, func() error {
		_, err := s.api.TransactWriteItems(ctx, in)
		return err
	})
	var cancelled *types.TransactionCanceledException
	if err == nil || fault.Is(err, fault.State) || fault.Is(err, fault.Overloaded) || !errors.As(err, &cancelled) {
		return nil, err
	}
	refused := refusals{}
	for i, reason := range cancelled.CancellationReasons {
		switch code := aws.ToString(reason.Code); {
		case code == "" || code == "None":
		case code == "ConditionalCheckFailed" && i < len(parts):
			refused[parts[i].name] = reason.Item
		default:
			return nil, fmt.Errorf("part %d: %s: %w", i+1, code, err)
		}
	}
	if len(refused) == 0 {
		return nil, err
	}
	return refused, nil
}

// token is 32 random hexadecimal digits (a ClientRequestToken has at most 36
// characters).
func (s *Store) token() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// put is a part that writes a whole item on a condition, none if it is empty.
func (s *Store) put(name string, it item, condition string, values item) part {
	p := &types.Put{TableName: &s.table, Item: it}
	if condition != "" {
		p.ConditionExpression = &condition
		p.ExpressionAttributeValues = values
		p.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return part{name, types.TransactWriteItem{Put: p}}
}

// insert is a part that writes an item where there is none.
func (s *Store) insert(name string, it item) part { return s.put(name, it, ifAbsent, nil) }

const ifAbsent = "attribute_not_exists(pk)"

// refusedItem is what stood in the way of a single write whose condition did
// not hold; ok is false for any other error.
func refusedItem(err error) (old item, ok bool) {
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return refused.Item, true
	}
	return nil, false
}
