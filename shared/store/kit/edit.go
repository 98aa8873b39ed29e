package kit

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Edit builds a change of single attributes of an item, and the conditions of the
// write. Expressions name attributes by aliases: some of the names are reserved.
type Edit struct {
	Key                                      Key
	sets, removes, adds, deletes, conditions []string
	names                                    map[string]string // nil while empty: DynamoDB refuses empty maps
	values                                   Item              // likewise
}

// NewEdit returns an empty edit of the item with this key.
func NewEdit(k Key) *Edit { return &Edit{Key: k} }

// name returns the alias of an attribute.
func (e *Edit) name(attr string) string {
	if e.names == nil {
		e.names = map[string]string{}
	}
	e.names["#"+attr] = attr
	return "#" + attr
}

// value returns the placeholder of a value.
func (e *Edit) value(v types.AttributeValue) string {
	if e.values == nil {
		e.values = Item{}
	}
	name := ":v" + strconv.Itoa(len(e.values))
	e.values[name] = v
	return name
}

func (e *Edit) require(condition string) { e.conditions = append(e.conditions, condition) }

// Set gives an attribute a value.
func (e *Edit) Set(attr string, v types.AttributeValue) {
	e.sets = append(e.sets, e.name(attr)+" = "+e.value(v))
}

// SetFrom gives an attribute the value of another one.
func (e *Edit) SetFrom(attr, from string) {
	e.sets = append(e.sets, e.name(attr)+" = "+e.name(from))
}

// SetFromOr is SetFrom with a value for where the other attribute is absent.
func (e *Edit) SetFromOr(attr, from string, v types.AttributeValue) {
	e.sets = append(e.sets, e.name(attr)+" = if_not_exists("+e.name(from)+", "+e.value(v)+")")
}

// Add adds to a number; an absent attribute counts as zero.
func (e *Edit) Add(attr string, n int64) { e.Include(attr, NumberValue(n)) }

// Include adds members to a set.
func (e *Edit) Include(attr string, v types.AttributeValue) {
	e.adds = append(e.adds, e.name(attr)+" "+e.value(v))
}

// Exclude removes members from a set.
func (e *Edit) Exclude(attr string, v types.AttributeValue) {
	e.deletes = append(e.deletes, e.name(attr)+" "+e.value(v))
}

// Remove removes an attribute.
func (e *Edit) Remove(attr string) { e.removes = append(e.removes, e.name(attr)) }

// End sets the time at which the item expires; the zero time removes it.
func (e *Edit) End(at time.Time) {
	if at.IsZero() {
		e.Remove(AttrTTL)
	} else {
		e.Set(AttrTTL, NumberValue(at.Unix()))
	}
}

// Changes tells whether the edit changes any attribute.
func (e *Edit) Changes() bool { return len(e.sets)+len(e.removes)+len(e.adds)+len(e.deletes) > 0 }

// Change sets and removes attributes so that the old item becomes the next one.
func (e *Edit) Change(old, next Item) {
	for _, attr := range slices.Sorted(maps.Keys(next)) {
		if !reflect.DeepEqual(old[attr], next[attr]) {
			e.Set(attr, next[attr])
		}
	}
	for _, attr := range slices.Sorted(maps.Keys(old)) {
		if next[attr] == nil {
			e.Remove(attr)
		}
	}
}

// Compares adds the condition that an attribute compares to a value.
func (e *Edit) Compares(attr, operator string, v types.AttributeValue) {
	e.require(e.name(attr) + " " + operator + " " + e.value(v))
}

// Exists adds the condition that an attribute is there.
func (e *Edit) Exists(attr string) { e.require("attribute_exists(" + e.name(attr) + ")") }

// Lacks adds the condition that an attribute is absent.
func (e *Edit) Lacks(attr string) { e.require("attribute_not_exists(" + e.name(attr) + ")") }

// LacksOr adds the condition that an attribute is absent or compares to a value.
func (e *Edit) LacksOr(attr, operator string, v types.AttributeValue) {
	e.require("(attribute_not_exists(" + e.name(attr) + ") OR " + e.name(attr) + " " + operator + " " + e.value(v) + ")")
}

// LacksOrContains adds the condition that a set is absent or has a member.
func (e *Edit) LacksOrContains(attr string, v types.AttributeValue) {
	e.require("(attribute_not_exists(" + e.name(attr) + ") OR contains(" + e.name(attr) + ", " + e.value(v) + "))")
}

// Either adds the condition that all conditions of one of the alternatives hold, of which
// there are two at least.
func (e *Edit) Either(alternatives ...func()) {
	before := e.conditions
	var all []string
	for _, add := range alternatives {
		e.conditions = nil
		add()
		all = append(all, strings.Join(e.conditions, " AND "))
	}
	e.conditions = before
	e.require("(" + strings.Join(all, " OR ") + ")")
}

// HasRoom adds the condition that a set is absent, has a member, or has fewer than
// limit members.
func (e *Edit) HasRoom(attr string, v types.AttributeValue, limit int) {
	a := e.name(attr)
	e.require("(attribute_not_exists(" + a + ") OR contains(" + a + ", " + e.value(v) + ") OR size(" + a + ") < " + e.value(NumberValue(int64(limit))) + ")")
}

// condition returns nil if there is none: DynamoDB refuses an empty one.
func (e *Edit) condition() *string {
	if len(e.conditions) == 0 {
		return nil
	}
	s := strings.Join(e.conditions, " AND ")
	return &s
}

func (e *Edit) expression() *string {
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

// Update returns the part that makes the edit.
func (s *Table) Update(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{Update: &types.Update{
		TableName: &s.Name, Key: e.Key.Item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// WriteEdit makes the edit in a call of its own. It returns the item as changed; or,
// if a condition did not hold, the item as it is (nil if absent).
//
// The SDK repeats a call whose answer was lost. So the edit leaves its id on the item: a
// repeat that finds it there changes nothing and succeeds. Only if another edit came
// between is the repeat an edit of its own: it may be refused, or count twice.
func (s *Table) WriteEdit(ctx context.Context, e *Edit) (it Item, refused bool, err error) {
	token, err := s.token()
	if err != nil {
		return nil, false, err
	}
	id := TextValue(token)
	e.Set(AttrWriteID, id)
	e.LacksOr(AttrWriteID, "<>", id)
	in := &dynamodb.UpdateItemInput{
		TableName: &s.Name, Key: e.Key.Item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	err = s.write(ctx, func() error {
		out, err := s.API.UpdateItem(ctx, in)
		if err == nil {
			it = out.Attributes
		}
		return err
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		it = failed.Item
		return it, !reflect.DeepEqual(it[AttrWriteID], id), nil
	}
	return it, false, err
}

// Check returns the part that only checks the edit's conditions.
func (s *Table) Check(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &s.Name, Key: e.Key.Item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// Remove returns the part that deletes the item on the edit's conditions.
func (s *Table) Remove(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{Delete: &types.Delete{
		TableName: &s.Name, Key: e.Key.Item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}
