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

// Changes are the differences of two answers of Get Accounts, in the order of
// weights and at most connection.MaxDifferences of them. Either is an account as a good
// Reading keeps it in Raw; another text is an error, as of ParseContract.
//
// What readContract understands is compared by what it reads. The rest is
// compared as JSON: members have no order, a number is the same however it is
// written, blanks around a text do not matter, and null, an empty object and an
// empty list are absent members. In a list of products each is found by its
// product_id, in any other list by its place. A difference in this rest is told
// by its path and never by its values: they can be personal data.
func Changes(before, after []byte) ([]connection.Difference, error) {
	a, err := takeApart(before)
	if err != nil {
		return nil, fmt.Errorf("reading the answer before: %w", err)
	}
	b, err := takeApart(after)
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
	return d.told(), nil
}

// parts is an account: what is understood of it, and all else.
type parts struct {
	connection.Contract
	products []*product
	rest     map[string]any
}

// product is one of a list of products.
type product struct {
	connection.Product                // of a postage product
	id                 string         // its product_id
	value              map[string]any // all else
	text               string         // the value as JSON
}

func takeApart(raw []byte) (parts, error) {
	doc, err := parseObject(raw)
	if err != nil {
		return parts{}, err
	}
	p := parts{rest: map[string]any{}}
	if p.Contract, err = readContract(doc); err != nil {
		return parts{}, err
	}
	for m := range members(doc) {
		switch {
		case m.value[0] == 'n', m.name == "expired", m.name == "credit_blocked":
		case m.name == "postage_products":
			p.products = nil
			for e := range members(m.value) {
				one := newProduct(valueOf(e.value))
				if one.Product, err = productOf(e.value); err != nil {
					return parts{}, err
				}
				p.products = append(p.products, one)
			}
		default:
			p.rest[m.name] = valueOf(m.value)
		}
	}
	return p, nil
}

func newProduct(value any) *product {
	object, _ := value.(map[string]any)
	p := &product{value: map[string]any{}}
	maps.Copy(p.value, object)
	if id, ok := object["product_id"].(string); ok {
		p.id = id
		delete(p.value, "product_id")
	}
	text, _ := json.Marshal(p.value) //nolint:errchkjson // a value of valueOf can always be written
	p.text = string(text)
	return p
}

// valueOf reads a value so that two of the same meaning are equal.
func valueOf(raw json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil // not within valid JSON
	}
	return plain(v)
}

func plain(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return plainNumber(v.String())
	case map[string]any:
		for name, in := range v {
			if id, ok := in.(json.Number); ok && name == "product_id" {
				in = id.String() // an identifier, as textOf takes it
			}
			if in = plain(in); in == nil {
				delete(v, name)
			} else {
				v[name] = in
			}
		}
		return present(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return present(v)
	}
	return v
}

// plainNumber writes numbers of one value in one way: a whole number that does
// not end in 0, and an exponent.
func plainNumber(s string) json.Number {
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
	power := 0
	if exponent != "" {
		var err error
		if power, err = strconv.Atoi(exponent); err != nil {
			return json.Number(s)
		}
	}
	power += len(digits) - len(significant) - len(fraction)
	return json.Number(sign + significant + "e" + strconv.Itoa(power))
}

// present is nil for what says nothing.
func present(v any) any {
	switch in := v.(type) {
	case map[string]any:
		if len(in) == 0 {
			return nil
		}
	case []any:
		if len(in) == 0 {
			return nil
		}
	}
	return v
}

// differences are what was found so far, in any order.
type differences []connection.Difference

func (d *differences) add(c connection.Difference) {
	c.ProductID, c.Field = clip(c.ProductID), clip(c.Field)
	*d = append(*d, c)
	if len(*d) > 10*connection.MaxDifferences { // an answer can hold a hundred thousand
		*d = d.told()
	}
}

// weights is the order in which changes are told.
var weights = [...]connection.DifferenceType{
	connection.ChangedExpired, connection.ChangedValidTo, connection.ChangedCreditBlocked, connection.ChangedAddress, connection.ProductAdded, connection.ProductRemoved,
	connection.ProductRecoded, connection.ProductExpired, connection.ProductValidTo, connection.ChangedField,
}

// told sorts pointers: each type that is sorted by itself costs ten kilobytes of
// code, and all pointers share theirs.
func (d *differences) told() []connection.Difference {
	order := make([]*connection.Difference, len(*d))
	for i := range order {
		order[i] = &(*d)[i]
	}
	slices.SortFunc(order, func(a, b *connection.Difference) int {
		return cmp.Or(
			cmp.Compare(slices.Index(weights[:], a.Type), slices.Index(weights[:], b.Type)), cmp.Compare(a.ProductID, b.ProductID),
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

// date compares the valid_to of two objects, as it was read, and takes it out of
// them. What is no date has no value to show.
func (d *differences) date(t connection.DifferenceType, id, before, after string, a, b map[string]any) {
	if before != after || before == "" && !reflect.DeepEqual(a["valid_to"], b["valid_to"]) {
		d.add(connection.Difference{Type: t, ProductID: id, From: before, To: after})
	}
	delete(a, "valid_to")
	delete(b, "valid_to")
}

// products compares postage products. What else has changed of one that was
// re-coded is told by its new code.
func (d *differences) products(before, after []*product) {
	pairs, gone, come := pair(before, after)
	for _, p := range gone {
		i := slices.IndexFunc(come, func(q *product) bool { return p.Type != "" && p.sameKind(q) })
		if i < 0 {
			d.add(connection.Difference{Type: connection.ProductRemoved, ProductID: p.id, From: p.Type})
			continue
		}
		d.add(connection.Difference{Type: connection.ProductRecoded, ProductID: come[i].id, From: clip(p.id), To: clip(come[i].id)})
		pairs = append(pairs, [2]*product{p, come[i]})
		come = slices.Delete(come, i, i+1)
	}
	for _, p := range come {
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
	d.members(place("postage_products", b.id), a.value, b.value)
}

// sameKind compares type and group, whose case varies (infra/docs/auspost.md,
// "StarTrack differences").
func (p *product) sameKind(q *product) bool {
	return strings.EqualFold(p.Type, q.Type) && strings.EqualFold(p.Group, q.Group)
}

// pair finds products again by their id; gone and come are in its order. Some
// with the same id are paired as their texts are ordered; copies count once.
// What is equal altogether is left out.
func pair(before, after []*product) (pairs [][2]*product, gone, come []*product) {
	before, after = sorted(before), sorted(after)
	before, after = without(before, after), without(after, before)
	for len(before) > 0 && len(after) > 0 {
		a, b := before[0], after[0]
		switch c := cmp.Compare(a.id, b.id); {
		case c < 0:
			gone, before = append(gone, a), before[1:]
		case c > 0:
			come, after = append(come, b), after[1:]
		default:
			pairs, before, after = append(pairs, [2]*product{a, b}), before[1:], after[1:]
		}
	}
	return pairs, append(gone, before...), append(come, after...)
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

// values compares what is not understood.
func (d *differences) values(path string, a, b any) {
	a, b = present(a), present(b)
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
			d.values(place(path, strconv.Itoa(i)), before[i], after[i])
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		d.add(connection.Difference{Type: connection.ChangedField, Field: path})
	}
}

func (d *differences) members(path string, before, after map[string]any) {
	for name, v := range before {
		d.values(inner(path, name), v, after[name])
	}
	for name, v := range after {
		if _, ok := before[name]; !ok {
			d.values(inner(path, name), nil, v)
		}
	}
}

func (d *differences) list(path string, before, after []*product) {
	pairs, gone, come := pair(before, after)
	for _, p := range append(gone, come...) {
		d.add(connection.Difference{Type: connection.ChangedField, Field: place(path, p.id)})
	}
	for _, both := range pairs {
		d.members(place(path, both[0].id), both[0].value, both[1].value)
	}
}

// productList takes a list of nothing but objects with a product_id, such as
// returns_products, or none at all.
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

// Paths are cut on the way: a hostile answer could make each of its thousands as
// long as itself.

func inner(path, name string) string {
	if path != "" {
		name = path + "." + name
	}
	return clip(name)
}

func place(path, in string) string { return clip(path + "[" + clip(in) + "]") }
