package mirror

import (
	"maps"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// state is what stands below the prefix at a revision.
type state struct {
	items    map[string]*Item
	revision int64 // of the list, or of the last event since
	shared   bool  // a Snapshot has the map: it is copied before it is changed
}

// apply brings the events of a watch response in, which holds whole transactions only. It returns the difference, and how many
// events were of a revision that is in already.
func (s *state) apply(events []*clientv3.Event) (d diff, dropped int) {
	d = diff{}
	base := s.revision
	for _, ev := range events {
		if ev.Kv.ModRevision <= base {
			dropped++
			continue
		}
		s.revision = ev.Kv.ModRevision
		s.set(d, ev)
	}
	return d, dropped
}

func (s *state) set(d diff, ev *clientv3.Event) {
	if s.shared {
		s.items, s.shared = maps.Clone(s.items), false
	}
	key := string(ev.Kv.Key)
	old := s.items[key]
	if ev.Type == clientv3.EventTypeDelete {
		delete(s.items, key)
		d.add(key, old, nil)
		return
	}
	item := newItem(ev.Kv)
	s.items[key] = item
	d.add(key, old, item)
}

// replace puts a new list in the place of the state, and returns the difference.
func (s *state) replace(items map[string]*Item, revision int64) diff {
	d := between(s.items, items)
	s.items, s.revision, s.shared = items, revision, false
	return d
}

// snapshot costs nothing now, and one copy of the map when the state next changes.
func (s *state) snapshot() *Snapshot {
	s.shared = true
	return &Snapshot{Revision: s.revision, items: s.items}
}
