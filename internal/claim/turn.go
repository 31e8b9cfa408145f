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
	case !sure && h.epoch.Err() != nil: // the lease went, and the key with it
		return turn{}, h.epoch.Err()
	case !sure:
		return turn{}, &session.LostError{Reason: session.Deleted}
	}
	return turn{}, nil
}

// turnTo is the transaction of a turn: the key of the hold goes, the next one joins the end of the line, and between the two the last key
// of the line is read, which is the one to wait for. It is as quick as any other that was tried, and does not depend on how long the
// line is (docs/performance.md). It returns nil, nil if it did not happen, or had happened already when etcd's client sent it
// again by itself.
func (l *Line) turnTo(ctx context.Context, h *Held, next string) (*entry, error) {
	fence, _ := l.hub.Fence(h.epoch)
	resp, err := l.hub.Client.Txn(ctx).
		If(present(h.key, h.rev), fence, absent(next)).
		Then(clientv3.OpDelete(h.key), l.last(), putKey(next, h.epoch)).
		Commit()
	if err != nil || !resp.Succeeded {
		return nil, err
	}
	return newEntry(next, h.epoch, resp.Header.Revision, resp.Responses[1].GetResponseRange()), nil
}
