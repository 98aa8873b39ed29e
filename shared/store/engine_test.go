package store_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/shared/store"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
	"carrierlink/shared/store/storetest"
)

// engine is an implementation of DynamoDB to test on. If it does not start, the tests
// that need it fail; they are not skipped.
type engine struct {
	name  string
	start func(context.Context, emulator.Options) (*emulator.Process, error)
	run   *emulator.Process
	err   error
}

// table is the name of the table in memory.
const table = dynamotest.Name

// engines are DynamoDB Local, the strictest, and MiniStack, which `make run` uses; with
// EMULATOR=localstack LocalStack instead of both.
var engines = func() []*engine { // TestMain starts and stops them
	if os.Getenv("EMULATOR") == "localstack" {
		return []*engine{{name: "LocalStack", start: emulator.StartLocalStack}}
	}
	return []*engine{
		{name: "DynamoDBLocal", start: emulator.StartDynamoDBLocal},
		{name: "MiniStack", start: emulator.StartMiniStack},
	}
}()

func TestMain(m *testing.M) { os.Exit(withEngines(m)) }

func withEngines(m *testing.M) int {
	var starting sync.WaitGroup
	for _, e := range engines {
		starting.Go(func() { e.run, e.err = e.start(context.Background(), emulator.Options{}) })
	}
	starting.Wait()
	code := m.Run()
	for _, e := range engines {
		if e.run == nil {
			continue
		}
		if err := e.run.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

var tables atomic.Int64

// table creates a table for one test, so that its ids cannot meet those of another test or
// of another run.
func (e *engine) table(tb testing.TB) (api *dynamodb.Client, name string) {
	tb.Helper()
	if e.err != nil {
		tb.Fatal(e.err)
	}
	cfg, name := emulator.Config(e.run.URL), fmt.Sprint("store-", tables.Add(1))
	calltrace.Table(tb, cfg, name)
	return dynamodb.NewFromConfig(cfg), name
}

// onEngines runs a test on each engine.
func onEngines(t *testing.T, test func(t *testing.T, api *dynamodb.Client, table string)) {
	t.Helper()
	for _, e := range engines {
		onEngine(t, e, test)
	}
}

func onEngine(t *testing.T, e *engine, test func(t *testing.T, api *dynamodb.Client, table string)) {
	t.Helper()
	t.Run(e.name, func(t *testing.T) {
		api, name := e.table(t)
		test(t, api, name)
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, api *dynamodb.Client, table string) {
		t.Helper()
		conform(t, api, table)
	})
	t.Run("InMemory", func(t *testing.T) { conform(t, dynamotest.New(), table) })
	t.Run("InTrouble", func(t *testing.T) { conform(t, troubled(), table) })
	t.Run("AnswersLost", func(t *testing.T) { conform(t, &repeating{Table: dynamotest.New()}, table) })
}

// repeating is a table in memory that loses the first answer to each write and makes the
// call again, as the SDK would, before any other write.
type repeating struct {
	*dynamotest.Table
	mu sync.Mutex
}

func (r *repeating) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return again(ctx, r, in, r.Table.UpdateItem, o)
}

func (r *repeating) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	return again(ctx, r, in, r.Table.BatchWriteItem, o)
}

func (r *repeating) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return again(ctx, r, in, r.Table.TransactWriteItems, o)
}

func again[In, Out any](ctx context.Context, r *repeating, in *In, call func(context.Context, *In, ...func(*dynamodb.Options)) (*Out, error), o []func(*dynamodb.Options)) (*Out, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if out, err := call(ctx, in, o...); err != nil {
		return out, err
	}
	return call(ctx, in, o...)
}

// troubled returns a table in memory with trouble that the store hides: each transaction
// collides once, each page ends early, and every tenth call collides if it is an
// UpdateItem, or is cut short if it is a batch.
func troubled() *dynamotest.Table {
	api := dynamotest.New()
	var collided sync.Map // by token
	var calls atomic.Int64
	api.Trouble = func(operation string, input any) (trouble dynamotest.Trouble) {
		tenth := calls.Add(1)%10 == 0
		switch in := input.(type) {
		case *dynamodb.TransactWriteItemsInput:
			if _, again := collided.LoadOrStore(*in.ClientRequestToken, true); !again {
				trouble.Err = dynamotest.Cancelled("TransactionConflict")
			}
		case *dynamodb.QueryInput:
			trouble.Left = 1
		case *dynamodb.UpdateItemInput:
			if tenth {
				trouble.Err = dynamotest.Conflicting()
			}
		default:
			if tenth && strings.HasPrefix(operation, "Batch") {
				trouble.Left = 1
			}
		}
		return trouble
	}
	return api
}

// conform runs the conformance suite on a table.
func conform(t *testing.T, api kit.API, table string) {
	t.Helper()
	storetest.Run(t, func(_ *testing.T, caps storetest.Caps) *store.Store {
		s := store.New(api, table, kit.Options{})
		s.Caps, s.MaxKeys = caps.Caps, caps.Keys
		return s
	})
}

// calls is an API that records the calls, and lets a test fail them.
type calls struct {
	api kit.API
	// fail, if set, runs before each call; its error is the call's.
	fail func(operation string, input any) error

	mu         sync.Mutex
	operations []string
}

func (c *calls) record(operation string, input any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, operation)
	if c.fail == nil {
		return nil
	}
	return c.fail(operation, input)
}

// taken returns the calls since it was last asked.
func (c *calls) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	operations := slices.Clone(c.operations)
	c.operations = nil
	return operations
}

func (c *calls) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if err := c.record("GetItem", in); err != nil {
		return nil, err
	}
	return c.api.GetItem(ctx, in, o...)
}

func (c *calls) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	if err := c.record("BatchGetItem", in); err != nil {
		return nil, err
	}
	return c.api.BatchGetItem(ctx, in, o...)
}

func (c *calls) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if err := c.record("UpdateItem", in); err != nil {
		return nil, err
	}
	return c.api.UpdateItem(ctx, in, o...)
}

func (c *calls) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	if err := c.record("BatchWriteItem", in); err != nil {
		return nil, err
	}
	return c.api.BatchWriteItem(ctx, in, o...)
}

func (c *calls) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if err := c.record("Query", in); err != nil {
		return nil, err
	}
	return c.api.Query(ctx, in, o...)
}

func (c *calls) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	if err := c.record("TransactWriteItems", in); err != nil {
		return nil, err
	}
	return c.api.TransactWriteItems(ctx, in, o...)
}
