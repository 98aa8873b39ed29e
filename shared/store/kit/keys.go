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
	"carrierlink/shared/signin"
	"carrierlink/shared/webhook"
)

// Every key of the table is made in this file and nowhere else.
//
//	partner       PARTNER#<id>                  PARTNER
//	partners      PARTNERS                      <partner id, 10 digits>
//	settings      PARTNER#<id>                  SETTINGS
//	account       ACCOUNT#<id>                  ACCOUNT
//	purge         ACCOUNT#<id>                  PURGE
//	api key       its owner's partition         KEY#<sha-256 of the key, hex>
//	connection    ACCOUNT#<id>                  CARRIER#<carrier_id>
//	snapshot      ACCOUNT#<id>                  SNAPSHOT#<carrier_id>
//	number        ACCOUNT#<id>                  NUMBER#<carrier>#<account number>
//	webhooks      ACCOUNT#<id>                  LIST#WEBHOOKS
//	login         ACCOUNT#<id>                  LOGIN
//	session       LOGIN#<account>               SESSION#<sha-256 of the cookie, hex>
//	token         TOKEN#<sha-256 of the token, hex>   TOKEN
//	throttle      THROTTLE#<use>#<whom>         THROTTLE
//	              PARTNER#<id>                  WEBHOOKS
//	email         EMAIL#<environment>#<EmailKey>   EMAIL
//	external id   EXTERNAL#<partner>#<its id>   EXTERNAL
//	idempotency   IDEMPOTENCY#<sha-256, hex>    IDEMPOTENCY
//	links         LINKS#<account>               <day, YYYY-MM-DD>
//	history       HISTORY#<account>#<carrier_id>    <at, ms>#<number>
//	tracking      TRACKING#<account>#<carrier_id>   <tracking number>
//	parcel        PARCELS#<account>             PARCEL#<carrier>#<tracking number>
//	round         PARCELS#<account>             ROUND#<carrier_id>
//	parcel count  ACCOUNT#<id>                  LIST#PARCELS
//	parcel day    PARCELS#<account>             DAY#<day, YYYY-MM-DD>
//	calls         ALLOWANCE#<use>#<account or 0>#<credential id or none>   CALLS
//	breaker       HEALTH#<carrier>              BREAKER
//	tally         HEALTH#<carrier>              MINUTE#<minutes since 1970>
//	event         EVENTS#<partner>#<account or 0>   <event_id>, which sorts by time
//	runs          WEBHOOK#<partner>#<account or 0>#<webhook_id>   STATE
//	pending       the webhook's partition       PENDING#<event_id>#<requested_at, ms>
//	delivery      the webhook's partition       DELIVERY#<event_id>
//	sent mail     MAILS#<account>               SENT#<id of the message or event>
//	latest mail   MAILS#<account>               STATE#<carrier_id>
//
// Text that a caller chose stands last in its key, after parts without "#": so it
// cannot make another item's key. Items that an account may have many of have
// partitions of their own, because a list of connections reads the account's.
const (
	AttrPK  = "pk"
	AttrSK  = "sk"
	AttrTTL = "expires_at" // the table's TTL attribute, in seconds since 1970
)

// The indexes by_partner and by_active hold accounts only, in the order of their
// creation: no other item has their attributes. by_due holds the scheduled
// connections, by the time of the next check, and what a crash may leave unfinished:
// intents and connections with work, by the end of the lease, and accounts whose
// connections have yet to follow them. Connections that are not scheduled are listed by
// the end of their previous credentials: in a partition of their own, because they may be
// many, and repairs must not wait for them. API keys of accounts are listed by the time when
// their end is next reported. Rounds are listed as connections are, in partitions of their
// own; the parcels of a round by the time of their next look, by brand; webhooks with something to
// deliver by the time when they are next looked at, and lists of webhooks by the time since when
// they have secrets that were not sealed again.
//
// by_event holds all events of a partner, its accounts' included.
//
//	by_partner    PARTNER#<id>                  <created_at, ms>#<account id>
//	by_active     PARTNER#<id>#<true|false>     <created_at, ms>#<account id>
//	by_due        REFRESH#<lane>#<shard>        <next_refresh_at, ms>#<credential id>#<partner id>
//	              REPAIR                        <lease_until, ms>, of work that was tried before followed
//	                                            by #<its first lease_until, ms>; <time of an account's change, ms>
//	              PREVIOUS                      <end of the previous credentials, ms>
//	              EXPIRING                      <when the end of an API key is next reported, ms>
//	              ROUNDS#<lane>#<shard>         <when the round is due, ms>#<credential id>#<partner id>
//	              LOOKS#<account>#<carrier_id>#<brand>   <when the parcel is due, ms>#<tracking number>
//	              DELIVER#<shard>               <when the deliveries of a webhook go on, ms>
//	              SEALED                        <when the oldest secret of a list of webhooks was sealed, ms>
//	by_event      EVENTS#<partner>              the table's sort key
const (
	IndexPartner   = "by_partner"
	IndexActive    = "by_active"
	IndexDue       = "by_due"
	IndexEvent     = "by_event"
	AttrPartnerPK  = "partner_pk"
	AttrActivePK   = "active_pk"
	AttrCreatedKey = "created_key"
	AttrEventPK    = "event_pk"
	AttrDuePK      = "due_pk"
	AttrDueKey     = "due_key"
)

// Prefixes of the sort keys of items that are listed.
const (
	SkKey        = "KEY#"
	SkNumber     = "NUMBER#"
	SkConnection = "CARRIER#"
	SkSnapshot   = "SNAPSHOT#"
	SkParcel     = "PARCEL#"
	skRound      = "ROUND#"
	SkPending    = "PENDING#"
	SkDelivery   = "DELIVERY#"
	SkSession    = "SESSION#"
	skMinute     = "MINUTE#"
	skPartner    = "PARTNER"
)

// Key is the primary key of an item.
type Key struct{ PK, SK string }

// LinksKey returns the key of the count of an account's links on one day (UTC).
func LinksKey(accountID int64, day time.Time) Key {
	return Key{"LINKS#" + number(accountID), day.UTC().Format(time.DateOnly)}
}

// Item returns the key as attributes.
func (k Key) Item() Item {
	return Item{AttrPK: &types.AttributeValueMemberS{Value: k.PK}, AttrSK: &types.AttributeValueMemberS{Value: k.SK}}
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// PartnerPK returns the partition of a partner.
func PartnerPK(id int64) string { return "PARTNER#" + number(id) }

// AccountPK returns the partition of an account.
func AccountPK(id int64) string { return "ACCOUNT#" + number(id) }

// ActivePK returns the partition of by_active of a partner's active or other accounts.
func ActivePK(partnerID int64, active bool) string {
	return PartnerPK(partnerID) + "#" + strconv.FormatBool(active)
}

// LastMilli is the latest time that a key has room for, in the year 33658. Times
// before 1970 and after that count as the first and the last.
const LastMilli = 999_999_999_999_999

// milliKey returns a text that sorts as the time does.
func milliKey(milli int64) string { return fmt.Sprintf("%015d", min(max(milli, 0), LastMilli)) }

// CreatedKey returns a text that sorts by time, then by id of at most ten digits.
func CreatedKey(milli, id int64) string { return fmt.Sprintf("%s#%010d", milliKey(milli), id) }

// DueShards returns the number of partitions of a lane: sixteen in all, half of them
// for the carrier with the most connections.
func DueShards(lane connection.Lane) int {
	if lane == connection.Lane(carrier.AustraliaPost) {
		return 8
	}
	return 4
}

// deliverShards is the number of partitions of by_due that hold webhooks.
const deliverShards = 4

// DeliverPK returns the partition of by_due that holds a webhook which has something to deliver.
func DeliverPK(ref webhook.Ref) string {
	return DeliverPKs()[int(sha256.Sum256([]byte(WebhookPK(ref)))[0])%deliverShards]
}

// DeliverPKs returns the partitions of by_due that hold webhooks.
func DeliverPKs() []string {
	all := make([]string, deliverShards)
	for i := range all {
		all[i] = "DELIVER#" + strconv.Itoa(i)
	}
	return all
}

// RefreshPK returns the partition of by_due that holds one shard of a lane.
func RefreshPK(lane connection.Lane, shard int) string {
	return RefreshPrefix + string(lane) + "#" + strconv.Itoa(shard)
}

// RoundPK returns the partition of by_due that holds one shard of the rounds of a lane.
func RoundPK(lane connection.Lane, shard int) string {
	return "ROUNDS#" + string(lane) + "#" + strconv.Itoa(shard)
}

// LooksPK returns the partition of by_due of the parcels of a brand that are looked at
// through a connection.
func LooksPK(accountID int64, connectionID string, brand carrier.Name) string {
	return "LOOKS#" + number(accountID) + "#" + connectionID + "#" + string(brand)
}

// LookKey returns a text that sorts by the time of the next look.
func LookKey(at time.Time, trackingNumber string) string {
	return milliKey(at.UnixMilli()) + "#" + trackingNumber
}

// Partitions of by_due.
const (
	RefreshPrefix = "REFRESH#"
	RepairPK      = "REPAIR"
	PreviousPK    = "PREVIOUS"
	ExpiringPK    = "EXPIRING"
	SealedPK      = "SEALED"
)

// ShardOf returns the shard of a connection. It spreads connections evenly.
func ShardOf(lane connection.Lane, connectionID string) int {
	return int(sha256.Sum256([]byte(connectionID))[0]) % DueShards(lane)
}

// RefreshKey returns a text that sorts by the time of the next check.
func RefreshKey(at time.Time, credentialID string, partnerID int64) string {
	return milliKey(at.UnixMilli()) + "#" + credentialID + "#" + number(partnerID)
}

// RepairKey returns a text that sorts by the time at which the reconciler should look.
func RepairKey(at time.Time) string { return milliKey(at.UnixMilli()) }

// WorkKey is RepairKey with the time since when the work can be finished, if that is not
// zero.
func WorkKey(at, since time.Time) string {
	if since.IsZero() {
		return RepairKey(at)
	}
	return RepairKey(at) + "#" + milliKey(since.UnixMilli())
}

// ParseWorkKey reverses WorkKey. The times of any other key are zero, and so is that of
// work without a lease.
func ParseWorkKey(s string) (at, since time.Time) {
	text, suffix, attempted := strings.Cut(s, "#")
	times := [2]time.Time{}
	for i, text := range []string{text, suffix} {
		milli, err := strconv.ParseInt(text, 10, 64)
		if err != nil && (i == 0 || attempted) {
			return time.Time{}, time.Time{}
		}
		if milli > 0 {
			times[i] = time.UnixMilli(milli)
		}
	}
	return times[0], times[1]
}

// DueUntil returns a text above the keys of by_due that are due now, and below all others.
func DueUntil(now time.Time) string { return milliKey(now.UnixMilli() + 1) }

// ParseRefreshKey reverses RefreshKey. Keys of version 0.3 have no partner.
func ParseRefreshKey(s string) (at time.Time, credentialID string, partnerID int64, err error) {
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

// ParseOwner returns the account and the connection that an item of REPAIR or REFRESH
// belongs to; for an account's own item the connection is empty.
func ParseOwner(k Key) (accountID int64, connectionID string, err error) {
	text, ok := strings.CutPrefix(k.PK, "ACCOUNT#")
	accountID, err = strconv.ParseInt(text, 10, 64)
	connectionID, connection := strings.CutPrefix(k.SK, SkConnection)
	switch {
	case !ok, err != nil, connection && connectionID == "", !connection && k != AccountKey(accountID) && k != PurgeKey(accountID):
		return 0, "", errors.New("key is not a connection's or an account's")
	case !connection:
		connectionID = ""
	}
	return accountID, connectionID, nil
}

// PartnerKey returns the key of a partner.
func PartnerKey(id int64) Key { return Key{PartnerPK(id), skPartner} }

// PartnersKey returns the key of the item by which the list of partners finds one.
func PartnersKey(id int64) Key { return Key{partnersPK, fmt.Sprintf("%010d", id)} }

// SettingsKey returns the key of what a partner shows on the account page. It is outside of
// what Store.Partner reads.
func SettingsKey(partnerID int64) Key { return Key{PartnerPK(partnerID), "SETTINGS"} }

// partnersPK is the partition of the list of partners.
const partnersPK = "PARTNERS"

// ListedPartner returns the id of the partner that an item of the list stands for.
func ListedPartner(it Item) (int64, error) {
	r := Reader{It: it}
	id, err := strconv.ParseInt(r.Text(AttrSK), 10, 64)
	if err != nil || PartnersKey(id) != r.Key() {
		return 0, errors.New("sort key is not a partner's id")
	}
	return id, nil
}

// AccountKey returns the key of an account.
func AccountKey(id int64) Key { return Key{AccountPK(id), "ACCOUNT"} }

// PurgeKey returns the key of the item by which the reconciler finds a deleted account
// whose connections have not followed it: DynamoDB may remove the account's own item
// before they have.
func PurgeKey(id int64) Key { return Key{AccountPK(id), "PURGE"} }

// APIKeyKey returns the key of an API key: a merchant's is in the partition of the
// account, a partner's (account 0) in the partner's.
func APIKeyKey(partnerID, accountID int64, hash string) Key {
	if accountID != 0 {
		return Key{AccountPK(accountID), SkKey + hash}
	}
	return Key{PartnerPK(partnerID), SkKey + hash}
}

// ConnectionKey returns the key of a connection.
func ConnectionKey(accountID int64, id string) Key {
	return Key{AccountPK(accountID), SkConnection + id}
}

// SnapshotKey returns the key of a connection's snapshot.
func SnapshotKey(accountID int64, id string) Key { return Key{AccountPK(accountID), SkSnapshot + id} }

// NumberKey returns the key of the item that lists the holders of an account number.
func NumberKey(accountID int64, n connection.Number) Key {
	return Key{AccountPK(accountID), SkNumber + string(n.Carrier) + "#" + n.Number}
}

// WebhooksKey returns the key of the webhooks of an account, or of a partner (account 0).
// The account's is among the items that EndFollow gives an end; the partner's is outside
// of what Store.Partner reads.
func WebhooksKey(partnerID, accountID int64) Key {
	if accountID != 0 {
		return Key{AccountPK(accountID), "LIST#WEBHOOKS"}
	}
	return Key{PartnerPK(partnerID), "WEBHOOKS"}
}

// LoginKey returns the key of what is kept of an account's sign-ins. It is among the items
// that EndFollow gives an end.
func LoginKey(accountID int64) Key { return Key{AccountPK(accountID), "LOGIN"} }

// SessionsPK returns the partition of the sessions of an account.
func SessionsPK(accountID int64) string { return "LOGIN#" + number(accountID) }

// SessionKey returns the key of a session.
func SessionKey(accountID int64, hash string) Key {
	return Key{SessionsPK(accountID), SkSession + hash}
}

// TokenKey returns the key of a token.
func TokenKey(hash string) Key { return Key{"TOKEN#" + hash, "TOKEN"} }

// ThrottleKey returns the key of the latest attempts of somebody at something.
func ThrottleKey(t signin.Throttle) Key {
	return Key{"THROTTLE#" + string(t.Use) + "#" + t.Whom, "THROTTLE"}
}

// EmailKey returns the key that keeps an email unique in its environment.
func EmailKey(env carrier.Environment, emailKey string) Key {
	return Key{"EMAIL#" + string(env) + "#" + emailKey, "EMAIL"}
}

// ExternalKey returns the key that keeps an external id unique for its partner.
func ExternalKey(partnerID int64, externalID string) Key {
	return Key{"EXTERNAL#" + number(partnerID) + "#" + externalID, "EXTERNAL"}
}

// IdempotencyKey returns the key of a record. It hashes scope and key, which are long.
func IdempotencyKey(scope, idempotency string) Key {
	sum := sha256.Sum256([]byte(scope + "\x00" + idempotency))
	return Key{"IDEMPOTENCY#" + hex.EncodeToString(sum[:]), "IDEMPOTENCY"}
}

// HistoryPK returns the partition of a connection's history.
func HistoryPK(accountID int64, connectionID string) string {
	return "HISTORY#" + number(accountID) + "#" + connectionID
}

// HistorySK returns a sort key by time, then by number of the check.
func HistorySK(milli int64, n int) string { return fmt.Sprintf("%s#%08d", milliKey(milli), max(n, 0)) }

// EventsPK returns the partition of an account's events; account 0 is for those of the
// partner itself. It names the partner, so that nobody finds a foreign account's events.
func EventsPK(partnerID, accountID int64) string {
	return PartnerEventsPK(partnerID) + "#" + number(accountID)
}

// PartnerEventsPK returns the partition of by_event of all events of a partner.
func PartnerEventsPK(partnerID int64) string { return "EVENTS#" + number(partnerID) }

// webhookPrefix begins the partitions of webhooks.
const webhookPrefix = "WEBHOOK#"

// WebhookPK returns the partition of a webhook's deliveries.
func WebhookPK(ref webhook.Ref) string {
	return webhookPrefix + number(ref.PartnerID) + "#" + number(ref.AccountID) + "#" + ref.ID
}

// ParseWebhookPK reverses WebhookPK.
func ParseWebhookPK(pk string) (webhook.Ref, error) {
	text, ok := strings.CutPrefix(pk, webhookPrefix)
	parts := strings.SplitN(text, "#", 3)
	if !ok || len(parts) != 3 || parts[2] == "" {
		return webhook.Ref{}, errors.New("key is not a webhook's")
	}
	partnerID, err := strconv.ParseInt(parts[0], 10, 64)
	accountID, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || err2 != nil {
		return webhook.Ref{}, errors.New("key is not a webhook's")
	}
	return webhook.Ref{Owner: webhook.Owner{PartnerID: partnerID, AccountID: accountID}, ID: parts[2]}, nil
}

// RunsKey returns the key of what the runs of a webhook keep.
func RunsKey(ref webhook.Ref) Key { return Key{WebhookPK(ref), "STATE"} }

// PendingKey returns the key of an event that has yet to be delivered. A replay has a key
// of its own: so a repeated record of the stream does not undo it.
func PendingKey(p webhook.Pending) Key {
	return Key{WebhookPK(p.Ref), SkPending + p.EventID + "#" + milliKey(p.RequestedAt.UnixMilli())}
}

// DeliveryKey returns the key of the delivery of an event.
func DeliveryKey(ref webhook.Ref, eventID string) Key {
	return Key{WebhookPK(ref), SkDelivery + eventID}
}

// MailKey returns the key of a sent mail; with a connectionID, of the latest one about the
// state of that connection.
func MailKey(accountID int64, connectionID, id string) Key {
	if connectionID != "" {
		return Key{"MAILS#" + number(accountID), "STATE#" + connectionID}
	}
	return Key{"MAILS#" + number(accountID), "SENT#" + id}
}

// TrackingKey returns the key of the cached tracking of a number.
func TrackingKey(accountID int64, connectionID, trackingNumber string) Key {
	return Key{"TRACKING#" + number(accountID) + "#" + connectionID, trackingNumber}
}

// ParcelsPK returns the partition of an account's parcels.
func ParcelsPK(accountID int64) string { return parcelsPrefix + number(accountID) }

const parcelsPrefix = "PARCELS#"

// ParcelKey returns the key of a registered parcel.
func ParcelKey(accountID int64, name carrier.Name, trackingNumber string) Key {
	return Key{ParcelsPK(accountID), SkParcel + string(name) + "#" + trackingNumber}
}

// RoundKey returns the key of the round of a connection's parcels.
func RoundKey(accountID int64, connectionID string) Key {
	return Key{ParcelsPK(accountID), skRound + connectionID}
}

// ParcelCountKey returns the key of the number of an account's parcels. It ends with the
// account: see EndFollow.
func ParcelCountKey(accountID int64) Key { return Key{AccountPK(accountID), "LIST#PARCELS"} }

// ParcelDayKey returns the key of the number of parcels that an account has registered on
// one day (UTC).
func ParcelDayKey(accountID int64, day time.Time) Key {
	return Key{ParcelsPK(accountID), "DAY#" + day.UTC().Format(time.DateOnly)}
}

// ParseRound returns the account and the connection of a round.
func ParseRound(k Key) (accountID int64, connectionID string, err error) {
	text, ok := strings.CutPrefix(k.PK, parcelsPrefix)
	accountID, err = strconv.ParseInt(text, 10, 64)
	connectionID, round := strings.CutPrefix(k.SK, skRound)
	if !ok || err != nil || !round || connectionID == "" {
		return 0, "", errors.New("key is not a round's")
	}
	return accountID, connectionID, nil
}

// CallsKey returns the key of the latest calls of an allowance.
func CallsKey(a connection.Allowance) Key {
	return Key{"ALLOWANCE#" + string(a.Use) + "#" + number(a.AccountID) + "#" + a.CredentialID, "CALLS"}
}

// HealthPK returns the partition of a carrier's breaker and tallies.
func HealthPK(name carrier.Name) string { return "HEALTH#" + string(name) }

// BreakerKey returns the key of a carrier's breaker.
func BreakerKey(name carrier.Name) Key { return Key{HealthPK(name), "BREAKER"} }

// TallySK returns the sort key of a tally. It sorts by minute.
func TallySK(minute time.Time) string {
	return fmt.Sprintf("%s%012d", skMinute, max(minute.Unix()/60, 0))
}

// ParseTallySK reverses TallySK.
func ParseTallySK(sk string) (time.Time, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(sk, skMinute), 10, 64)
	if err != nil {
		return time.Time{}, errors.New("sort key is not a minute's")
	}
	return time.Unix(n*60, 0).UTC(), nil
}
