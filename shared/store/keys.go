package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrierlink/shared/carrier"
	"carrierlink/shared/connection"
	"carrierlink/shared/effects"
)

// Every key of the table is made in this file and nowhere else.
//
//	partner       PARTNER#<id>                  PARTNER
//	account       ACCOUNT#<id>                  ACCOUNT
//	purge         ACCOUNT#<id>                  PURGE
//	api key       its owner's partition         KEY#<sha-256 of the key, hex>
//	connection    ACCOUNT#<id>                  CARRIER#<carrier_id>
//	snapshot      ACCOUNT#<id>                  SNAPSHOT#<carrier_id>
//	number        ACCOUNT#<id>                  NUMBER#<carrier>#<account number>
//	email         EMAIL#<environment>#<EmailKey>   EMAIL
//	external id   EXTERNAL#<partner>#<its id>   EXTERNAL
//	idempotency   IDEMPOTENCY#<sha-256, hex>    IDEMPOTENCY
//	links         LINKS#<account>               <day, YYYY-MM-DD>
//	history       HISTORY#<account>#<carrier_id>    <at, ms>#<number>
//	tracking      TRACKING#<account>#<carrier_id>   <tracking number>
//	calls         ALLOWANCE#<use>#<account or 0>#<credential id or none>   CALLS
//	breaker       HEALTH#<carrier>              BREAKER
//	tally         HEALTH#<carrier>              MINUTE#<minutes since 1970>
//	event         EVENTS#<account or 0>         <at, ms>#<event id>
//
// What a caller chose stands last in its key, after parts that hold no "#", so
// that no choice of text can reach another item. What there may be many of is
// not in the account's partition, which a list of connections reads.
const (
	attrPK  = "pk"
	attrSK  = "sk"
	attrTTL = "expires_at" // epoch seconds: the table's TTL attribute, on items that may vanish
)

// The indexes by_partner and by_active hold accounts only: no other item has
// their attributes. Both are in the order of creation. by_due holds the
// connections that are checked by themselves, by the time of the next check, and
// what a crash may leave unfinished: connections with an intent or other work,
// by the end of its lease, and accounts that their connections have to follow.
//
//	by_partner    PARTNER#<id>                  <created_at, ms>#<account id>
//	by_active     PARTNER#<id>#<true|false>     <created_at, ms>#<account id>
//	by_due        REFRESH#<lane>#<shard>        <next_refresh_at, ms>#<credential id>#<partner id>
//	              REPAIR                        <lease_until or time of the change, ms>
const (
	indexPartner   = "by_partner"
	indexActive    = "by_active"
	indexDue       = "by_due"
	attrPartnerPK  = "partner_pk"
	attrActivePK   = "active_pk"
	attrCreatedKey = "created_key"
	attrDuePK      = "due_pk"
	attrDueKey     = "due_key"
)

// What the sort keys of the items that are listed begin with.
const (
	skKey        = "KEY#"
	skNumber     = "NUMBER#"
	skConnection = "CARRIER#"
	skSnapshot   = "SNAPSHOT#"
	skMinute     = "MINUTE#"
)

// key is the primary key of an item.
type key struct{ pk, sk string }

func linksKey(accountID int64, day time.Time) key {
	return key{"LINKS#" + number(accountID), day.UTC().Format(time.DateOnly)}
}

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

// lastMilli is the latest time that a key has room for, in the year 33658:
// earlier and later ones count as its ends.
const lastMilli = 999_999_999_999_999

// milliKey sorts as time does.
func milliKey(milli int64) string { return fmt.Sprintf("%015d", min(max(milli, 0), lastMilli)) }

// createdKey sorts as time and id do. IDs have at most ten digits.
func createdKey(milli, id int64) string { return fmt.Sprintf("%s#%010d", milliKey(milli), id) }

// dueShards is over how many partitions the connections of a lane are spread:
// sixteen in all, half of them for the carrier with the most.
func dueShards(lane connection.Lane) int {
	if lane == connection.Lane(carrier.AustraliaPost) {
		return 8
	}
	return 4
}

func refreshPK(lane connection.Lane, shard int) string {
	return refreshPrefix + string(lane) + "#" + strconv.Itoa(shard)
}

const (
	refreshPrefix = "REFRESH#"
	repairPK      = "REPAIR"
)

// shardOf spreads connections evenly, and always in the same way.
func shardOf(lane connection.Lane, connectionID string) int {
	return int(sha256.Sum256([]byte(connectionID))[0]) % dueShards(lane)
}

func refreshKey(at time.Time, credentialID string, partnerID int64) string {
	return milliKey(at.UnixMilli()) + "#" + credentialID + "#" + number(partnerID)
}

func repairKey(at time.Time) string { return milliKey(at.UnixMilli()) }

// dueUntil is above the keys of by_due that are due at a time, and of no other.
func dueUntil(now time.Time) string { return milliKey(now.UnixMilli() + 1) }

// readRefreshKey takes a refreshKey apart. Version 0.3 wrote none of the partner
// into it.
func readRefreshKey(s string) (at time.Time, credentialID string, partnerID int64, err error) {
	milli, rest, ok := strings.Cut(s, "#")
	n, err := strconv.ParseInt(milli, 10, 64)
	credentialID, partner, noted := strings.Cut(rest, "#")
	if err == nil && noted {
		partnerID, err = strconv.ParseInt(partner, 10, 64)
	}
	if !ok || err != nil {
		return time.Time{}, "", 0, errors.New("attribute due_key has another form")
	}
	return time.UnixMilli(n).UTC(), credentialID, partnerID, nil
}

// readOwner is whose an item of an account's partition is: the account, and the
// connection, empty for the account's own item.
func readOwner(k key) (accountID int64, connectionID string, err error) {
	text, ok := strings.CutPrefix(k.pk, "ACCOUNT#")
	accountID, err = strconv.ParseInt(text, 10, 64)
	connectionID, connection := strings.CutPrefix(k.sk, skConnection)
	switch {
	case !ok, err != nil, connection && connectionID == "", !connection && k != accountKey(accountID) && k != purgeKey(accountID):
		return 0, "", errors.New("key is no connection's or account's")
	case !connection:
		connectionID = ""
	}
	return accountID, connectionID, nil
}

func partnerKey(id int64) key { return key{partnerPK(id), "PARTNER"} }
func accountKey(id int64) key { return key{accountPK(id), "ACCOUNT"} }

// purgeKey is of the item by which the reconciler finds a deleted account that its
// connections have not followed: the account's own item may be removed before.
func purgeKey(id int64) key { return key{accountPK(id), "PURGE"} }

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
	return key{accountPK(accountID), skNumber + string(n.Carrier) + "#" + n.Number}
}

func emailKey(env carrier.Environment, emailKey string) key {
	return key{"EMAIL#" + string(env) + "#" + emailKey, "EMAIL"}
}

func externalKey(partnerID int64, externalID string) key {
	return key{"EXTERNAL#" + number(partnerID) + "#" + externalID, "EXTERNAL"}
}

// idempotencyKey hashes, because scope and key are long and the key is the
// caller's own text.
func idempotencyKey(scope, idempotency string) key {
	sum := sha256.Sum256([]byte(scope + "\x00" + idempotency))
	return key{"IDEMPOTENCY#" + hex.EncodeToString(sum[:]), "IDEMPOTENCY"}
}

func historyPK(accountID int64, connectionID string) string {
	return "HISTORY#" + number(accountID) + "#" + connectionID
}

// historySK sorts as the checks of a connection do.
func historySK(milli int64, n int) string { return fmt.Sprintf("%s#%08d", milliKey(milli), max(n, 0)) }

// eventKey sorts the events of an account by time and id.
func eventKey(e effects.Event) key {
	return key{"EVENTS#" + number(e.AccountID), milliKey(e.At.UnixMilli()) + "#" + e.ID}
}

func trackingKey(accountID int64, connectionID, trackingNumber string) key {
	return key{"TRACKING#" + number(accountID) + "#" + connectionID, trackingNumber}
}

func callsKey(a connection.Allowance) key {
	return key{"ALLOWANCE#" + string(a.Use) + "#" + number(a.AccountID) + "#" + a.CredentialID, "CALLS"}
}

func healthPK(name carrier.Name) string { return "HEALTH#" + string(name) }

func breakerKey(name carrier.Name) key { return key{healthPK(name), "BREAKER"} }

func tallySK(minute time.Time) string {
	return fmt.Sprintf("%s%012d", skMinute, max(minute.Unix()/60, 0))
}

// readMinute takes a tallySK apart.
func readMinute(sk string) (time.Time, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(sk, skMinute), 10, 64)
	if err != nil {
		return time.Time{}, errors.New("sort key is no minute's")
	}
	return time.Unix(n*60, 0).UTC(), nil
}
