package kit

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

// Table is the table, and how it is read and written. It is safe for concurrent
// use.
type Table struct {
	API    API
	Name   string
	sleep  func(context.Context, time.Duration) error
	random io.Reader
}

// New makes one over a table.
func New(api API, table string, o Options) *Table {
	t := &Table{API: throttling{api}, Name: table, sleep: o.Sleep, random: o.Random}
	if t.sleep == nil {
		t.sleep = sleep
	}
	if t.random == nil {
		t.random = rand.Reader
	}
	return t
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
	Attempts  = 6
	firstWait = 25 * time.Millisecond
)

// Backoff waits before attempt n+1, n counting from zero. It gives up where the
// wait would reach the context's deadline.
func (s *Table) Backoff(ctx context.Context, n int) error {
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

// Write calls until it neither collides nor is throttled within a transaction,
// at most attempts times. A collision that lasts is fault.State with RetryAfter,
// throttling that does fault.Overloaded: nobody else is at the item.
func (s *Table) Write(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		collided, throttled := cancelled(err)
		if !collided && !throttled {
			return err
		}
		if n+1 < Attempts && s.Backoff(ctx, n) == nil {
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

// Part is one item's share of a transaction, by the name that its refusal is
// known under.
type Part struct {
	name  string
	Write types.TransactWriteItem
}

// Refusals are the parts whose condition did not hold, with the items that
// stood in the way (nil where there was none).
type Refusals map[string]Item

// Has tells whether the part of this name was refused.
func (r Refusals) Has(name string) bool { _, ok := r[name]; return ok }

// Transact writes all parts or none. Refusals are nil when they are written. All
// attempts carry one request token: DynamoDB applies them once.
func (s *Table) Transact(ctx context.Context, parts []Part) (Refusals, error) {
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token}
	for _, p := range parts {
		in.TransactItems = append(in.TransactItems, p.Write)
	}
	err = s.Write(ctx, func() error {
		_, err := s.API.TransactWriteItems(ctx, in)
		return err
	})
	var cancelled *types.TransactionCanceledException
	if err == nil || fault.Is(err, fault.State) || fault.Is(err, fault.Overloaded) || !errors.As(err, &cancelled) {
		return nil, err
	}
	refused := Refusals{}
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
func (s *Table) token() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Put is a part that writes a whole item on a condition, none if it is empty.
func (s *Table) Put(name string, it Item, condition string, values Item) Part {
	p := &types.Put{TableName: &s.Name, Item: it}
	if condition != "" {
		p.ConditionExpression = &condition
		p.ExpressionAttributeValues = values
		p.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return Part{name, types.TransactWriteItem{Put: p}}
}

// Insert is a part that writes an item where there is none.
func (s *Table) Insert(name string, it Item) Part { return s.Put(name, it, IfAbsent, nil) }

// IfAbsent is the condition that no item has the key.
const IfAbsent = "attribute_not_exists(pk)"

// RefusedItem is what stood in the way of a single write whose condition did
// not hold; ok is false for any other error.
func RefusedItem(err error) (old Item, ok bool) {
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return refused.Item, true
	}
	return nil, false
}
