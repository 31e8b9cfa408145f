package claim

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/stream"
)

// await waits until our key is the first of the line.
func (l *Line) await(ctx context.Context, e hub.Epoch, t *turn) error {
	told := false
	for {
		en := t.entry
		if en.first && en.epoch == e {
			return nil
		}
		if en.pred == nil {
			first, err := l.look(ctx, t)
			if err != nil {
				return err
			}
			if first {
				return nil
			}
		}
		if !told {
			told = true
			l.hub.Hooks.Waiting(l.prefix)
		}
		if first, err := l.outwait(ctx, t); err != nil || first {
			return err
		}
	}
}

// look reads our key and the one before it at one revision. It is true if there is none before it: every grant after a wait rests on
// this read, since our key may have been deleted while we waited.
func (l *Line) look(ctx context.Context, t *turn) (bool, error) {
	en := t.entry
	resp, err := l.hub.Client.Txn(ctx).
		Then(clientv3.OpGet(en.key, clientv3.WithKeysOnly()), l.before(en.rev)).
		Commit()
	if err != nil {
		return false, err
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) == 0 || kvs[0].CreateRevision != en.rev {
		l.hub.Log.Warn("a waiting key was deleted by somebody else; queueing again", "key", en.key)
		t.entry = nil
		return false, errAgain
	}
	en.seen = resp.Header.Revision
	en.pred = nearest(resp.Responses[1].GetResponseRange())
	return en.pred == nil, nil
}

// outwait returns when the key before ours may be gone; unless it is true, only a look can tell whether ours is now the first. A watch
// that ends is no release.
func (l *Line) outwait(ctx context.Context, t *turn) (first bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	en, pred := t.entry, *t.entry.pred
	w, err := l.hub.Lines.Watch(ctx, l.hub.Client, pred.key, clientv3.WithFilterPut())
	if err != nil {
		return false, err
	}
	if w.Revision > en.seen { // something was written between the read and the watch: it may have been the delete
		if first, err := l.look(ctx, t); err != nil || first || *en.pred != pred {
			return first, err
		}
	}
	en.pred = nil
	return false, awaitDelete(ctx, w, pred.rev)
}

// awaitDelete returns nil when the watched key was deleted after the revision rev. An older delete is one of the slot's earlier use,
// which a lagging member or a resumed watch delivers after all.
func awaitDelete(ctx context.Context, w *stream.Watch, rev int64) error {
	for resp := range w.Responses {
		if err := resp.Err(); err != nil {
			return watchEnded(w, err)
		}
		for _, ev := range resp.Events {
			if ev.Type == clientv3.EventTypeDelete && ev.Kv.ModRevision > rev {
				return nil
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New("the watch ended without a word")
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

// newEntry is the entry for a key that was put at the revision rev, when ahead was what the line held.
func newEntry(key string, e hub.Epoch, rev int64, ahead *pb.RangeResponse) *entry {
	return &entry{key: key, rev: rev, epoch: e, first: len(ahead.Kvs) == 0, pred: nearest(ahead), seen: rev}
}

// nearest is the neighbor that a range of before or last found.
func nearest(r *pb.RangeResponse) *neighbor {
	if len(r.Kvs) == 0 {
		return nil
	}
	return &neighbor{key: string(r.Kvs[0].Key), rev: r.Kvs[0].CreateRevision}
}

// last reads the last key of the line. Keys alone come from etcd's index and cost it no read.
func (l *Line) last(opts ...clientv3.OpOption) clientv3.Op {
	opts = append(clientv3.WithLastCreate(), append(opts, clientv3.WithRange(l.end), clientv3.WithKeysOnly())...)
	return clientv3.OpGet(l.prefix, opts...)
}

// before reads the last key of the line that was created before rev.
func (l *Line) before(rev int64) clientv3.Op { return l.last(clientv3.WithMaxCreateRev(rev - 1)) }

func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }

// present is the guard of a key: it is there, and it is the very one that was put at the revision rev.
func present(key string, rev int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "=", rev)
}
