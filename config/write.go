package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// maxValue is how much one write may carry: etcd takes requests of 1.5 MiB unless told otherwise, and the history rides along.
	maxValue = 1 << 20
	// maxRequest is how much of a request can be filled.
	maxRequest = 3<<19 - 32<<10
	// maxKeys is how many keys one write may change: etcd takes 128 operations, and the history needs some of them.
	maxKeys = 120
)

// write is one write on its way. Its transaction compares the head of the history, which every write through a store replaces, so that they
// form one line; and the keys that it changes, since others write those too. The record in the history has a random id. So the
// transaction can be sent again after a lost answer: if the first copy was applied, the second fails its compare, finds the
// record with its id, and knows. If the second fails without that, the first is made void before anything is said (settle).
type write struct {
	*Store
	rev    int64             // that it is based on
	values map[string][]byte // nil for what is deleted
	paths  []string          // of values, in order
	keys   map[string]string // by path
	putOptions
	id string // of the turn that is under way
}

func (s *Store) newWrite(rev int64, values map[string][]byte, o putOptions) (*write, error) {
	w := &write{Store: s, rev: rev, values: values, keys: map[string]string{}, putOptions: o}
	w.paths = slices.Sorted(maps.Keys(values))
	size := 0
	for _, path := range w.paths {
		key, err := s.place.keyOf(path)
		if err != nil {
			return nil, err
		}
		w.keys[path] = key
		size += len(values[path])
	}
	switch {
	case len(values) == 0:
		return nil, errors.New("there is nothing to write")
	case rev < AnyRevision:
		return nil, fmt.Errorf("revision %d: there is none below zero", rev)
	case len(values) > maxKeys:
		return nil, fmt.Errorf("%w: %d keys, more than the %d that one transaction can change", ErrTooLarge, len(values), maxKeys)
	case size > maxValue:
		return nil, fmt.Errorf("%w: %d bytes, more than 1 MiB", ErrTooLarge, size)
	}
	return w, o.check()
}

// base is what a write finds.
type base struct {
	head    *mvccpb.KeyValue            // of the history; nil if there is none
	found   map[string]*mvccpb.KeyValue // by path; missing if absent
	version int64                       // the newest in the history
	newest  *mvccpb.KeyValue            // of all keys below a tree, of which none is to be there: whoever wrote it; nil if there is none
	at      int64                       // the revision of the read
	checked int64                       // the revision of the tree that the checks were asked of; zero if none were
}

// revision is that of the newest of the keys.
func (b *base) revision() (newest int64) {
	for _, kv := range b.found {
		newest = max(newest, kv.ModRevision)
	}
	return newest
}

func (b *base) headRevision() int64 {
	if b.head == nil {
		return 0
	}
	return b.head.ModRevision
}

// run writes, and returns the revision of that.
func (w *write) run(ctx context.Context) (int64, error) {
	for {
		b, err := w.look(ctx)
		if err != nil {
			return 0, err
		}
		if err := w.against(ctx, b); err != nil {
			return 0, err
		}
		if err := w.ask(ctx, b); err != nil {
			return 0, err
		}
		rev, err := w.commit(ctx, b)
		if rev != 0 || err != nil {
			return rev, err
		}
		// Somebody wrote in between: whether that is a conflict is told by what stands there now.
	}
}

// look reads what the write depends on, at one revision.
func (w *write) look(ctx context.Context) (*base, error) {
	ops := []clientv3.Op{clientv3.OpGet(w.line + headSlot)}
	for _, path := range w.paths {
		ops = append(ops, clientv3.OpGet(w.keys[path]))
	}
	whole := w.place.tree && w.rev == 0
	if whole {
		ops = append(ops, clientv3.OpGet(w.place.prefix(), append(clientv3.WithLastRev(), clientv3.WithKeysOnly())...))
	}
	var resp *clientv3.TxnResponse
	err := w.hub.Do(ctx, "config read", func(ctx context.Context) (err error) {
		resp, err = w.hub.Client.Txn(ctx).Then(ops...).Commit()
		return err
	})
	if err != nil {
		return nil, err
	}
	b := &base{found: map[string]*mvccpb.KeyValue{}, at: resp.Header.Revision}
	for i, path := range w.paths {
		if kvs := resp.Responses[i+1].GetResponseRange().Kvs; len(kvs) > 0 {
			b.found[path] = kvs[0]
		}
	}
	if kvs := resp.Responses[len(ops)-1].GetResponseRange().Kvs; whole && len(kvs) > 0 {
		b.newest = kvs[0]
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		b.head = kvs[0]
	}
	b.version, err = w.newest(ctx, b.head)
	return b, err
}

// ask asks the checks.
func (w *write) ask(ctx context.Context, b *base) error {
	if len(w.checks) == 0 {
		return nil
	}
	data := w.values[""]
	if w.place.tree {
		now, err := w.stands(ctx)
		if err != nil {
			return err
		}
		b.checked = now.revision
		values := now.values
		maps.Copy(values, w.values)
		maps.DeleteFunc(values, func(_ string, value []byte) bool { return value == nil })
		if data, err = newTree(values).document(); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	} else if data == nil {
		return nil
	}
	for _, check := range w.checks {
		if err := check(slices.Clone(data)); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return nil
}
