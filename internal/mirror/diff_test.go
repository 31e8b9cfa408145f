package mirror

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func item(key string, rev int64) *Item { return &Item{Key: key, CreateRevision: rev, ModRevision: rev} }

func items(is ...*Item) map[string]*Item {
	m := map[string]*Item{}
	for _, i := range is {
		m[i.Key] = i
	}
	return m
}

func put(key string, rev int64) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte(key), CreateRevision: rev, ModRevision: rev, Version: 1}}
}

func del(key string, rev int64) *clientv3.Event {
	return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev}}
}

// text writes an update as "revision: +created ~written<before -deleted", each with its revision.
func text(u *Update) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", u.Revision)
	for _, i := range u.Deletes {
		fmt.Fprintf(&b, " -%s%d", i.Key, i.ModRevision)
	}
	for _, p := range u.Puts {
		if p.Prev == nil {
			fmt.Fprintf(&b, " +%s%d", p.Key, p.ModRevision)
		} else {
			fmt.Fprintf(&b, " ~%s%d<%d", p.Key, p.ModRevision, p.Prev.ModRevision)
		}
	}
	if u.Resynced {
		b.WriteString(" resynced")
	}
	return b.String()
}

func TestApply(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		have    []*Item // at revision 10
		events  []*clientv3.Event
		want    string
		dropped int
	}{
		{"nothing", nil, nil, "10:", 0},
		{"create", nil, []*clientv3.Event{put("a", 11)}, "11: +a11", 0},
		{"write", []*Item{item("a", 3)}, []*clientv3.Event{put("a", 11)}, "11: ~a11<3", 0},
		{"delete", []*Item{item("a", 3)}, []*clientv3.Event{del("a", 11)}, "11: -a3", 0},
		{"delete of what was never seen", nil, []*clientv3.Event{del("a", 11)}, "11:", 0},
		{"one transaction", []*Item{item("a", 3)}, []*clientv3.Event{put("c", 12), del("a", 12), put("b", 12)}, "12: -a3 +b12 +c12", 0},
		{"commit order", nil, []*clientv3.Event{put("z", 11), put("m", 12), put("a", 13)}, "13: +z11 +m12 +a13", 0},
		{"overwritten", []*Item{item("a", 3)}, []*clientv3.Event{put("a", 11), put("a", 12)}, "12: ~a12<3", 0},
		{"came and went", nil, []*clientv3.Event{put("a", 11), del("a", 12)}, "12:", 0},
		{"went and came", []*Item{item("a", 3)}, []*clientv3.Event{del("a", 11), put("a", 12)}, "12: ~a12<3", 0},
		{"went, came and went", []*Item{item("a", 3)}, []*clientv3.Event{del("a", 11), put("a", 12), del("a", 13)}, "13: -a3", 0},
		{"old events", []*Item{item("a", 10)}, []*clientv3.Event{del("a", 9), put("b", 10), put("c", 11)}, "11: +c11", 2},
		{"old events alone", []*Item{item("a", 10)}, []*clientv3.Event{del("a", 10)}, "10:", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := state{items: items(test.have...), revision: 10}
			d, dropped := s.apply(test.events)
			if got := text(d.update(s.revision, false)); got != test.want || dropped != test.dropped {
				t.Errorf("apply = %q, %d dropped; want %q, %d", got, dropped, test.want, test.dropped)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		from, to []*Item
		want     string
	}{
		{"same", []*Item{item("a", 3)}, []*Item{item("a", 3)}, "20: resynced"},
		{"missed delete", []*Item{item("a", 3), item("b", 4)}, []*Item{item("b", 4)}, "20: -a3 resynced"},
		{"missed all kinds", []*Item{item("a", 3), item("b", 4), item("c", 5)}, []*Item{item("b", 12), item("c", 5), item("d", 11)}, "20: -a3 +d11 ~b12<4 resynced"},
		{"emptied", []*Item{item("b", 4), item("a", 3)}, nil, "20: -a3 -b4 resynced"},
		{"from nothing", nil, []*Item{item("b", 4), item("a", 5)}, "20: +b4 +a5 resynced"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := state{items: items(test.from...), revision: 10}
			d := s.replace(items(test.to...), 20)
			if got := text(d.update(s.revision, true)); got != test.want {
				t.Errorf("replace = %q, want %q", got, test.want)
			}
		})
	}
}

func TestSnapshotNeverChanges(t *testing.T) {
	t.Parallel()
	s := state{items: items(item("b", 3), item("a", 4)), revision: 4}
	before := s.snapshot()
	s.apply([]*clientv3.Event{put("c", 5), del("a", 6)})
	after := s.snapshot()
	s.replace(items(), 7)

	if got := dump(before); got != "4: a4 b3" {
		t.Errorf("the older snapshot reads %q", got)
	}
	if got := dump(after); got != "6: b3 c5" {
		t.Errorf("the newer snapshot reads %q", got)
	}
	if after.Len() != 2 || after.Get("c").ModRevision != 5 || after.Get("a") != nil {
		t.Errorf("Len = %d, Get(c) = %v, Get(a) = %v", after.Len(), after.Get("c"), after.Get("a"))
	}
	for i := range after.All() { // stops when told to
		if i.Key != "b" {
			t.Errorf("All begins with %q", i.Key)
		}
		break
	}
}

func dump(s *Snapshot) string {
	text := fmt.Sprintf("%d:", s.Revision)
	for i := range s.All() {
		text += fmt.Sprintf(" %s%d", i.Key, i.ModRevision)
	}
	return text
}

// TestFoldingIsExact holds the rule that all else stands on: however differences are folded, one that is applied to the state where
// they begin gives the state where they end, and is no larger than the two together.
func TestFoldingIsExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := state{items: map[string]*Item{}}
		told, pending := map[string]*Item{}, diff{}
		for range 60 {
			pending.merge(randomStep(r, &s))
			if len(pending) > len(told)+len(s.items) {
				t.Fatalf("seed %d: a backlog of %d for %d keys told and %d there", seed, len(pending), len(told), len(s.items))
			}
			if r.IntN(4) == 0 { // the follower comes round
				follow(t, told, pending.update(s.revision, false))
				pending = diff{}
				if !maps.EqualFunc(told, s.items, same) {
					t.Fatalf("seed %d: the follower has %v, etcd %v", seed, told, s.items)
				}
			}
		}
	}
}

// randomStep lets some revisions pass, in events or unseen, before a list.
func randomStep(r *rand.Rand, s *state) diff {
	var events []*clientv3.Event
	rev := s.revision
	for range r.IntN(4) {
		rev++
		for _, key := range r.Perm(6)[:1+r.IntN(3)] { // a transaction writes a key once at most
			if name := string(rune('a' + key)); r.IntN(2) == 0 {
				events = append(events, put(name, rev))
			} else {
				events = append(events, del(name, rev))
			}
		}
	}
	if r.IntN(3) > 0 {
		d, _ := s.apply(events)
		return d
	}
	unseen := state{items: maps.Clone(s.items), revision: s.revision}
	unseen.apply(events)
	return s.replace(unseen.items, max(rev, s.revision))
}

// follow applies an update as a consumer would, and checks what it is told of the past.
func follow(t *testing.T, told map[string]*Item, u *Update) {
	t.Helper()
	for _, i := range u.Deletes {
		if told[i.Key] != i {
			t.Fatalf("deleted %v, but was told %v", i, told[i.Key])
		}
		delete(told, i.Key)
	}
	for _, p := range u.Puts {
		if !same(told[p.Key], p.Prev) {
			t.Fatalf("put over %v, but was told %v", p.Prev, told[p.Key])
		}
		told[p.Key] = p.Item
	}
	if !slices.IsSortedFunc(u.Puts, func(a, b Put) int { return int(a.ModRevision - b.ModRevision) }) {
		t.Fatalf("puts are not in commit order: %s", text(u))
	}
}
