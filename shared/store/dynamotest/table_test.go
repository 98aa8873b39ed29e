package dynamotest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/shared/store/dynamotest"
)

func keyed(sk string, more ...any) dynamotest.Item {
	it := dynamotest.Item{"pk": text("p"), "sk": text(sk)}
	for i := 0; i < len(more); i += 2 {
		name, _ := more[i].(string)
		it[name], _ = more[i+1].(types.AttributeValue)
	}
	return it
}

// put writes items one by one.
func put(t *testing.T, table *dynamotest.Table, items ...dynamotest.Item) {
	t.Helper()
	for _, it := range items {
		if _, err := table.TransactWriteItems(t.Context(), transaction(putOf(it))); err != nil {
			t.Fatal(err)
		}
	}
}

func putOf(it dynamotest.Item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: aws.String(dynamotest.Name), Item: it}}
}

func transaction(parts ...types.TransactWriteItem) *dynamodb.TransactWriteItemsInput {
	return &dynamodb.TransactWriteItemsInput{TransactItems: parts}
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// TestValidation makes calls that DynamoDB refuses and DynamoDB Local may accept, and
// calls that the table does not know.
func TestValidation(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	name := aws.String(dynamotest.Name)
	update := func(expression string, values dynamotest.Item) error {
		_, err := table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: name, Key: keyed("1"), UpdateExpression: &expression, ExpressionAttributeValues: values})
		return err
	}
	query := func(change func(*dynamodb.QueryInput)) error {
		in := &dynamodb.QueryInput{TableName: name, KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: dynamotest.Item{":pk": text("p")}}
		change(in)
		_, err := table.Query(t.Context(), in)
		return err
	}
	transact := func(parts ...types.TransactWriteItem) error {
		_, err := table.TransactWriteItems(t.Context(), transaction(parts...))
		return err
	}
	read := func(keys ...map[string]types.AttributeValue) error {
		_, err := table.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{dynamotest.Name: {Keys: keys}}})
		return err
	}
	many := func(n int) (parts []types.TransactWriteItem, keys []map[string]types.AttributeValue) {
		for i := range n {
			parts, keys = append(parts, putOf(keyed(strconv.Itoa(i)))), append(keys, keyed(strconv.Itoa(i)))
		}
		return parts, keys
	}
	check := func(condition string) error {
		values := dynamotest.Item{":v": num("1")}
		if !strings.Contains(condition, ":v") {
			values = nil
		}
		return transact(types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: name, Key: keyed("1"), ConditionExpression: &condition, ExpressionAttributeValues: values,
		}})
	}
	_, bare := table.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: name, Key: keyed("1")})
	parts, keys := many(101)
	large := &types.AttributeValueMemberB{Value: make([]byte, 400<<10)}
	for what, err := range map[string]error{
		"a path into a document":        update("SET a_.b_ = :v", dynamotest.Item{":v": num("1")}),
		"an element of a list":          update("REMOVE a_[0]", nil),
		"list_append":                   update("SET a_ = list_append(a_, :v)", dynamotest.Item{":v": num("1")}),
		"a difference":                  update("SET a_ = a_ - :v", dynamotest.Item{":v": num("1")}),
		"a name without underscore":     update("SET votes = :v", dynamotest.Item{":v": num("1")}),
		"an update without expression":  bare,
		"a condition with NOT":          check("NOT attribute_exists(pk)"),
		"a condition with begins_with":  check("begins_with(a_, :v)"),
		"a condition with IN":           check("a_ IN (:v)"),
		"a comparison with a path":      check("a_ = b_"),
		"a fraction":                    update("SET a_ = :v", dynamotest.Item{":v": num("1.5")}),
		"a number of 20 digits":         update("SET a_ = :v", dynamotest.Item{":v": num("99999999999999999999")}),
		"null":                          update("SET a_ = :v", dynamotest.Item{":v": &types.AttributeValueMemberNULL{Value: true}}),
		"a set of numbers":              update("SET a_ = :v", dynamotest.Item{":v": &types.AttributeValueMemberNS{Value: []string{"1"}}}),
		"a set of binaries":             update("SET a_ = :v", dynamotest.Item{":v": &types.AttributeValueMemberBS{Value: [][]byte{{1}}}}),
		"no value":                      update("SET a_ = :v", dynamotest.Item{":v": nil}),
		"a reserved word":               update("SET status = :v", dynamotest.Item{":v": num("1")}),
		"a key":                         update("SET sk = :v", dynamotest.Item{":v": text("2")}),
		"a key of an index, a number":   update("SET due_pk = :v", dynamotest.Item{":v": num("1")}),
		"a clause twice":                update("SET a_ = :v SET b_ = :v", dynamotest.Item{":v": num("1")}),
		"a value that is not used":      update("SET a_ = :v", dynamotest.Item{":v": num("1"), ":w": num("1")}),
		"a value that is not there":     update("SET a_ = :v, b_ = :w", dynamotest.Item{":v": num("1")}),
		"an empty set":                  update("SET a_ = :v", dynamotest.Item{":v": &types.AttributeValueMemberSS{}}),
		"39 digits":                     update("SET a_ = :v", dynamotest.Item{":v": num(strings.Repeat("1", 39))}),
		"an item too large":             update("SET a_ = :v", dynamotest.Item{":v": large}),
		"an empty expression":           update("", nil),
		"a filter":                      query(func(in *dynamodb.QueryInput) { in.FilterExpression = aws.String("a_ = :pk") }),
		"a projection":                  query(func(in *dynamodb.QueryInput) { in.ProjectionExpression = aws.String("a") }),
		"no such index":                 query(func(in *dynamodb.QueryInput) { in.IndexName = aws.String("by_name") }),
		"a consistent read of an index": query(func(in *dynamodb.QueryInput) { in.IndexName, in.ConsistentRead = aws.String("by_due"), aws.Bool(true) }),
		"another attribute as key":      query(func(in *dynamodb.QueryInput) { in.KeyConditionExpression = aws.String("sk = :pk") }),
		"a key condition with begins_with": query(func(in *dynamodb.QueryInput) {
			in.KeyConditionExpression, in.ExpressionAttributeValues[":sk"] = aws.String("pk = :pk AND begins_with(sk, :sk)"), text("1")
		}),
		"a key condition with >": query(func(in *dynamodb.QueryInput) {
			in.KeyConditionExpression, in.ExpressionAttributeValues[":sk"] = aws.String("pk = :pk AND sk > :sk"), text("1")
		}),
		"a limit of none": query(func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(0) }),
		"a start in another partition": query(func(in *dynamodb.QueryInput) {
			in.ExclusiveStartKey = dynamotest.Item{"pk": text("q"), "sk": text("1")}
		}),
		"an item twice":   transact(putOf(keyed("1")), putOf(keyed("1"))),
		"no part":         transact(),
		"101 parts":       transact(parts...),
		"an empty part":   transact(types.TransactWriteItem{}),
		"a key twice":     read(keyed("1"), keyed("1")),
		"101 keys":        read(keys...),
		"more than a key": read(keyed("1", "a", num("1"))),
	} {
		if code(err) != "ValidationException" {
			t.Errorf("%s: %v, want a ValidationException", what, err)
		}
	}
	if items := table.Items(); len(items) > 0 {
		t.Errorf("%d items were written", len(items))
	}
	if _, err := table.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("another"), Key: keyed("1")}); code(err) != "ResourceNotFoundException" {
		t.Errorf("GetItem of another table: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: keyed("1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("GetItem after the end of its context: %v", err)
	}
}

// TestToken checks that a repeated token changes nothing, and that a transaction that was
// refused can be repeated.
func TestToken(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	count := func() *dynamodb.TransactWriteItemsInput {
		in := transaction(types.TransactWriteItem{Update: &types.Update{
			TableName: aws.String(dynamotest.Name), Key: keyed("1"), UpdateExpression: aws.String("ADD n_1 :one"), ConditionExpression: aws.String("attribute_exists(pk)"),
			ExpressionAttributeValues: dynamotest.Item{":one": num("1")},
		}})
		in.ClientRequestToken = aws.String("token")
		return in
	}
	if _, err := table.TransactWriteItems(t.Context(), count()); code(err) != "TransactionCanceledException" {
		t.Fatalf("without an item: %v", err)
	}
	put(t, table, keyed("1"))
	for range 2 {
		if _, err := table.TransactWriteItems(t.Context(), count()); err != nil {
			t.Fatal(err)
		}
	}
	other := count()
	other.TransactItems[0].Update.Key = keyed("2")
	if _, err := table.TransactWriteItems(t.Context(), other); code(err) != "IdempotentParameterMismatchException" {
		t.Errorf("the token of another transaction: %v", err)
	}
	if diff := cmp.Diff([]string{fmt.Sprint(plainItem(keyed("1", "n_1", num("1"))))}, sortedItems(table.Items())); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// TestPages checks that a page keeps 1 MB and the limit, and that no item is missing from
// all pages together.
func TestPages(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	const n = 700 // more than a block
	large := &types.AttributeValueMemberB{Value: make([]byte, 3_000)}
	want := make([]string, n)
	for i := range n {
		want[i] = fmt.Sprintf("%03d", i*3%n)
		put(t, table, keyed(want[i], "data", large))
	}
	slices.Sort(want)
	for _, tc := range []struct {
		limit       *int32
		left, pages int
		forward     bool
	}{{nil, 0, 3, true}, {nil, 0, 3, false}, {aws.Int32(100), 0, 8, true}, {aws.Int32(100), 50, 63, false}, {nil, 1_000, n, true}} {
		table.Trouble = func(string, any) dynamotest.Trouble { return dynamotest.Trouble{Left: tc.left} }
		in := &dynamodb.QueryInput{
			TableName: aws.String(dynamotest.Name), KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: dynamotest.Item{":pk": text("p")},
			Limit: tc.limit, ScanIndexForward: &tc.forward,
		}
		var got []string
		pages := 0
		for more := true; more; {
			out, err := table.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range out.Items {
				got = append(got, strings.TrimPrefix(plainValue(it["sk"]), "S "))
			}
			pages++
			in.ExclusiveStartKey, more = out.LastEvaluatedKey, out.LastEvaluatedKey != nil
		}
		if !tc.forward {
			slices.Reverse(got)
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != tc.pages {
			t.Errorf("%+v: %d pages (-want +got):\n%s", tc, pages, diff)
		}
	}
}

// TestLag checks that an index with a lag of n changes has what the table had before the
// last n changes.
func TestLag(t *testing.T) {
	t.Parallel()
	due := func(sk, at string) dynamotest.Item { return keyed(sk, "due_pk", text("d"), "due_key", text(at)) }
	changes := []dynamotest.Item{due("1", "5"), due("2", "3"), due("1", "1"), keyed("2"), due("3", "2")}
	want := [][]string{{}, {"1 5"}, {"2 3", "1 5"}, {"1 1", "2 3"}, {"1 1"}, {"1 1", "3 2"}}
	for lag := range 7 {
		table := dynamotest.New()
		table.Lag(lag)
		for n, it := range changes {
			put(t, table, it, keyed("elsewhere", "n", num(strconv.Itoa(n)))) // of no index
			if diff := cmp.Diff(want[max(n+1-lag, 0)], inDue(t, table)); diff != "" {
				t.Errorf("lag %d, after %d changes (-want +got):\n%s", lag, n+1, diff)
			}
		}
		table.Lag(0)
		if diff := cmp.Diff(want[5], inDue(t, table)); diff != "" {
			t.Errorf("after a lag of %d (-want +got):\n%s", lag, diff)
		}
	}
}

// inDue lists the entries of a partition of by_due.
func inDue(t *testing.T, table *dynamotest.Table) []string {
	t.Helper()
	out, err := table.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String(dynamotest.Name), IndexName: aws.String("by_due"), KeyConditionExpression: aws.String("due_pk = :pk"),
		ExpressionAttributeValues: dynamotest.Item{":pk": text("d")},
	})
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, it := range out.Items {
		found = append(found, strings.TrimPrefix(plainValue(it["sk"]), "S ")+" "+strings.TrimPrefix(plainValue(it["due_key"]), "S "))
	}
	return found
}

// TestTrouble checks that a call that fails does nothing, that one whose answer is lost
// does everything, and that a batch that is cut short does the first requests.
func TestTrouble(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	batch := func() *dynamodb.BatchWriteItemInput {
		return &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{dynamotest.Name: {
			{PutRequest: &types.PutRequest{Item: keyed("1")}}, {PutRequest: &types.PutRequest{Item: keyed("2")}},
		}}}
	}
	for name, tc := range map[string]struct {
		trouble    dynamotest.Trouble
		err        string
		kept, left int
	}{
		"throttled":       {dynamotest.Trouble{Err: dynamotest.Throttled()}, "ProvisionedThroughputExceededException", 0, 0},
		"collided":        {dynamotest.Trouble{Err: dynamotest.Conflicting()}, "TransactionConflictException", 0, 0},
		"cancelled":       {dynamotest.Trouble{Err: dynamotest.Cancelled("TransactionConflict")}, "TransactionCanceledException", 0, 0},
		"a lost answer":   {dynamotest.Trouble{Lost: broken}, "operation error DynamoDB: BatchWriteItem, broken", 2, 0},
		"a batch cut":     {dynamotest.Trouble{Left: 1}, "<nil>", 1, 1},
		"nothing of it":   {dynamotest.Trouble{Left: 9}, "<nil>", 0, 2},
		"nothing at all":  {dynamotest.Trouble{}, "<nil>", 2, 0},
		"lost, when half": {dynamotest.Trouble{Lost: broken, Left: 1}, "operation error DynamoDB: BatchWriteItem, broken", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := dynamotest.New()
			table.Trouble = func(string, any) dynamotest.Trouble { return tc.trouble }
			out, err := table.BatchWriteItem(t.Context(), batch())
			left := 0
			if out != nil {
				left = len(out.UnprocessedItems[dynamotest.Name])
			}
			if code(err) != tc.err || len(table.Items()) != tc.kept || left != tc.left {
				t.Errorf("BatchWriteItem = %d left, %v, and keeps %d, want %d, %s and %d", left, err, len(table.Items()), tc.left, tc.err, tc.kept)
			}
		})
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	put(t, table, keyed("1", "expires_at", num("100")), keyed("2", "expires_at", num("101")), keyed("3"), keyed("4", "expires_at", text("never")))
	table.Expire(time.Unix(100, 999))
	if diff := cmp.Diff([]string{"2", "3", "4"}, table.Keys("p")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestSharesNoMemory checks that a caller cannot change the table through what it sent or
// received.
func TestSharesNoMemory(t *testing.T) {
	t.Parallel()
	table := dynamotest.New()
	sent := keyed("1", "b", &types.AttributeValueMemberB{Value: []byte("a")}, "s", &types.AttributeValueMemberSS{Value: []string{"a"}})
	put(t, table, sent)
	change := func(it dynamotest.Item) {
		if b, ok := it["b"].(*types.AttributeValueMemberB); ok {
			b.Value[0] = 'x'
		}
		if s, ok := it["s"].(*types.AttributeValueMemberSS); ok {
			s.Value[0] = "x"
		}
		delete(it, "sk")
	}
	want := sortedItems(table.Items())
	change(sent)
	change(table.Items()[0])
	out, err := table.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(dynamotest.Name), Key: keyed("1")})
	if err != nil {
		t.Fatal(err)
	}
	change(out.Item)
	if diff := cmp.Diff(want, sortedItems(table.Items())); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}
