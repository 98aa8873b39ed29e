package dynamotest

import (
	"slices"
	"strings"
	"sync"
)

// node is an expression, parsed: of a condition AND, OR, a comparator, BETWEEN or a
// function; of an update SET, REMOVE, ADD or DELETE, if_not_exists or +; and in both a
// path or a value, by its name in the expression.
type node struct {
	op, name string
	args     []node
}

// expressions are the condition and the update of a call, parsed.
type expressions struct {
	where         *node    // nil: no condition
	actions       []node   // none: no update
	names, values []string // the placeholders that they use, each once
	err           error
}

// parsed caches expressions by their texts, which are few.
var parsed sync.Map

// parse parses the condition and the update of a call (nil: none).
func parse(condition, update *string) (*expressions, error) {
	var texts [2]string
	for i, text := range []*string{condition, update} {
		if text == nil {
			continue
		}
		if texts[i] = *text; strings.TrimSpace(texts[i]) == "" {
			return nil, invalid("The expression must not be empty")
		}
	}
	if known, ok := parsed.Load(texts); ok {
		if e, ok := known.(*expressions); ok {
			return e, e.err
		}
	}
	e, p := &expressions{}, &parser{}
	if condition != nil {
		p.read(*condition, func() { where, _ := p.disjunction(); e.where = &where })
	}
	if update != nil {
		p.read(*update, func() { e.actions = p.clauses() })
	}
	slices.Sort(p.names)
	slices.Sort(p.values)
	e.names, e.values, e.err = slices.Compact(p.names), slices.Compact(p.values), p.err
	parsed.Store(texts, e)
	return e, e.err
}

// parser reads an expression token by token. After an error it reads no further.
type parser struct {
	rest, token   string
	names, values []string
	err           error
}

// read reads the whole of a text.
func (p *parser) read(text string, grammar func()) {
	p.rest = text
	p.advance()
	grammar()
	if p.err == nil && p.token != "" {
		p.fail()
	}
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

func isWord(b byte) bool { return isLetter(b) || b == '_' || b >= '0' && b <= '9' }

func (p *parser) advance() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	n := min(len(p.rest), 1)
	switch {
	case n == 0:
	case strings.HasPrefix(p.rest, "<="), strings.HasPrefix(p.rest, ">="), strings.HasPrefix(p.rest, "<>"):
		n = 2
	case isWord(p.rest[0]), p.rest[0] == '#', p.rest[0] == ':':
		for n < len(p.rest) && isWord(p.rest[n]) {
			n++
		}
	}
	p.token, p.rest = p.rest[:n], p.rest[n:]
}

func (p *parser) fail() {
	if p.err == nil {
		p.err = invalid("Invalid expression: syntax error, or unknown to dynamotest; token: %q, near: %.40q", p.token, p.token+p.rest)
	}
	p.token, p.rest = "", ""
}

// take takes a token or keyword, in any case, if it is next.
func (p *parser) take(token string) bool {
	if !strings.EqualFold(p.token, token) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(token string) {
	if !p.take(token) {
		p.fail()
	}
}

// function takes the name of a function and the parenthesis after it, if they are next.
func (p *parser) function(names ...string) string {
	name := p.token
	if !slices.Contains(names, name) || !strings.HasPrefix(strings.TrimLeft(p.rest, " "), "(") {
		return ""
	}
	p.advance()
	p.advance()
	return name
}

// The grammar is the part of the developer guide's "Condition and filter expressions,
// operators, and functions" and "Using update expressions" that the store uses: a
// comparator compares an attribute, or the size of one, with a value.

func (p *parser) disjunction() (n node, grouped bool) {
	n, grouped = p.conjunction()
	for p.take("OR") {
		next, _ := p.conjunction()
		n, grouped = node{op: "OR", args: []node{n, next}}, false
	}
	return n, grouped
}

func (p *parser) conjunction() (n node, grouped bool) {
	n, grouped = p.condition()
	for p.take("AND") {
		next, _ := p.condition()
		n, grouped = node{op: "AND", args: []node{n, next}}, false
	}
	return n, grouped
}

// condition also tells whether what it has read was in parentheses.
func (p *parser) condition() (n node, grouped bool) {
	if !p.take("(") {
		return p.comparison(), false
	}
	n, grouped = p.disjunction()
	if grouped && p.err == nil {
		p.err = invalid("Invalid ConditionExpression: The expression has redundant parentheses;")
	}
	p.expect(")")
	return n, true
}

func (p *parser) comparison() node {
	n := node{op: p.function("attribute_exists", "attribute_not_exists", "contains", "size")}
	n.args = append(n.args, p.path())
	if n.op == "contains" {
		p.expect(",")
		n.args = append(n.args, p.value())
	}
	if n.op != "" {
		p.expect(")")
	}
	if n.op != "" && n.op != "size" {
		return n
	}
	left := n.args[0]
	if n.op == "size" {
		left = n
	}
	switch op := p.token; {
	case p.take("BETWEEN"):
		from := p.value()
		p.expect("AND")
		return node{op: "BETWEEN", args: []node{left, from, p.value()}}
	case slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, op):
		p.advance()
		return node{op: op, args: []node{left, p.value()}}
	}
	p.fail()
	return node{}
}

// path is the name of an attribute. DynamoDB reserves more than 500 words, none with an
// underscore: a name without one needs an alias here, except for those that the store
// uses.
func (p *parser) path() node {
	name := p.token
	switch {
	case len(name) > 1 && name[0] == '#':
		p.names = append(p.names, name)
	case name == attrPK, name == attrSK, name == "sealed":
	case !strings.Contains(name, "_"), !isLetter(name[0]):
		p.fail()
	}
	p.advance()
	if p.token == "." || p.token == "[" {
		p.fail() // a path into a document
	}
	return node{op: "path", name: name}
}

func (p *parser) value() node {
	name := p.token
	if len(name) < 2 || name[0] != ':' {
		p.fail()
	}
	p.values = append(p.values, name)
	p.advance()
	return node{op: "value", name: name}
}

// clauses are those of an update, each once at most.
func (p *parser) clauses() []node {
	var actions []node
	seen := map[string]bool{}
	for p.err == nil && (len(seen) == 0 || p.token != "") {
		clause := strings.ToUpper(p.token)
		if seen[clause] || !slices.Contains([]string{"SET", "REMOVE", "ADD", "DELETE"}, clause) {
			p.fail()
		}
		seen[clause] = true
		p.advance()
		actions = append(actions, p.action(clause))
		for p.take(",") {
			actions = append(actions, p.action(clause))
		}
	}
	return actions
}

// action is a change of a path, with what it is changed by.
func (p *parser) action(clause string) node {
	a := node{op: clause, args: []node{p.path()}}
	switch clause {
	case "SET":
		p.expect("=")
		operand := p.operand()
		if p.take("+") {
			operand = node{op: "+", args: []node{operand, p.operand()}}
		}
		a.args = append(a.args, operand)
	case "ADD", "DELETE":
		a.args = append(a.args, p.value())
	}
	return a
}

// operand of SET.
func (p *parser) operand() node {
	if p.function("if_not_exists") != "" {
		path := p.path()
		p.expect(",")
		n := node{op: "if_not_exists", args: []node{path, p.value()}}
		p.expect(")")
		return n
	}
	if strings.HasPrefix(p.token, ":") {
		return p.value()
	}
	return p.path()
}
