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

// win makes the front the holder. It goes on over outages and lost leases until ctx ends or etcd refuses. What it leaves in t, with an
// error, is for the next front.
func (l *Line) win(ctx context.Context, t *turn) (*Held, error) {
	asked := time.Now()
	var held *Held
	var final error
	err := l.hub.Do(ctx, "claim in "+l.prefix, func(ctx context.Context) error {
		e, err := l.hub.Epoch(ctx)
		if err != nil {
			return stop(&final, err, ctx.Err() != nil || hopeless(err))
		}
		if err := l.advance(ctx, e, t); err != nil {
			return stop(&final, err, hopeless(err))
		}
		if held = l.hold(ctx, e, t, asked); held == nil {
			return e.Err()
		}
		return nil
	})
	return held, cmp.Or(err, final)
}

// hopeless tells of errors that trying again will not mend, though their class is unknown: a closed session, and a full store, which
// takes an operator.
func hopeless(err error) bool {
	return errors.Is(err, session.ErrClosed) || errors.Is(err, rpctypes.ErrNoSpace)
}

// stop ends a retry with the error, if it is so.
func stop(final *error, err error, now bool) error {
	if !now {
		return err
	}
	*final = err
	return nil
}

// advance does whatever is left to be done until the key of ours is the first: nil means that it is. It works in one epoch, and
// ends with it.
func (l *Line) advance(ctx context.Context, e hub.Epoch, t *turn) error {
	ctx, cancel := within(ctx, e)
	defer cancel()
	for {
		err := l.step(ctx, e, t)
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

// step is one pass over what a claim takes. It returns errAgain when something moved and the next pass will do.
func (l *Line) step(ctx context.Context, e hub.Epoch, t *turn) error {
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
		if retry.Of(err) == retry.Unknown {
			t.debt = &debt{epoch: e, slot: slot, fence: rev}
		}
		return err
	}
	if !resp.Succeeded {
		return l.mend(ctx, e, t, slot, rev)
	}
	t.entry = newEntry(slot, e, resp.Header.Revision, resp.Responses[0].GetResponseRange())
	return nil
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
