package kit

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is an item as DynamoDB holds it. Conversion is written out by hand: that
// starts faster than reflection and shows what is stored. Empty texts, bytes, lists
// and maps, zero numbers and times, and false are stored as no attribute.
type Item map[string]types.AttributeValue

// Text stores a text.
func (it Item) Text(name, s string) {
	if s != "" {
		it[name] = TextValue(s)
	}
}

// Int stores a whole number.
func (it Item) Int(name string, n int64) {
	if n != 0 {
		it[name] = NumberValue(n)
	}
}

// Time stores a time in milliseconds since 1970, so that values compare as times do.
func (it Item) Time(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = TimeValue(t)
	}
}

// Seconds stores a time in seconds since 1970, as DynamoDB wants its TTL attribute.
func (it Item) Seconds(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = NumberValue(t.Unix())
	}
}

// Bool stores a flag.
func (it Item) Bool(name string, b bool) {
	if b {
		it[name] = BoolValue(true)
	}
}

// Bytes stores bytes.
func (it Item) Bytes(name string, b []byte) {
	if len(b) > 0 {
		it[name] = &types.AttributeValueMemberB{Value: b}
	}
}

// Texts stores a map of texts.
func (it Item) Texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	values := make(map[string]types.AttributeValue, len(m))
	for k, v := range m {
		values[k] = TextValue(v)
	}
	it[name] = &types.AttributeValueMemberM{Value: values}
}

// List stores texts in their order.
func (it Item) List(name string, texts []string) {
	values := make([]types.AttributeValue, len(texts))
	for i, s := range texts {
		values[i] = TextValue(s)
	}
	it.list(name, values)
}

// Items stores maps in their order.
func (it Item) Items(name string, items []Item) {
	values := make([]types.AttributeValue, len(items))
	for i, inner := range items {
		values[i] = &types.AttributeValueMemberM{Value: inner}
	}
	it.list(name, values)
}

func (it Item) list(name string, values []types.AttributeValue) {
	if len(values) > 0 {
		it[name] = &types.AttributeValueMemberL{Value: values}
	}
}

// TextSet returns a set of texts.
func TextSet(texts ...string) types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: texts}
}

// BoolValue returns a flag.
func BoolValue(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// TextValue returns a text.
func TextValue(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// NumberValue returns a whole number.
func NumberValue(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// TimeValue returns a time in milliseconds since 1970.
func TimeValue(t time.Time) types.AttributeValue { return NumberValue(t.UnixMilli()) }

// Reader converts the attributes of an item. Absent ones are zero values. Err is the
// first attribute of another type than expected, which is fault.Internal: only the
// store writes the table.
type Reader struct {
	It  Item
	Err error
}

// wrong notes that a value of an attribute is of another type than expected; nil is
// absent.
func (r *Reader) wrong(name string, v types.AttributeValue) {
	if r.Err == nil && v != nil {
		r.Err = fmt.Errorf("attribute %s is a %T", name, v)
	}
}

// Text reads a text.
func (r *Reader) Text(name string) string {
	if v, ok := r.It[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	r.wrong(name, r.It[name])
	return ""
}

// Int reads a whole number.
func (r *Reader) Int(name string) int64 {
	v, ok := r.It[name].(*types.AttributeValueMemberN)
	if !ok {
		r.wrong(name, r.It[name])
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil && r.Err == nil {
		r.Err = fmt.Errorf("attribute %s is not an integer", name)
	}
	return n
}

// Time reads a time in milliseconds since 1970.
func (r *Reader) Time(name string) time.Time {
	if r.It[name] == nil {
		return time.Time{}
	}
	return time.UnixMilli(r.Int(name)).UTC()
}

// Seconds reads a time in seconds since 1970.
func (r *Reader) Seconds(name string) time.Time {
	if r.It[name] == nil {
		return time.Time{}
	}
	return time.Unix(r.Int(name), 0).UTC()
}

// Day reads a date, as its midnight UTC.
func (r *Reader) Day(name string) time.Time {
	s := r.Text(name)
	if s == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil && r.Err == nil {
		r.Err = fmt.Errorf("attribute %s is not a date", name)
	}
	return day
}

// Bool reads a flag.
func (r *Reader) Bool(name string) bool {
	if v, ok := r.It[name].(*types.AttributeValueMemberBOOL); ok {
		return v.Value
	}
	r.wrong(name, r.It[name])
	return false
}

// Bytes reads bytes.
func (r *Reader) Bytes(name string) []byte {
	if v, ok := r.It[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	r.wrong(name, r.It[name])
	return nil
}

// Set reads the members of a set of texts.
func (r *Reader) Set(name string) []string {
	if v, ok := r.It[name].(*types.AttributeValueMemberSS); ok {
		return v.Value
	}
	r.wrong(name, r.It[name])
	return nil
}

// Texts reads a map of texts.
func (r *Reader) Texts(name string) map[string]string {
	v, ok := r.It[name].(*types.AttributeValueMemberM)
	if !ok {
		r.wrong(name, r.It[name])
		return nil
	}
	inner := Reader{It: v.Value}
	m := make(map[string]string, len(v.Value))
	for k := range v.Value {
		m[k] = inner.Text(k)
	}
	if inner.Err != nil {
		r.wrong(name, v)
	}
	return m
}

// List reads texts in their order.
func (r *Reader) List(name string) []string {
	var texts []string
	for _, member := range r.list(name) {
		s, ok := member.(*types.AttributeValueMemberS)
		if !ok {
			r.wrong(name, member)
			return nil
		}
		texts = append(texts, s.Value)
	}
	return texts
}

// Items reads maps in their order.
func (r *Reader) Items(name string) []Item {
	var items []Item
	for _, member := range r.list(name) {
		m, ok := member.(*types.AttributeValueMemberM)
		if !ok {
			r.wrong(name, member)
			return nil
		}
		items = append(items, m.Value)
	}
	return items
}

func (r *Reader) list(name string) []types.AttributeValue {
	if v, ok := r.It[name].(*types.AttributeValueMemberL); ok {
		return v.Value
	}
	r.wrong(name, r.It[name])
	return nil
}

// Key reads the primary key.
func (r *Reader) Key() Key { return Key{r.Text(AttrPK), r.Text(AttrSK)} }

// Done returns Err, with the kind of item that was read.
func (r *Reader) Done(kind string) error {
	if r.Err != nil {
		return fmt.Errorf("stored %s: %w", kind, r.Err)
	}
	return nil
}

// SortFunc sorts as slices.SortFunc does, but by pointers. slices.SortFunc is compiled for each
// struct, which is up to 20 KB of a binary, and once for all pointers.
func SortFunc[T any](all []T, compare func(a, b *T) int) {
	order := make([]*T, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortFunc(order, compare)
	sorted := make([]T, len(all))
	for i, v := range order {
		sorted[i] = *v
	}
	copy(all, sorted)
}

// FromItems reads items, in their order.
func FromItems[T any](items []Item, read func(Item) (T, error)) ([]T, error) {
	var all []T
	for _, it := range items {
		v, err := read(it)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
