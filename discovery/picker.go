package discovery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// A Picker chooses the instance for one request: RoundRobin, Weighted, LeastLoaded, ConsistentHash, ZoneFirst, Ejection, or one of your own.
// One Picker serves one View, from any number of goroutines.
type Picker interface {
	// Pick chooses one of s.Instances, which is not empty, and must not be changed. done is never nil where err is, and is called once, with
	// the outcome. The same *Snapshot comes until something changes, so that what was computed from it can be kept.
	Pick(s *Snapshot) (inst *Instance, done func(error), err error)
}

// weightOf is the weight that counts: what a broken record says must neither starve the others nor overflow a sum.
func weightOf(inst *Instance) uint64 {
	return uint64(min(max(inst.Weight, 1), maxWeight))
}

// canceled tells whether the caller gave up, which says nothing about the instance.
func canceled(err error) bool { return errors.Is(err, context.Canceled) }

// release takes one from what is in flight. Who calls done twice must not make an instance look idle for ever.
func release(inFlight *atomic.Int64) bool {
	if inFlight.Add(-1) < 0 {
		inFlight.Add(1)
		return false
	}
	return true
}

// kept has what a picker computed from the last few snapshots. Several are in use at the same time while a new one spreads through the
// goroutines, and where a picker within another gets parts of each.
type kept[T any] struct {
	mu   sync.Mutex // protects the making of a value, and list against two writers
	list atomic.Pointer[[4]keptValue[T]]
}

type keptValue[T any] struct {
	of    *Snapshot // which is held, so that no other one can have its address
	value *T
}

// find returns the value that was made of a snapshot, or nil.
func (k *kept[T]) find(s *Snapshot) *T {
	if list := k.list.Load(); list != nil {
		for i := range list {
			if list[i].of == s {
				return list[i].value
			}
		}
	}
	return nil
}

// add returns the value of a snapshot that find did not know, in place of the oldest one. build runs under the lock, alone; it gets all
// values that are kept on, newest first.
func (k *kept[T]) add(s *Snapshot, build func(s *Snapshot, older []keptValue[T]) *T) *T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if value := k.find(s); value != nil {
		return value // another goroutine was first
	}
	var next [4]keptValue[T]
	if list := k.list.Load(); list != nil {
		copy(next[1:], list[:])
	}
	older := next[1:]
	for len(older) > 0 && older[len(older)-1].of == nil {
		older = older[:len(older)-1]
	}
	next[0] = keptValue[T]{of: s, value: build(s, older)}
	k.list.Store(&next)
	return next[0].value
}

// forget drops all values.
func (k *kept[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list.Store(nil)
}

// part returns a snapshot of some of the instances.
func (s *Snapshot) part(instances []Instance) *Snapshot {
	part := *s
	part.Instances = instances
	return &part
}
