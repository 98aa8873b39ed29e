package auspost

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"carrierlink/shared/connection"
)

// Changes compares two answers of Get Accounts, each as a good Reading keeps it in
// Raw. It returns at most connection.MaxDifferences differences, in the order of
// types in differenceOrder. It returns an error where ParseContract does.
//
// Fields that readContract understands are compared by their meaning. The rest is
// compared as JSON: members have no order, a number is the same however it is
// written, blanks around a text do not matter, and null, an empty object and an empty
// list count as absent. Products are matched by product_id, elements of other lists by
// position. A difference in the rest has a path but never values: they can be
// personal data.
func Changes(before, after []byte) ([]connection.Difference, error) {
	a, err := parseAccount(before)
	if err != nil {
		return nil, fmt.Errorf("reading the answer before: %w", err)
	}
	b, err := parseAccount(after)
	if err != nil {
		return nil, fmt.Errorf("reading the answer after: %w", err)
	}
	var d differences
	d.flag(connection.ChangedExpired, "", a.Expired, b.Expired)
	d.date(connection.ChangedValidTo, "", a.ValidTo, b.ValidTo, a.rest, b.rest)
	d.flag(connection.ChangedCreditBlocked, "", a.CreditBlocked, b.CreditBlocked)
	if !reflect.DeepEqual(a.rest["addresses"], b.rest["addresses"]) {
		d.add(connection.Difference{Type: connection.ChangedAddress})
	}
	delete(a.rest, "addresses")
	delete(b.rest, "addresses")
	d.products(a.products, b.products)
	d.members("", a.rest, b.rest)
	return d.ordered(), nil
}

// comparedAccount is an answer of Get Accounts, prepared for comparison.
type comparedAccount struct {
	connection.Contract
	products []*product
	rest     map[string]any // the other members
}

// product is an element of a list of products.
type product struct {
	connection.Product                // of a postage product
	id                 string         // product_id
	value              map[string]any // the other members
	text               string         // value as JSON
}

func parseAccount(raw []byte) (comparedAccount, error) {
	doc, err := parseObject(raw)
	if err != nil {
		return comparedAccount{}, err
	}
	a := comparedAccount{rest: map[string]any{}}
	if a.Contract, err = readContract(doc); err != nil {
		return comparedAccount{}, err
	}
	for m := range members(doc) {
		switch {
		case m.value[0] == 'n', m.name == "expired", m.name == "credit_blocked":
		case m.name == "postage_products":
			a.products = nil
			for e := range members(m.value) {
				p := newProduct(valueOf(e.value))
				if p.Product, err = productOf(e.value); err != nil {
					return comparedAccount{}, err
				}
				a.products = append(a.products, p)
			}
		default:
			a.rest[m.name] = valueOf(m.value)
		}
	}
	return a, nil
}

func newProduct(value any) *product {
	object, _ := value.(map[string]any)
	p := &product{value: maps.Clone(object)}
	if id, ok := object["product_id"].(string); ok {
		p.id = id
		delete(p.value, "product_id")
	}
	text, _ := json.Marshal(p.value) //nolint:errchkjson // a value of valueOf can always be written
	p.text = string(text)
	return p
}

// valueOf parses a value into a form in which values of the same meaning are equal.
func valueOf(raw json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil // impossible: raw is valid JSON
	}
	return canonical(v)
}

func canonical(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return canonicalNumber(v.String())
	case map[string]any:
		for name, in := range v {
			if id, ok := in.(json.Number); ok && name == "product_id" {
				in = id.String() // an identifier, like in textOf
			}
			if in = canonical(in); in == nil {
				delete(v, name)
			} else {
				v[name] = in
			}
		}
		return nilIfEmpty(v)
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
		return nilIfEmpty(v)
	}
	return v
}

// canonicalNumber writes equal numbers alike: as a whole number that does not end in 0,
// with an exponent.
func canonicalNumber(s string) json.Number {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return "0"
	}
	power, err := strconv.Atoi(cmp.Or(exponent, "0"))
	if err != nil {
		return json.Number(s)
	}
	power += len(digits) - len(significant) - len(fraction)
	return json.Number(sign + significant + "e" + strconv.Itoa(power))
}

// nilIfEmpty returns nil for an empty object or list.
func nilIfEmpty(v any) any {
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	if isObject && len(object) == 0 || isList && len(list) == 0 {
		return nil
	}
	return v
}

// differences are those found so far, in any order.
type differences []connection.Difference

func (d *differences) add(c connection.Difference) {
	c.ProductID, c.Field = clip(c.ProductID), clip(c.Field)
	*d = append(*d, c)
	if len(*d) > 10*connection.MaxDifferences { // two answers can differ in a hundred thousand places
		*d = d.ordered()
	}
}

// differenceOrder is the order of the types in the result.
var differenceOrder = [...]connection.DifferenceType{
	connection.ChangedExpired, connection.ChangedValidTo, connection.ChangedCreditBlocked, connection.ChangedAddress, connection.ProductAdded, connection.ProductRemoved,
	connection.ProductRecoded, connection.ProductExpired, connection.ProductValidTo, connection.ChangedField,
}

// ordered returns the first differences in order, without duplicates. It sorts
// pointers: each sorted type costs ten kilobytes of code, which all pointers share.
func (d *differences) ordered() []connection.Difference {
	order := make([]*connection.Difference, len(*d))
	for i := range order {
		order[i] = &(*d)[i]
	}
	slices.SortFunc(order, func(a, b *connection.Difference) int {
		return cmp.Or(
			cmp.Compare(slices.Index(differenceOrder[:], a.Type), slices.Index(differenceOrder[:], b.Type)), cmp.Compare(a.ProductID, b.ProductID),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	var list []connection.Difference
	for i, c := range order {
		if len(list) < connection.MaxDifferences && (i == 0 || *c != *order[i-1]) {
			list = append(list, *c)
		}
	}
	return list
}

func (d *differences) flag(t connection.DifferenceType, id string, before, after bool) {
	if before != after {
		d.add(connection.Difference{Type: t, ProductID: id, From: strconv.FormatBool(before), To: strconv.FormatBool(after)})
	}
}

// date compares the valid_to of two objects as it was parsed, and removes it from
// them. One that is not a date has no value to show.
func (d *differences) date(t connection.DifferenceType, id, before, after string, a, b map[string]any) {
	if before != after || before == "" && !reflect.DeepEqual(a["valid_to"], b["valid_to"]) {
		d.add(connection.Difference{Type: t, ProductID: id, From: before, To: after})
	}
	delete(a, "valid_to")
	delete(b, "valid_to")
}

// products compares postage products. Other differences of a product with a new code
// are reported under that code.
func (d *differences) products(before, after []*product) {
	pairs, removed, added := pair(before, after)
	for _, p := range removed {
		i := slices.IndexFunc(added, func(q *product) bool { return p.Type != "" && p.sameKind(q) })
		if i < 0 {
			d.add(connection.Difference{Type: connection.ProductRemoved, ProductID: p.id, From: p.Type})
			continue
		}
		d.add(connection.Difference{Type: connection.ProductRecoded, ProductID: added[i].id, From: clip(p.id), To: clip(added[i].id)})
		pairs = append(pairs, [2]*product{p, added[i]})
		added = slices.Delete(added, i, i+1)
	}
	for _, p := range added {
		d.add(connection.Difference{Type: connection.ProductAdded, ProductID: p.id, To: p.Type})
	}
	for _, both := range pairs {
		d.product(both[0], both[1])
	}
}

func (d *differences) product(a, b *product) {
	d.flag(connection.ProductExpired, b.id, a.Expired, b.Expired)
	was, _ := a.value["contract"].(map[string]any)
	is, _ := b.value["contract"].(map[string]any)
	d.date(connection.ProductValidTo, b.id, a.ValidTo, b.ValidTo, was, is)
	delete(was, "expired")
	delete(is, "expired")
	if a.sameKind(b) {
		for _, name := range []string{"type", "group"} {
			delete(a.value, name)
			delete(b.value, name)
		}
	}
	d.members(elementPath("postage_products", b.id), a.value, b.value)
}

// sameKind compares type and group, whose letter case varies (infra/docs/auspost.md,
// "StarTrack differences").
func (p *product) sameKind(q *product) bool {
	return strings.EqualFold(p.Type, q.Type) && strings.EqualFold(p.Group, q.Group)
}

// pair matches products by id, several with the same id in the order of their texts.
// It leaves out products that are equal, and counts copies once. removed and added are
// in the order of ids.
func pair(before, after []*product) (pairs [][2]*product, removed, added []*product) {
	before, after = sorted(before), sorted(after)
	before, after = without(before, after), without(after, before)
	for len(before) > 0 && len(after) > 0 {
		a, b := before[0], after[0]
		switch c := cmp.Compare(a.id, b.id); {
		case c < 0:
			removed, before = append(removed, a), before[1:]
		case c > 0:
			added, after = append(added, b), after[1:]
		default:
			pairs, before, after = append(pairs, [2]*product{a, b}), before[1:], after[1:]
		}
	}
	return pairs, append(removed, before...), append(added, after...)
}

func byText(a, b *product) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.text, b.text)) }

func sorted(list []*product) []*product {
	return slices.CompactFunc(slices.SortedFunc(slices.Values(list), byText), func(a, b *product) bool { return byText(a, b) == 0 })
}

func without(list, others []*product) []*product {
	return slices.DeleteFunc(slices.Clone(list), func(p *product) bool {
		_, ok := slices.BinarySearchFunc(others, p, byText)
		return ok
	})
}

// values compares values that we do not understand.
func (d *differences) values(path string, a, b any) {
	a, b = nilIfEmpty(a), nilIfEmpty(b)
	was, wasObject := a.(map[string]any)
	is, isObject := b.(map[string]any)
	if wasObject && isObject {
		d.members(path, was, is)
		return
	}
	if before, ok := productList(a); ok {
		if after, ok := productList(b); ok {
			d.list(path, before, after)
			return
		}
	}
	before, _ := a.([]any)
	after, _ := b.([]any)
	if len(before) > 0 && len(before) == len(after) {
		for i := range before {
			d.values(elementPath(path, strconv.Itoa(i)), before[i], after[i])
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		d.add(connection.Difference{Type: connection.ChangedField, Field: path})
	}
}

func (d *differences) members(path string, before, after map[string]any) {
	for name, v := range before {
		d.values(memberPath(path, name), v, after[name])
	}
	for name, v := range after {
		if _, ok := before[name]; !ok {
			d.values(memberPath(path, name), nil, v)
		}
	}
}

func (d *differences) list(path string, before, after []*product) {
	pairs, removed, added := pair(before, after)
	for _, p := range append(removed, added...) {
		d.add(connection.Difference{Type: connection.ChangedField, Field: elementPath(path, p.id)})
	}
	for _, both := range pairs {
		d.members(elementPath(path, both[0].id), both[0].value, both[1].value)
	}
}

// productList accepts a list of objects with a product_id only, such as
// returns_products, or no list at all.
func productList(v any) (products []*product, ok bool) {
	list, ok := v.([]any)
	for _, e := range list {
		p := newProduct(e)
		if p.id == "" {
			return nil, false
		}
		products = append(products, p)
	}
	return products, ok || v == nil
}

// Paths are clipped at each step: a hostile answer could make each of thousands as
// long as itself.

func memberPath(path, name string) string {
	if path != "" {
		name = path + "." + name
	}
	return clip(name)
}

func elementPath(path, in string) string { return clip(path + "[" + clip(in) + "]") }
