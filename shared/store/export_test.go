package store

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/connections"
)

// AccountItem is what the table holds of an account, for tests that need many
// of them fast.
func AccountItem(a account.Account) map[string]types.AttributeValue { return accounts.Item(a) }

// ConnectionItem is what the table holds of a connection.
func ConnectionItem(c connection.Connection) map[string]types.AttributeValue {
	return connections.Item(&c)
}
