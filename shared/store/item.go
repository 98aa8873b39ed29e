package store

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is what DynamoDB holds. Conversion is written out by hand: it costs less
// of a cold start than reflection does, and says what is stored. An empty text,
// a zero number, a zero time and an empty map are stored as no attribute. What
// stands a hundred times is not inlined: that would be a kilobyte for each dozen.
type item map[string]types.AttributeValue

//go:noinline
func (it item) text(name, s string) {
	if s != "" {
		it[name] = &types.AttributeValueMemberS{Value: s}
	}
}

//go:noinline
func (it item) int(name string, n int64) {
	if n != 0 {
		it[name] = numberValue(n)
	}
}

// time is kept in milliseconds since 1970, which compare as they pass.
//
//go:noinline
func (it item) time(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = timeValue(t)
	}
}

// seconds is the form that DynamoDB wants of its TTL attribute.
func (it item) seconds(name string, t time.Time) {
	if !t.IsZero() {
		it[name] = numberValue(t.Unix())
	}
}

func (it item) bool(name string, b bool) {
	if b {
		it[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
}

func (it item) bytes(name string, b []byte) {
	if len(b) > 0 {
		it[name] = &types.AttributeValueMemberB{Value: b}
	}
}

func (it item) texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	values := make(map[string]types.AttributeValue, len(m))
	for k, v := range m {
		values[k] = &types.AttributeValueMemberS{Value: v}
	}
	it[name] = &types.AttributeValueMemberM{Value: values}
}

// list keeps texts in their order.
func (it item) list(name string, texts []string) {
	if len(texts) == 0 {
		return
	}
	values := make([]types.AttributeValue, len(texts))
	for i, s := range texts {
		values[i] = textValue(s)
	}
	it[name] = &types.AttributeValueMemberL{Value: values}
}

// items keeps maps in their order.
func (it item) items(name string, items []item) {
	if len(items) == 0 {
		return
	}
	values := make([]types.AttributeValue, len(items))
	for i, one := range items {
		values[i] = &types.AttributeValueMemberM{Value: one}
	}
	it[name] = &types.AttributeValueMemberL{Value: values}
}

func textSet(texts ...string) types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: texts}
}

func boolValue(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

func textValue(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func numberValue(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func timeValue(t time.Time) types.AttributeValue { return numberValue(t.UnixMilli()) }

// reader takes an item apart and keeps the first thing that does not fit, which
// is fault.Internal: nothing but this package writes the table.
type reader struct {
	it  item
	err error
}

func (r *reader) wrong(name string, v types.AttributeValue) {
	if r.err == nil {
		r.err = fmt.Errorf("attribute %s is a %T", name, v)
	}
}

func (r *reader) text(name string) string {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return ""
}

func (r *reader) int(name string) int64 {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("attribute %s is no integer", name)
		}
		return n
	default:
		r.wrong(name, v)
	}
	return 0
}

func (r *reader) time(name string) time.Time {
	if r.it[name] == nil {
		return time.Time{}
	}
	return time.UnixMilli(r.int(name)).UTC()
}

func (r *reader) seconds(name string) time.Time {
	if r.it[name] == nil {
		return time.Time{}
	}
	return time.Unix(r.int(name), 0).UTC()
}

// day is midnight UTC of a date.
func (r *reader) day(name string) time.Time {
	s := r.text(name)
	if s == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("attribute %s is no date", name)
	}
	return day
}

func (r *reader) bool(name string) bool {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberBOOL:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return false
}

func (r *reader) bytes(name string) []byte {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return nil
}

func (r *reader) texts(name string) map[string]string {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberM:
		inner := reader{it: v.Value}
		m := make(map[string]string, len(v.Value))
		for k := range v.Value {
			m[k] = inner.text(k)
		}
		if inner.err != nil {
			r.wrong(name, v)
		}
		return m
	default:
		r.wrong(name, v)
	}
	return nil
}

func (r *reader) list(name string) []string {
	switch v := r.it[name].(type) {
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

func (r *reader) set(name string) []string {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberSS:
		return v.Value
	default:
		r.wrong(name, v)
	}
	return nil
}

// items is a list of maps.
func (r *reader) items(name string) []item {
	switch v := r.it[name].(type) {
	case nil:
	case *types.AttributeValueMemberL:
		items := make([]item, len(v.Value))
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

// done names the kind of item in the error.
func (r *reader) done(kind string) error {
	if r.err != nil {
		return fmt.Errorf("stored %s: %w", kind, r.err)
	}
	return nil
}
