package functiontest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Streamed returns the records of a table's stream for the events among its items, as
// publish-events gets them, and their ids: in the order of the ids.
func Streamed[I ~map[string]types.AttributeValue](tb testing.TB, items ...I) (records []json.RawMessage, ids []string) {
	tb.Helper()
	var events []I
	for _, it := range items {
		if pk, ok := it["pk"].(*types.AttributeValueMemberS); ok && strings.HasPrefix(pk.Value, "EVENTS#") {
			events = append(events, it)
		}
	}
	id := func(it I) string {
		if v, ok := it["sk"].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	slices.SortFunc(events, func(a, b I) int { return cmp.Compare(id(a), id(b)) })
	for i, it := range events {
		image := map[string]any{}
		for name, v := range it {
			switch v := v.(type) {
			case *types.AttributeValueMemberS:
				image[name] = map[string]string{"S": v.Value}
			case *types.AttributeValueMemberN:
				image[name] = map[string]string{"N": v.Value}
			default:
				tb.Fatalf("an event has %s of type %T", name, v)
			}
		}
		record, err := json.Marshal(map[string]any{
			"eventID": strconv.Itoa(i), "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventVersion": "1.1",
			"dynamodb": map[string]any{
				"ApproximateCreationDateTime": 1.7e9, "Keys": map[string]any{"pk": image["pk"], "sk": image["sk"]}, "NewImage": image,
				"SequenceNumber": strconv.Itoa(1000 + i), "SizeBytes": 500, "StreamViewType": "NEW_IMAGE",
			},
		})
		if err != nil {
			tb.Fatal(err)
		}
		records, ids = append(records, record), append(ids, id(it))
	}
	return records, ids
}
