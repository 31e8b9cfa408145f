package discovery

import (
	"context"
	"iter"
)

// Change is a step from one snapshot to the next. The lists are about Snapshot.Instances, in the order of IDs: who is draining from now on is Removed.
// All of them are empty where something else has changed, as when the view falls out of step with etcd.
type Change struct {
	Snapshot *Snapshot
	Added    []Instance
	Updated  []Instance // as they are now
	Removed  []Instance // as they were
}

// Changes walks from what is there, which is the first pair with all of it as Added, to each change. A walk that is slow sees several changes as one.
// The last pair is nil and an error: the cause of ctx's end, ErrClosed, or why the service cannot be followed any more. Ranging again starts anew.
func (v *View) Changes(ctx context.Context) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		var last *Snapshot
		for {
			now, err := v.await(ctx, last)
			if err != nil {
				yield(nil, wrap(v.service, err))
				return
			}
			if !yield(newChange(last, now), nil) {
				return
			}
			last = now
		}
	}
}

func newChange(last, now *Snapshot) *Change {
	c := &Change{Snapshot: now}
	var before list
	if last != nil {
		before = list{last.Instances, last.mods}
	}
	add := func(to *[]Instance) func(*Instance) { return func(i *Instance) { *to = append(*to, *i) } }
	compare(before, list{now.Instances, now.mods}, add(&c.Added), add(&c.Updated), add(&c.Removed))
	return c
}
