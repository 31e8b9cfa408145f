package claim

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// A step is one pass over what a claim takes, in one epoch. It returns nil when the key of ours is the first, and errAgain when something
// moved and the next pass will do.
type step func(ctx context.Context, e hub.Epoch, t *turn) error

// win makes the front the holder. It goes on over outages and lost leases until ctx ends or etcd refuses. What it leaves in t, with an
// error, is for the next front.
func (l *Line) win(ctx context.Context, what string, t *turn, s step) (*Held, error) {
	asked := time.Now()
	var held *Held
	var final error
	err := l.hub.Do(ctx, what+" "+l.prefix, func(ctx context.Context) error {
		e, err := l.hub.Epoch(ctx)
		if err != nil {
			return stop(&final, err, ctx.Err() != nil || hopeless(err))
		}
		if err := l.advance(ctx, e, t, s); err != nil {
			return stop(&final, err, hopeless(err))
		}
		if held = l.hold(ctx, e, t, asked); held == nil {
			return e.Err()
		}
		return nil
	})
	return held, cmp.Or(err, final)
}

// hopeless tells of errors that trying again will not mend, though their class is unknown: a closed session, a full store, which takes
// an operator, and a line that is busy for who does not wait.
func hopeless(err error) bool {
	return errors.Is(err, session.ErrClosed) || errors.Is(err, rpctypes.ErrNoSpace) || errors.Is(err, ErrBusy)
}

// stop ends a retry with the error, if it is so.
func stop(final *error, err error, now bool) error {
	if !now {
		return err
	}
	*final = err
	return nil
}

// advance makes steps until the key of ours is the first: nil means that it is. It works in one epoch, and ends with it.
func (l *Line) advance(ctx context.Context, e hub.Epoch, t *turn, s step) error {
	ctx, cancel := within(ctx, e)
	defer cancel()
	for {
		err := s(ctx, e, t)
		switch {
		case errors.Is(err, errAgain):
			continue
		case err != nil && e.Err() != nil:
			return errEpochOver // whatever err is: the next epoch decides
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			l.hub.Suspect()
		}
		return err
	}
}

// errEpochOver says that the lease was lost while waiting. It is no refusal, whatever the loss was due to.
var errEpochOver = errors.New("the lease was lost while waiting")

// within returns a context that ends with ctx or with the epoch.
func within(ctx context.Context, e hub.Epoch) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.Context(), func() { cancel(context.Cause(e.Context())) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// wait is the step of who waits in line.
func (l *Line) wait(ctx context.Context, e hub.Epoch, t *turn) error {
	if err := l.settle(ctx, e, t); err != nil {
		return err
	}
	if t.entry == nil {
		if err := l.put(ctx, e, t); err != nil {
			return err
		}
	}
	return l.await(ctx, e, t)
}

// put puts a key of ours at the end of the line.
func (l *Line) put(ctx context.Context, e hub.Epoch, t *turn) error {
	slot := l.slot(e, "")
	fence, rev := l.hub.Fence(e)
	resp, err := l.hub.Client.Txn(ctx).
		If(fence, absent(slot)).
		Then(l.last(), putKey(slot, e)).
		Commit()
	if err != nil {
		t.owe(e, slot, rev, err)
		return err
	}
	if !resp.Succeeded {
		return l.mend(ctx, e, t, slot, rev)
	}
	t.entry = newEntry(slot, e, resp.Header.Revision, resp.Responses[0].GetResponseRange())
	return nil
}

// owe takes note of a put that failed, if it may have happened all the same. fence is the revision that it compared.
func (t *turn) owe(e hub.Epoch, slot string, fence int64, err error) {
	if retry.Of(err) == retry.Unknown {
		t.debt = &debt{epoch: e, slot: slot, fence: fence}
	}
}

// exclusive is the value of our keys. It tells them from a key that etcd's own package puts under our very lease and name.
const exclusive = "exclusive"

func putKey(slot string, e hub.Epoch) clientv3.Op {
	return clientv3.OpPut(slot, exclusive, clientv3.WithLease(e.ID()))
}

// mend finds out what kept a put from happening, and makes good for it, so that the next one can. It is a request of its own, since it is
// rare, and reads in the Else branch would cost every put. etcd's client sends a write again by itself when a server answers
// Canceled or DeadlineExceeded, so what kept it from happening may be that it had happened: then the key is the entry.
func (l *Line) mend(ctx context.Context, e hub.Epoch, t *turn, slot string, fence int64) error {
	resp, err := l.hub.Client.Txn(ctx).Then(clientv3.OpGet(l.hub.FenceKey(e)), clientv3.OpGet(slot)).Commit()
	if err != nil {
		return err
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		if kv := ours(kvs, e.ID()); kv != nil {
			t.entry = &entry{key: slot, rev: kv.CreateRevision, epoch: e}
			return errAgain
		}
		l.hub.Log.Warn("a foreign key has the name of a slot of ours; another name is used", "key", slot)
		l.avoid(slot)
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) == 0 || kvs[0].ModRevision != fence {
		if err := l.hub.Refence(ctx, e, fence); err != nil {
			return err
		}
	}
	return errAgain
}
