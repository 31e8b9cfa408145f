package claim

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
)

// settle makes sure that nothing of ours stands in the line, or may yet, but what the entry says. It is what must come before the line is
// granted to this session again.
func (f *front) settle(ctx context.Context, e hub.Epoch) error {
	if f.entry != nil && f.entry.epoch.ID() != e.ID() {
		f.entry = nil // gone with its lease
	}
	if f.debt != nil && f.debt.epoch.ID() != e.ID() {
		f.debt = nil
	}
	if err := f.pay(ctx, &f.turn); err != nil {
		return err
	}
	if f.entry != nil && f.entry.value != f.claim.Value { // of an earlier caller, who wanted something else
		f.forgo()
		return f.pay(ctx, &f.turn)
	}
	return nil
}

// forgo makes a debt of the entry: the key has to go.
func (t *turn) forgo() {
	if en := t.entry; en != nil {
		t.entry, t.debt = nil, &debt{epoch: en.epoch, key: en.key, rev: en.rev}
	}
}

// pay settles the debt of t. A key that a put with a lost answer left becomes the entry. The fence of the debt's own lease serves: when
// that lease is gone, so is the debt.
func (l *Line) pay(ctx context.Context, t *turn) error {
	d := t.debt
	if d == nil {
		return nil
	}
	var found *entry
	var err error
	if d.key != "" {
		_, found, err = l.drop(ctx, d)
	} else {
		found, err = l.prove(ctx, d)
	}
	if err != nil {
		return err
	}
	t.debt, t.entry = nil, found
	return nil
}

// prove finds out whether a put with a lost answer left a key. If it is there, it is; that it is not there proves nothing until the
// put can no longer commit.
func (l *Line) prove(ctx context.Context, d *debt) (*entry, error) {
	found, err := l.find(ctx, d)
	if found != nil || err != nil {
		return found, err
	}
	err = l.hub.Refence(ctx, d.epoch, d.fence)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return l.find(ctx, d)
}

// find reads the key that a put with a lost answer may have left.
func (l *Line) find(ctx context.Context, d *debt) (*entry, error) {
	var found *entry
	err := l.hub.Do(ctx, "read a slot", func(ctx context.Context) error {
		resp, err := l.hub.Client.Get(ctx, d.slot)
		if err == nil {
			found = d.left((*pb.RangeResponse)(resp))
		}
		return err
	})
	return found, err
}

// left is the entry for the key that a put with a lost answer has left in the slot, nil if there is none.
func (d *debt) left(slot *pb.RangeResponse) *entry {
	kv := ours(slot.Kvs, d.epoch.ID(), d.value)
	if kv == nil {
		return nil
	}
	return &entry{key: d.slot, value: d.value, rev: kv.CreateRevision, epoch: d.epoch}
}

// drop deletes a key of ours, guarded by its create revision, and reads the slot in which a turn may have left the next one. It sends
// that again until it is answered. sure is false if the key was not there and no request of ours explains it.
func (l *Line) drop(ctx context.Context, d *debt) (sure bool, found *entry, err error) {
	var then, orElse []clientv3.Op
	then = append(append(then, clientv3.OpDelete(d.key)), d.reads...)
	if d.slot != "" {
		then = append(then, clientv3.OpGet(d.slot))
		orElse = append(orElse, clientv3.OpGet(d.slot))
	}
	err = l.hub.Do(ctx, "release", func(ctx context.Context) error {
		resp, err := l.hub.Client.Txn(ctx).If(present(d.key, d.rev)).Then(then...).Else(orElse...).Commit()
		if err != nil {
			d.doubt = true
			return err
		}
		sure = resp.Succeeded || d.doubt
		if resp.Succeeded {
			d.answers = resp.Responses[1 : 1+len(d.reads)]
		}
		if d.slot != "" {
			found = d.left(resp.Responses[len(resp.Responses)-1].GetResponseRange())
		}
		return nil
	})
	return sure, found, err
}

// discard leaves nothing of ours in the line: it is settle for the janitor. Where the store is full and no fence can be written, it
// comes back until the lease ends, and deletes what it gave up on sight.
func (l *Line) discard(ctx context.Context, t *turn) error {
	if err := l.pay(ctx, t); err != nil {
		return err
	}
	t.forgo()
	return l.pay(ctx, t)
}
