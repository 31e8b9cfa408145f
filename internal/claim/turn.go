package claim

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/retry"
)

// handOver deletes a key that held, and puts the next local caller's key in the same transaction if one waits. What it returns is for
// the next front, with or without an error.
func (l *Line) handOver(ctx context.Context, s *stake) (turn, error) {
	d := s.remains()
	if c, ok := l.queued(); ok {
		next := l.slot(s.epoch, c, s.key)
		en, err := l.turnTo(ctx, s, c, next)
		if en != nil {
			return turn{entry: en}, nil
		}
		d.slot, d.value, d.doubt = next, c.Value, err != nil // it may have happened; the guarded delete below decides
	}
	rule, tells := s.rule.(rouser)
	if tells {
		d.reads = rule.readsToTell(l)
	}
	sure, found, err := l.drop(ctx, d)
	if d.reads = nil; tells && d.answers != nil {
		l.rouse(rule.roused(s, d.answers))
	}
	switch {
	case err != nil:
		return turn{debt: d}, err
	case found != nil:
		return turn{entry: found}, nil
	}
	return turn{}, s.missing(sure)
}

// turnTo is the transaction of a turn: the key that held goes, the next one joins the end of the line, and between the two it is read what
// the next one has to wait for. It is as quick as any other that was tried, and for an exclusive claim it does not depend on how long the
// line is (docs/performance.md). It returns nil, nil if it did not happen, or had happened already when etcd's client sent it
// again by itself.
func (l *Line) turnTo(ctx context.Context, s *stake, c Claim, next string) (*entry, error) {
	fence, _ := l.hub.Fence(s.epoch)
	ctx, cancel := new(retry.Patience).Try(ctx)
	defer cancel()
	then := []clientv3.Op{clientv3.OpDelete(s.key)}
	then = append(then, c.Rule.reads(l, 0)...)
	resp, err := l.hub.Client.Txn(ctx).
		If(present(s.key, s.rev), fence, absent(next)).
		Then(append(then, c.put(next, s.epoch))...).
		Commit()
	if err != nil || !resp.Succeeded {
		return nil, err
	}
	return l.newEntry(c, next, s.epoch, resp.Header.Revision, resp.Responses[1:]), nil
}
