package mirror

import (
	"iter"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Item is a key as it was last written. It is shared by all who read the mirror: nobody may change it.
type Item struct {
	Key            string
	Value          []byte
	CreateRevision int64
	ModRevision    int64
	Version        int64
	Lease          clientv3.LeaseID
}

func newItem(kv *mvccpb.KeyValue) *Item {
	return &Item{
		Key:            string(kv.Key),
		Value:          kv.Value,
		CreateRevision: kv.CreateRevision,
		ModRevision:    kv.ModRevision,
		Version:        kv.Version,
		Lease:          clientv3.LeaseID(kv.Lease),
	}
}

// Snapshot is what stood below the prefix at one revision. It never changes.
type Snapshot struct {
	// Revision is that of the last change that the mirror knew of. Later changes elsewhere in etcd do not count.
	Revision int64
	items    map[string]*Item
}

// Get returns the item of a key, nil if there is none.
func (s *Snapshot) Get(key string) *Item { return s.items[key] }

// Len returns the number of items.
func (s *Snapshot) Len() int { return len(s.items) }

// All walks the items in the order of their keys.
func (s *Snapshot) All() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.items)) {
			if !yield(s.items[key]) {
				return
			}
		}
	}
}
