package dynamotest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"carrierlink/infra/local/emulator"
	"carrierlink/infra/test/calltrace"
	"carrierlink/shared/store/dynamotest"
	"carrierlink/shared/store/kit"
)

// api is what both tables implement.
type api = kit.API

var _ api = (*dynamotest.Table)(nil)

// TestAgainstDynamoDBLocal makes the same random calls, good and bad, of the table in
// memory and of DynamoDB Local. Both have to answer the same, and to hold the same items
// afterwards.
func TestAgainstDynamoDBLocal(t *testing.T) {
	t.Parallel()
	local := startLocal(t)
	for seed := range uint64(40) {
		compare(t, local, seed)
	}
	t.Run("indexes", func(t *testing.T) { compareIndexes(t, local) })
	t.Run("reserved words", func(t *testing.T) { compareWords(t, local) })
}

// compareIndexes writes an item with every attribute that an index of template.yaml has
// and one other attribute, and reads it from each index.
func compareIndexes(t *testing.T, local *dynamodb.Client) {
	t.Helper()
	name := aws.String(dynamotest.Name)
	described, err := local.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: name})
	if err != nil {
		t.Fatal(err)
	}
	it := dynamotest.Item{"pk": text("indexes"), "sk": text("1"), "no_index_has_it": text("a")}
	for _, index := range described.Table.GlobalSecondaryIndexes {
		for _, key := range index.KeySchema {
			it[*key.AttributeName] = text("indexes")
		}
		for _, attr := range index.Projection.NonKeyAttributes {
			it[attr] = text("a")
		}
	}
	memory := dynamotest.New()
	for _, a := range []api{local, memory} {
		if _, err := a.TransactWriteItems(t.Context(), transaction(putOf(it))); err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range described.Table.GlobalSecondaryIndexes {
		in := dynamodb.QueryInput{
			TableName: name, IndexName: index.IndexName, KeyConditionExpression: aws.String(*index.KeySchema[0].AttributeName + " = :pk"),
			ExpressionAttributeValues: dynamotest.Item{":pk": text("indexes")},
		}
		want, err := pages(t.Context(), local, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pages(t.Context(), memory, in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s, %v (-DynamoDB Local +memory):\n%s", *index.IndexName, err, diff)
		}
	}
}

// compareWords uses words as names of attributes without an alias. The table takes no
// name that DynamoDB Local refuses, and each that the store uses.
func compareWords(t *testing.T, local *dynamodb.Client) {
	t.Helper()
	memory := dynamotest.New()
	for _, word := range []string{
		"ABORT", "active", "Bucket", "CAPACITY", "comment", "consumed", "data", "date", "exists", "GROUP", "hidden", "IN", "language", "name", "role", "set",
		"SIZE", "status", "timestamp", "ttl", "url", "value", "values", "version", "zone", "ID", "int8", "convert", "contains", "this", "carriers_count", "votes", "sealed", "expires_at", "1_a", "_a", "a_1",
	} {
		in := &dynamodb.UpdateItemInput{
			TableName: aws.String(dynamotest.Name), Key: dynamotest.Item{"pk": text("words"), "sk": text(word)}, UpdateExpression: aws.String("SET " + word + " = :v"),
			ExpressionAttributeValues: dynamotest.Item{":v": num("1")},
		}
		_, want := local.UpdateItem(t.Context(), in)
		_, got := memory.UpdateItem(t.Context(), in)
		if used := word == "sealed" || strings.Contains(word, "_"); want != nil && got == nil || used && code(want) != code(got) {
			t.Errorf("%s: %v, DynamoDB Local: %v", word, got, want)
		}
	}
}

// FuzzAgainstDynamoDBLocal compares the tables for any seed: go test -fuzz=DynamoDBLocal.
func FuzzAgainstDynamoDBLocal(f *testing.F) {
	local := startLocal(f)
	f.Add(uint64(1_000))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, local, seed) })
}

func startLocal(tb testing.TB) *dynamodb.Client {
	tb.Helper()
	cfg := emulator.Config(calltrace.Emulator(tb, emulator.StartDynamoDBLocal))
	calltrace.Table(tb, cfg, dynamotest.Name)
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
}

// chooser makes random calls for a few keys, which no other chooser has.
type chooser struct {
	*rand.Rand
	prefix string
}

var choosers atomic.Int64 // numbers them

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }

// keys are n different keys.
func (c *chooser) keys(n int) []dynamotest.Item {
	var all []dynamotest.Item
	for _, i := range c.Perm(8)[:n] {
		all = append(all, dynamotest.Item{"pk": text(c.prefix + []string{"a", "b"}[i/4]), "sk": text([]string{"1", "2", "30", "31"}[i%4])})
	}
	return all
}

// key is a key, sometimes an invalid one.
func (c *chooser) key() dynamotest.Item {
	key := c.keys(1)[0]
	if c.IntN(60) == 0 {
		key["sk"] = num("1")
	}
	if c.IntN(60) == 0 {
		delete(key, "pk")
	}
	return key
}

// attributes are those of the items; the last three are keys of indexes.
var attributes = []string{"n_1", "n_2", "set_1", "label_1", "data", "flag_1", "due_pk", "due_key", "event_pk"}

func (c *chooser) value() types.AttributeValue {
	switch c.IntN(13) {
	case 0, 1, 2, 3:
		return num(pick(c.Rand, "0", "1", "-1", "7", "10", "007", "-0", "-07", "999999999999999999", "", "one", "123456789012345678901234567890123456789"))
	case 4, 5, 6:
		return text(pick(c.Rand, "a", "ab", "b", "", "äö", "1"))
	case 7, 8:
		return &types.AttributeValueMemberSS{Value: pick(c.Rand, []string{"a"}, []string{"a", "b"}, []string{"b", "c"}, []string{"a", "a"}, []string{})}
	case 9:
		return &types.AttributeValueMemberBOOL{Value: c.IntN(2) == 0}
	case 10:
		return &types.AttributeValueMemberB{Value: pick(c.Rand, []byte("a"), []byte{0, 255}, []byte("ab"), []byte{})}
	case 11:
		return &types.AttributeValueMemberL{Value: pick(c.Rand, []types.AttributeValue{text("a"), num("01")}, []types.AttributeValue{})}
	}
	return &types.AttributeValueMemberM{Value: pick(c.Rand, dynamotest.Item{"a": text("a"), "n": num("01")}, dynamotest.Item{})}
}

// valueOf usually has the type that the attribute has elsewhere. Keys of an index always
// have the right type: DynamoDB Local accepts others, which AWS documents as an error.
func (c *chooser) valueOf(attr string) types.AttributeValue {
	if c.IntN(12) == 0 && !slices.Contains(attributes[6:], attr) {
		return c.value()
	}
	switch attr {
	case "n_1", "n_2":
		return num(strconv.Itoa(c.IntN(5) - 1))
	case "set_1":
		return &types.AttributeValueMemberSS{Value: pick(c.Rand, []string{"a"}, []string{"a", "b"}, []string{"b", "c"})}
	case "label_1":
		return text(pick(c.Rand, "a", "ab", "abc", "b"))
	case "due_pk", "event_pk":
		return text(c.prefix + pick(c.Rand, "x", "y"))
	case "due_key":
		return text(pick(c.Rand, "1", "2", "20", "3"))
	}
	return c.value()
}

// terms are the placeholders of a call that is being made.
type terms struct {
	*chooser
	names  map[string]string
	values dynamotest.Item
}

func (c *chooser) terms() *terms {
	return &terms{chooser: c, names: map[string]string{}, values: dynamotest.Item{}}
}

func (t *terms) path(attr string) string {
	if t.IntN(3) > 0 || attr == "data" {
		t.names["#"+attr] = attr
		return "#" + attr
	}
	return attr
}

func (t *terms) operand(attr string) string {
	name := fmt.Sprint(":v", len(t.values))
	t.values[name] = t.valueOf(attr)
	return name
}

// condition is a condition of at most this depth.
func (t *terms) condition(depth int) string {
	if depth > 0 && t.IntN(2) == 0 {
		a, b := t.condition(depth-1), t.condition(depth-1)
		return pick(t.Rand, a+" AND "+b, a+" OR "+b, "("+a+" or "+b+")", "("+a+" AND "+b+") OR "+a, "(("+a+"))")
	}
	attr := pick(t.Rand, attributes...)
	a := t.path(attr)
	switch t.IntN(10) {
	case 0, 1:
		return "attribute_exists(" + a + ")"
	case 2, 3:
		return "attribute_not_exists(" + pick(t.Rand, a, "pk") + ")"
	case 4:
		return "contains(" + a + ", " + t.operand(pick(t.Rand, "label_1", "n_1", attr)) + ")"
	case 5:
		return a + " BETWEEN " + t.operand(attr) + " AND " + t.operand(attr)
	case 6:
		return "size(" + a + ") " + pick(t.Rand, "<", "=", ">=") + " " + t.operand("n_1")
	}
	return a + " " + pick(t.Rand, "=", "<>", "<", "<=", ">", ">=") + " " + t.operand(attr)
}

func (t *terms) update() string {
	clauses := map[string][]string{}
	for _, n := range t.Perm(len(attributes))[:1+t.IntN(4)] {
		attr := attributes[n]
		if t.IntN(80) == 0 {
			attr = "n_1" // perhaps for the second time
		}
		a, kind := t.path(attr), t.IntN(7)
		if slices.Contains(attributes[6:], attr) {
			kind = pick(t.Rand, 0, 4)
		}
		switch kind {
		case 0, 1:
			clauses["SET"] = append(clauses["SET"], a+" = "+t.operand(attr))
		case 2:
			other := pick(t.Rand, attributes...)
			clauses["SET"] = append(clauses["SET"], a+" = "+pick(t.Rand, t.path(other), "if_not_exists("+t.path(other)+", "+t.operand(attr)+")"))
		case 3:
			clauses["SET"] = append(clauses["SET"], a+" = "+pick(t.Rand, a, "if_not_exists("+a+", "+t.operand("n_1")+")")+" + "+t.operand("n_1"))
		case 4:
			clauses["REMOVE"] = append(clauses["REMOVE"], a)
		case 5:
			clauses["ADD"] = append(clauses["ADD"], a+" "+t.operand(attr))
		case 6:
			clauses["DELETE"] = append(clauses["DELETE"], a+" "+t.operand(attr))
		}
	}
	var all []string
	for _, clause := range slices.Sorted(maps.Keys(clauses)) {
		all = append(all, clause+" "+strings.Join(clauses[clause], ", "))
	}
	return strings.Join(all, " ")
}

// used are the placeholders that a call sends: those of its expressions, and now and
// then another one.
func (t *terms) used(expressions ...*string) (map[string]string, dynamotest.Item) {
	in := func(name string) bool {
		return t.IntN(100) == 0 || slices.ContainsFunc(expressions, func(e *string) bool { return e != nil && mentions(*e, name) })
	}
	maps.DeleteFunc(t.names, func(name, _ string) bool { return !in(name) })
	maps.DeleteFunc(t.values, func(name string, _ types.AttributeValue) bool { return !in(name) })
	if len(t.names) == 0 {
		t.names = nil
	}
	if len(t.values) == 0 {
		t.values = nil
	}
	return t.names, t.values
}

// mentions tells whether an expression has a placeholder, and not only a longer one that
// begins with it.
func mentions(expression, name string) bool {
	for rest := []byte(expression); ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return false
		}
		rest = rest[i+len(name):]
		if len(rest) == 0 || bytes.IndexByte([]byte(" ,)"), rest[0]) >= 0 {
			return true
		}
	}
}

func (c *chooser) maybe(condition func() string, of int) *string {
	if c.IntN(of) > 0 {
		return nil
	}
	return aws.String(condition())
}

func (c *chooser) item(key dynamotest.Item) dynamotest.Item {
	it := maps.Clone(key)
	for _, n := range c.Perm(len(attributes))[:c.IntN(6)] {
		it[attributes[n]] = c.valueOf(attributes[n])
	}
	return it
}

// part is a random part of a transaction.
func (c *chooser) part(key dynamotest.Item) types.TransactWriteItem {
	t := c.terms()
	where := c.maybe(func() string { return t.condition(2) }, 2)
	all := pick(c.Rand, types.ReturnValuesOnConditionCheckFailureAllOld, types.ReturnValuesOnConditionCheckFailureNone)
	table := aws.String(dynamotest.Name)
	switch c.IntN(4) {
	case 0:
		names, values := t.used(where)
		return types.TransactWriteItem{Put: &types.Put{
			TableName: table, Item: c.item(key), ConditionExpression: where, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: all,
		}}
	case 1:
		names, values := t.used(where)
		return types.TransactWriteItem{Delete: &types.Delete{
			TableName: table, Key: key, ConditionExpression: where, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: all,
		}}
	case 2:
		if where == nil {
			where = aws.String(t.condition(1))
		}
		names, values := t.used(where)
		return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: table, Key: key, ConditionExpression: where, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: all,
		}}
	}
	update := aws.String(t.update())
	names, values := t.used(where, update)
	return types.TransactWriteItem{Update: &types.Update{
		TableName: table, Key: key, UpdateExpression: update, ConditionExpression: where, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: all,
	}}
}

// call is a random call. ask makes it of a table and returns the answer in a form that
// can be compared.
func (c *chooser) call() (input any, ask func(context.Context, api) (any, error)) {
	table := aws.String(dynamotest.Name)
	switch c.IntN(12) {
	case 0:
		in := &dynamodb.GetItemInput{TableName: table, Key: c.key(), ConsistentRead: aws.Bool(true)}
		return in, func(ctx context.Context, a api) (any, error) {
			out, err := a.GetItem(ctx, in)
			return answer(out, err, func() any { return plainItem(out.Item) })
		}
	case 1:
		in := &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{dynamotest.Name: {Keys: c.keys(2), ConsistentRead: aws.Bool(true)}}}
		return in, func(ctx context.Context, a api) (any, error) {
			out, err := a.BatchGetItem(ctx, in)
			return answer(out, err, func() any { return sortedItems(out.Responses[dynamotest.Name]) })
		}
	case 2:
		keys := c.keys(2)
		in := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{dynamotest.Name: {
			{PutRequest: &types.PutRequest{Item: c.item(keys[0])}}, {DeleteRequest: &types.DeleteRequest{Key: keys[1]}},
		}}}
		return in, func(ctx context.Context, a api) (any, error) {
			out, err := a.BatchWriteItem(ctx, in)
			return answer(out, err, func() any { return len(out.UnprocessedItems) })
		}
	case 3, 4, 5, 6:
		t := c.terms()
		update, where := aws.String(t.update()), c.maybe(func() string { return t.condition(2) }, 2)
		in := &dynamodb.UpdateItemInput{
			TableName: table, Key: c.key(), UpdateExpression: update, ConditionExpression: where,
			ReturnValues:                        pick(c.Rand, types.ReturnValueAllNew, types.ReturnValueNone),
			ReturnValuesOnConditionCheckFailure: pick(c.Rand, types.ReturnValuesOnConditionCheckFailureAllOld, types.ReturnValuesOnConditionCheckFailureNone),
		}
		in.ExpressionAttributeNames, in.ExpressionAttributeValues = t.used(update, where)
		return in, func(ctx context.Context, a api) (any, error) {
			out, err := a.UpdateItem(ctx, in)
			return answer(out, err, func() any { return plainItem(out.Attributes) })
		}
	case 7, 8:
		in := c.query()
		return in, func(ctx context.Context, a api) (any, error) {
			return pages(ctx, a, *in)
		}
	}
	in := &dynamodb.TransactWriteItemsInput{}
	for _, key := range c.keys(1 + c.IntN(4)) {
		in.TransactItems = append(in.TransactItems, c.part(key))
	}
	return in, func(ctx context.Context, a api) (any, error) {
		out, err := a.TransactWriteItems(ctx, in)
		return answer(out, err, func() any { return nil })
	}
}

// pages reads all pages of a query. The tables may end their pages at different items:
// DynamoDB Local notices the end of a range when it reaches it.
func pages(ctx context.Context, a api, in dynamodb.QueryInput) (any, error) {
	var all []any
	for {
		out, err := a.Query(ctx, &in)
		page, err := answer(out, err, func() any { return len(out.Items) <= int(aws.ToInt32(in.Limit)) || in.Limit == nil })
		if out == nil || err != nil {
			return page, err
		}
		if in.IndexName != nil { // entries with the same sort key have no order
			all = append(all, sortedItems(out.Items))
		} else {
			for _, it := range out.Items {
				all = append(all, plainItem(it))
			}
		}
		if out.LastEvaluatedKey == nil {
			return append(all, page), nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (c *chooser) query() *dynamodb.QueryInput {
	pk, sk := "pk", "sk"
	in := &dynamodb.QueryInput{TableName: aws.String(dynamotest.Name), ScanIndexForward: pick(c.Rand, nil, aws.Bool(true), aws.Bool(false)), ConsistentRead: pick(c.Rand, nil, aws.Bool(true))}
	values := dynamotest.Item{":pk": text(c.prefix + pick(c.Rand, "a", "b"))}
	if c.IntN(3) == 0 {
		pk, sk, in.IndexName = "due_pk", "due_key", aws.String("by_due")
		if c.IntN(2) == 0 {
			pk, sk, in.IndexName = "event_pk", "sk", aws.String("by_event")
		}
		values[":pk"] = text(c.prefix + pick(c.Rand, "x", "y"))
	} else if c.IntN(3) == 0 {
		in.Limit = aws.Int32(c.Int32N(4))
	}
	if in.IndexName == nil && c.IntN(4) == 0 {
		in.ProjectionExpression, in.ExpressionAttributeNames = aws.String("#first, #second"), map[string]string{"#first": "sk", "#second": pick(c.Rand, "a_", "status", "none")}
	}
	where := pk + " = :pk"
	from, to := text(pick(c.Rand, "1", "2", "3", "")), text(pick(c.Rand, "2", "30", "31", "4"))
	switch c.IntN(6) {
	case 0:
		where += " AND " + sk + " BETWEEN :from AND :to"
		values[":from"], values[":to"] = from, to
	case 1, 2:
		where = sk + " " + pick(c.Rand, "<", "<", "<>") + " :from AND " + where
		values[":from"] = pick(c.Rand, from, from, from, num("3"))
	case 3:
		where += pick(c.Rand, " OR ", " AND ") + sk + pick(c.Rand, " < ", " <> ") + ":from"
		values[":from"] = from
	}
	in.KeyConditionExpression, in.ExpressionAttributeValues = &where, values
	return in
}

// answer is an answer in a form that can be compared: what read returns, or the codes of
// the error and the items in it.
func answer[T any](_ T, err error, read func() any) (any, error) {
	if err == nil {
		return read(), nil
	}
	if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		return cancellation(cancelled), nil
	}
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return []any{"ConditionalCheckFailedException", plainItem(refused.Item)}, nil
	}
	if known, ok := errors.AsType[smithy.APIError](err); ok {
		return known.ErrorCode(), nil
	}
	return nil, err
}

// cancellation is the answer of a cancelled transaction. An invalid part is a reason of
// the cancellation, as AWS documents; DynamoDB Local answers it to the whole call, or
// does not notice it beside a condition that fails.
func cancellation(e *types.TransactionCanceledException) any {
	var codes []any
	invalid, refused := false, false
	for _, r := range e.CancellationReasons {
		code := aws.ToString(r.Code)
		refused = refused || code == "ConditionalCheckFailed"
		if code == "ValidationError" {
			invalid, code = true, "None"
		}
		codes = append(codes, code, plainItem(r.Item))
	}
	switch {
	case invalid && refused:
		return either{"ValidationException", codes}
	case invalid:
		return "ValidationException"
	}
	return codes
}

// either is one of two answers.
type either [2]any

func (e either) has(answer any) bool { return cmp.Equal(e[0], answer) || cmp.Equal(e[1], answer) }

func plainItem(it dynamotest.Item) map[string]string {
	plain := map[string]string{}
	for name, v := range it {
		plain[name] = plainValue(v)
	}
	return plain
}

func plainValue(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		return "N " + plainNumber(v.Value)
	case *types.AttributeValueMemberSS:
		return fmt.Sprint("SS ", slices.Sorted(slices.Values(v.Value)))
	case *types.AttributeValueMemberL:
		var all []string
		for _, e := range v.Value {
			all = append(all, plainValue(e))
		}
		return fmt.Sprint("L ", all)
	case *types.AttributeValueMemberM:
		return fmt.Sprint("M ", plainItem(v.Value))
	case *types.AttributeValueMemberS:
		return "S " + v.Value
	case *types.AttributeValueMemberB:
		return fmt.Sprintf("B %q", v.Value)
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint("BOOL ", v.Value)
	}
	return fmt.Sprintf("%T", v)
}

func plainNumber(text string) string {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return "no number: " + text
	}
	return r.RatString()
}

func sortedItems(items []map[string]types.AttributeValue) []string {
	all := []string{}
	for _, it := range items {
		all = append(all, fmt.Sprint(plainItem(it)))
	}
	return slices.Sorted(slices.Values(all))
}

// compare makes the same calls of both tables.
func compare(t *testing.T, local *dynamodb.Client, seed uint64) {
	t.Helper()
	c := &chooser{rand.New(rand.NewPCG(seed, 6)), fmt.Sprintf("%d-%d-", choosers.Add(1), seed)}
	memory := dynamotest.New()
	ctx := t.Context()
	for n := range 60 {
		input, ask := c.call()
		want, err := ask(ctx, local)
		if err != nil {
			t.Fatalf("seed %d, call %d: %v", seed, n, err)
		}
		got, err := ask(ctx, memory)
		if err != nil {
			t.Fatalf("seed %d, call %d: %v", seed, n, err)
		}
		if choice, ok := got.(either); ok && choice.has(want) {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d, call %d, %s (-DynamoDB Local +memory):\n%s", seed, n, shown(input), diff)
			return
		}
	}
	var want []map[string]types.AttributeValue
	for _, pk := range []string{"a", "b"} {
		out, err := local.Query(ctx, &dynamodb.QueryInput{
			TableName: aws.String(dynamotest.Name), KeyConditionExpression: aws.String("pk = :pk"), ConsistentRead: aws.Bool(true),
			ExpressionAttributeValues: dynamotest.Item{":pk": text(c.prefix + pk)},
		})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, out.Items...)
	}
	if diff := cmp.Diff(sortedItems(want), sortedItems(memory.Items())); diff != "" {
		t.Errorf("seed %d: items (-DynamoDB Local +memory):\n%s", seed, diff)
	}
}

// shown is an input, for the report of a difference.
func shown(input any) string {
	text, err := json.Marshal(input)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
