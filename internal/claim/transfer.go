package claim

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

// ErrMoved says that the line is no longer as it was read.
var ErrMoved = errors.New("the line has moved")

// MaxAhead is how many keys a Transfer can delete beside its own: a transaction takes 128 operations.
const MaxAhead = 100

// Transfer gives the line to another key in it: one transaction deletes our key and those ahead of the target, whose owners queue again
// by themselves, and does what is wanted beside. All of them must be as they were read, or it returns ErrMoved and nothing has
// happened. The hold has to have been ended; after an error it is still to be released.
func (h *Held) Transfer(ctx context.Context, ahead []Owner, target Owner, also ...clientv3.Op) error {
	if !h.isMine() {
		<-h.ctx.Done()
		return context.Cause(h.ctx)
	}
	s := h.stake
	ctx, cancel := s.line.hub.ReleaseContext(ctx, s.epoch.Deadline())
	defer cancel()
	if err := s.giveAway(ctx, ahead, target, also); err != nil {
		return h.explain(err)
	}
	h.tell()
	defer s.line.close()
	s.leave()
	if s.finish() {
		s.pass(turn{})
	}
	return nil
}

// giveAway is the transaction of a transfer, sent until it is answered.
func (s *stake) giveAway(ctx context.Context, ahead []Owner, target Owner, also []clientv3.Op) error {
	cmps := []clientv3.Cmp{present(s.key, s.rev), present(target.Key, int64(target.Token))}
	then := []clientv3.Op{clientv3.OpDelete(s.key)}
	for _, o := range ahead {
		cmps = append(cmps, present(o.Key, int64(o.Token)))
		then = append(then, clientv3.OpDelete(o.Key))
	}
	then = append(then, also...)
	doubt, moved, gone := false, false, false
	err := s.line.hub.Do(ctx, "transfer "+s.line.prefix, func(ctx context.Context) error {
		resp, err := s.line.hub.Client.Txn(ctx).If(cmps...).Then(then...).Else(clientv3.OpGet(s.key)).Commit()
		if err != nil {
			doubt = true // the next try may find that this one happened
			return err
		}
		if !resp.Succeeded {
			kvs := resp.Responses[0].GetResponseRange().Kvs
			there := len(kvs) > 0 && kvs[0].CreateRevision == s.rev
			gone, moved = !there && !doubt, there
		}
		return nil
	})
	switch {
	case err != nil:
		s.mu.Lock()
		s.given = s.given || doubt
		s.mu.Unlock()
		return err
	case gone: // told here, since it would be tried again there
		return &session.LostError{Reason: session.Deleted}
	case moved:
		return ErrMoved
	}
	return nil
}
