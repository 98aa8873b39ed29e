package store

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/account"
	"carrierlink/shared/connection"
	"carrierlink/shared/store/accounts"
	"carrierlink/shared/store/connections"
)

// AccountItem returns the item of an account, for tests that write many.
func AccountItem(a account.Account) map[string]types.AttributeValue { return accounts.Item(a) }

// ConnectionItem returns the item of a connection, likewise.
func ConnectionItem(c connection.Connection) map[string]types.AttributeValue {
	return connections.Item(&c)
}
