// Package kit reads and writes the table: keys, items, edits, transactions,
// throttling, and the effects of changes. All keys are made in keys.go. DynamoDB
// checks a condition with every write; none relies on an earlier read. Times are kept
// to the millisecond.
//
// Throttling by AWS is fault.Overloaded with RetryAfter. Any other failure, and a
// refusal of the function's role, is fault.Internal with its cause.
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
	"carrierlink/shared/wait"
)

// API is the part of the DynamoDB client that the store calls.
type API interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Options are for tests; functions use the zero value.
type Options struct {
	// Sleep waits between two attempts; nil: until the time has passed or the context
	// ends.
	Sleep func(context.Context, time.Duration) error
	// Random is the source of request tokens and jitter, and safe for concurrent use;
	// nil: crypto/rand.Reader.
	Random io.Reader
}

// Table reads and writes the table. It is safe for concurrent use.
type Table struct {
	API    API
	Name   string
	sleep  func(context.Context, time.Duration) error
	random io.Reader
}

// New returns the Table of this name.
func New(api API, table string, o Options) *Table {
	t := &Table{API: throttling{api}, Name: table, sleep: o.Sleep, random: o.Random}
	if t.sleep == nil {
		t.sleep = wait.For
	}
	if t.random == nil {
		t.random = rand.Reader
	}
	return t
}

// The SDK retries throttled and failed requests, but not a write that collided with a
// transaction. write does: six attempts, with full jitter up to 25 ms before the
// second and twice as much before each further one, 775 ms at most in all.
const (
	Attempts  = 6
	firstWait = 25 * time.Millisecond
)

// Backoff waits after attempt n, which counts from zero. It returns an error at once
// if the wait would reach the context's deadline.
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

// write repeats a call that collides with a transaction or is throttled within one,
// up to Attempts in all. If that does not help, a collision is fault.Busy because of
// fault.ErrCollision, throttling fault.Overloaded.
func (s *Table) write(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		collided, overloaded := cancelled(err)
		if !collided && !overloaded {
			return err
		}
		if n+1 < Attempts && s.Backoff(ctx, n) == nil {
			continue
		}
		if overloaded {
			return throttled(ctx, err)
		}
		return fault.Busy(fmt.Errorf("%w: %w", fault.ErrCollision, err))
	}
}

// cancelled tells whether the same call may succeed when repeated: another
// transaction held one of its items, or DynamoDB throttled it within the transaction.
// This takes precedence over failed conditions: the transaction that it collided with
// may be why a condition failed, and may yet leave the idempotency record of a
// repeated request, which the repeated call then finds.
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

// Part is one item's part of a transaction. Its name identifies it in Refusals.
type Part struct {
	name  string
	Write types.TransactWriteItem
}

// Refusals are the parts whose conditions did not hold, with the items as they are
// (nil if absent).
type Refusals map[string]Item

// Has tells whether the part of this name was refused.
func (r Refusals) Has(name string) bool { _, ok := r[name]; return ok }

// Transact writes all parts, and returns nil Refusals, or none. All attempts carry the
// same request token, so that DynamoDB applies them once.
func (s *Table) Transact(ctx context.Context, parts []Part) (Refusals, error) {
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token}
	for _, p := range parts {
		in.TransactItems = append(in.TransactItems, p.Write)
	}
	err = s.write(ctx, func() error {
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

// token returns 32 random hexadecimal digits; a ClientRequestToken may have 36
// characters.
func (s *Table) token() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Put returns the part that writes a whole item on a condition; empty: on none.
func (s *Table) Put(name string, it Item, condition string, values Item) Part {
	p := &types.Put{TableName: &s.Name, Item: it}
	if condition != "" {
		p.ConditionExpression = &condition
		p.ExpressionAttributeValues = values
		p.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return Part{name, types.TransactWriteItem{Put: p}}
}

// Insert returns the part that writes an item that is absent.
func (s *Table) Insert(name string, it Item) Part { return s.Put(name, it, IfAbsent, nil) }

// Replace returns the part that writes an item in place of its version.
func (s *Table) Replace(name string, it Item, version int64) Part {
	p := s.Put(name, it, "#version = :version", Item{":version": NumberValue(version)})
	p.Write.Put.ExpressionAttributeNames = map[string]string{"#version": AttrVersion}
	return p
}

// IfAbsent is the condition that no item has the key.
const IfAbsent = "attribute_not_exists(pk)"
