package dynamotest

import (
	"bytes"
	"cmp"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// private is an item that shares nothing with the given one but scalars.
func private(it Item) Item {
	if it == nil {
		return nil
	}
	own := maps.Clone(it)
	for name, v := range it {
		switch v.(type) {
		case *types.AttributeValueMemberS, *types.AttributeValueMemberN, *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		default:
			own[name] = privateValue(v)
		}
	}
	return own
}

func privateValue(v types.AttributeValue) types.AttributeValue {
	switch v := v.(type) {
	case *types.AttributeValueMemberB:
		return &types.AttributeValueMemberB{Value: append([]byte{}, v.Value...)}
	case *types.AttributeValueMemberSS:
		return &types.AttributeValueMemberSS{Value: slices.Clone(v.Value)}
	case *types.AttributeValueMemberNS:
		return &types.AttributeValueMemberNS{Value: slices.Clone(v.Value)}
	case *types.AttributeValueMemberBS:
		own := make([][]byte, len(v.Value))
		for i, b := range v.Value {
			own[i] = append([]byte{}, b...)
		}
		return &types.AttributeValueMemberBS{Value: own}
	case *types.AttributeValueMemberL:
		own := make([]types.AttributeValue, len(v.Value))
		for i, e := range v.Value {
			own[i] = privateValue(e)
		}
		return &types.AttributeValueMemberL{Value: own}
	case *types.AttributeValueMemberM:
		return &types.AttributeValueMemberM{Value: private(v.Value)}
	}
	return v
}

// kept is a value as the table keeps it: its own, numbers and sets in one form.
// One that DynamoDB refuses is a ValidationException.
func kept(v types.AttributeValue) (types.AttributeValue, error) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS, *types.AttributeValueMemberBOOL:
		return v, nil
	case *types.AttributeValueMemberNULL:
		if !v.Value {
			return nil, invalid("Null attribute value types must have the value of true")
		}
		return v, nil
	case *types.AttributeValueMemberB:
		return privateValue(v), nil
	case *types.AttributeValueMemberN:
		text, err := number(v.Value)
		if err != nil || text == v.Value {
			return v, err
		}
		return &types.AttributeValueMemberN{Value: text}, nil
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
	return keptSet(v)
}

func keptSet(v types.AttributeValue) (types.AttributeValue, error) {
	members, ok := membersOf(v)
	if !ok {
		return nil, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	members = slices.Clone(members)
	if _, numbers := v.(*types.AttributeValueMemberNS); numbers {
		for i, m := range members {
			var err error
			if members[i], err = number(m); err != nil {
				return nil, err
			}
		}
	}
	if len(members) == 0 {
		return nil, invalid("One or more parameter values were invalid: An set may not be empty")
	}
	slices.Sort(members)
	if len(slices.Compact(slices.Clone(members))) < len(members) {
		return nil, invalid("One or more parameter values were invalid: Input collection contains duplicates")
	}
	return setLike(v, members), nil
}

func keptItem(it Item) (Item, error) {
	own := maps.Clone(it)
	for name, v := range it {
		switch form, err := kept(v); {
		case err != nil:
			return nil, err
		case form != v:
			own[name] = form
		}
	}
	return own, nil
}

// membersOf are the members of a set, as texts.
func membersOf(v types.AttributeValue) (members []string, ok bool) {
	switch v := v.(type) {
	case *types.AttributeValueMemberSS:
		return v.Value, true
	case *types.AttributeValueMemberNS:
		return v.Value, true
	case *types.AttributeValueMemberBS:
		members = make([]string, len(v.Value))
		for i, b := range v.Value {
			members[i] = string(b)
		}
		return members, true
	}
	return nil, false
}

// setLike is a set of the kind of another one, nil without members.
func setLike(v types.AttributeValue, members []string) types.AttributeValue {
	if len(members) == 0 {
		return nil
	}
	switch v.(type) {
	case *types.AttributeValueMemberNS:
		return &types.AttributeValueMemberNS{Value: members}
	case *types.AttributeValueMemberBS:
		own := make([][]byte, len(members))
		for i, m := range members {
			own[i] = []byte(m)
		}
		return &types.AttributeValueMemberBS{Value: own}
	}
	return &types.AttributeValueMemberSS{Value: members}
}

// kindOf is the type of a value, by the name that the API has for it.
func kindOf(v types.AttributeValue) string {
	switch v.(type) {
	case *types.AttributeValueMemberS:
		return "S"
	case *types.AttributeValueMemberN:
		return "N"
	case *types.AttributeValueMemberB:
		return "B"
	case *types.AttributeValueMemberBOOL:
		return "BOOL"
	case *types.AttributeValueMemberNULL:
		return "NULL"
	case *types.AttributeValueMemberSS:
		return "SS"
	case *types.AttributeValueMemberNS:
		return "NS"
	case *types.AttributeValueMemberBS:
		return "BS"
	case *types.AttributeValueMemberL:
		return "L"
	case *types.AttributeValueMemberM:
		return "M"
	}
	return ""
}

// sameValue tells whether two kept values are of one type and equal.
func sameValue(a, b types.AttributeValue) bool {
	if a == b {
		return true
	}
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberB:
		b, ok := b.(*types.AttributeValueMemberB)
		return ok && bytes.Equal(a.Value, b.Value)
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberNULL:
		return kindOf(b) == "NULL"
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		return ok && slices.EqualFunc(a.Value, b.Value, sameValue)
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		return ok && sameItem(a.Value, b.Value)
	}
	members, ok := membersOf(a)
	others, also := membersOf(b)
	return ok && also && kindOf(a) == kindOf(b) && slices.Equal(members, others)
}

func sameItem(a, b Item) bool { return maps.EqualFunc(a, b, sameValue) }

// compareValues orders two kept values of one of the types that have an order;
// ok is false for others.
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
			x, errX := strconv.ParseInt(a.Value, 10, 64)
			y, errY := strconv.ParseInt(b.Value, 10, 64)
			if errX == nil && errY == nil {
				return cmp.Compare(x, y), true
			}
			return rational(a.Value).Cmp(rational(b.Value)), true
		}
	}
	return 0, false
}

// rational is the value of a kept number.
func rational(text string) *big.Rat {
	r, _ := new(big.Rat).SetString(text)
	return r
}

// The range of DynamoDB's numbers.
const (
	digits      = 38
	mostDigits  = 126 // before the point
	leastDigits = 130 // after it
)

// number is a number as the table keeps it: no exponent, no needless zeros.
func number(text string) (string, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if len(text) > 1 && (text[0] == '0' || text[0] == '+' || text[0] == '-' && text[1] == '0') {
			return strconv.FormatInt(n, 10), nil
		}
		return text, nil
	}
	if text == "" || strings.Trim(text, "0123456789.eE+-") != "" || len(text) > 200 {
		return "", invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 4 {
		return "", invalid("Number overflow or underflow: %s", text)
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return "", invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	return plain(r)
}

// plain is the kept form of a value that a decimal number has.
func plain(r *big.Rat) (string, error) {
	text := r.FloatString(400)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	whole = strings.TrimLeft(whole, "0")
	significant := strings.Trim(whole+fraction, "0")
	switch {
	case len(whole) > mostDigits, whole == "" && len(fraction)-len(strings.TrimLeft(fraction, "0")) >= leastDigits:
		return "", invalid("Number overflow or underflow")
	case len(significant) > digits:
		return "", invalid("Attempting to store more than 38 significant digits in a Number")
	case significant == "":
		return "0", nil
	}
	return text, nil
}

// sum adds a number to another, or takes it away.
func sum(a, b string, minus bool) (string, error) {
	x, errX := strconv.ParseInt(a, 10, 32)
	y, errY := strconv.ParseInt(b, 10, 32)
	if errX == nil && errY == nil {
		if minus {
			y = -y
		}
		return strconv.FormatInt(x+y, 10), nil
	}
	r := rational(b)
	if minus {
		r.Neg(r)
	}
	return plain(r.Add(rational(a), r))
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
		return sizeOfNumber(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + sizeOfValue(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + sizeOf(v.Value)
	}
	members, ok := membersOf(v)
	if !ok {
		return 1 // BOOL and NULL
	}
	n := 0
	for _, m := range members {
		if kindOf(v) == "NS" {
			n += sizeOfNumber(m)
		} else {
			n += len(m)
		}
	}
	return n
}

// sizeOfNumber: two digits take a byte, and there is one more.
func sizeOfNumber(text string) int { return (len(text)+1)/2 + 1 }

// length is what the size function of conditions tells, ok for the types that
// have one.
func length(v types.AttributeValue) (n int, ok bool) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return utf8.RuneCountInString(v.Value), true
	case *types.AttributeValueMemberB:
		return len(v.Value), true
	case *types.AttributeValueMemberL:
		return len(v.Value), true
	case *types.AttributeValueMemberM:
		return len(v.Value), true
	}
	members, ok := membersOf(v)
	return len(members), ok
}
