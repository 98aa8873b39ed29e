package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// template is the part of template.yaml that decides whether a set of parameters can work.
type template struct {
	Parameters map[string]parameter `yaml:"Parameters"`
	Rules      map[string]struct {
		Condition  yaml.Node `yaml:"RuleCondition"`
		Assertions []struct {
			Assert      yaml.Node `yaml:"Assert"`
			Description string    `yaml:"AssertDescription"`
		} `yaml:"Assertions"`
	} `yaml:"Rules"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Resources  map[string]struct {
		Type       string `yaml:"Type"`
		Properties struct {
			FunctionName yaml.Node `yaml:"FunctionName"`
			Reserved     yaml.Node `yaml:"ReservedConcurrentExecutions"`
			Indexes      []struct {
				Name string `yaml:"IndexName"`
			} `yaml:"GlobalSecondaryIndexes"`
		} `yaml:"Properties"`
	} `yaml:"Resources"`
}

// parameter is a parameter with its limits; nil means none. All values are as CloudFormation passes them: texts.
type parameter struct {
	Type                  string   `yaml:"Type"`
	Default               *string  `yaml:"Default"`
	AllowedValues         []string `yaml:"AllowedValues"`
	AllowedPattern        string   `yaml:"AllowedPattern"`
	ConstraintDescription string   `yaml:"ConstraintDescription"`
	MinValue              *float64 `yaml:"MinValue"`
	MaxValue              *float64 `yaml:"MaxValue"`
	MinLength             *int     `yaml:"MinLength"`
	MaxLength             *int     `yaml:"MaxLength"`
}

func readTemplate(path string) (*template, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	return parseTemplate(text)
}

func parseTemplate(text []byte) (*template, error) {
	var t template
	if err := yaml.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	if len(t.Parameters) == 0 {
		return nil, errors.New("reading the template: it has no parameters")
	}
	return &t, nil
}

// defaults returns the values of the parameters that have a default.
func (t *template) defaults() map[string]string {
	values := make(map[string]string)
	for name, parameter := range t.Parameters {
		if parameter.Default != nil {
			values[name] = *parameter.Default
		}
	}
	return values
}

// check says what is wrong with a value; empty: nothing.
func (p parameter) check(value string) string {
	if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, value) {
		return "must be one of " + strings.Join(p.AllowedValues, ", ")
	}
	if p.AllowedPattern != "" {
		pattern, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$")
		if err != nil {
			return "has a pattern that cannot be checked here: " + err.Error()
		}
		if !pattern.MatchString(value) {
			return cmp.Or(p.ConstraintDescription, "must match "+p.AllowedPattern)
		}
	}
	if p.MinLength != nil && len(value) < *p.MinLength || p.MaxLength != nil && len(value) > *p.MaxLength {
		return "has a length of " + strconv.Itoa(len(value)) + ", which is not allowed"
	}
	if p.Type != "Number" {
		return ""
	}
	number, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil:
		return "must be a number"
	case p.MinValue != nil && number < *p.MinValue:
		return fmt.Sprintf("must be at least %v", *p.MinValue)
	case p.MaxValue != nil && number > *p.MaxValue:
		return fmt.Sprintf("must be at most %v", *p.MaxValue)
	}
	return ""
}

// outside returns what is wrong with each value that is not within the limits of its parameter.
func (t *template) outside(values map[string]string) map[string]string {
	found := make(map[string]string)
	for name, value := range values {
		if problem := t.Parameters[name].check(value); problem != "" {
			found[name] = problem
		}
	}
	return found
}

// errUnknownValue says that an expression needs a parameter whose value is not known.
var errUnknownValue = errors.New("the value is not known")

// violations returns which rules of the template the values violate. Rules that need other values are not checked.
func (t *template) violations(values map[string]string) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		rule := t.Rules[name]
		if !rule.Condition.IsZero() {
			applies, err := t.truth(&rule.Condition, values)
			if err != nil && !errors.Is(err, errUnknownValue) {
				found = append(found, fmt.Sprintf("The rule %s of the template cannot be checked here: %v", name, err))
			}
			if !applies {
				continue
			}
		}
		for _, assertion := range rule.Assertions {
			holds, err := t.truth(&assertion.Assert, values)
			switch {
			case errors.Is(err, errUnknownValue):
			case err != nil:
				found = append(found, fmt.Sprintf("The rule %s of the template cannot be checked here: %v", name, err))
			case !holds:
				found = append(found, assertion.Description)
			}
		}
	}
	return found
}

// reserved returns how much of the account's concurrency the functions reserve.
func (t *template) reserved(values map[string]string) (int, error) {
	sum := 0
	for id, resource := range t.Resources {
		if resource.Properties.Reserved.IsZero() {
			continue
		}
		value, err := t.value(&resource.Properties.Reserved, values)
		if err != nil {
			return 0, fmt.Errorf("ReservedConcurrentExecutions of %s: %w", id, err)
		}
		if value == noValue {
			continue
		}
		number, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("ReservedConcurrentExecutions of %s: %w", id, err)
		}
		sum += number
	}
	return sum, nil
}

// indexes returns the names of the table's indexes.
func (t *template) indexes() []string {
	var names []string
	for _, resource := range t.Resources {
		for _, index := range resource.Properties.Indexes {
			names = append(names, index.Name)
		}
	}
	slices.Sort(names)
	return names
}

// longestStackName returns how long the stack's name may be: Lambda's names end at 64 characters, and the names of the
// functions begin with the stack's.
func (t *template) longestStackName() int {
	longest := 64
	for _, resource := range t.Resources {
		if name := resource.Properties.FunctionName.Value; resource.Type == "AWS::Serverless::Function" && name != "" {
			longest = min(longest, 64-len(strings.ReplaceAll(name, "${AWS::StackName}", "")))
		}
	}
	return longest
}

// noValue is what AWS::NoValue evaluates to.
const noValue = "AWS::NoValue"

// value evaluates an expression whose result is a text.
func (t *template) value(node *yaml.Node, values map[string]string) (string, error) {
	function, argument := intrinsic(node)
	switch function {
	case "":
		if node.Kind != yaml.ScalarNode {
			return "", fmt.Errorf("line %d is not a text", node.Line)
		}
		return node.Value, nil
	case "Ref":
		if argument.Value == noValue {
			return noValue, nil
		}
		if _, ok := t.Parameters[argument.Value]; !ok {
			return "", fmt.Errorf("there is no parameter %s", argument.Value)
		}
		value, ok := values[argument.Value]
		if !ok {
			return "", fmt.Errorf("the parameter %s: %w", argument.Value, errUnknownValue)
		}
		return value, nil
	case "If":
		if len(argument.Content) != 3 {
			return "", fmt.Errorf("the If of line %d does not have three parts", node.Line)
		}
		holds, err := t.named(argument.Content[0].Value, values)
		if err != nil {
			return "", err
		}
		if holds {
			return t.value(argument.Content[1], values)
		}
		return t.value(argument.Content[2], values)
	default:
		return "", fmt.Errorf("line %d uses %s, which this tool does not know", node.Line, function)
	}
}

// truth evaluates a condition, of Rules or of Conditions.
func (t *template) truth(node *yaml.Node, values map[string]string) (bool, error) {
	function, argument := intrinsic(node)
	switch function {
	case "Condition":
		return t.named(argument.Value, values)
	case "Not", "And", "Or":
		if len(argument.Content) == 0 {
			return false, fmt.Errorf("the %s of line %d has no condition", function, node.Line)
		}
		return t.combination(function, argument.Content, values)
	case "Equals":
		if len(argument.Content) != 2 {
			return false, fmt.Errorf("the Equals of line %d does not have two sides", node.Line)
		}
		left, err := t.value(argument.Content[0], values)
		if err != nil {
			return false, err
		}
		right, err := t.value(argument.Content[1], values)
		return left == right, err
	case "Contains":
		if len(argument.Content) != 2 || argument.Content[0].Kind != yaml.SequenceNode {
			return false, fmt.Errorf("the Contains of line %d does not have a list and a value", node.Line)
		}
		wanted, err := t.value(argument.Content[1], values)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(argument.Content[0].Content, func(item *yaml.Node) bool { return item.Value == wanted }), nil
	default:
		return false, fmt.Errorf("line %d uses %s, which this tool does not know", node.Line, function)
	}
}

func (t *template) combination(function string, parts []*yaml.Node, values map[string]string) (bool, error) {
	result := function != "Or"
	for _, part := range parts {
		holds, err := t.truth(part, values)
		if err != nil {
			return false, err
		}
		switch function {
		case "Not":
			return !holds, nil
		case "And":
			result = result && holds
		case "Or":
			result = result || holds
		}
	}
	return result, nil
}

func (t *template) named(condition string, values map[string]string) (bool, error) {
	node, ok := t.Conditions[condition]
	if !ok {
		return false, fmt.Errorf("there is no condition %s", condition)
	}
	return t.truth(&node, values)
}

// intrinsic returns the name of a function without Fn::, and its argument, of both notations: !Not […] and {Fn::Not: […]}.
// Empty: the node is none.
func intrinsic(node *yaml.Node) (string, *yaml.Node) {
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		return node.Tag[1:], node
	}
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 {
		return strings.TrimPrefix(node.Content[0].Value, "Fn::"), node.Content[1]
	}
	return "", nil
}
