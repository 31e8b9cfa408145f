package mirror

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Update is a difference between two states, or, as the first of a walk, between nothing and a state.
type Update struct {
	// Revision is that of the state after it.
	Revision int64
	// Puts are the keys that were created or written, in commit order: by ModRevision, then by key.
	Puts []Put
	// Deletes are the keys that are gone, as they were, in the order of keys.
	Deletes []*Item
	// Last are the Deletes as they last were, of which the follower may not have been told: what is written just before a delete can say
	// why it comes.
	Last []*Item
	// Resynced tells that it comes from a new list, so that changes which undid each other may be missing. It is not set on the
	// first of a walk.
	Resynced bool
	// StaleSince is since when the mirror is out of step with etcd, as far as is known, zero while it is in step. Only Changes and Follow
	// tell it.
	StaleSince time.Time
	// Err is what casts doubt on it, while StaleSince is set.
	Err error
	// Folded is how many transactions were folded into this one, because the consumer was too slow. Only Changes tells it.
	Folded int
}

// Put is a key that was created or written.
type Put struct {
	*Item
	// Prev is what the follower was told of the key before; nil if nothing.
	Prev *Item
}

// change is what became of a key: old is nil where it was created, new where it was deleted. last is then what was deleted, which differs from
// old if there were changes in between.
type change struct{ old, new, last *Item }

// diff is a net difference: one change for each key, whatever happened in between.
type diff map[string]change

// add appends a change of one key. What comes back to where it began is no difference.
func (d diff) add(key string, old, new *Item) {
	c := change{old: old, new: new}
	if new == nil {
		c.last = old
	}
	d.append(key, c)
}

func (d diff) append(key string, c change) {
	if earlier, ok := d[key]; ok {
		c.old = earlier.old
	}
	if same(c.old, c.new) {
		delete(d, key)
		return
	}
	d[key] = c
}

// merge appends the changes of a later difference.
func (d diff) merge(later diff) {
	for key, c := range later {
		d.append(key, c)
	}
}

// update puts a difference into the order in which followers get it.
func (d diff) update(revision int64, resynced bool) *Update {
	u := &Update{Revision: revision, Resynced: resynced, Puts: make([]Put, 0, len(d))}
	var gone []change
	for _, c := range d {
		if c.new == nil {
			gone = append(gone, c)
		} else {
			u.Puts = append(u.Puts, Put{Item: c.new, Prev: c.old})
		}
	}
	slices.SortFunc(gone, func(a, b change) int { return strings.Compare(a.old.Key, b.old.Key) })
	for _, c := range gone {
		u.Deletes, u.Last = append(u.Deletes, c.old), append(u.Last, c.last)
	}
	slices.SortFunc(u.Puts, func(a, b Put) int {
		if a.ModRevision != b.ModRevision { // cmp.Or would compare the keys all the same
			return cmp.Compare(a.ModRevision, b.ModRevision)
		}
		return strings.Compare(a.Key, b.Key)
	})
	return u
}

// between tells how one state becomes another.
func between(from, to map[string]*Item) diff {
	d := make(diff, max(0, len(to)-len(from))) // mostly from is empty, or much the same
	for key, item := range from {
		if to[key] == nil {
			d.add(key, item, nil)
		}
	}
	for key, item := range to {
		d.add(key, from[key], item)
	}
	return d
}

// same compares by revision: no key is written twice at one.
func same(a, b *Item) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ModRevision == b.ModRevision
}
