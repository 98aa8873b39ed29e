package storetest

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"carrierlink/shared/connection"
)

// dueIndex finds what is due without a look at what is not. Its queues hold
// entries that are no longer current too: they are dropped when their turn comes.
type dueIndex struct {
	queues  map[string]*dueQueue // by lane, and repairs
	current map[connectionID]*dueEntry
	lag     int         // how many changes it is behind
	pending []dueChange // those changes, the oldest first
}

// dueChange puts an entry in the place of the one of the same id, or, without an
// entry, takes that one away.
type dueChange struct {
	id    connectionID
	entry *dueEntry
}

// repairs is the queue of what a crash may leave unfinished.
const repairs = "repairs"

// dueEntry is a connection, or an account whose id names no connection.
type dueEntry struct {
	queue      string
	id         connectionID
	at         time.Time
	credential string
	partner    int64
}

func (d *dueIndex) set(e dueEntry) { d.change(dueChange{e.id, &e}) }

func (d *dueIndex) remove(id connectionID) { d.change(dueChange{id: id}) }

// change makes the oldest changes that are more than the lag behind.
func (d *dueIndex) change(c ...dueChange) {
	d.pending = append(d.pending, c...)
	for len(d.pending) > d.lag {
		d.apply(d.pending[0])
		d.pending = d.pending[1:]
	}
}

func (d *dueIndex) apply(c dueChange) {
	old := d.current[c.id]
	if c.entry == nil {
		delete(d.current, c.id)
		return
	}
	if old != nil && *old == *c.entry {
		return
	}
	d.current[c.id] = c.entry
	q := d.queues[c.entry.queue]
	if q == nil {
		q = &dueQueue{}
		d.queues[c.entry.queue] = q
	}
	heap.Push(q, c.entry)
}

// LagDue makes Due and Unfinished answer from now on as they would have some
// changes of the index ago: a global secondary index of DynamoDB is behind its
// table, too. 0 brings it up to date.
func (m *Memory) LagDue(changes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due.lag = changes
	m.due.change()
}

// until is the first entries of a queue up to a time, in order.
func (d *dueIndex) until(queue string, now time.Time, limit int) []dueEntry {
	q := d.queues[queue]
	if q == nil {
		return nil
	}
	var found []dueEntry
	for len(*q) > 0 && len(found) < limit && !(*q)[0].at.After(milli(now)) {
		if e, ok := heap.Pop(q).(*dueEntry); ok && d.current[e.id] == e {
			found = append(found, *e)
		}
	}
	for _, e := range found {
		heap.Push(q, d.current[e.id])
	}
	return found
}

// dueQueue is a heap.Interface.
type dueQueue []*dueEntry

func (q dueQueue) Len() int { return len(q) }

func (q dueQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.credential, b.credential), cmp.Compare(a.id.id, b.id.id)) < 0
}

func (q dueQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is heap.Push's.
func (q *dueQueue) Push(x any) {
	if e, ok := x.(*dueEntry); ok {
		*q = append(*q, e)
	}
}

// Pop is heap.Pop's.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

// Due is store.Store's.
func (m *Memory) Due(ctx context.Context, lane connection.Lane, now time.Time, limit int) (due []connection.Due, malformed int, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("finding due connections: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.due.until(string(lane), now, limit) {
		due = append(due, connection.Due{AccountID: e.id.account, ConnectionID: e.id.id, CredentialID: e.credential, PartnerID: e.partner, DueAt: e.at})
	}
	return due, 0, nil
}

// Unfinished is store.Store's.
func (m *Memory) Unfinished(ctx context.Context, now time.Time, limit int) (found []connection.Unfinished, malformed int, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("finding unfinished work: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.due.until(repairs, now, limit) {
		found = append(found, connection.Unfinished{AccountID: e.id.account, ConnectionID: e.id.id})
	}
	return found, 0, nil
}

// Expire removes what has an end that is over, as DynamoDB does some time after.
// What the reconciler has to come back to has none.
func (m *Memory) Expire(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, a := range m.accounts {
		if a.Purged(now) {
			delete(m.accounts, id)
		}
	}
	for id, c := range m.connections {
		if over(c.PurgeAt, now) {
			delete(m.connections, id)
			delete(m.snapshots, id)
			m.due.remove(id)
			m.owned[id.account] = slices.DeleteFunc(m.owned[id.account], func(other string) bool { return other == id.id })
		}
	}
	for n, end := range m.numberEnds {
		if over(end, now) {
			delete(m.numbers, n)
			delete(m.numberEnds, n)
		}
	}
}

// Left lists what there is of an account: itself, its connections, snapshots and
// numbers.
func (m *Memory) Left(accountID int64) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []string
	if _, ok := m.accounts[accountID]; ok {
		left = append(left, "account")
	}
	for id := range m.connections {
		if id.account == accountID {
			left = append(left, "connection "+id.id)
		}
	}
	for id := range m.snapshots {
		if id.account == accountID {
			left = append(left, "snapshot "+id.id)
		}
	}
	for n := range m.numbers {
		if n.account == accountID {
			left = append(left, "number "+n.number.Number)
		}
	}
	slices.Sort(left)
	return left
}
