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
func newTerms(names map[string]string, values Item, expressions ...*expression) (*terms, error) {
	if names != nil && len(names) == 0 || values != nil && len(values) == 0 {
		return nil, invalid("ExpressionAttributeNames and ExpressionAttributeValues must not be empty")
	}
	t := &terms{names: names, values: make(Item, len(values))}
	for name, v := range values {
		own, err := kept(v)
		if err != nil {
			return nil, err
		}
		t.values[name] = own
	}
	var usedNames, usedValues int
	for i, e := range expressions {
		if e == nil {
			continue
		}
		known := func(list func(*expression) []string, name string) bool {
			return slices.ContainsFunc(expressions[:i], func(other *expression) bool {
				if other == nil {
					return false
				}
				_, found := slices.BinarySearch(list(other), name)
				return found
			})
		}
		for _, name := range e.names {
			if names[name] == "" {
				return nil, invalid("An expression attribute name used in the document path is not defined; attribute name: %s", name)
			}
			if !known(func(e *expression) []string { return e.names }, name) {
				usedNames++
			}
		}
		for _, name := range e.values {
			if values[name] == nil {
				return nil, invalid("An expression attribute value used in expression is not defined; attribute value: %s", name)
			}
			if !known(func(e *expression) []string { return e.values }, name) {
				usedValues++
			}
		}
	}
	if usedNames < len(names) || usedValues < len(values) {
		return nil, invalid("Value provided in ExpressionAttributeNames or ExpressionAttributeValues unused in expressions")
	}
	for _, e := range expressions {
		if e == nil {
			continue
		}
		if err := t.check(e); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// attribute is the name of a path.
func (t *terms) attribute(path operand) string {
	if path.name[0] == '#' {
		return t.names[path.name]
	}
	return path.name
}

// check finds what DynamoDB refuses before it looks at an item.
func (t *terms) check(e *expression) error {
	if e.where.op != "" {
		return t.checkCondition(e.where)
	}
	changed := map[string]bool{}
	for _, a := range e.actions {
		attr := t.attribute(a.path)
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

func (t *terms) checkAction(a action) error {
	wants := func(o operand, kinds ...string) error {
		if kind := kindOf(t.values[o.name]); o.op == "value" && !slices.Contains(kinds, kind) {
			return invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: %s, operand type: %s", a.clause, kind)
		}
		return nil
	}
	switch {
	case a.clause == "ADD":
		return wants(a.value, "N", "SS", "NS", "BS")
	case a.clause == "DELETE":
		return wants(a.value, "SS", "NS", "BS")
	case a.value.op == "+" || a.value.op == "-":
		for _, o := range a.value.args {
			if err := wants(o, "N"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *terms) checkCondition(c condition) error {
	for _, part := range c.parts {
		if err := t.checkCondition(part); err != nil {
			return err
		}
	}
	var kinds []string
	for i, o := range c.operands {
		kind := ""
		switch o.op {
		case "value":
			kind = kindOf(t.values[o.name])
		case "size":
			kind = "N"
		}
		kinds = append(kinds, kind)
		if i > 0 && o.op == "path" && c.operands[0].op == "path" && t.attribute(o) == t.attribute(c.operands[0]) {
			return invalid("Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: %s", c.op)
		}
	}
	wrong := func(i int, allowed ...string) bool { return kinds[i] != "" && !slices.Contains(allowed, kinds[i]) }
	bad := false
	switch c.op {
	case "<", "<=", ">", ">=":
		bad = wrong(0, "S", "N", "B") || wrong(1, "S", "N", "B")
	case "begins_with":
		bad = wrong(0, "S", "B") || wrong(1, "S", "B")
	case "BETWEEN":
		bad = wrong(0, "S", "N", "B") || wrong(1, "S", "N", "B") || wrong(2, "S", "N", "B")
		if !bad && c.operands[1].op == "value" && c.operands[2].op == "value" {
			order, ok := compareValues(t.values[c.operands[1].name], t.values[c.operands[2].name])
			bad = !ok || order > 0
		}
	}
	if bad {
		return invalid("Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: %s, operand types: %v", c.op, kinds)
	}
	return nil
}

// holds tells whether a condition is true of an item.
func (t *terms) holds(c condition, it Item) bool {
	switch c.op {
	case "AND":
		return t.holds(c.parts[0], it) && t.holds(c.parts[1], it)
	case "OR":
		return t.holds(c.parts[0], it) || t.holds(c.parts[1], it)
	case "NOT":
		return !t.holds(c.parts[0], it)
	case "attribute_exists":
		return it[t.attribute(c.operands[0])] != nil
	case "attribute_not_exists":
		return it[t.attribute(c.operands[0])] == nil
	}
	var v [3]types.AttributeValue
	for i, o := range c.operands {
		v[i] = t.operand(o, it)
	}
	if v[0] == nil || v[1] == nil {
		return c.op == "<>" && (v[0] != nil || v[1] != nil)
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
func (t *terms) operand(o operand, it Item) types.AttributeValue {
	switch o.op {
	case "value":
		return t.values[o.name]
	case "size":
		if n, ok := length(it[t.attribute(o.args[0])]); ok {
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
	for _, a := range actions {
		attr := t.attribute(a.path)
		var v types.AttributeValue
		var err error
		switch a.clause {
		case "SET":
			v, err = t.term(a.value, old)
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
func (t *terms) term(o operand, old Item) (types.AttributeValue, error) {
	switch o.op {
	case "value":
		return t.values[o.name], nil
	case "if_not_exists":
		if v := old[t.attribute(o.args[0])]; v != nil {
			return v, nil
		}
		return t.term(o.args[1], old)
	case "+", "-":
		a, err := t.term(o.args[0], old)
		if err != nil {
			return nil, err
		}
		b, err := t.term(o.args[1], old)
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
