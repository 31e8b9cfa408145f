package config

import (
	"context"
	"iter"
	"reflect"
	"sync/atomic"
	"time"

	"etcdkit/session"
)

// Value is a T that follows etcd. It is safe for concurrent use. What it hands out is shared by all who read it: maps, slices and what
// pointers lead to must not be changed.
type Value[T any] struct {
	current atomic.Pointer[T]
	f       *follower
}

// Watch reads the value of that name once, and follows it from then on. Where nothing stands in etcd the value is def, and where etcd
// tells a part, def has the rest. A def that Validate refuses cannot be the value: then something must stand in etcd. If etcd cannot be asked before ctx ends, Watch returns the last good value (WithLastGood) marked as
// stale, or an error: never defaults in silence. If what stands in etcd cannot be used, it returns the last good value too, or
// a *RefusedError.
func Watch[T any](ctx context.Context, s *session.Session, name string, def T, opts ...Option) (*Value[T], error) {
	o := newOptions(opts)
	v := new(Value[T])
	v.f = newFollower(s.Hub(), name, o, newDecoder(reflect.ValueOf(&def).Elem(), o))
	v.f.publish = func(p any) { v.current.Store(p.(*T)) }
	if err := v.f.start(ctx); err != nil {
		return nil, wrap(name, err)
	}
	return v, nil
}

// Fixed returns a value that never changes, for tests of what reads one.
func Fixed[T any](v T) *Value[T] {
	fixed := &Value[T]{f: newFixed(&v)}
	fixed.current.Store(&v)
	return fixed
}

// Get returns the value, at the cost of a load and a copy.
func (v *Value[T]) Get() T { return *v.current.Load() }

// Snapshot returns the value together with its revision, how fresh it is, and what is wrong.
func (v *Value[T]) Snapshot() Snapshot[T] {
	now, stale, end := v.f.snapshot()
	return Snapshot[T]{Value: *now.value.(*T), Revision: now.revision, Stale: stale, Refused: now.err(), Deleted: now.deleted, Err: end}
}

// Changes walks from the current value, which is the first pair, to each new one, to each update that was refused, and to the moments when
// etcd falls out of reach and is in reach again (Change.StaleSince; within some 13 seconds with session.ClientConfig). A walk that is
// slow sees several steps as one. The last pair is nil and an error: the cause of ctx's end, ErrClosed, or why the value cannot
// be followed any more. Ranging again starts anew.
func (v *Value[T]) Changes(ctx context.Context) iter.Seq2[*Change[T], error] {
	return func(yield func(*Change[T], error) bool) {
		var last *view
		for {
			now, err := v.f.await(ctx, last)
			if err != nil {
				yield(nil, v.f.wrap(err))
				return
			}
			if !yield(newChange[T](last, now), nil) {
				return
			}
			last = now
		}
	}
}

// Stale returns zero while the value is in step with etcd, as far as is known, else for how long that is not proven.
func (v *Value[T]) Stale() time.Duration { return v.f.stale() }

// Close ends the following. Get goes on returning what it did. The error is that of a last good file that could not be written.
func (v *Value[T]) Close() error { return v.f.close() }
