package dynamotest

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Query is DynamoDB's. Entries of an index with one sort key come in the order of
// the table's keys; DynamoDB promises none.
func (t *Table) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return call(ctx, t, "Query", in, func(left int) (*dynamodb.QueryOutput, error) {
		v, q, err := t.querying(in)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		var found []*entry
		more, size := false, 0
		for e := range q.entries(v.partitions[q.partition]) {
			if len(found) > 0 && size+e.size > mostPage {
				more = true
				break
			}
			found, size = append(found, e), size+e.size
			if len(found) == q.limit {
				more = true // whether there is or not
				break
			}
		}
		if left > 0 && len(found) > 1 {
			found, more = found[:max(len(found)-left, 1)], true
		}
		out := &dynamodb.QueryOutput{Items: make([]map[string]types.AttributeValue, len(found)), Count: int32(len(found))} //nolint:gosec // a page has at most 1 MB
		out.ScannedCount = out.Count
		for i, e := range found {
			out.Items[i] = private(e.item)
		}
		if more {
			out.LastEvaluatedKey = v.keys(found[len(found)-1])
		}
		return out, nil
	})
}

// keys are the attributes of the view's keys and of the table's.
func (v *view) keys(e *entry) Item {
	return Item{attrPK: e.item[attrPK], attrSK: e.item[attrSK], v.pk: e.item[v.pk], v.sk: e.item[v.sk]}
}

// query is a range of sort keys in a partition.
type query struct {
	partition string
	before    func(*entry) bool // it comes before the range, and so do all before it
	after     func(*entry) bool // the same of after
	backward  bool
	limit     int // 0: none
}

// querying is a query, checked, and what it reads.
func (t *Table) querying(in *dynamodb.QueryInput) (*view, *query, error) {
	if in.FilterExpression != nil || in.ProjectionExpression != nil || in.Select != "" || in.KeyConditions != nil || in.QueryFilter != nil || in.AttributesToGet != nil {
		return nil, nil, unknown("a filter, a projection or a request of before expressions")
	}
	if err := checkTable(in.TableName); err != nil {
		return nil, nil, err
	}
	v := &t.items
	if in.IndexName != nil {
		i := slices.IndexFunc(t.indexes, func(v *view) bool { return v.name == *in.IndexName })
		if i < 0 {
			return nil, nil, invalid("The table does not have the specified index: %s", *in.IndexName)
		}
		v = t.indexes[i]
		if aws.ToBool(in.ConsistentRead) {
			return nil, nil, invalid("Consistent reads are not supported on global secondary indexes")
		}
	}
	where, err := parseCondition(in.KeyConditionExpression)
	if err != nil {
		return nil, nil, err
	}
	if where == nil {
		return nil, nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	terms, err := newTerms(in.ExpressionAttributeNames, in.ExpressionAttributeValues, where, nil)
	if err != nil {
		return nil, nil, err
	}
	q := &query{backward: in.ScanIndexForward != nil && !*in.ScanIndexForward}
	if in.Limit != nil {
		if q.limit = int(*in.Limit); q.limit < 1 {
			return nil, nil, invalid("Limit must be at least 1")
		}
	}
	if err := q.read(where.where, terms, v); err != nil {
		return nil, nil, err
	}
	if in.ExclusiveStartKey != nil {
		if err := q.start(in.ExclusiveStartKey, v); err != nil {
			return nil, nil, err
		}
	}
	return v, q, nil
}

// read takes a key condition: the partition key's and, if there is one, the sort
// key's.
func (q *query) read(c *condition, t *terms, v *view) error {
	pk, sk := c, (*condition)(nil)
	if c.op == "AND" {
		pk, sk = &c.parts[0], &c.parts[1]
		if !t.about(pk, v.pk) {
			pk, sk = sk, pk
		}
	}
	if !t.about(pk, v.pk) || pk.op != "=" || sk != nil && !t.about(sk, v.sk) {
		return invalid("Query key condition not supported")
	}
	partition, err := t.text(pk, 1)
	if err != nil {
		return err
	}
	q.partition = partition
	q.before, q.after = none, none
	if sk == nil {
		return nil
	}
	text, err := t.text(sk, 1)
	to := ""
	if err == nil && sk.op == "BETWEEN" {
		to, err = t.text(sk, 2)
	}
	if err != nil {
		return err
	}
	return q.sorts(sk.op, text, to)
}

func none(*entry) bool { return false }

// about tells whether a condition compares an attribute.
func (t *terms) about(c *condition, attr string) bool {
	return len(c.operands) > 1 && c.operands[0].op == "path" && t.attribute(&c.operands[0]) == attr
}

// text is the value of an operand of a key condition.
func (t *terms) text(c *condition, n int) (string, error) {
	text, ok := t.values[c.operands[n].name].(*types.AttributeValueMemberS)
	switch {
	case c.operands[n].op != "value" || !ok:
		return "", invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
	case text.Value == "":
		return "", invalid("One or more parameter values are not valid: a key is empty")
	}
	return text.Value, nil
}

// sorts takes the condition of the sort key.
func (q *query) sorts(op, text, to string) error {
	below := func(e *entry) bool { return e.sort < text }
	above := func(e *entry) bool { return e.sort > text }
	switch op {
	case "=":
		q.before, q.after = below, above
	case "<":
		q.after = func(e *entry) bool { return e.sort >= text }
	case "<=":
		q.after = above
	case ">":
		q.before = func(e *entry) bool { return e.sort <= text }
	case ">=":
		q.before = below
	case "BETWEEN":
		q.before, q.after = below, func(e *entry) bool { return e.sort > to }
	case "begins_with":
		q.before, q.after = below, func(e *entry) bool { return e.sort > text && !strings.HasPrefix(e.sort, text) }
	default:
		return invalid("Query key condition not supported")
	}
	return nil
}

// start takes the key after which the page begins.
func (q *query) start(key Item, v *view) error {
	k, err := keyOf(Item{attrPK: key[attrPK], attrSK: key[attrSK]}, true)
	partition, ok := key[v.pk].(*types.AttributeValueMemberS)
	sort, also := key[v.sk].(*types.AttributeValueMemberS)
	want := 4
	if v.attributes == nil {
		want = 2
	}
	if err != nil || !ok || !also || len(key) != want || partition.Value != q.partition {
		return invalid("The provided starting key is invalid")
	}
	last := &entry{partition: partition.Value, sort: sort.Value, key: k}
	before, after := q.before, q.after
	if before(last) || after(last) {
		return invalid("The provided starting key does not match the range key predicate")
	}
	if q.backward {
		q.after = func(e *entry) bool { return after(e) || compareEntries(e, last) >= 0 }
	} else {
		q.before = func(e *entry) bool { return before(e) || compareEntries(e, last) <= 0 }
	}
	return nil
}

// entries are those of the range, in order.
func (q *query) entries(s *sorted) func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		if s == nil {
			return
		}
		if q.backward {
			b, i := s.first(q.after)
			for {
				if i--; i < 0 {
					if b--; b < 0 {
						return
					}
					i = len(s.blocks[b]) - 1
				}
				if e := s.blocks[b][i]; q.before(e) || !yield(e) {
					return
				}
			}
		}
		b, i := s.first(func(e *entry) bool { return !q.before(e) })
		for ; b < len(s.blocks); b, i = b+1, 0 {
			for ; i < len(s.blocks[b]); i++ {
				if e := s.blocks[b][i]; q.after(e) || !yield(e) {
					return
				}
			}
		}
	}
}
