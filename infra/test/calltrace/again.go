package calltrace

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrierlink/shared/store/kit"
)

var again atomic.Int64

// Again returns the same write of the store under an id of its own: a repeat with the
// id of the write that it repeats would change nothing.
func Again(in *dynamodb.UpdateItemInput) *dynamodb.UpdateItemInput {
	out := *in
	out.ExpressionAttributeValues = maps.Clone(in.ExpressionAttributeValues)
	_, name, _ := strings.Cut(*in.UpdateExpression, "#"+kit.AttrWriteID+" = ")
	if end := strings.IndexAny(name, ", "); end >= 0 {
		name = name[:end]
	}
	id := in.ExpressionAttributeValues[name]
	for name, value := range in.ExpressionAttributeValues {
		if reflect.DeepEqual(value, id) {
			out.ExpressionAttributeValues[name] = kit.TextValue(fmt.Sprintf("again %026d", again.Add(1)))
		}
	}
	return &out
}
