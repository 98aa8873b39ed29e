package store

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// edit is a change of single attributes of an item, on conditions, in the
// making. Attributes are named by aliases: some of their names are reserved.
type edit struct {
	key                  key
	sets, removes, where []string
	names                map[string]string
	values               item
}

func newEdit(k key) *edit { return &edit{key: k, names: map[string]string{}, values: item{}} }

// name is how expressions call an attribute.
func (e *edit) name(attr string) string {
	e.names["#"+attr] = attr
	return "#" + attr
}

// value is how expressions call a value.
func (e *edit) value(v types.AttributeValue) string {
	name := ":v" + strconv.Itoa(len(e.values))
	e.values[name] = v
	return name
}

// set gives an attribute a value.
func (e *edit) set(attr string, v types.AttributeValue) {
	e.sets = append(e.sets, e.name(attr)+" = "+e.value(v))
}

// setFrom gives an attribute the value that another one has.
func (e *edit) setFrom(attr, from string) {
	e.sets = append(e.sets, e.name(attr)+" = "+e.name(from))
}

// add counts an attribute up or down.
func (e *edit) add(attr string, n int64) {
	e.sets = append(e.sets, e.name(attr)+" = "+e.name(attr)+" + "+e.value(numberValue(n)))
}

func (e *edit) remove(attr string) { e.removes = append(e.removes, e.name(attr)) }

// change makes of the old item the new one. Its attributes are those of the two
// but for some.
func (e *edit) change(old, next item, except ...string) {
	for _, attr := range slices.Sorted(maps.Keys(next)) {
		if !slices.Contains(except, attr) && !same(old[attr], next[attr]) {
			e.set(attr, next[attr])
		}
	}
	for _, attr := range slices.Sorted(maps.Keys(old)) {
		if !slices.Contains(except, attr) && next[attr] == nil {
			e.remove(attr)
		}
	}
}

// compares adds the condition that an attribute compares to a value.
func (e *edit) compares(attr, operator string, v types.AttributeValue) {
	e.where = append(e.where, e.name(attr)+" "+operator+" "+e.value(v))
}

// exists and lacks add the condition that an attribute is there, or is not.
func (e *edit) exists(attr string) {
	e.where = append(e.where, "attribute_exists("+e.name(attr)+")")
}

func (e *edit) lacks(attr string) {
	e.where = append(e.where, "attribute_not_exists("+e.name(attr)+")")
}

// lacksOr adds the condition that an attribute is not there or compares.
func (e *edit) lacksOr(attr, operator string, v types.AttributeValue) {
	e.where = append(e.where, "(attribute_not_exists("+e.name(attr)+") OR "+e.name(attr)+" "+operator+" "+e.value(v)+")")
}

func (e *edit) condition() *string {
	s := strings.Join(e.where, " AND ")
	return &s
}

func (e *edit) expression() *string {
	var clauses []string
	if len(e.sets) > 0 {
		clauses = append(clauses, "SET "+strings.Join(e.sets, ", "))
	}
	if len(e.removes) > 0 {
		clauses = append(clauses, "REMOVE "+strings.Join(e.removes, ", "))
	}
	s := strings.Join(clauses, " ")
	return &s
}

// arguments are the values, nil instead of none: DynamoDB refuses an empty map.
func (e *edit) arguments() item {
	if len(e.values) == 0 {
		return nil
	}
	return e.values
}

// update is a part that makes the edit.
func (s *Store) update(name string, e *edit) part {
	return part{name, types.TransactWriteItem{Update: &types.Update{
		TableName: &s.table, Key: e.key.item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// check is a part that changes nothing and has the edit's conditions.
func (s *Store) check(name string, e *edit) part {
	return part{name, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &s.table, Key: e.key.item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// remove is a part that deletes the item on the edit's conditions.
func (s *Store) remove(name string, e *edit) part {
	return part{name, types.TransactWriteItem{Delete: &types.Delete{
		TableName: &s.table, Key: e.key.item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// same tells whether two values are of one type and equal. It knows the types
// that items are made of.
func same(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberB:
		b, ok := b.(*types.AttributeValueMemberB)
		return ok && bytes.Equal(a.Value, b.Value)
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		return ok && maps.EqualFunc(a.Value, b.Value, same)
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		return ok && slices.EqualFunc(a.Value, b.Value, same)
	default:
		return false // written once more
	}
}
