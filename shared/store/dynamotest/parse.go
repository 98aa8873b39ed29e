package dynamotest

import (
	"slices"
	"strings"
	"sync"
)

// operand is an attribute, a value, or what a function or a sum makes of them.
type operand struct {
	op   string // "path", "value", "size", "if_not_exists", "+", "-"
	name string // of a path or a value, as the expression has it
	args []operand
}

// condition is true or false of an item.
type condition struct {
	op       string // a comparator, BETWEEN, a function, AND, OR, NOT
	operands []operand
	parts    []condition
}

// action is one change of an update.
type action struct {
	clause string // SET, REMOVE, ADD, DELETE
	path   operand
	value  operand // none of REMOVE
}

// expression is a condition or an update, parsed.
type expression struct {
	where   *condition // nil: of an update
	actions []action
	names   []string // the aliases that it uses, each once
	values  []string // the same of values
	err     error
}

// The texts of expressions are few, and each is parsed once.
var parsedConditions, parsedUpdates sync.Map // caches

func parsed(cache *sync.Map, text *string, parse func(*parser, *expression)) (*expression, error) {
	if text == nil {
		return nil, nil
	}
	if known, ok := cache.Load(*text); ok {
		if e, ok := known.(*expression); ok {
			return e, e.err
		}
	}
	e := &expression{}
	p := &parser{rest: *text}
	p.advance()
	parse(p, e)
	if p.err == nil && p.token != "" {
		p.fail()
	}
	slices.Sort(p.names)
	slices.Sort(p.values)
	e.names, e.values, e.err = slices.Compact(p.names), slices.Compact(p.values), p.err
	cache.Store(*text, e)
	return e, e.err
}

func parseCondition(text *string) (*expression, error) {
	return parsed(&parsedConditions, text, func(p *parser, e *expression) { where, _ := p.disjunction(); e.where = &where })
}

func parseUpdate(text *string) (*expression, error) {
	return parsed(&parsedUpdates, text, func(p *parser, e *expression) { e.actions = p.clauses() })
}

// parser goes through an expression token by token. After an error it goes no
// further.
type parser struct {
	rest, token   string
	names, values []string
	err           error
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func (p *parser) advance() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	n := 0
	switch {
	case p.rest == "":
	case strings.HasPrefix(p.rest, "<="), strings.HasPrefix(p.rest, ">="), strings.HasPrefix(p.rest, "<>"):
		n = 2
	default:
		n = 1
		if isWord(p.rest[0]) || p.rest[0] == '#' || p.rest[0] == ':' {
			for n < len(p.rest) && isWord(p.rest[n]) {
				n++
			}
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

// keyword takes one, in whatever case, if it is next.
func (p *parser) keyword(word string) bool {
	if !strings.EqualFold(p.token, word) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(token string) {
	if p.token != token {
		p.fail()
		return
	}
	p.advance()
}

// function takes the name of one of these functions and the parenthesis after it,
// if they are next.
func (p *parser) function(names ...string) string {
	if !slices.Contains(names, p.token) || !strings.HasPrefix(strings.TrimLeft(p.rest, " "), "(") {
		return ""
	}
	name := p.token
	p.advance()
	p.advance()
	return name
}

// The grammar is that of the developer guide, "Condition and filter expressions,
// operators, and functions", without IN, attribute_type and paths into documents.

func (p *parser) disjunction() (c condition, grouped bool) {
	c, grouped = p.conjunction()
	for p.keyword("OR") {
		next, _ := p.conjunction()
		c, grouped = condition{op: "OR", parts: []condition{c, next}}, false
	}
	return c, grouped
}

func (p *parser) conjunction() (c condition, grouped bool) {
	c, grouped = p.negation()
	for p.keyword("AND") {
		next, _ := p.negation()
		c, grouped = condition{op: "AND", parts: []condition{c, next}}, false
	}
	return c, grouped
}

// negation also tells whether what it has read stood in parentheses.
func (p *parser) negation() (c condition, grouped bool) {
	if p.keyword("NOT") {
		inner, _ := p.negation()
		return condition{op: "NOT", parts: []condition{inner}}, false
	}
	if p.token == "(" {
		p.advance()
		c, grouped = p.disjunction()
		if grouped && p.err == nil {
			p.err = invalid("Invalid ConditionExpression: The expression has redundant parentheses;")
		}
		p.expect(")")
		return c, true
	}
	return p.comparison(), false
}

func (p *parser) comparison() condition {
	switch name := p.function("attribute_exists", "attribute_not_exists", "contains", "begins_with"); name {
	case "attribute_exists", "attribute_not_exists":
		c := condition{op: name, operands: []operand{p.path()}}
		p.expect(")")
		return c
	case "contains", "begins_with":
		first := p.operand()
		p.expect(",")
		c := condition{op: name, operands: []operand{first, p.operand()}}
		p.expect(")")
		return c
	}
	first := p.operand()
	if p.keyword("BETWEEN") {
		from := p.operand()
		if !p.keyword("AND") {
			p.fail()
		}
		return condition{op: "BETWEEN", operands: []operand{first, from, p.operand()}}
	}
	op := p.token
	switch op {
	case "=", "<>", "<", "<=", ">", ">=":
		p.advance()
		return condition{op: op, operands: []operand{first, p.operand()}}
	}
	p.fail()
	return condition{}
}

// operand of a condition.
func (p *parser) operand() operand {
	if p.function("size") != "" {
		o := operand{op: "size", args: []operand{p.path()}}
		p.expect(")")
		return o
	}
	if strings.HasPrefix(p.token, ":") {
		return p.value()
	}
	return p.path()
}

func (p *parser) path() operand {
	name := p.token
	switch {
	case len(name) > 1 && name[0] == '#':
		p.names = append(p.names, name)
	case name == "", !isWord(name[0]), name[0] >= '0' && name[0] <= '9', reserved(name):
		p.fail()
	}
	p.advance()
	if p.token == "." || p.token == "[" {
		p.fail() // a path into a document
	}
	return operand{op: "path", name: name}
}

func (p *parser) value() operand {
	name := p.token
	if len(name) < 2 {
		p.fail()
	}
	p.values = append(p.values, name)
	p.advance()
	return operand{op: "value", name: name}
}

// clauses are those of an update expression, each once at most.
func (p *parser) clauses() []action {
	var actions []action
	seen := map[string]bool{}
	for p.err == nil && (len(seen) == 0 || p.token != "") {
		clause := strings.ToUpper(p.token)
		switch clause {
		case "SET", "REMOVE", "ADD", "DELETE":
		default:
			p.fail()
		}
		if seen[clause] {
			p.fail()
		}
		seen[clause] = true
		p.advance()
		actions = append(actions, p.action(clause))
		for p.token == "," {
			p.advance()
			actions = append(actions, p.action(clause))
		}
	}
	return actions
}

func (p *parser) action(clause string) action {
	a := action{clause: clause, path: p.path()}
	switch clause {
	case "SET":
		p.expect("=")
		a.value = p.term()
		if op := p.token; op == "+" || op == "-" {
			p.advance()
			a.value = operand{op: op, args: []operand{a.value, p.term()}}
		}
	case "ADD", "DELETE":
		a.value = p.value()
		if !strings.HasPrefix(a.value.name, ":") {
			p.fail()
		}
	}
	return a
}

// term of an update.
func (p *parser) term() operand {
	if p.function("if_not_exists") != "" {
		path := p.path()
		p.expect(",")
		o := operand{op: "if_not_exists", args: []operand{path, p.term()}}
		p.expect(")")
		return o
	}
	if strings.HasPrefix(p.token, ":") {
		return p.value()
	}
	return p.path()
}
