package nemesis

import (
	"context"
	"errors"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/worker"
)

// members are faults of etcd itself.
var members = []Fault{
	{ID: "F3", Name: "leader killed", Counts: "leaders", Lasts: 1, Begin: killLeader},
	{ID: "F4", Name: "leader frozen for a moment", Counts: "leaders", Lasts: 0.3, Begin: func(ctx context.Context, s *Scene) (End, error) {
		return s.freezeLeader(ctx, false)
	}},
	{ID: "F4", Name: "leader frozen until others lead", Counts: "leaders", Lasts: 2, Begin: func(ctx context.Context, s *Scene) (End, error) {
		return s.freezeLeader(ctx, true)
	}},
	{ID: "F9", Name: "all members killed, for less than the TTL", Counts: "members", Lasts: 0.1, TTL: 6 * time.Second, Begin: killAll},
	{ID: "F9", Name: "all members killed, for longer than the TTL", Counts: "members", Lasts: 1.5, Begin: killAll},
}

func killLeader(ctx context.Context, s *Scene) (End, error) {
	i, err := s.etcd.Leader(ctx)
	if err != nil {
		return nil, err
	}
	s.etcd.Kill(i)
	return func(ctx context.Context) (int64, error) {
		n, err := s.replaced(ctx, i)
		return n, errors.Join(err, s.etcd.Restart(i))
	}, nil
}

// replaced is 1 when another member leads.
func (g *Ground) replaced(ctx context.Context, old int) (int64, error) {
	i, err := g.etcd.Leader(ctx)
	if err != nil || i == old {
		return 0, err
	}
	return 1, nil
}

// freezeLeader stops the leader. An etcd that slept through its own replacement can, when it wakes up, revoke leases that were renewed with
// the new leader: its lessor finds them run out, and a revocation that it proposes is obeyed. Whoever loses a lock then was robbed.
func (s *Scene) freezeLeader(ctx context.Context, replaced bool) (End, error) {
	i, err := s.etcd.Leader(ctx)
	if err != nil {
		return nil, err
	}
	from := worker.Now()
	return func(ctx context.Context) (n int64, err error) {
		n = 1
		if replaced {
			n, err = s.replaced(ctx, i)
		}
		err = errors.Join(err, s.etcd.Continue(i))
		s.Crew.Rob(history.Robbery{How: "the leader was frozen, and woke up", From: from, To: worker.Now() + int64(s.Crew.Spec.TTL)})
		return n, err
	}, s.etcd.Stop(i)
}

func killAll(_ context.Context, s *Scene) (End, error) {
	for i := range s.proxies {
		s.etcd.Kill(i)
	}
	return func(context.Context) (n int64, err error) {
		for i := range s.proxies {
			err = errors.Join(err, s.etcd.Restart(i))
			n++
		}
		return n, err
	}, nil
}
