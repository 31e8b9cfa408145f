package claim

import (
	"context"
	"errors"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/session"
)

// BusyError says that the line is not free, and whose it is as far as is known. It unwraps to ErrBusy.
type BusyError struct {
	Owner Owner
}

// Error says that the line is busy.
func (e *BusyError) Error() string { return ErrBusy.Error() }

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// Try is Acquire without waiting: a *BusyError if the line is not free. It asks nothing of etcd when somebody of this session holds or
// waits, reads when somebody else does, and writes only when the line looks free.
func Try(ctx context.Context, h *hub.Hub, prefix string) (*Held, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	l := open(h, prefix)
	held, err := l.tryAcquire(ctx)
	if err != nil {
		l.close()
	}
	return held, err
}

// tryAcquire becomes the front if nobody here holds or waits. It does wait for the janitor, who settles what an earlier caller left: that
// is no holder.
func (l *Line) tryAcquire(ctx context.Context) (*Held, error) {
	t, err := l.enter(ctx, func() error {
		if l.busy && (!l.tidying || len(l.waiters) > 0) {
			return &BusyError{Owner: l.ownLocked()}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	held, err := l.try(ctx, &t)
	if err != nil {
		l.pass(t)
	}
	return held, err
}

// ownLocked describes this session as the one that keeps the line busy.
func (l *Line) ownLocked() Owner {
	var o Owner
	if l.held != nil {
		o.Key, o.Token, o.Lease, o.Holder = l.held.key, l.held.Token(), l.held.epoch.ID(), true
	}
	o.Info = l.hub.Self
	return o
}

// try looks, and puts a key if the line is empty. The look needs no lease.
func (l *Line) try(ctx context.Context, t *turn) (*Held, error) {
	if *t == (turn{}) { // otherwise a key in the line may be ours
		if err := l.free(ctx); err != nil {
			return nil, err
		}
	}
	return l.win(ctx, "try", t, l.glance)
}

// glance is the step of who does not wait.
func (l *Line) glance(ctx context.Context, e hub.Epoch, t *turn) error {
	err := l.settle(ctx, e, t)
	switch {
	case err != nil:
		return err
	case t.entry == nil:
		return l.putAlone(ctx, e, t)
	case !t.entry.first || t.entry.epoch != e:
		return l.tryLeft(ctx, t)
	}
	return nil
}

// tryLeft looks whether the key that an earlier caller left in the line is the first.
func (l *Line) tryLeft(ctx context.Context, t *turn) error {
	first, err := l.look(ctx, t)
	if err != nil || first {
		return err
	}
	if err := l.free(ctx); err != nil {
		return err
	}
	return errAgain
}

// free is nil if no key stands in the line.
func (l *Line) free(ctx context.Context) error {
	var head *mvccpb.KeyValue
	err := l.hub.Do(ctx, "look at "+l.prefix, func(ctx context.Context) error {
		resp, err := l.hub.Client.Get(ctx, l.prefix, append(clientv3.WithFirstCreate(), clientv3.WithRange(l.end), clientv3.WithKeysOnly())...)
		if err == nil && len(resp.Kvs) > 0 {
			head = resp.Kvs[0]
		}
		return err
	})
	if err != nil || head == nil {
		return err
	}
	return l.busyWith(ctx, head)
}

// busyWith is the error that names who is at the head of the line.
func (l *Line) busyWith(ctx context.Context, head *mvccpb.KeyValue) error {
	known := l.hub.Share("heads", func() (any, func()) { return new(heads), nil }).(*heads) // as long as the session
	owner := Owner{Key: string(head.Key), Token: session.Token(head.CreateRevision), Holder: true}
	if o, ok := known.get(owner.Key, owner.Token); ok {
		return &BusyError{Owner: o}
	}
	owners, err := Owners(ctx, l.hub, l.prefix)
	if err != nil {
		l.hub.Log.Debug("who holds a line is not known", "line", l.prefix, "error", err)
		return &BusyError{Owner: owner}
	}
	if len(owners) > 0 {
		owner = owners[0]
		known.put(owner)
	}
	return &BusyError{Owner: owner}
}

// heads remembers whom keys belong to, so that somebody who tries again and again costs one read each time. It is bounded by forgetting
// everything.
type heads struct {
	mu    sync.Mutex // protects byKey
	byKey map[string]Owner
}

const maxHeads = 256

func (h *heads) get(key string, token session.Token) (Owner, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.byKey[key]
	return o, ok && o.Token == token
}

func (h *heads) put(o Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey == nil || len(h.byKey) >= maxHeads {
		h.byKey = make(map[string]Owner)
	}
	h.byKey[o.Key] = o
}

// putAlone puts a key of ours if the line is empty.
func (l *Line) putAlone(ctx context.Context, e hub.Epoch, t *turn) error {
	slot := l.slot(e, "")
	fence, rev := l.hub.Fence(e)
	empty := clientv3.Compare(clientv3.CreateRevision(l.prefix).WithRange(l.end), "=", 0)
	resp, err := l.hub.Client.Txn(ctx).
		If(fence, empty).
		Then(putKey(slot, e)).
		Commit()
	switch {
	case err != nil:
		t.owe(e, slot, rev, err)
		return err
	case resp.Succeeded:
		t.entry = &entry{key: slot, rev: resp.Header.Revision, epoch: e, first: true, seen: resp.Header.Revision}
		return nil
	}
	if err := l.mend(ctx, e, t, slot, rev); !errors.Is(err, errAgain) || t.entry != nil {
		return err
	}
	if err := l.free(ctx); err != nil {
		return err
	}
	return errAgain
}
