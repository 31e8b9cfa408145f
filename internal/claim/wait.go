package claim

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/stream"
)

// await waits until our key holds.
func (f *front) await(ctx context.Context, e hub.Epoch) error {
	told := false
	for {
		en := f.entry
		if en.first && en.epoch == e {
			return nil
		}
		if en.ahead == nil && !en.crowded {
			first, err := f.look(ctx)
			if err != nil {
				return err
			}
			if first {
				return nil
			}
		}
		if !told {
			told = true
			f.hub.Hooks.Waiting(f.prefix)
		}
		if holds, err := f.hear(ctx, e); err != nil || holds {
			return err
		}
		if en.crowded {
			en.crowded = false // from now on it matters who they are
			continue
		}
		if first, err := f.outwait(ctx); err != nil || first {
			return err
		}
	}
}

// look reads our key and what stands before it at one revision. It is true if nothing is in our way: every grant after a wait that
// no touch has ended rests on this read, since our key may have been deleted while we waited.
func (f *front) look(ctx context.Context) (bool, error) {
	en := f.entry
	own := clientv3.OpGet(en.key, clientv3.WithKeysOnly())
	resp, err := f.send(ctx, nil, append(f.claim.Rule.reads(f.Line, en.rev), own)...)
	if err != nil {
		return false, err
	}
	ahead := len(resp.Responses) - 1
	if err := f.confirm(resp.Responses[ahead].GetResponseRange().Kvs); err != nil {
		return false, err
	}
	if en.heard && en.mod > en.rev {
		f.missed(en.epoch)
	}
	en.seen = resp.Header.Revision
	en.ahead = f.claim.Rule.obstacle(f.Line, resp.Responses[:ahead])
	return en.ahead == nil, nil
}

// confirm takes note of a read of our key. Without the key the caller has to queue again.
func (f *front) confirm(kvs []*mvccpb.KeyValue) error {
	if en := f.entry; len(kvs) == 0 || kvs[0].CreateRevision != en.rev {
		f.hub.Log.Warn("a waiting key was deleted by somebody else; queueing again", "key", en.key)
		f.entry = nil
		return errAgain
	}
	f.entry.mod = kvs[0].ModRevision
	return nil
}

// outwait returns when what is in our way may be gone; unless it is true, only a look can tell whether our key now holds. A watch
// that ends is no release.
func (f *front) outwait(ctx context.Context) (first bool, err error) {
	en, o := f.entry, f.entry.ahead
	if o.refused != nil {
		return false, o.refused
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watches, rev, err := f.watch(ctx, o.all())
	if err != nil {
		return false, err
	}
	if rev > en.seen { // something was written between the read and the watch: it may have been what is waited for
		if first, err := f.look(ctx); err != nil || first || !en.ahead.watchedBy(o) {
			return first, err
		}
		o = en.ahead
	}
	en.ahead = nil
	sights := o.all()
	if len(watches) == 1 {
		return false, awaitEvent(ctx, watches[0], sights[0].passed)
	}
	passed := make(chan error, len(watches))
	for i, w := range watches {
		watching.Go(func() { passed <- awaitEvent(ctx, w, sights[i].passed) })
	}
	return false, <-passed
}

// watch watches all obstacles. It returns the revision behind which each of them tells everything.
func (f *front) watch(ctx context.Context, sights []*obstacle) ([]*stream.Watch, int64, error) {
	watches, errs := make([]*stream.Watch, len(sights)), make([]error, len(sights))
	var opening sync.WaitGroup
	open := func(i int) {
		watches[i], errs[i] = f.hub.Lines.Watch(ctx, f.hub.Client, sights[i].key, sights[i].options()...)
	}
	for i := 1; i < len(sights); i++ {
		opening.Go(func() { open(i) })
	}
	open(0)
	opening.Wait()
	rev := int64(0)
	for i, err := range errs {
		if err != nil {
			return nil, 0, err
		}
		rev = max(rev, watches[i].Revision)
	}
	return watches, rev, nil
}

// all is the obstacle and the others, of which any may be passed.
func (o *obstacle) all() []*obstacle { return append([]*obstacle{o}, o.also...) }

// options are those of the watch of an obstacle.
func (o *obstacle) options() []clientv3.OpOption {
	var opts []clientv3.OpOption
	if o.end != "" {
		opts = append(opts, clientv3.WithRange(o.end))
	}
	if !o.puts {
		opts = append(opts, clientv3.WithFilterPut())
	}
	return opts
}

// watchedBy tells whether the watches of another obstacle tell of this one too.
func (o *obstacle) watchedBy(other *obstacle) bool {
	return o.refused == nil && slices.EqualFunc(o.all(), other.all(), func(a, b *obstacle) bool {
		return a.key == b.key && a.end == b.end && a.puts == b.puts
	})
}

// awaitEvent returns nil when an event came that makes passed true.
func awaitEvent(ctx context.Context, w *stream.Watch, passed func(*clientv3.Event) bool) error {
	for {
		select {
		case resp, ok := <-w.Responses:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !ok {
				return errors.New("the watch ended without a word")
			}
			if err := resp.Err(); err != nil {
				return watchEnded(w, err)
			}
			if slices.ContainsFunc(resp.Events, passed) {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watchEnded makes of what ended a watch what to do next: after a compaction look again, and after anything else, with a pause. A
// stream whose auth token is too old is of no more use to anybody.
func watchEnded(w *stream.Watch, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return errAgain
	case errors.Is(err, rpctypes.ErrInvalidAuthToken):
		w.Replace()
	}
	return err
}

func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }

// present is the guard of a key: it is there, and it is the very one that was put at the revision rev.
func present(key string, rev int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "=", rev)
}
