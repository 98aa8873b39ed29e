// Package dynamotest is DynamoDB in memory, at the level of its API, for unit
// tests of the store and of whoever uses one: store.New over a Table is a store.
//
// It knows the calls and the part of the expression language that the store uses,
// and holds to what DynamoDB documents of them; what it does not know is a
// ValidationException. A test holds it against DynamoDB Local. What an emulator
// never does, it does when it is told to: an index that is behind, throttling,
// collisions, batches and pages that are cut short, answers that are lost.
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
// concurrent use; calls take effect one after the other. It shares no memory with
// its callers but for scalar values, which nobody changes in place.
type Table struct {
	// Trouble, if set, is asked before each call what goes wrong with it. It is
	// set before the first call, and may be called by several goroutines at once.
	Trouble func(operation string, input any) Trouble

	mu      sync.Mutex
	items   view
	indexes []*view
	lag     int
	tokens  map[string]int // where each is in recent
	recent  []request      // a ring
	next    int
}

// Trouble is what goes wrong with a call; the zero value is nothing.
type Trouble struct {
	// Err is the answer to a call of which nothing is done.
	Err error
	// Lost is the answer to a call that is done all the same.
	Lost error
	// Left is how many of a batch are left for another call (the last ones), or of
	// a page for the next one, which has at least one then.
	Left int
}

// The attributes of keys; expires_at is the table's TTL attribute.
const (
	attrPK  = "pk"
	attrSK  = "sk"
	attrTTL = "expires_at"
)

// listed is what the indexes of accounts have beside the keys.
var listed = []string{ // never changes
	"account_id", "partner_id", "environment", "external_account_id", "email", "company_name", "first_name", "last_name",
	"origin_country_code", "metadata", "active", "carriers_count", "created_at", "modified_at", "expires_at", "version",
}

// New makes an empty table.
func New() *Table {
	index := func(name, pk, sk string, attributes []string) *view {
		attributes = append([]string{attrPK, attrSK, pk, sk}, attributes...)
		return &view{name: name, pk: pk, sk: sk, attributes: attributes, entries: map[Key]*entry{}, partitions: map[string]*sorted{}}
	}
	return &Table{
		items: view{pk: attrPK, sk: attrSK, entries: map[Key]*entry{}, partitions: map[string]*sorted{}},
		indexes: []*view{
			index("by_partner", "partner_pk", "created_key", listed),
			index("by_active", "active_pk", "created_key", listed),
			index("by_due", "due_pk", "due_key", nil),
		},
		tokens: map[string]int{},
	}
}

// Lag keeps the indexes so many changes behind the table from now on, each by
// itself: entries appear, change and vanish when as many others have come after
// them. Without a lag, as at first, an index has what the table has.
func (t *Table) Lag(changes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = changes
	for _, v := range t.indexes {
		v.catchUp(t.lag)
	}
}

// Expire removes the items whose TTL is over, as DynamoDB does some time after.
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
	if p := t.items.partitions[pk]; p != nil {
		for _, block := range p.blocks {
			for _, e := range block {
				keys = append(keys, e.key.SK)
			}
		}
	}
	return keys
}

func compareKeys(a, b Key) int {
	if order := cmp.Compare(a.PK, b.PK); order != 0 {
		return order
	}
	return cmp.Compare(a.SK, b.SK)
}

// get is the item under a key, nil if there is none. Nobody changes it.
func (t *Table) get(k Key) Item {
	if e := t.items.entries[k]; e != nil {
		return e.item
	}
	return nil
}

// put makes this the item under the key, nil for none, here and in the indexes.
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

// view is the table itself, or an index.
type view struct {
	name       string
	pk, sk     string   // the attributes of its keys
	attributes []string // that an index has, keys included; nil: all
	entries    map[Key]*entry
	partitions map[string]*sorted
	latest     map[Key]*entry // with what is pending: an index that is behind
	pending    []change       // the oldest first
}

// entry is an item in a view. Its place never changes.
type entry struct {
	partition, sort string
	key             Key
	item            Item
	size            int
}

// change makes this the entry of a key, nil for none.
type change struct {
	key   Key
	entry *entry
}

// entryOf is an item as the view has it, nil if it does not.
func (v *view) entryOf(k Key, it Item) *entry {
	if it == nil {
		return nil
	}
	if v.attributes == nil {
		return &entry{k.PK, k.SK, k, it, sizeOf(it)}
	}
	partition, ok := it[v.pk].(*types.AttributeValueMemberS)
	sort, also := it[v.sk].(*types.AttributeValueMemberS)
	if !ok || !also {
		return nil
	}
	projected := make(Item, len(v.attributes))
	for _, attr := range v.attributes {
		if value, ok := it[attr]; ok {
			projected[attr] = value
		}
	}
	return &entry{partition.Value, sort.Value, k, projected, sizeOf(projected)}
}

// follow notes what became of an item in an index that is so many changes behind.
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

// has tells whether an entry is what the index has of an item.
func (v *view) has(e *entry, it Item) bool {
	if it == nil {
		return false
	}
	for _, attr := range v.attributes {
		if was, is := e.item[attr], it[attr]; was == nil != (is == nil) || was != nil && !sameValue(was, is) {
			return false
		}
	}
	return true
}

// catchUp makes the oldest changes that are more than the lag behind.
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
		v.partitions[old.partition].remove(old)
	}
	if e == nil {
		return
	}
	v.entries[k] = e
	p := v.partitions[e.partition]
	if p == nil {
		p = &sorted{}
		v.partitions[e.partition] = p
	}
	p.insert(e)
}

// sorted is entries in order, in blocks: what comes or goes moves the others of
// its block alone.
type sorted struct{ blocks [][]*entry }

const block = 256

func compareEntries(a, b *entry) int {
	if order := cmp.Compare(a.sort, b.sort); order != 0 {
		return order
	}
	return compareKeys(a.key, b.key)
}

// first is where the first entry is of which something is true that is true of
// all after it: after the last one if there is none.
func (s *sorted) first(is func(*entry) bool) (b, i int) {
	b = search(s.blocks, func(block []*entry) bool { return is(block[len(block)-1]) })
	if b == len(s.blocks) {
		return b, 0
	}
	return b, search(s.blocks[b], is)
}

func search[T any](s []T, is func(T) bool) int {
	i, _ := slices.BinarySearchFunc(s, struct{}{}, func(v T, _ struct{}) int {
		if is(v) {
			return 1
		}
		return -1
	})
	return i
}

func (s *sorted) place(e *entry) (b, i int) {
	return s.first(func(other *entry) bool { return compareEntries(other, e) >= 0 })
}

func (s *sorted) insert(e *entry) {
	b, i := s.place(e)
	if b == len(s.blocks) {
		if b == 0 {
			s.blocks = [][]*entry{{e}}
			return
		}
		b--
		i = len(s.blocks[b])
	}
	s.blocks[b] = slices.Insert(s.blocks[b], i, e)
	if all := s.blocks[b]; len(all) > block {
		// What comes in order fills its blocks.
		half := block / 2
		if i == block {
			half = block
		}
		s.blocks[b] = slices.Clip(all[:half])
		s.blocks = slices.Insert(s.blocks, b+1, slices.Clone(all[half:]))
	}
}

func (s *sorted) remove(e *entry) {
	b, i := s.place(e)
	if s.blocks[b] = slices.Delete(s.blocks[b], i, i+1); len(s.blocks[b]) == 0 {
		s.blocks = slices.Delete(s.blocks, b, b+1)
	}
}
