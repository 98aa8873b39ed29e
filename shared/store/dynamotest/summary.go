package dynamotest

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Summary is a call as Trouble sees it, without whom it is about: its operation with how many
// items it reads, or with the kinds of those that it writes or checks. Requests that nobody is to
// tell apart have equal summaries.
func Summary(operation string, input any) string {
	switch in := input.(type) {
	case *dynamodb.BatchGetItemInput:
		return operation + " " + strconv.Itoa(len(in.RequestItems[Name].Keys))
	case *dynamodb.UpdateItemInput:
		return operation + familyOf(in.Key)
	case *dynamodb.TransactWriteItemsInput:
		for _, it := range in.TransactItems {
			switch {
			case it.Put != nil:
				operation += familyOf(it.Put.Item)
			case it.Update != nil:
				operation += familyOf(it.Update.Key)
			case it.Delete != nil:
				operation += familyOf(it.Delete.Key)
			case it.ConditionCheck != nil:
				operation += familyOf(it.ConditionCheck.Key)
			}
		}
	}
	return operation
}

// familyOf returns the constant parts of a key.
func familyOf(key Item) string {
	pk, _ := key[attrPK].(*types.AttributeValueMemberS)
	sk, _ := key[attrSK].(*types.AttributeValueMemberS)
	kind, _, _ := strings.Cut(pk.Value, "#")
	in, _, _ := strings.Cut(sk.Value, "#")
	return " " + kind + "/" + strings.TrimRight(in, "-0123456789abcdefghijklmnopqrstuvwxyz")
}
