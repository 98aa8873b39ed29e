package store

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// edit is a change of single attributes of an item, on conditions, in the
// making. Attributes are named by aliases: some of their names are reserved.
type edit struct {
	key                                 key
	sets, removes, adds, deletes, where []string
	names                               map[string]string
	values                              item
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

// setFromOr does so, or gives it a value where the other one is not there.
func (e *edit) setFromOr(attr, from string, v types.AttributeValue) {
	e.sets = append(e.sets, e.name(attr)+" = if_not_exists("+e.name(from)+", "+e.value(v)+")")
}

// add counts an attribute up or down, from zero where there is none.
func (e *edit) add(attr string, n int64) { e.include(attr, numberValue(n)) }

// include puts members into a set, exclude takes them out.
func (e *edit) include(attr string, v types.AttributeValue) {
	e.adds = append(e.adds, e.name(attr)+" "+e.value(v))
}

func (e *edit) exclude(attr string, v types.AttributeValue) {
	e.deletes = append(e.deletes, e.name(attr)+" "+e.value(v))
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

// lacksOrContains adds the condition that a set is not there or has a member.
func (e *edit) lacksOrContains(attr string, v types.AttributeValue) {
	e.where = append(e.where, "(attribute_not_exists("+e.name(attr)+") OR contains("+e.name(attr)+", "+e.value(v)+"))")
}

// hasRoom adds the condition that a set is not there, has a member or has fewer
// than so many.
func (e *edit) hasRoom(attr string, v types.AttributeValue, limit int) {
	a := e.name(attr)
	e.where = append(e.where, "(attribute_not_exists("+a+") OR contains("+a+", "+e.value(v)+") OR size("+a+") < "+e.value(numberValue(int64(limit)))+")")
}

// condition is nil instead of none: DynamoDB refuses an empty one. So it does
// empty maps of names and values.
func (e *edit) condition() *string {
	if len(e.where) == 0 {
		return nil
	}
	s := strings.Join(e.where, " AND ")
	return &s
}

func (e *edit) expression() *string {
	var clauses []string
	for _, clause := range []struct {
		keyword string
		actions []string
	}{{"SET ", e.sets}, {"REMOVE ", e.removes}, {"ADD ", e.adds}, {"DELETE ", e.deletes}} {
		if len(clause.actions) > 0 {
			clauses = append(clauses, clause.keyword+strings.Join(clause.actions, ", "))
		}
	}
	s := strings.Join(clauses, " ")
	return &s
}

func (e *edit) aliases() map[string]string {
	if len(e.names) == 0 {
		return nil
	}
	return e.names
}

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
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// edited makes the edit by itself. It returns the item as it is then; or, where
// a condition did not hold, the one that stood in the way, nil if there is none.
func (s *Store) edited(ctx context.Context, e *edit) (it item, refused bool, err error) {
	var out *dynamodb.UpdateItemOutput
	err = s.write(ctx, func() error {
		var err error
		out, err = s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.table, Key: e.key.item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
			ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
			ReturnValues:                        types.ReturnValueAllNew,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if old, refused := refusedItem(err); refused {
		return old, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	return out.Attributes, false, nil
}

// check is a part that changes nothing and has the edit's conditions.
func (s *Store) check(name string, e *edit) part {
	return part{name, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &s.table, Key: e.key.item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// remove is a part that deletes the item on the edit's conditions.
func (s *Store) remove(name string, e *edit) part {
	return part{name, types.TransactWriteItem{Delete: &types.Delete{
		TableName: &s.table, Key: e.key.item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
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
