package claim

import (
	"cmp"
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// A front is the caller whose turn it is, with what it wants and what stands in etcd for it.
type front struct {
	*Line
	claim Claim
	turn
	room []clientv3.Cmp // of who does not wait: true as long as a key would hold at once; nil when that has to be looked up

	patience retry.Patience
}

// send sends a transaction, and waits no longer for the answer than is reasonable.
func (f *front) send(ctx context.Context, cmps []clientv3.Cmp, then ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := f.patience.Try(ctx)
	defer cancel()
	resp, err := f.hub.Client.Txn(ctx).If(cmps...).Then(then...).Commit()
	if err == nil {
		f.patience.Reset()
	}
	return resp, err
}

// A step is one pass over what a claim takes, in one epoch. It returns nil when the key of ours holds, and errAgain when something
// moved and the next pass will do.
type step func(f *front, ctx context.Context, e hub.Epoch) error

// win makes the front the holder. It goes on over outages and lost leases until ctx ends or etcd refuses. What it leaves in its turn, with
// an error, is for the next front.
func (f *front) win(ctx context.Context, what string, s step) (*Held, error) {
	asked := time.Now()
	var held *Held
	var final error
	err := f.hub.Loop(ctx, what+" "+f.prefix, func(ctx context.Context) error {
		e, err := f.hub.Epoch(ctx)
		if err != nil {
			return stop(&final, err, ctx.Err() != nil || hopeless(err))
		}
		if err := f.advance(ctx, e, s); err != nil {
			return stop(&final, err, hopeless(err))
		}
		if held = f.hold(ctx, e, asked); held == nil {
			return errEpochOver
		}
		return nil
	})
	return held, cmp.Or(err, final)
}

// hopeless tells of errors that trying again will not mend, though their class is unknown: a closed session, a full store, which takes
// an operator, a line that is busy for who does not wait, and a wish that cannot be granted.
func hopeless(err error) bool {
	return errors.Is(err, session.ErrClosed) || errors.Is(err, rpctypes.ErrNoSpace) || errors.Is(err, ErrBusy) || tooMany(err)
}

func tooMany(err error) bool {
	var e *TooManyError
	return errors.As(err, &e)
}

// stop ends a retry with the error, if it is so.
func stop(final *error, err error, now bool) error {
	if !now {
		return err
	}
	*final = err
	return nil
}

// advance makes steps until the key of ours holds: nil means that it does. It works in one epoch, and ends with it.
func (f *front) advance(ctx context.Context, e hub.Epoch, s step) error {
	ctx, cancel := hub.Either(ctx, e.Context())
	defer cancel()
	for {
		err := s(f, ctx, e)
		switch {
		case errors.Is(err, errAgain):
			continue
		case err != nil && e.Err() != nil:
			return errEpochOver // whatever err is: the next epoch decides
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			f.hub.Suspect()
		}
		return err
	}
}

// errEpochOver says that the lease was lost while waiting. It is no refusal, whatever the loss was due to.
var errEpochOver = errors.New("the lease was lost while waiting")

// wait is the step of who waits in line.
func (f *front) wait(ctx context.Context, e hub.Epoch) error {
	if err := f.settle(ctx, e); err != nil {
		return err
	}
	if f.entry == nil {
		if err := f.put(ctx, e); err != nil {
			return err
		}
	}
	return f.await(ctx, e)
}

// put puts a key of ours at the end of the line.
func (f *front) put(ctx context.Context, e hub.Epoch) error {
	slot := f.slot(e, f.claim, "")
	fence, rev := f.hub.Fence(e)
	resp, err := f.send(ctx, []clientv3.Cmp{fence, absent(slot)}, append(f.claim.Rule.reads(f.Line, 0), f.claim.put(slot, e))...)
	if err != nil {
		f.owe(e, slot, rev, err)
		return err
	}
	if !resp.Succeeded {
		return f.mend(ctx, e, slot, rev)
	}
	f.entry = f.newEntry(f.claim, slot, e, resp.Header.Revision, resp.Responses)
	return nil
}

// newEntry is the entry for a key that was put at the revision rev, when the answers told what stood before it.
func (l *Line) newEntry(c Claim, key string, e hub.Epoch, rev int64, answers []*pb.ResponseOp) *entry {
	en := &entry{key: key, value: c.Value, rev: rev, epoch: e, mod: rev, seen: rev}
	switch ahead := c.Rule.obstacle(l, answers); ahead {
	case unseen:
	case crowd:
		en.crowded = true
	default:
		en.ahead, en.first = ahead, ahead == nil
	}
	return en
}

// owe takes note of a put that failed, if it may have happened all the same. fence is the revision that it compared.
func (f *front) owe(e hub.Epoch, slot string, fence int64, err error) {
	if retry.Of(err) == retry.Unknown {
		f.debt = &debt{epoch: e, slot: slot, value: f.claim.Value, fence: fence}
	}
}

func (c Claim) put(slot string, e hub.Epoch) clientv3.Op {
	return clientv3.OpPut(slot, c.Value, clientv3.WithLease(e.ID()))
}

// ours returns the key if this session put it: under the lease, with our value, in a slot that nobody else of the kit uses.
func ours(kvs []*mvccpb.KeyValue, lease clientv3.LeaseID, value string) *mvccpb.KeyValue {
	if len(kvs) == 0 || clientv3.LeaseID(kvs[0].Lease) != lease || string(kvs[0].Value) != value {
		return nil
	}
	return kvs[0]
}

// mend finds out what kept a put from happening, and makes good for it, so that the next one can. It is a request of its own, since it is
// rare, and reads in the Else branch would cost every put. etcd's client sends a write again by itself when a server answers
// Canceled or DeadlineExceeded, so what kept it from happening may be that it had happened: then the key is the entry.
func (f *front) mend(ctx context.Context, e hub.Epoch, slot string, fence int64) error {
	resp, err := f.send(ctx, nil, clientv3.OpGet(f.hub.FenceKey(e)), clientv3.OpGet(slot))
	if err != nil {
		return err
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		if kv := ours(kvs, e.ID(), f.claim.Value); kv != nil {
			f.entry = &entry{key: slot, value: f.claim.Value, rev: kv.CreateRevision, epoch: e}
			return errAgain
		}
		f.hub.Log.Warn("a foreign key has the name of a slot of ours; another name is used", "key", slot)
		f.avoid(slot)
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) == 0 || kvs[0].ModRevision != fence {
		if err := f.hub.Refence(ctx, e, fence); err != nil {
			return err
		}
	}
	return errAgain
}
