// Package dynamotest is DynamoDB in memory, at the level of its API, for unit
// tests of the store and of whoever uses one: store.New over a Table is a store.
//
// It knows the calls, the types and the part of the expression language that the store
// uses, and answers them as DynamoDB documents; anything else is a ValidationException.
// A test compares it with DynamoDB Local. On demand it does what no emulator does: an
// index lags, calls are throttled or collide, batches and pages are cut short, and
// answers are lost.
package dynamotest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Name is the name of the table.
const Name = "dynamotest"

// Item is an item as the SDK has it.
type Item = map[string]types.AttributeValue

// Key is the primary key of an item.
type Key struct{ PK, SK string }

// Table is a table with the keys and indexes of template.yaml. It is safe for
// concurrent use; calls take effect one after another. It shares no memory with its
// callers except scalar values, which must not be changed in place.
type Table struct {
	// Trouble, if set, is called before each call and tells what goes wrong with it. Set
	// it before the first call; it may be called by several goroutines at once.
	Trouble func(operation string, input any) Trouble

	mu      sync.Mutex
	items   view
	indexes []*view
	lag     int
	// The transactions by token: DynamoDB knows a token for ten minutes, the table for
	// the next thousand transactions at least.
	recent, older map[string][]types.TransactWriteItem
}

// Trouble is what goes wrong with a call; the zero value is nothing.
type Trouble struct {
	// Err is the answer to a call that does nothing.
	Err error
	// Lost is the answer to a call that does its work all the same.
	Lost error
	// Left is how many of the last items of a batch are left unprocessed, or of a page
	// for the next one. A page keeps at least one item.
	Left int
}

// The attributes of keys; expires_at is the table's TTL attribute.
const (
	attrPK  = "pk"
	attrSK  = "sk"
	attrTTL = "expires_at"
)

// listed are the attributes that the indexes of accounts have beside the keys.
var listed = []string{ // never changes
	"account_id", "partner_id", "environment", "external_account_id", "email", "company_name", "first_name", "last_name",
	"origin_country_code", "metadata", "active", "carriers_count", "created_at", "modified_at", "expires_at", "version",
}

// New makes an empty table.
func New() *Table {
	index := func(name, pk, sk string, attributes []string) *view {
		attributes = append([]string{attrPK, attrSK, pk, sk}, attributes...)
		return &view{name: name, pk: pk, sk: sk, attributes: attributes, entries: map[Key]*entry{}, partitions: map[string][]*entry{}}
	}
	events := index("by_event", "event_pk", attrSK, nil)
	events.attributes = nil
	return &Table{
		items: view{pk: attrPK, sk: attrSK, entries: map[Key]*entry{}, partitions: map[string][]*entry{}},
		indexes: []*view{
			index("by_partner", "partner_pk", "created_key", listed),
			index("by_active", "active_pk", "created_key", listed),
			index("by_due", "due_pk", "due_key", nil),
			events,
		},
		recent: map[string][]types.TransactWriteItem{},
	}
}

// Lag keeps each index this many of its changes behind the table from now on: a change
// is seen when as many others have come after it. At first the lag is zero.
func (t *Table) Lag(changes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = changes
	for _, v := range t.indexes {
		v.catchUp(t.lag)
	}
}

// Expire removes the items whose TTL has passed, as DynamoDB does some time later.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, e := range t.items.entries {
		if n, ok := e.item[attrTTL].(*types.AttributeValueMemberN); ok {
			if end, err := strconv.ParseInt(n.Value, 10, 64); err == nil && end <= now.Unix() {
				t.put(k, nil)
			}
		}
	}
}

// Items are all items, in the order of their keys.
func (t *Table) Items() []Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(t.items.entries), compareKeys)
	items := make([]Item, len(keys))
	for i, k := range keys {
		items[i] = private(t.items.entries[k].item)
	}
	return items
}

// Keys are the sort keys of a partition, in order.
func (t *Table) Keys(pk string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []string
	for _, e := range t.items.partitions[pk] {
		keys = append(keys, e.key.SK)
	}
	return keys
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK))
}

// get is the item under a key, nil if there is none. It must not be changed.
func (t *Table) get(k Key) Item {
	if e := t.items.entries[k]; e != nil {
		return e.item
	}
	return nil
}

// put stores an item under a key (nil: deletes it), here and in the indexes.
func (t *Table) put(k Key, it Item) {
	if e := t.items.entries[k]; e != nil && it != nil {
		e.item, e.size = it, sizeOf(it)
	} else {
		t.items.change(k, t.items.entryOf(k, it))
	}
	for _, v := range t.indexes {
		v.follow(k, it, t.lag)
	}
}

// view is the table itself or an index.
type view struct {
	name       string   // empty for the table itself
	pk, sk     string   // the attributes of its keys
	attributes []string // that an index has, keys included; nil: all
	entries    map[Key]*entry
	partitions map[string][]*entry // in order
	latest     map[Key]*entry      // with the pending changes
	pending    []change            // the oldest first
}

// entry is an item in a view. Its place never changes.
type entry struct {
	partition, sort string
	key             Key
	item            Item
	size            int
}

// change is the new entry of a key, nil for none.
type change struct {
	key   Key
	entry *entry
}

// entryOf is the entry of an item, nil if the view does not have the item.
func (v *view) entryOf(k Key, it Item) *entry {
	if it == nil {
		return nil
	}
	if v.name == "" {
		return &entry{k.PK, k.SK, k, it, sizeOf(it)}
	}
	partition, ok := it[v.pk].(*types.AttributeValueMemberS)
	sort, also := it[v.sk].(*types.AttributeValueMemberS)
	if !ok || !also {
		return nil
	}
	if v.attributes == nil {
		return &entry{partition.Value, sort.Value, k, it, sizeOf(it)}
	}
	projected := make(Item, len(v.attributes))
	for _, attr := range v.attributes {
		if value, ok := it[attr]; ok {
			projected[attr] = value
		}
	}
	return &entry{partition.Value, sort.Value, k, projected, sizeOf(projected)}
}

// follow brings the change of an item into an index that lags this many changes.
func (v *view) follow(k Key, it Item, lag int) {
	old, known := v.latest[k]
	if !known {
		old = v.entries[k]
	}
	if old == nil && it[v.pk] == nil || old != nil && v.has(old, it) {
		return
	}
	e := v.entryOf(k, it)
	if old == nil && e == nil {
		return
	}
	if lag == 0 {
		v.change(k, e)
		return
	}
	if v.latest == nil {
		v.latest = map[Key]*entry{}
	}
	v.latest[k] = e
	v.pending = append(v.pending, change{k, e})
	v.catchUp(lag)
}

// has tells whether an entry shows an item as it is.
func (v *view) has(e *entry, it Item) bool {
	if it == nil {
		return false
	}
	attributes := slices.Values(v.attributes)
	if v.attributes == nil {
		if len(e.item) != len(it) {
			return false
		}
		attributes = maps.Keys(it)
	}
	for attr := range attributes {
		if was, is := e.item[attr], it[attr]; was == nil != (is == nil) || was != nil && !sameValue(was, is) {
			return false
		}
	}
	return true
}

// catchUp makes the pending changes, except the last ones that the lag holds back.
func (v *view) catchUp(lag int) {
	for len(v.pending) > lag {
		v.change(v.pending[0].key, v.pending[0].entry)
		v.pending = v.pending[1:]
	}
	if len(v.pending) == 0 {
		v.latest, v.pending = nil, nil
	}
}

func (v *view) change(k Key, e *entry) {
	old := v.entries[k]
	if old != nil && e != nil && old.partition == e.partition && old.sort == e.sort {
		old.item, old.size = e.item, e.size
		return
	}
	if old != nil {
		delete(v.entries, k)
		p := v.partitions[old.partition]
		i, _ := slices.BinarySearchFunc(p, old, compareEntries)
		v.partitions[old.partition] = slices.Delete(p, i, i+1)
	}
	if e != nil {
		v.entries[k] = e
		p := v.partitions[e.partition]
		i, _ := slices.BinarySearchFunc(p, e, compareEntries)
		v.partitions[e.partition] = slices.Insert(p, i, e)
	}
}

func compareEntries(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.sort, b.sort), compareKeys(a.key, b.key))
}
