package config

import (
	"reflect"
	"time"
)

// Snapshot is a value and how it stands with it.
type Snapshot[T any] struct {
	Value    T
	Revision int64         // in which it was written, or was seen to be gone; zero for a default that etcd never had
	Stale    time.Duration // for how long it is not proven that this is what stands in etcd; zero while it is in step
	Refused  error         // a *RefusedError while what stands in etcd cannot be used; Value is what was last good
	Deleted  bool          // it was there and is gone; Value is what was last good, or the default again (WithDeleteResets; if that is not valid, Refused says so)
	Err      error         // why the value is not followed any more; nil while it is
}

// Change is a step from one value to the next, or to another standing of the same: refused, deleted, stale, or in step again.
type Change[T any] struct {
	Old, New   T         // the same on the first of a walk, and where nothing was accepted
	Revision   int64     // of the newest update, accepted or not
	Fields     []string  // the paths of what differs, such as "http.timeout"; "" is the whole of a value without fields; none if nothing does
	Refused    error     // a *RefusedError while what stands in etcd cannot be used
	Deleted    bool      // it was there and is gone
	StaleSince time.Time // since when it is not proven that this is what stands in etcd; zero while it is in step
}

// newChange tells how one view became another. There is none before the first.
func newChange[T any](last, now *view) *Change[T] {
	if last == nil {
		last = now
	}
	c := &Change[T]{Old: *last.value.(*T), New: *now.value.(*T), Revision: now.newest(), Refused: now.err(), Deleted: now.deleted, StaleSince: now.since}
	if !now.saved.IsZero() {
		c.StaleSince = now.saved
	}
	if last.value != now.value {
		c.Fields = differences(reflect.ValueOf(last.value).Elem(), reflect.ValueOf(now.value).Elem())
	}
	return c
}

// view is what stands at one moment. It never changes.
type view struct {
	value    any               // a *T
	revision int64             // see Snapshot
	raw      map[string][]byte // what the value was made from, by path; nothing if it is the default
	refused  *RefusedError
	deleted  bool
	saved    time.Time // when the file was written that it comes from; zero if it comes from etcd
	since    time.Time // since when the mirror is out of step; zero while it is in step
}

// newest is the revision of the newest update, accepted or not.
func (v *view) newest() int64 {
	if v.refused == nil {
		return v.revision
	}
	return max(v.revision, v.refused.Revision)
}

// err is the refusal as an error that is nil if there is none.
func (v *view) err() error {
	if v.refused == nil {
		return nil
	}
	return v.refused
}
