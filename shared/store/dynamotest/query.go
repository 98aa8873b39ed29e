package dynamotest

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Query is DynamoDB's. Entries of an index with the same sort key come in the order of
// the table's keys; DynamoDB promises no order.
func (t *Table) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return call(ctx, t, "Query", in, func(left int) (*dynamodb.QueryOutput, error) {
		q, err := t.querying(in)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		found := q.entries()
		n, size := 0, 0
		for ; n < len(found) && n != q.limit && (n == 0 || size+found[n].size <= mostPage); n++ {
			size += found[n].size
		}
		more := n < len(found) || n == q.limit // a page that reaches its limit does not tell the end
		if left > 0 && n > 1 {
			n, more = max(n-left, 1), true
		}
		out := &dynamodb.QueryOutput{Items: make([]map[string]types.AttributeValue, n), Count: int32(n), ScannedCount: int32(n)}
		for i := range out.Items {
			out.Items[i] = q.projected(private(found[i].item))
		}
		if more && n > 0 {
			e := found[n-1].item
			out.LastEvaluatedKey = Item{attrPK: e[attrPK], attrSK: e[attrSK], q.view.pk: e[q.view.pk], q.view.sk: e[q.view.sk]}
		}
		return out, nil
	})
}

// query is a range of sort keys in a partition.
type query struct {
	view      *view
	partition string
	from, to  string // to "": no end
	including bool   // to belongs to the range
	start     *entry // the page begins after it; nil: at the first one
	backward  bool
	limit     int      // -1: none
	shown     []string // attributes; nil: all
}

// projected returns what the query shows of an item.
func (q *query) projected(it Item) Item {
	if q.shown == nil {
		return it
	}
	maps.DeleteFunc(it, func(name string, _ types.AttributeValue) bool { return !slices.Contains(q.shown, name) })
	return it
}

// project takes a projection of names such as "#a, #b", and returns the names that are left
// for the key condition.
func (q *query) project(expression *string, names map[string]string) (map[string]string, error) {
	switch {
	case expression == nil:
		return names, nil
	case q.view.name != "":
		return nil, unknown("a projection of an index, which must have the attributes")
	}
	left := maps.Clone(names)
	for alias := range strings.SplitSeq(*expression, ", ") {
		if alias == "" || alias[0] != '#' || left[alias] == "" {
			return nil, unknown("a projection of anything but different names")
		}
		q.shown = append(q.shown, left[alias])
		delete(left, alias)
	}
	if len(left) == 0 {
		left = nil
	}
	return left, nil
}

// querying checks a query.
func (t *Table) querying(in *dynamodb.QueryInput) (*query, error) {
	if in.FilterExpression != nil || in.Select != "" || in.KeyConditions != nil || in.QueryFilter != nil || in.AttributesToGet != nil {
		return nil, unknown("a filter or a legacy parameter")
	}
	if err := checkTable(in.TableName); err != nil {
		return nil, err
	}
	q := &query{view: &t.items, backward: in.ScanIndexForward != nil && !*in.ScanIndexForward, limit: -1}
	if in.IndexName != nil {
		i := slices.IndexFunc(t.indexes, func(v *view) bool { return v.name == *in.IndexName })
		if i < 0 {
			return nil, invalid("The table does not have the specified index: %s", *in.IndexName)
		}
		q.view = t.indexes[i]
		if aws.ToBool(in.ConsistentRead) {
			return nil, invalid("Consistent reads are not supported on global secondary indexes")
		}
	}
	if in.Limit != nil {
		if q.limit = int(*in.Limit); q.limit < 1 {
			return nil, invalid("Limit must be at least 1")
		}
	}
	names, err := q.project(in.ProjectionExpression, in.ExpressionAttributeNames)
	if err != nil {
		return nil, err
	}
	terms, err := newTerms(in.KeyConditionExpression, nil, names, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if terms.where == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	if err := q.read(*terms.where, terms); err != nil {
		return nil, err
	}
	return q, q.startAfter(in.ExclusiveStartKey)
}

// read takes a key condition: the partition key's, and < or BETWEEN of the sort key.
func (q *query) read(n node, t *terms) error {
	parts := []node{n}
	if n.op == "AND" {
		parts = n.args
		if !t.about(parts[0], q.view.pk) {
			parts = []node{parts[1], parts[0]}
		}
	}
	if !t.about(parts[0], q.view.pk) || parts[0].op != "=" {
		return invalid("Query key condition not supported")
	}
	var err error
	if q.partition, err = t.text(parts[0].args[1]); err != nil || len(parts) == 1 {
		return err
	}
	sortKey := parts[1]
	if !t.about(sortKey, q.view.sk) || sortKey.op != "<" && sortKey.op != "BETWEEN" {
		return invalid("Query key condition not supported, or unknown to dynamotest")
	}
	if q.to, err = t.text(sortKey.args[len(sortKey.args)-1]); err == nil && sortKey.op == "BETWEEN" {
		q.including = true
		q.from, err = t.text(sortKey.args[1])
	}
	return err
}

// about tells whether a condition compares an attribute.
func (t *terms) about(n node, attr string) bool {
	return len(n.args) > 1 && n.args[0].op == "path" && t.attribute(n.args[0]) == attr
}

// text is a value of a key condition.
func (t *terms) text(value node) (string, error) {
	text, ok := t.given[value.name].(*types.AttributeValueMemberS)
	if !ok || text.Value == "" {
		return "", invalid("One or more parameter values were invalid: Condition parameter type does not match schema type, or is empty")
	}
	return text.Value, nil
}

// compare tells whether a sort key is before the range (-1), in it or after it (1).
func (q *query) compare(sortKey string) int {
	switch {
	case sortKey < q.from:
		return -1
	case q.to != "" && (sortKey > q.to || sortKey == q.to && !q.including):
		return 1
	}
	return 0
}

// startAfter takes the key after which the page begins, nil for none.
func (q *query) startAfter(key Item) error {
	if key == nil {
		return nil
	}
	k, err := keyOf(Item{attrPK: key[attrPK], attrSK: key[attrSK]}, true)
	partition, ok := key[q.view.pk].(*types.AttributeValueMemberS)
	sortKey, also := key[q.view.sk].(*types.AttributeValueMemberS)
	attributes := []string{attrPK, attrSK, q.view.pk, q.view.sk} // an index may share the sort key
	slices.Sort(attributes)
	want := len(slices.Compact(attributes))
	if err != nil || !ok || !also || len(key) != want || partition.Value != q.partition || q.compare(sortKey.Value) != 0 {
		return invalid("The provided starting key is invalid")
	}
	q.start = &entry{partition: partition.Value, sort: sortKey.Value, key: k}
	return nil
}

// entries are those that are left of the range, in the order of the query.
func (q *query) entries() []*entry {
	all := q.view.partitions[q.partition]
	first := sort.Search(len(all), func(i int) bool { return q.compare(all[i].sort) >= 0 })
	end := sort.Search(len(all), func(i int) bool { return q.compare(all[i].sort) > 0 })
	if q.start != nil {
		at, found := slices.BinarySearchFunc(all, q.start, compareEntries)
		switch {
		case q.backward:
			end = at
		case found:
			first = at + 1
		default:
			first = at
		}
	}
	left := all[first:end]
	if q.backward {
		left = slices.Clone(left)
		slices.Reverse(left)
	}
	return left
}
