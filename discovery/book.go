package discovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// book is what is known of a service: pure, so that it is tested without an etcd.
type book struct {
	byDefault time.Duration        // the TTL of records that do not tell theirs
	entries   map[string]*entry    // by ID; an entry is never changed
	skipped   map[string]bool      // keys that are no instance
	lost      []*entry             // who vanished within a TTL, and is not kept
	held      map[string]*entry    // who is kept on probation, of the entries
	until     map[string]time.Time // for how long
	shared    bool                 // a snapshot has until: it is copied before it is changed
	lists     map[state]list       // of the entries; leaving is among draining
	edits     map[string]*entry    // what the lists were not told yet
	revision  int64
	since     time.Time // when it was last known to be true; zero while it is
	why       error     // why it is not
}

// entry is one instance.
type entry struct {
	Instance
	state state
	ttl   time.Duration
	mod   int64     // the revision in which it was written
	gone  time.Time // when it vanished; zero if it did not
}

func newBook(ttl time.Duration) book {
	return book{
		byDefault: ttl, entries: map[string]*entry{}, skipped: map[string]bool{}, held: map[string]*entry{}, lists: map[state]list{},
		edits: map[string]*entry{}, until: map[string]time.Time{},
	}
}

// put enters an instance.
func (b *book) put(e *entry) {
	b.entries[e.ID], b.edits[e.ID] = e, e
	b.release(e.ID)
	b.lost = slices.DeleteFunc(b.lost, func(l *entry) bool { return l.ID == e.ID }) // it is back
}

// drop takes an instance out.
func (b *book) drop(id string) {
	delete(b.entries, id)
	b.edits[id] = nil
	b.release(id)
}

// release ends the probation of an instance.
func (b *book) release(id string) {
	if b.held[id] == nil {
		return
	}
	delete(b.held, id)
	b.own()
	delete(b.until, id)
}

// vanish takes out an instance whose key is gone without a word.
func (b *book) vanish(id string, now time.Time) {
	e := b.entries[id]
	if e == nil || !e.gone.IsZero() {
		return
	}
	b.drop(id)
	if e.state == serving { // of the others nobody expects anything
		gone := *e
		gone.gone = now
		b.lost = append(b.lost, &gone)
	}
}

// fewest is the size from which a service can have a mass loss: with fewer it is no sign of anything that most of them are gone.
const fewest = 4

// judge decides about those who vanished: if they are more than half of all, they are kept on probation, for two TTLs. It returns how many
// are kept now that were not before.
func (b *book) judge(now time.Time) (kept int) {
	b.lost = slices.DeleteFunc(b.lost, func(e *entry) bool { return now.Sub(e.gone) > e.ttl })
	if len(b.lost) == 0 {
		return 0
	}
	recent := len(b.lost)
	for _, e := range b.held {
		if now.Sub(e.gone) <= e.ttl {
			recent++
		}
	}
	all := len(b.lost)
	for _, e := range b.entries {
		if e.state == serving {
			all++
		}
	}
	if all < fewest || 2*recent <= all {
		return 0
	}
	for _, e := range b.lost {
		b.hold(e, now.Add(2*e.ttl))
	}
	kept, b.lost = len(b.lost), nil
	return kept
}

// hold keeps an instance on probation.
func (b *book) hold(e *entry, until time.Time) {
	b.entries[e.ID], b.edits[e.ID], b.held[e.ID] = e, e, e
	b.own()
	b.until[e.ID] = until
}

// own makes the probation one that may be changed.
func (b *book) own() {
	if b.shared {
		b.until, b.shared = maps.Clone(b.until), false
	}
}

// expire ends each probation that is over. While the view is stale none is: who comes back could not be seen. It returns who is out, and when to
// look again, zero if there is no need.
func (b *book) expire(now time.Time) (out []string, next time.Time) {
	if !b.since.IsZero() {
		return nil, time.Time{}
	}
	for id, until := range b.until {
		switch {
		case !until.After(now):
			out = append(out, id)
		case next.IsZero() || until.Before(next):
			next = until
		}
	}
	for _, id := range out {
		b.drop(id)
	}
	return out, next
}

// turn takes note of whether all this is known to be true. Who is on probation gets the time to come back after an outage.
func (b *book) turn(since time.Time, why error, now time.Time) {
	again := since.IsZero() && !b.since.IsZero()
	b.since, b.why = since, why
	if !again || len(b.until) == 0 {
		return
	}
	b.own()
	for id, until := range b.until {
		if least := now.Add(b.held[id].ttl); least.After(until) {
			b.until[id] = least
		}
	}
}

// snapshot returns what the book says.
func (b *book) snapshot() *Snapshot {
	b.update()
	b.shared = true
	s := &Snapshot{
		Instances: b.lists[serving].insts, mods: b.lists[serving].mods, Draining: b.lists[draining].insts, Unhealthy: b.lists[unhealthy].insts,
		Probation: b.until, Revision: b.revision, StaleSince: b.since, Skipped: len(b.skipped), Err: b.why,
	}
	if len(s.Probation) > 0 {
		s.Err = cmp.Or(s.Err, ErrMassLoss)
	}
	return s
}

// update brings the lists up to the entries.
func (b *book) update() {
	if len(b.edits) == 0 {
		return
	}
	all := make([]edit, 0, len(b.edits))
	for id, e := range b.edits {
		all = append(all, edit{id, e})
	}
	slices.SortFunc(all, func(a, b edit) int { return strings.Compare(a.id, b.id) })
	mine := make([]edit, len(all))
	for _, s := range []state{serving, draining, unhealthy} {
		for i, e := range all {
			mine[i] = edit{id: e.id}
			if e.to != nil && e.to.list() == s {
				mine[i].to = e.to
			}
		}
		b.lists[s] = b.lists[s].apply(mine)
	}
	clear(b.edits)
}

// list is the list in which an entry is.
func (e *entry) list() state {
	if e.state == leaving {
		return draining
	}
	return e.state
}
