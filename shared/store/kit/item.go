package kit

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is what DynamoDB holds. Conversion is written out by hand: it costs less
// of a cold start than reflection does, and says what is stored. An empty text,
// a zero number, a zero time and an empty map are stored as no attribute.
type Item map[string]types.AttributeValue

// Text stores a text; an empty one is left out.
func (it Item) Text(name, s string) {
	if s != "" {
		it[name] = &types.AttributeValueMemberS{Value: s}
	}
}

// Int stores a whole number.
func (it Item) Int(name string, n int64) {
	if n != 0 {
		it[name] = NumberValue(n)
	}
}

// Time is kept in milliseconds since 1970, which compare as they pass.
func (it Item) Time(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = TimeValue(t)
	}
}

// Seconds is the form that DynamoDB wants of its TTL attribute.
func (it Item) Seconds(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = NumberValue(t.Unix())
	}
}

// Bool stores a flag.
func (it Item) Bool(name string, b bool) {
	if b {
		it[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
}

// Bytes stores bytes; none are left out.
func (it Item) Bytes(name string, b []byte) {
	if len(b) > 0 {
		it[name] = &types.AttributeValueMemberB{Value: b}
	}
}

// Texts stores a map of texts; an empty one is left out.
func (it Item) Texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	values := make(map[string]types.AttributeValue, len(m))
	for k, v := range m {
		values[k] = &types.AttributeValueMemberS{Value: v}
	}
	it[name] = &types.AttributeValueMemberM{Value: values}
}

// List keeps texts in their order.
func (it Item) List(name string, texts []string) {
	if len(texts) == 0 {
		return
	}
	values := make([]types.AttributeValue, len(texts))
	for i, s := range texts {
		values[i] = TextValue(s)
	}
	it[name] = &types.AttributeValueMemberL{Value: values}
}

// Items keeps maps in their order.
func (it Item) Items(name string, items []Item) {
	if len(items) == 0 {
		return
	}
	values := make([]types.AttributeValue, len(items))
	for i, one := range items {
		values[i] = &types.AttributeValueMemberM{Value: one}
	}
	it[name] = &types.AttributeValueMemberL{Value: values}
}

// TextSet is a set of texts.
func TextSet(texts ...string) types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: texts}
}

// BoolValue is a flag.
func BoolValue(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// TextValue is a text.
func TextValue(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// NumberValue is a whole number.
func NumberValue(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// TimeValue is a time in milliseconds since 1970.
func TimeValue(t time.Time) types.AttributeValue { return NumberValue(t.UnixMilli()) }

// Reader takes an item apart and keeps the first thing that does not fit, which
// is fault.Internal: nothing but this package writes the table.
type Reader struct {
	It  Item
	Err error
}

func (r *Reader) wrong(name string, v types.AttributeValue) {
	if r.Err == nil {
		r.Err = fmt.Errorf("attribute %s is a %T", name, v)
	}
}

// Text reads a text; empty if absent.
func (r *Reader) Text(name string) string {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return ""
}

// Int reads a whole number; zero if absent.
func (r *Reader) Int(name string) int64 {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil && r.Err == nil {
			r.Err = fmt.Errorf("attribute %s is no integer", name)
		}
		return n
	default:
		r.wrong(name, v)
	}
	return 0
}

// Time reads a time in milliseconds; the zero time if absent.
func (r *Reader) Time(name string) time.Time {
	if r.It[name] == nil {
		return time.Time{}
	}
	return time.UnixMilli(r.Int(name)).UTC()
}

// Seconds reads a time in seconds; the zero time if absent.
func (r *Reader) Seconds(name string) time.Time {
	if r.It[name] == nil {
		return time.Time{}
	}
	return time.Unix(r.Int(name), 0).UTC()
}

// Day is midnight UTC of a date.
func (r *Reader) Day(name string) time.Time {
	s := r.Text(name)
	if s == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil && r.Err == nil {
		r.Err = fmt.Errorf("attribute %s is no date", name)
	}
	return day
}

// Bool reads a flag; false if absent.
func (r *Reader) Bool(name string) bool {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberBOOL:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return false
}

// Bytes reads bytes; nil if absent.
func (r *Reader) Bytes(name string) []byte {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return nil
}

// Texts reads a map of texts; nil if absent.
func (r *Reader) Texts(name string) map[string]string {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberM:
		inner := Reader{It: v.Value}
		m := make(map[string]string, len(v.Value))
		for k := range v.Value {
			m[k] = inner.Text(k)
		}
		if inner.Err != nil {
			r.wrong(name, v)
		}
		return m
	default:
		r.wrong(name, v)
	}
	return nil
}

// List reads texts in their order; nil if absent.
func (r *Reader) List(name string) []string {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberL:
		texts := make([]string, len(v.Value))
		for i, value := range v.Value {
			s, ok := value.(*types.AttributeValueMemberS)
			if !ok {
				r.wrong(name, value)
				return nil
			}
			texts[i] = s.Value
		}
		return texts
	default:
		r.wrong(name, v)
	}
	return nil
}

// Set reads the members of a set of texts, sorted; nil if absent.
func (r *Reader) Set(name string) []string {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberSS:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return nil
}

// Items is a list of maps.
func (r *Reader) Items(name string) []Item {
	switch v := r.It[name].(type) {
	case nil:
	case *types.AttributeValueMemberL:
		items := make([]Item, len(v.Value))
		for i, value := range v.Value {
			m, ok := value.(*types.AttributeValueMemberM)
			if !ok {
				r.wrong(name, value)
				return nil
			}
			items[i] = m.Value
		}
		return items
	default:
		r.wrong(name, v)
	}
	return nil
}

// Done names the kind of item in the error.
func (r *Reader) Done(kind string) error {
	if r.Err != nil {
		return fmt.Errorf("stored %s: %w", kind, r.Err)
	}
	return nil
}
