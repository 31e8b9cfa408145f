package claim

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// handOver deletes the key of a hold, and puts the next local caller's key in the same transaction if one waits. What it returns is for
// the next front, with or without an error.
func (l *Line) handOver(ctx context.Context, h *Held) (turn, error) {
	d := &debt{epoch: h.epoch, key: h.key, rev: h.rev}
	if l.queued() {
		next := l.slot(h.epoch, h.key)
		en, err := l.turnTo(ctx, h, next)
		if en != nil {
			return turn{entry: en}, nil
		}
		d.slot, d.doubt = next, err != nil // it may have happened; the guarded delete below decides
	}
	sure, found, err := l.drop(ctx, d)
	switch {
	case err != nil:
		return turn{debt: d}, err
	case found != nil:
		return turn{entry: &entry{key: d.slot, rev: found.CreateRevision, epoch: h.epoch}}, nil
	case !sure:
		return turn{}, &session.LostError{Reason: session.Deleted}
	}
	return turn{}, nil
}

// turnTo is the transaction of a turn. Where nobody else waits it needs no read: all keys of the line are ours. It returns nil, nil if
// it did not happen, or had happened already when etcd's client sent it again by itself.
func (l *Line) turnTo(ctx context.Context, h *Held, next string) (*entry, error) {
	e := h.epoch
	fence, _ := l.hub.Fence(e)
	swap := []clientv3.Op{
		clientv3.OpDelete(h.key),
		putKey(next, e),
	}
	alone := clientv3.Compare(clientv3.CreateRevision(l.prefix).WithRange(l.end), "=", h.rev)
	join := clientv3.OpTxn(
		[]clientv3.Cmp{present(h.key, h.rev), fence, absent(next)},
		[]clientv3.Op{swap[0], l.last(), swap[1]},
		nil,
	)
	resp, err := l.hub.Client.Txn(ctx).If(alone, fence).Then(swap...).Else(join).Commit()
	if err != nil {
		return nil, err
	}
	rev := resp.Header.Revision
	if resp.Succeeded {
		return &entry{key: next, rev: rev, epoch: e, first: true, seen: rev}, nil
	}
	joined := resp.Responses[0].GetResponseTxn()
	if !joined.Succeeded {
		return nil, nil
	}
	return newEntry(next, e, rev, joined.Responses[1].GetResponseRange()), nil
}
