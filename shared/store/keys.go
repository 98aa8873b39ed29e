package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/carrier"
)

// Every key of the table is made in this file and nowhere else.
//
//	partner       PARTNER#<id>                  PARTNER
//	account       ACCOUNT#<id>                  ACCOUNT
//	api key       its owner's partition         KEY#<sha-256 of the key, hex>
//	connection    ACCOUNT#<id>                  CARRIER#<carrier_id>
//	snapshot      ACCOUNT#<id>                  SNAPSHOT#<carrier_id>
//	number        ACCOUNT#<id>                  NUMBER#<carrier>#<account number>
//	email         EMAIL#<lower-case email>      EMAIL
//	external id   EXTERNAL#<partner>#<its id>   EXTERNAL
//	idempotency   IDEMPOTENCY#<sha-256, hex>    IDEMPOTENCY
//
// What a caller chose stands last in its key, after parts that hold no "#", so
// that no choice of text can reach another item.
const (
	attrPK  = "pk"
	attrSK  = "sk"
	attrTTL = "expires_at" // epoch seconds: the table's TTL attribute, on items that may vanish
)

// The indexes hold accounts only: no other item has their attributes. Both are
// in the order of creation.
//
//	by_partner    PARTNER#<id>                  <created_at, ms>#<account id>
//	by_active     PARTNER#<id>#<true|false>     <created_at, ms>#<account id>
const (
	indexPartner   = "by_partner"
	indexActive    = "by_active"
	attrPartnerPK  = "partner_pk"
	attrActivePK   = "active_pk"
	attrCreatedKey = "created_key"
)

// What the sort keys of the items that are listed begin with.
const (
	skKey        = "KEY#"
	skConnection = "CARRIER#"
	skSnapshot   = "SNAPSHOT#"
)

// key is the primary key of an item.
type key struct{ pk, sk string }

func (k key) item() item {
	return item{attrPK: &types.AttributeValueMemberS{Value: k.pk}, attrSK: &types.AttributeValueMemberS{Value: k.sk}}
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

func partnerPK(id int64) string { return "PARTNER#" + number(id) }
func accountPK(id int64) string { return "ACCOUNT#" + number(id) }

// activePK is where the index has a partner's accounts of either kind.
func activePK(partnerID int64, active bool) string {
	return partnerPK(partnerID) + "#" + strconv.FormatBool(active)
}

// lastMilli is the latest time that created_key has room for, in the year
// 33658: earlier and later ones count as its ends.
const lastMilli = 999_999_999_999_999

// createdKey sorts as time and id do. IDs have at most ten digits.
func createdKey(milli, id int64) string {
	return fmt.Sprintf("%015d#%010d", min(max(milli, 0), lastMilli), id)
}

func partnerKey(id int64) key { return key{partnerPK(id), "PARTNER"} }
func accountKey(id int64) key { return key{accountPK(id), "ACCOUNT"} }

// apiKeyKey: a merchant key lives with its account, a partner key with its
// partner.
func apiKeyKey(partnerID, accountID int64, hash string) key {
	if accountID != 0 {
		return key{accountPK(accountID), skKey + hash}
	}
	return key{partnerPK(partnerID), skKey + hash}
}

func connectionKey(accountID int64, id string) key {
	return key{accountPK(accountID), skConnection + id}
}

func snapshotKey(accountID int64, id string) key { return key{accountPK(accountID), skSnapshot + id} }

func numberKey(accountID int64, n Number) key {
	return key{accountPK(accountID), "NUMBER#" + string(n.Carrier) + "#" + n.Number}
}

func emailKey(email string) key { return key{"EMAIL#" + carrier.EmailKey(email), "EMAIL"} }

func externalKey(partnerID int64, externalID string) key {
	return key{"EXTERNAL#" + number(partnerID) + "#" + externalID, "EXTERNAL"}
}

// idempotencyKey hashes, because scope and key are long and the key is the
// caller's own text.
func idempotencyKey(scope, idempotency string) key {
	sum := sha256.Sum256([]byte(scope + "\x00" + idempotency))
	return key{"IDEMPOTENCY#" + hex.EncodeToString(sum[:]), "IDEMPOTENCY"}
}
