package kit

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
	AttrPK  = "pk"
	AttrSK  = "sk"
	AttrTTL = "expires_at" // epoch seconds: the table's TTL attribute, on items that may vanish
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
	IndexPartner   = "by_partner"
	IndexActive    = "by_active"
	IndexDue       = "by_due"
	AttrPartnerPK  = "partner_pk"
	AttrActivePK   = "active_pk"
	AttrCreatedKey = "created_key"
	AttrDuePK      = "due_pk"
	AttrDueKey     = "due_key"
)

// What the sort keys of the items that are listed begin with.
const (
	SkKey        = "KEY#"
	SkNumber     = "NUMBER#"
	SkConnection = "CARRIER#"
	SkSnapshot   = "SNAPSHOT#"
	skMinute     = "MINUTE#"
)

// Key is the primary key of an item.
type Key struct{ PK, SK string }

// LinksKey counts the links of an account on one day (UTC).
func LinksKey(accountID int64, day time.Time) Key {
	return Key{"LINKS#" + number(accountID), day.UTC().Format(time.DateOnly)}
}

// Item returns the key as attributes.
func (k Key) Item() Item {
	return Item{AttrPK: &types.AttributeValueMemberS{Value: k.PK}, AttrSK: &types.AttributeValueMemberS{Value: k.SK}}
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// PartnerPK is the partition of a partner.
func PartnerPK(id int64) string { return "PARTNER#" + number(id) }

// AccountPK is the partition of an account.
func AccountPK(id int64) string { return "ACCOUNT#" + number(id) }

// ActivePK is where the index has a partner's accounts of either kind.
func ActivePK(partnerID int64, active bool) string {
	return PartnerPK(partnerID) + "#" + strconv.FormatBool(active)
}

// LastMilli is the latest time that a key has room for, in the year 33658:
// earlier and later ones count as its ends.
const LastMilli = 999_999_999_999_999

// milliKey sorts as time does.
func milliKey(milli int64) string { return fmt.Sprintf("%015d", min(max(milli, 0), LastMilli)) }

// CreatedKey sorts as time and id do. IDs have at most ten digits.
func CreatedKey(milli, id int64) string { return fmt.Sprintf("%s#%010d", milliKey(milli), id) }

// DueShards is over how many partitions the connections of a lane are spread:
// sixteen in all, half of them for the carrier with the most.
func DueShards(lane connection.Lane) int {
	if lane == connection.Lane(carrier.AustraliaPost) {
		return 8
	}
	return 4
}

// RefreshPK is the partition of by_due that holds one shard of a lane.
func RefreshPK(lane connection.Lane, shard int) string {
	return RefreshPrefix + string(lane) + "#" + strconv.Itoa(shard)
}

// Partitions of by_due.
const (
	RefreshPrefix = "REFRESH#"
	RepairPK      = "REPAIR"
)

// ShardOf spreads connections evenly, and always in the same way.
func ShardOf(lane connection.Lane, connectionID string) int {
	return int(sha256.Sum256([]byte(connectionID))[0]) % DueShards(lane)
}

// RefreshKey sorts by the time of the next check; readRefreshKey takes it apart.
func RefreshKey(at time.Time, credentialID string, partnerID int64) string {
	return milliKey(at.UnixMilli()) + "#" + credentialID + "#" + number(partnerID)
}

// RepairKey sorts by the time at which the reconciler should look.
func RepairKey(at time.Time) string { return milliKey(at.UnixMilli()) }

// DueUntil is above the keys of by_due that are due at a time, and of no other.
func DueUntil(now time.Time) string { return milliKey(now.UnixMilli() + 1) }

// ReadRefreshKey takes a refreshKey apart. Version 0.3 wrote none of the partner
// into it.
func ReadRefreshKey(s string) (at time.Time, credentialID string, partnerID int64, err error) {
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

// ReadOwner is whose an item of an account's partition is: the account, and the
// connection, empty for the account's own item.
func ReadOwner(k Key) (accountID int64, connectionID string, err error) {
	text, ok := strings.CutPrefix(k.PK, "ACCOUNT#")
	accountID, err = strconv.ParseInt(text, 10, 64)
	connectionID, connection := strings.CutPrefix(k.SK, SkConnection)
	switch {
	case !ok, err != nil, connection && connectionID == "", !connection && k != AccountKey(accountID) && k != PurgeKey(accountID):
		return 0, "", errors.New("key is no connection's or account's")
	case !connection:
		connectionID = ""
	}
	return accountID, connectionID, nil
}

// PartnerKey is the key of a partner.
func PartnerKey(id int64) Key { return Key{PartnerPK(id), "PARTNER"} }

// AccountKey is the key of an account.
func AccountKey(id int64) Key { return Key{AccountPK(id), "ACCOUNT"} }

// PurgeKey is of the item by which the reconciler finds a deleted account that its
// connections have not followed: the account's own item may be removed before.
func PurgeKey(id int64) Key { return Key{AccountPK(id), "PURGE"} }

// APIKeyKey is the key of an API key: a merchant key lives with its account, a partner key with its
// partner.
func APIKeyKey(partnerID, accountID int64, hash string) Key {
	if accountID != 0 {
		return Key{AccountPK(accountID), SkKey + hash}
	}
	return Key{PartnerPK(partnerID), SkKey + hash}
}

// ConnectionKey is the key of a connection.
func ConnectionKey(accountID int64, id string) Key {
	return Key{AccountPK(accountID), SkConnection + id}
}

// SnapshotKey is the key of a connection's snapshot.
func SnapshotKey(accountID int64, id string) Key { return Key{AccountPK(accountID), SkSnapshot + id} }

// NumberKey is the key of the item that lists who holds an account number.
func NumberKey(accountID int64, n connection.Number) Key {
	return Key{AccountPK(accountID), SkNumber + string(n.Carrier) + "#" + n.Number}
}

// EmailKey is the key that keeps an email unique in its environment.
func EmailKey(env carrier.Environment, emailKey string) Key {
	return Key{"EMAIL#" + string(env) + "#" + emailKey, "EMAIL"}
}

// ExternalKey is the key that keeps an external id unique for its partner.
func ExternalKey(partnerID int64, externalID string) Key {
	return Key{"EXTERNAL#" + number(partnerID) + "#" + externalID, "EXTERNAL"}
}

// IdempotencyKey hashes, because scope and key are long and the key is the
// caller's own text.
func IdempotencyKey(scope, idempotency string) Key {
	sum := sha256.Sum256([]byte(scope + "\x00" + idempotency))
	return Key{"IDEMPOTENCY#" + hex.EncodeToString(sum[:]), "IDEMPOTENCY"}
}

// HistoryPK is the partition of a connection's history.
func HistoryPK(accountID int64, connectionID string) string {
	return "HISTORY#" + number(accountID) + "#" + connectionID
}

// HistorySK sorts as the checks of a connection do.
func HistorySK(milli int64, n int) string { return fmt.Sprintf("%s#%08d", milliKey(milli), max(n, 0)) }

// eventKey sorts the events of an account by time and id.
func eventKey(e effects.Event) Key {
	return Key{"EVENTS#" + number(e.AccountID), milliKey(e.At.UnixMilli()) + "#" + e.ID}
}

// TrackingKey is the key of what a carrier said of a tracking number.
func TrackingKey(accountID int64, connectionID, trackingNumber string) Key {
	return Key{"TRACKING#" + number(accountID) + "#" + connectionID, trackingNumber}
}

// CallsKey is the key of the latest calls of an allowance.
func CallsKey(a connection.Allowance) Key {
	return Key{"ALLOWANCE#" + string(a.Use) + "#" + number(a.AccountID) + "#" + a.CredentialID, "CALLS"}
}

// HealthPK is the partition of a carrier's breaker and tallies.
func HealthPK(name carrier.Name) string { return "HEALTH#" + string(name) }

// BreakerKey is the key of a carrier's breaker.
func BreakerKey(name carrier.Name) Key { return Key{HealthPK(name), "BREAKER"} }

// TallySK sorts the tallies of a carrier by minute.
func TallySK(minute time.Time) string {
	return fmt.Sprintf("%s%012d", skMinute, max(minute.Unix()/60, 0))
}

// ReadMinute takes a tallySK apart.
func ReadMinute(sk string) (time.Time, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(sk, skMinute), 10, 64)
	if err != nil {
		return time.Time{}, errors.New("sort key is no minute's")
	}
	return time.Unix(n*60, 0).UTC(), nil
}
