package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/paging"
)

// ConflictError tells what a write met. It unwraps to ErrConflict.
type ConflictError struct {
	Name   string            // of the value
	Rev    int64             // that the write was based on
	Theirs int64             // what stands there now; zero if nothing does; of a tree the newest revision that is known
	Values map[string][]byte // what stands now under the paths that were to be written, "" being the path of a single value; what is absent is missing
	Yours  map[string][]byte // what was to be written
	Moved  []string          // the paths of a tree that were written or deleted since Rev, as far as that could be read

	strangers bool // below the tree stand keys that are none of its paths, and only such
	compacted bool // whether something was deleted since Rev cannot be told any more
}

// Error names the value, both revisions and, of a tree, what has changed.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("config %q: %v: %s", e.Name, ErrConflict, e.met())
}

func (e *ConflictError) met() string {
	switch {
	case e.strangers:
		return fmt.Sprintf("other keys stand below it, the newest at revision %d", e.Theirs)
	case e.Rev == 0 && len(e.Moved) > 0:
		return fmt.Sprintf("it is there, at revision %d, with %s", e.Theirs, some(e.Moved))
	case e.Rev == 0:
		return fmt.Sprintf("it is there, at revision %d", e.Theirs)
	case e.compacted:
		return fmt.Sprintf("etcd has dropped what stood at revision %d, so that it cannot be told whether something was deleted since", e.Rev)
	case len(e.Moved) > 0:
		return fmt.Sprintf("it is at revision %d, and was to be at %d: since then, %s changed", e.Theirs, e.Rev, some(e.Moved))
	case e.Theirs == 0:
		return fmt.Sprintf("it is not there any more, and was to be at revision %d", e.Rev)
	}
	return fmt.Sprintf("it is at revision %d, and was to be at %d", e.Theirs, e.Rev)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// against returns a conflict if what was found is not what the write is based on.
func (w *write) against(ctx context.Context, b *base) error {
	newest := max(b.revision(), b.headRevision())
	c := &ConflictError{Name: w.place.name, Rev: w.rev, Theirs: newest, Values: map[string][]byte{}, Yours: w.values}
	switch {
	case w.rev == AnyRevision:
		return nil
	case !w.place.tree:
		if c.Theirs = b.revision(); c.Theirs == w.rev {
			return nil
		}
	case w.rev == 0:
		if b.newest == nil {
			return nil
		}
		c.Theirs = b.newest.ModRevision
	case newest <= w.rev:
		gone, err := w.gone(ctx, b)
		c.compacted = errors.Is(err, rpctypes.ErrCompacted)
		switch {
		case err != nil && !c.compacted:
			return err
		case err == nil && !gone && w.rev <= b.at:
			return nil
		}
		c.Theirs = b.at // nothing that is there has a revision that tells of it
	}
	for path, kv := range b.found {
		c.Values[path] = append([]byte{}, kv.Value...)
	}
	if w.place.tree {
		w.explain(ctx, c)
	}
	return c
}

// gone tells whether a path that is absent now was there at the revision that the write is based on: somebody deleted it past the store.
func (w *write) gone(ctx context.Context, b *base) (bool, error) {
	var ops []clientv3.Op
	for _, path := range w.paths {
		if b.found[path] == nil {
			ops = append(ops, clientv3.OpGet(w.keys[path], clientv3.WithRev(w.rev), clientv3.WithCountOnly()))
		}
	}
	if len(ops) == 0 || w.rev > b.at { // that revision has not been
		return false, nil
	}
	var resp *clientv3.TxnResponse
	err := w.hub.Do(ctx, "config read", func(ctx context.Context) (err error) {
		resp, err = w.hub.Client.Txn(ctx).Then(ops...).Commit()
		return err
	})
	if err != nil {
		return false, err
	}
	for _, r := range resp.Responses {
		if r.GetResponseRange().Count > 0 {
			return true, nil
		}
	}
	return false, nil
}

// explain finds out which keys of a tree have moved. That there is a conflict is certain, whatever becomes of the reads.
func (w *write) explain(ctx context.Context, c *ConflictError) {
	key, end := w.place.span()
	now, err := paging.Read(ctx, w.hub.Get("config read"), key, end, clientv3.WithKeysOnly())
	if err != nil {
		return
	}
	moved, left := map[string]bool{}, w.revisions(now)
	for path, rev := range left {
		if rev > c.Rev {
			moved[path] = true
		}
	}
	c.strangers = c.Rev == 0 && len(left) == 0 && len(now.Keys) > 0
	if c.Rev > 0 && !c.compacted {
		// Without an answer, what was deleted is missing.
		if then, err := paging.ReadAt(ctx, w.hub.Get("config read"), c.Rev, key, end, clientv3.WithKeysOnly()); err == nil {
			for path := range w.revisions(then) {
				if _, ok := left[path]; !ok {
					moved[path] = true
				}
			}
		}
	}
	c.Moved = slices.Sorted(maps.Keys(moved))
}

// revisions returns at which revision each path was written.
func (s *Store) revisions(r *paging.Result) map[string]int64 {
	revs := make(map[string]int64, len(r.Keys))
	for _, kv := range r.Keys {
		if path, ok := s.place.path(string(kv.Key)); ok {
			revs[path] = kv.ModRevision
		}
	}
	return revs
}
