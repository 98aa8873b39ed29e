package kit

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Edit is a change of single attributes of an item, on conditions, in the
// making. Attributes are named by aliases: some of their names are reserved.
type Edit struct {
	Key                                 Key
	Sets, Removes, adds, deletes, where []string
	names                               map[string]string
	values                              Item
}

// NewEdit returns an empty edit of the item with this key.
func NewEdit(k Key) *Edit { return &Edit{Key: k, names: map[string]string{}, values: Item{}} }

// name is how expressions call an attribute.
func (e *Edit) name(attr string) string {
	e.names["#"+attr] = attr
	return "#" + attr
}

// value is how expressions call a value.
func (e *Edit) value(v types.AttributeValue) string {
	name := ":v" + strconv.Itoa(len(e.values))
	e.values[name] = v
	return name
}

// Set gives an attribute a value.
func (e *Edit) Set(attr string, v types.AttributeValue) {
	e.Sets = append(e.Sets, e.name(attr)+" = "+e.value(v))
}

// SetFrom gives an attribute the value that another one has.
func (e *Edit) SetFrom(attr, from string) {
	e.Sets = append(e.Sets, e.name(attr)+" = "+e.name(from))
}

// SetFromOr does so, or gives it a value where the other one is not there.
func (e *Edit) SetFromOr(attr, from string, v types.AttributeValue) {
	e.Sets = append(e.Sets, e.name(attr)+" = if_not_exists("+e.name(from)+", "+e.value(v)+")")
}

// Add counts an attribute up or down, from zero where there is none.
func (e *Edit) Add(attr string, n int64) { e.Include(attr, NumberValue(n)) }

// Include puts members into a set, exclude takes them out.
func (e *Edit) Include(attr string, v types.AttributeValue) {
	e.adds = append(e.adds, e.name(attr)+" "+e.value(v))
}

// Exclude takes members out of a set.
func (e *Edit) Exclude(attr string, v types.AttributeValue) {
	e.deletes = append(e.deletes, e.name(attr)+" "+e.value(v))
}

// Remove removes an attribute.
func (e *Edit) Remove(attr string) { e.Removes = append(e.Removes, e.name(attr)) }

// Change makes of the old item the new one. Its attributes are those of the two
// but for some.
func (e *Edit) Change(old, next Item, except ...string) {
	for _, attr := range slices.Sorted(maps.Keys(next)) {
		if !slices.Contains(except, attr) && !Same(old[attr], next[attr]) {
			e.Set(attr, next[attr])
		}
	}
	for _, attr := range slices.Sorted(maps.Keys(old)) {
		if !slices.Contains(except, attr) && next[attr] == nil {
			e.Remove(attr)
		}
	}
}

// Compares adds the condition that an attribute compares to a value.
func (e *Edit) Compares(attr, operator string, v types.AttributeValue) {
	e.where = append(e.where, e.name(attr)+" "+operator+" "+e.value(v))
}

// Exists and lacks add the condition that an attribute is there, or is not.
func (e *Edit) Exists(attr string) {
	e.where = append(e.where, "attribute_exists("+e.name(attr)+")")
}

// Lacks adds the condition that an attribute is absent.
func (e *Edit) Lacks(attr string) {
	e.where = append(e.where, "attribute_not_exists("+e.name(attr)+")")
}

// LacksOr adds the condition that an attribute is not there or compares.
func (e *Edit) LacksOr(attr, operator string, v types.AttributeValue) {
	e.where = append(e.where, "(attribute_not_exists("+e.name(attr)+") OR "+e.name(attr)+" "+operator+" "+e.value(v)+")")
}

// LacksOrContains adds the condition that a set is not there or has a member.
func (e *Edit) LacksOrContains(attr string, v types.AttributeValue) {
	e.where = append(e.where, "(attribute_not_exists("+e.name(attr)+") OR contains("+e.name(attr)+", "+e.value(v)+"))")
}

// HasRoom adds the condition that a set is not there, has a member or has fewer
// than so many.
func (e *Edit) HasRoom(attr string, v types.AttributeValue, limit int) {
	a := e.name(attr)
	e.where = append(e.where, "(attribute_not_exists("+a+") OR contains("+a+", "+e.value(v)+") OR size("+a+") < "+e.value(NumberValue(int64(limit)))+")")
}

// condition is nil instead of none: DynamoDB refuses an empty one. So it does
// empty maps of names and values.
func (e *Edit) condition() *string {
	if len(e.where) == 0 {
		return nil
	}
	s := strings.Join(e.where, " AND ")
	return &s
}

func (e *Edit) expression() *string {
	var clauses []string
	for _, clause := range []struct {
		keyword string
		actions []string
	}{{"SET ", e.Sets}, {"REMOVE ", e.Removes}, {"ADD ", e.adds}, {"DELETE ", e.deletes}} {
		if len(clause.actions) > 0 {
			clauses = append(clauses, clause.keyword+strings.Join(clause.actions, ", "))
		}
	}
	s := strings.Join(clauses, " ")
	return &s
}

func (e *Edit) aliases() map[string]string {
	if len(e.names) == 0 {
		return nil
	}
	return e.names
}

func (e *Edit) arguments() Item {
	if len(e.values) == 0 {
		return nil
	}
	return e.values
}

// Update is a part that makes the edit.
func (s *Table) Update(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{Update: &types.Update{
		TableName: &s.Name, Key: e.Key.Item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// Edited makes the edit by itself. It returns the item as it is then; or, where
// a condition did not hold, the one that stood in the way, nil if there is none.
func (s *Table) Edited(ctx context.Context, e *Edit) (it Item, refused bool, err error) {
	var out *dynamodb.UpdateItemOutput
	err = s.Write(ctx, func() error {
		var err error
		out, err = s.API.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.Name, Key: e.Key.Item(), UpdateExpression: e.expression(), ConditionExpression: e.condition(),
			ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
			ReturnValues:                        types.ReturnValueAllNew,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if old, refused := RefusedItem(err); refused {
		return old, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	return out.Attributes, false, nil
}

// Check is a part that changes nothing and has the edit's conditions.
func (s *Table) Check(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &s.Name, Key: e.Key.Item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// Remove is a part that deletes the item on the edit's conditions.
func (s *Table) Remove(name string, e *Edit) Part {
	return Part{name, types.TransactWriteItem{Delete: &types.Delete{
		TableName: &s.Name, Key: e.Key.Item(), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.aliases(), ExpressionAttributeValues: e.arguments(),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// Same tells whether two values are of one type and equal. It knows the types
// that items are made of.
func Same(a, b types.AttributeValue) bool {
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
		return ok && maps.EqualFunc(a.Value, b.Value, Same)
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		return ok && slices.EqualFunc(a.Value, b.Value, Same)
	default:
		return false // written once more
	}
}

// End gives an item an end, none for a zero time.
func (e *Edit) End(at time.Time) {
	if at.IsZero() {
		e.Remove(AttrTTL)
	} else {
		e.Set(AttrTTL, NumberValue(at.Unix()))
	}
}
