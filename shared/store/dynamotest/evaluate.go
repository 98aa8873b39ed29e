package dynamotest

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// terms are the expressions of a call and what their placeholders stand for.
type terms struct {
	*expressions
	aliases map[string]string
	given   Item
}

// newTerms parses the condition and the update of a call (nil: none), and checks what
// DynamoDB checks before it looks at an item.
func newTerms(condition, update *string, names map[string]string, values Item) (*terms, error) {
	e, err := parse(condition, update)
	if err != nil {
		return nil, err
	}
	given, err := keptItem(values)
	if err != nil {
		return nil, err
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
	switch {
	case names != nil && len(names) == 0, values != nil && len(values) == 0:
		return nil, invalid("ExpressionAttributeNames and ExpressionAttributeValues must not be empty")
	case len(e.names) < len(names), len(e.values) < len(values):
		return nil, invalid("Value provided in ExpressionAttributeNames or ExpressionAttributeValues unused in expressions")
	}
	t := &terms{e, names, given}
	if e.where != nil {
		if err := t.checkCondition(*e.where); err != nil {
			return nil, err
		}
	}
	return t, t.checkActions()
}

// attribute is the name of a path.
func (t *terms) attribute(path node) string {
	if path.name[0] == '#' {
		return t.aliases[path.name]
	}
	return path.name
}

func (t *terms) checkActions() error {
	changed := make(map[string]bool, len(t.actions))
	for _, a := range t.actions {
		attr := t.attribute(a.args[0])
		switch {
		case attr == attrPK || attr == attrSK:
			return invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", attr)
		case changed[attr]:
			return invalid("Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path: [%s]", attr)
		}
		changed[attr] = true
		var err error
		switch {
		case a.op == "ADD":
			err = t.checkKind(a.op, a.args[1:], "N", "SS")
		case a.op == "DELETE":
			err = t.checkKind(a.op, a.args[1:], "SS")
		case a.op == "SET" && a.args[1].op == "+":
			err = t.checkKind("+", a.args[1].args, "N")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkKind checks the types of the operands that are values.
func (t *terms) checkKind(op string, operands []node, kinds ...string) error {
	for _, o := range operands {
		if o.op == "value" && !slices.Contains(kinds, kindOf(t.given[o.name])) {
			return invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, kindOf(t.given[o.name]))
		}
	}
	return nil
}

func (t *terms) checkCondition(n node) error {
	switch n.op {
	case "AND", "OR":
		for _, part := range n.args {
			if err := t.checkCondition(part); err != nil {
				return err
			}
		}
	case "<", "<=", ">", ">=":
		return t.checkKind(n.op, n.args, "S", "N", "B")
	case "BETWEEN":
		if order, ok := compareValues(t.given[n.args[1].name], t.given[n.args[2].name]); !ok || order > 0 {
			return invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound, and of its type")
		}
	}
	return nil
}

// holds tells whether a condition is true of an item.
func (t *terms) holds(n node, it Item) bool {
	switch n.op {
	case "AND":
		return t.holds(n.args[0], it) && t.holds(n.args[1], it)
	case "OR":
		return t.holds(n.args[0], it) || t.holds(n.args[1], it)
	case "attribute_exists":
		return it[t.attribute(n.args[0])] != nil
	case "attribute_not_exists":
		return it[t.attribute(n.args[0])] == nil
	}
	var v types.AttributeValue
	if n.args[0].op == "size" {
		v = length(it[t.attribute(n.args[0].args[0])])
	} else {
		v = it[t.attribute(n.args[0])]
	}
	if v == nil {
		return n.op == "<>" // what is absent is equal to nothing
	}
	other := t.given[n.args[1].name]
	switch n.op {
	case "=":
		return sameValue(v, other)
	case "<>":
		return !sameValue(v, other)
	case "contains":
		return contains(v, other)
	}
	order, ok := compareValues(v, other)
	switch n.op {
	case "<":
		return ok && order < 0
	case "<=":
		return ok && order <= 0
	case ">":
		return ok && order > 0
	case ">=":
		return ok && order >= 0
	}
	to, _ := compareValues(v, t.given[n.args[2].name]) // BETWEEN
	return ok && order >= 0 && to <= 0
}

func contains(v, member types.AttributeValue) bool {
	switch v := v.(type) {
	case *types.AttributeValueMemberL:
		return slices.ContainsFunc(v.Value, func(e types.AttributeValue) bool { return sameValue(e, member) })
	case *types.AttributeValueMemberB:
		m, ok := member.(*types.AttributeValueMemberB)
		return ok && bytes.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberS:
		m, ok := member.(*types.AttributeValueMemberS)
		return ok && strings.Contains(v.Value, m.Value)
	case *types.AttributeValueMemberSS:
		m, ok := member.(*types.AttributeValueMemberS)
		return ok && slices.Contains(v.Value, m.Value)
	}
	return false
}

// update makes the actions' changes of an item (its keys alone, where there is none).
// All of them see the item as it was.
func (t *terms) update(old Item) (Item, error) {
	next := maps.Clone(old)
	for _, a := range t.actions {
		attr := t.attribute(a.args[0])
		var v types.AttributeValue
		var err error
		switch a.op {
		case "SET":
			v, err = t.operand(a.args[1], old)
		case "ADD":
			v, err = added(old[attr], t.given[a.args[1].name])
		case "DELETE":
			v, err = taken(old[attr], t.given[a.args[1].name])
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

// operand is the value of an operand of SET.
func (t *terms) operand(n node, old Item) (types.AttributeValue, error) {
	switch n.op {
	case "value":
		return t.given[n.name], nil
	case "if_not_exists":
		if v := old[t.attribute(n.args[0])]; v != nil {
			return v, nil
		}
		return t.given[n.args[1].name], nil
	case "+":
		a, err := t.operand(n.args[0], old)
		if err != nil {
			return nil, err
		}
		b, err := t.operand(n.args[1], old)
		if err != nil {
			return nil, err
		}
		return sum(a, b)
	}
	if v := old[t.attribute(n)]; v != nil {
		return v, nil
	}
	return nil, invalid("The provided expression refers to an attribute that does not exist in the item")
}

func wrongType() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

// added is an attribute after ADD.
func added(old, v types.AttributeValue) (types.AttributeValue, error) {
	set, ok := v.(*types.AttributeValueMemberSS)
	switch {
	case old == nil:
		return v, nil
	case !ok:
		return sum(old, v)
	}
	members, ok := old.(*types.AttributeValueMemberSS)
	if !ok {
		return nil, wrongType()
	}
	all := slices.Concat(members.Value, set.Value)
	slices.Sort(all)
	return &types.AttributeValueMemberSS{Value: slices.Compact(all)}, nil
}

// taken is an attribute after DELETE, nil without members.
func taken(old, v types.AttributeValue) (types.AttributeValue, error) {
	members, ok := old.(*types.AttributeValueMemberSS)
	away, also := v.(*types.AttributeValueMemberSS)
	switch {
	case old == nil:
		return nil, nil
	case !ok || !also:
		return nil, wrongType()
	}
	left := slices.DeleteFunc(slices.Clone(members.Value), func(m string) bool { return slices.Contains(away.Value, m) })
	if len(left) == 0 {
		return nil, nil
	}
	return &types.AttributeValueMemberSS{Value: left}, nil
}
