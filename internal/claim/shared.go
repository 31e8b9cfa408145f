package claim

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Shared is the rule of readers: a key holds when no exclusive key is older. A key whose value says anything else than this rule's is
// exclusive.
var Shared Rule = sharedRule{}

type sharedRule struct{}

// shared is the value of a key that lets others with the same value in beside it.
const shared = "shared"

func (sharedRule) value() string { return shared }

func (sharedRule) shares() bool { return true }

// reads asks for the values too: they tell who excludes.
func (sharedRule) reads(l *Line, rev int64) []clientv3.Op {
	opts := []clientv3.OpOption{clientv3.WithRange(l.end)}
	if rev > 0 {
		opts = append(opts, clientv3.WithMaxCreateRev(rev-1))
	}
	return []clientv3.Op{clientv3.OpGet(l.prefix, opts...)}
}

// obstacle is the youngest exclusive key. It is out of the way when it is deleted, and when its holder lets readers in.
func (sharedRule) obstacle(_ *Line, answers []*pb.ResponseOp) *obstacle {
	kv := excluding(answers[0].GetResponseRange().Kvs)
	if kv == nil {
		return nil
	}
	rev := kv.CreateRevision
	return &obstacle{key: string(kv.Key), puts: true, passed: func(ev *clientv3.Event) bool {
		return ev.Kv.ModRevision > rev && (ev.Type == clientv3.EventTypeDelete || string(ev.Kv.Value) == shared)
	}}
}

// glimpse also tells of those who wait, if they are exclusive: they must not be overtaken.
func (sharedRule) glimpse(ctx context.Context, l *Line) (glimpse, error) {
	resp, err := l.hub.Client.Get(ctx, l.prefix, clientv3.WithRange(l.end))
	switch {
	case err != nil:
		return glimpse{}, err
	case len(resp.Kvs) == 0:
		return glimpse{room: l.empty()}, nil
	}
	return glimpse{
		culprit: excluding(resp.Kvs),
		room:    clientv3.Compare(clientv3.Value(l.prefix).WithRange(l.end), "=", shared), // false for an empty range
	}, nil
}

// excluding returns the youngest exclusive key, or nil.
func excluding(kvs []*mvccpb.KeyValue) (last *mvccpb.KeyValue) {
	for _, kv := range kvs {
		if string(kv.Value) != shared && (last == nil || kv.CreateRevision > last.CreateRevision) {
			last = kv
		}
	}
	return last
}

// join makes the caller one more holder of the key by which others of this session hold, if the rule lets it and nobody waits who would
// then be overtaken. It returns nil if that cannot be. A writer that queues elsewhere is seen by a read.
func (l *Line) join(ctx context.Context, c Claim, asked time.Time) (*Held, error) {
	s := l.joinable(c)
	if s == nil {
		return nil, nil
	}
	var waits bool
	err := l.hub.Do(ctx, "look for writers in "+l.prefix, func(ctx context.Context) error {
		resp, err := l.hub.Client.Get(ctx, l.prefix, clientv3.WithRange(l.end), clientv3.WithMinCreateRev(s.rev+1))
		if err == nil {
			waits = excluding(resp.Kvs) != nil
		}
		return err
	})
	if err != nil || waits {
		return nil, err
	}
	l.mu.Lock()
	joined := l.stake == s && s.sharesLocked() && len(l.waiters) == 0 // it may be on its way out
	if joined {
		s.holders++
	}
	l.mu.Unlock()
	if !joined {
		return nil, nil
	}
	return s.held(ctx, asked), nil
}

// joinable returns the key that the caller could hold by, or nil.
func (l *Line) joinable(c Claim) *stake {
	if !c.Rule.shares() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stake == nil || !l.stake.sharesLocked() || len(l.waiters) > 0 || l.stake.ctx.Err() != nil {
		return nil
	}
	return l.stake
}

// admitLocked lets the callers at the head of the queue in who can hold by the same key.
func (l *Line) admitLocked(s *stake) {
	if !s.sharesLocked() {
		return
	}
	for len(l.waiters) > 0 && l.waiters[0].claim.Rule.shares() {
		s.holders++
		l.nextLocked().turn <- turn{join: s}
	}
}
