package dynamotest

import (
	"bytes"
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// kept is a value as the table keeps it, in one form and sharing no memory with v but
// for scalars. A value that DynamoDB refuses, or of a type that the store does not use,
// is a ValidationException.
func kept(v types.AttributeValue) (types.AttributeValue, error) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS, *types.AttributeValueMemberBOOL:
		return v, nil
	case *types.AttributeValueMemberB:
		return &types.AttributeValueMemberB{Value: append([]byte{}, v.Value...)}, nil
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil {
			return nil, unknown("the number " + v.Value)
		}
		if first := v.Value[0]; first > '0' && first <= '9' {
			return v, nil
		}
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}, nil
	case *types.AttributeValueMemberSS:
		own := slices.Sorted(slices.Values(v.Value))
		if len(own) == 0 || len(slices.Compact(slices.Clone(own))) < len(own) {
			return nil, invalid("One or more parameter values were invalid: A set is empty, or contains duplicates")
		}
		return &types.AttributeValueMemberSS{Value: own}, nil
	case *types.AttributeValueMemberL:
		own := make([]types.AttributeValue, len(v.Value))
		for i, e := range v.Value {
			var err error
			if own[i], err = kept(e); err != nil {
				return nil, err
			}
		}
		return &types.AttributeValueMemberL{Value: own}, nil
	case *types.AttributeValueMemberM:
		own, err := keptItem(v.Value)
		return &types.AttributeValueMemberM{Value: own}, err
	}
	return nil, unknown("the type of an attribute's value")
}

func keptItem(it Item) (Item, error) {
	own := maps.Clone(it)
	for name, v := range it {
		var err error
		if own[name], err = kept(v); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// private is a kept item for a caller, who may change it.
func private(it Item) Item {
	own, err := keptItem(it)
	if err != nil {
		panic(err) // it was kept
	}
	return own
}

// kindOf is the API's name for the type of a value.
func kindOf(v types.AttributeValue) string {
	switch v.(type) {
	case *types.AttributeValueMemberS:
		return "S"
	case *types.AttributeValueMemberN:
		return "N"
	case *types.AttributeValueMemberB:
		return "B"
	case *types.AttributeValueMemberSS:
		return "SS"
	}
	return "another"
}

// sameValue tells whether two kept values are of one type and equal.
func sameValue(a, b types.AttributeValue) bool { return a == b || reflect.DeepEqual(a, b) }

// compareValues orders two kept values of one of the types that have an order; ok is
// false for others.
func compareValues(a, b types.AttributeValue) (order int, ok bool) {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		if b, ok := b.(*types.AttributeValueMemberS); ok {
			return cmp.Compare(a.Value, b.Value), true
		}
	case *types.AttributeValueMemberB:
		if b, ok := b.(*types.AttributeValueMemberB); ok {
			return bytes.Compare(a.Value, b.Value), true
		}
	case *types.AttributeValueMemberN:
		if b, ok := b.(*types.AttributeValueMemberN); ok {
			return cmp.Compare(number(a), number(b)), true
		}
	}
	return 0, false
}

// number is a kept number.
func number(v *types.AttributeValueMemberN) int64 {
	n, _ := strconv.ParseInt(v.Value, 10, 64) // it was kept
	return n
}

func sum(a, b types.AttributeValue) (types.AttributeValue, error) {
	x, ok := a.(*types.AttributeValueMemberN)
	y, also := b.(*types.AttributeValueMemberN)
	if !ok || !also {
		return nil, wrongType()
	}
	n := number(x) + number(y)
	if (n > number(x)) != (number(y) > 0) {
		return nil, unknown("a number of more than 64 bits")
	}
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}, nil
}

// sizeOf is the size of an item as DynamoDB counts it: names and values, as UTF-8.
func sizeOf(it Item) int {
	n := 0
	for name, v := range it {
		n += len(name) + sizeOfValue(v)
	}
	return n
}

func sizeOfValue(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1 // two digits take a byte, and there is one more
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberSS:
		n := 0
		for _, m := range v.Value {
			n += len(m)
		}
		return n
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + sizeOfValue(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + sizeOf(v.Value)
	}
	return 1 // BOOL
}

// length is what the size function tells of a value, nil for a type without a size.
func length(v types.AttributeValue) types.AttributeValue {
	var n int
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		n = utf8.RuneCountInString(v.Value)
	case *types.AttributeValueMemberB:
		n = len(v.Value)
	case *types.AttributeValueMemberSS:
		n = len(v.Value)
	case *types.AttributeValueMemberL:
		n = len(v.Value)
	case *types.AttributeValueMemberM:
		n = len(v.Value)
	default:
		return nil
	}
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}
