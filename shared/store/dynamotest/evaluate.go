package dynamotest

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// terms are what the placeholders of a call's expressions stand for.
type terms struct {
	names  map[string]string
	values Item
}

// newTerms checks that the expressions (nil: none) use all placeholders that the
// call has, and no others.
func newTerms(names map[string]string, values Item, first, second *expression) (*terms, error) {
	if names != nil && len(names) == 0 || values != nil && len(values) == 0 {
		return nil, invalid("ExpressionAttributeNames and ExpressionAttributeValues must not be empty")
	}
	t, cloned := &terms{names: names, values: values}, false
	for name, v := range values {
		own, err := kept(v)
		if err != nil {
			return nil, err
		}
		if own == v {
			continue
		}
		if !cloned {
			t.values, cloned = maps.Clone(values), true
		}
		t.values[name] = own
	}
	usedNames, usedValues := 0, 0
	for _, e := range [2]*expression{first, second} {
		if e == nil {
			continue
		}
		for _, name := range e.names {
			if names[name] == "" {
				return nil, invalid("An expression attribute name used in the document path is not defined; attribute name: %s", name)
			}
		}
		for _, name := range e.values {
			if values[name] == nil {
				return nil, invalid("An expression attribute value used in expression is not defined; attribute value: %s", name)
			}
		}
		usedNames, usedValues = usedNames+len(e.names), usedValues+len(e.values)
	}
	if first != nil && second != nil {
		usedNames, usedValues = usedNames-common(first.names, second.names), usedValues-common(first.values, second.values)
	}
	if usedNames < len(names) || usedValues < len(values) {
		return nil, invalid("Value provided in ExpressionAttributeNames or ExpressionAttributeValues unused in expressions")
	}
	if err := t.check(first); err != nil {
		return nil, err
	}
	return t, t.check(second)
}

// common is how many texts are in both lists, which are in order.
func common(a, b []string) int {
	n := 0
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			n, a, b = n+1, a[1:], b[1:]
		}
	}
	return n
}

// attribute is the name of a path.
func (t *terms) attribute(path *operand) string {
	if path.name[0] == '#' {
		return t.names[path.name]
	}
	return path.name
}

// check finds what DynamoDB refuses before it looks at an item.
func (t *terms) check(e *expression) error {
	switch {
	case e == nil:
		return nil
	case e.where != nil:
		return t.checkCondition(e.where)
	}
	changed := make(map[string]bool, len(e.actions))
	for i := range e.actions {
		a := &e.actions[i]
		attr := t.attribute(&a.path)
		switch {
		case attr == attrPK || attr == attrSK:
			return invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", attr)
		case changed[attr]:
			return invalid("Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path: [%s]", attr)
		}
		changed[attr] = true
		if err := t.checkAction(a); err != nil {
			return err
		}
	}
	return nil
}

func (t *terms) checkAction(a *action) error {
	switch {
	case a.clause == "ADD":
		return t.checkKind(a.clause, &a.value, "N", "SS", "NS", "BS")
	case a.clause == "DELETE":
		return t.checkKind(a.clause, &a.value, "SS", "NS", "BS")
	case a.value.op == "+" || a.value.op == "-":
		for i := range a.value.args {
			if err := t.checkKind(a.value.op, &a.value.args[i], "N"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *terms) checkKind(op string, o *operand, kinds ...string) error {
	if kind := t.kind(o); kind != "" && !slices.Contains(kinds, kind) {
		return invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, kind)
	}
	return nil
}

// kind is the type of an operand that is known without an item, "" if it is not.
func (t *terms) kind(o *operand) string {
	switch o.op {
	case "value":
		return kindOf(t.values[o.name])
	case "size":
		return "N"
	}
	return ""
}

func (t *terms) checkCondition(c *condition) error {
	for i := range c.parts {
		if err := t.checkCondition(&c.parts[i]); err != nil {
			return err
		}
	}
	for i := 1; i < len(c.operands); i++ {
		if a, b := &c.operands[0], &c.operands[i]; a.op == "path" && b.op == "path" && t.attribute(a) == t.attribute(b) {
			return invalid("The first operand must be distinct from the remaining operands for this operator or function; operator: %s", c.op)
		}
	}
	switch c.op {
	case "<", "<=", ">", ">=", "BETWEEN":
		for i := range c.operands {
			if err := t.checkKind(c.op, &c.operands[i], "S", "N", "B"); err != nil {
				return err
			}
		}
	case "begins_with":
		for i := range c.operands {
			if err := t.checkKind(c.op, &c.operands[i], "S", "B"); err != nil {
				return err
			}
		}
	}
	if c.op == "BETWEEN" && c.operands[1].op == "value" && c.operands[2].op == "value" {
		if order, ok := compareValues(t.values[c.operands[1].name], t.values[c.operands[2].name]); !ok || order > 0 {
			return invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound, and of its type")
		}
	}
	return nil
}

// holds tells whether a condition is true of an item.
func (t *terms) holds(c *condition, it Item) bool {
	switch c.op {
	case "AND":
		return t.holds(&c.parts[0], it) && t.holds(&c.parts[1], it)
	case "OR":
		return t.holds(&c.parts[0], it) || t.holds(&c.parts[1], it)
	case "NOT":
		return !t.holds(&c.parts[0], it)
	case "attribute_exists":
		return it[t.attribute(&c.operands[0])] != nil
	case "attribute_not_exists":
		return it[t.attribute(&c.operands[0])] == nil
	}
	var v [3]types.AttributeValue
	for i := range c.operands {
		v[i] = t.operand(&c.operands[i], it)
	}
	if v[0] == nil || v[1] == nil {
		return c.op == "<>" // what is absent is equal to nothing
	}
	switch c.op {
	case "=":
		return sameValue(v[0], v[1])
	case "<>":
		return !sameValue(v[0], v[1])
	case "contains":
		return contains(v[0], v[1])
	case "begins_with":
		return beginsWith(v[0], v[1])
	}
	order, ok := compareValues(v[0], v[1])
	switch c.op {
	case "<":
		return ok && order < 0
	case "<=":
		return ok && order <= 0
	case ">":
		return ok && order > 0
	case ">=":
		return ok && order >= 0
	case "BETWEEN":
		to, also := compareValues(v[0], v[2])
		return ok && also && order >= 0 && to <= 0
	}
	return false
}

// operand is the value of one in a condition, nil if it has none.
func (t *terms) operand(o *operand, it Item) types.AttributeValue {
	switch o.op {
	case "value":
		return t.values[o.name]
	case "size":
		if n, ok := length(it[t.attribute(&o.args[0])]); ok {
			return &types.AttributeValueMemberN{Value: itoa(n)}
		}
		return nil
	}
	return it[t.attribute(o)]
}

func contains(v, member types.AttributeValue) bool {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		m, ok := member.(*types.AttributeValueMemberS)
		return ok && strings.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberB:
		m, ok := member.(*types.AttributeValueMemberB)
		return ok && bytes.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberL:
		return slices.ContainsFunc(v.Value, func(e types.AttributeValue) bool { return sameValue(e, member) })
	case *types.AttributeValueMemberSS:
		m, ok := member.(*types.AttributeValueMemberS)
		return ok && slices.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberNS:
		m, ok := member.(*types.AttributeValueMemberN)
		return ok && slices.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberBS:
		m, ok := member.(*types.AttributeValueMemberB)
		return ok && slices.ContainsFunc(v.Value, func(b []byte) bool { return bytes.Equal(b, m.Value) })
	}
	return false
}

func beginsWith(v, prefix types.AttributeValue) bool {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		p, ok := prefix.(*types.AttributeValueMemberS)
		return ok && strings.HasPrefix(v.Value, p.Value)
	case *types.AttributeValueMemberB:
		p, ok := prefix.(*types.AttributeValueMemberB)
		return ok && bytes.HasPrefix(v.Value, p.Value)
	}
	return false
}

// update makes of an item (its keys alone, where there is none) what the actions
// make of it. All of them see the item as it was.
func (t *terms) update(actions []action, old Item) (Item, error) {
	next := maps.Clone(old)
	for i := range actions {
		a := &actions[i]
		attr := t.attribute(&a.path)
		var v types.AttributeValue
		var err error
		switch a.clause {
		case "SET":
			v, err = t.term(&a.value, old)
		case "ADD":
			v, err = added(old[attr], t.values[a.value.name])
		case "DELETE":
			v, err = taken(old[attr], t.values[a.value.name])
		}
		if err != nil {
			return nil, err
		}
		if v == nil {
			delete(next, attr)
		} else {
			next[attr] = v
		}
	}
	return next, nil
}

// term is the value of one in an update.
func (t *terms) term(o *operand, old Item) (types.AttributeValue, error) {
	switch o.op {
	case "value":
		return t.values[o.name], nil
	case "if_not_exists":
		if v := old[t.attribute(&o.args[0])]; v != nil {
			return v, nil
		}
		return t.term(&o.args[1], old)
	case "+", "-":
		a, err := t.term(&o.args[0], old)
		if err != nil {
			return nil, err
		}
		b, err := t.term(&o.args[1], old)
		if err != nil {
			return nil, err
		}
		return summed(a, b, o.op == "-")
	}
	if v := old[t.attribute(o)]; v != nil {
		return v, nil
	}
	return nil, invalid("The provided expression refers to an attribute that does not exist in the item")
}

func wrongType() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

func summed(a, b types.AttributeValue, minus bool) (types.AttributeValue, error) {
	x, ok := a.(*types.AttributeValueMemberN)
	y, also := b.(*types.AttributeValueMemberN)
	if !ok || !also {
		return nil, wrongType()
	}
	text, err := sum(x.Value, y.Value, minus)
	return &types.AttributeValueMemberN{Value: text}, err
}

func added(old, v types.AttributeValue) (types.AttributeValue, error) {
	switch {
	case old == nil:
		return v, nil
	case kindOf(old) != kindOf(v):
		return nil, wrongType()
	case kindOf(v) == "N":
		return summed(old, v, false)
	}
	members, _ := membersOf(old)
	more, _ := membersOf(v)
	members = append(slices.Clone(members), more...)
	slices.Sort(members)
	return setLike(v, slices.Compact(members)), nil
}

func taken(old, v types.AttributeValue) (types.AttributeValue, error) {
	switch {
	case old == nil:
		return nil, nil
	case kindOf(old) != kindOf(v):
		return nil, wrongType()
	}
	members, _ := membersOf(old)
	away, _ := membersOf(v)
	return setLike(v, slices.DeleteFunc(slices.Clone(members), func(m string) bool { return slices.Contains(away, m) })), nil
}
