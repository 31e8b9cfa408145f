package election

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Leader is who leads, or that nobody does.
type Leader struct {
	Value string
	ID    string // its Candidate.ID
	Key   string // empty if nobody leads
	Token session.Token
	Lease clientv3.LeaseID // that the key is attached to

	// What its session says of itself. It is all zero for a key that was not put by this kit.
	Host   string
	PID    int
	Since  time.Time // when the session was opened
	Labels map[string]string

	// StaleSince is, for an observer that is cut off from etcd, since when it is not proven that this is still so. Else it is zero.
	StaleSince time.Time
	// Skipped is how many changes just before this one an observer was not told of, since it was more than a thousand behind.
	Skipped int
}

// Vacant tells whether nobody leads.
func (l *Leader) Vacant() bool { return l.Key == "" }

func newLeader(o claim.Owner, prefix string) *Leader {
	return &Leader{
		Value: o.Value, ID: idOf(o, prefix), Key: o.Key, Token: o.Token, Lease: o.Lease,
		Host: o.Info.Host, PID: o.Info.PID, Since: o.Info.Since, Labels: o.Info.Labels,
	}
}

// Leader tells who leads, by a linearizable read, and a second one for what its session says of itself. It returns ErrNoLeader if nobody
// does.
func (e *Election) Leader(ctx context.Context) (*Leader, error) {
	if err := e.usable(); err != nil {
		return nil, e.wrap(err)
	}
	head, err := e.head(ctx)
	if err == nil && head == nil {
		err = ErrNoLeader
	}
	if err != nil {
		return nil, e.wrap(bothEnds(ctx, err))
	}
	o := claim.Owner{
		Key: string(head.Key), Value: string(head.Value),
		Token: session.Token(head.CreateRevision), Lease: clientv3.LeaseID(head.Lease),
	}
	if o.Info, err = introduce(ctx, e.hub, o.Lease); err != nil {
		return nil, e.wrap(bothEnds(ctx, err))
	}
	return newLeader(o, e.prefix()), nil
}

// head reads the key of the leader, nil if there is none.
func (e *Election) head(ctx context.Context) (head *mvccpb.KeyValue, err error) {
	err = e.hub.Do(ctx, "read the leader of "+e.key, func(ctx context.Context) error {
		resp, err := e.hub.Client.Get(ctx, e.prefix(), clientv3.WithFirstCreate()...)
		if err == nil && len(resp.Kvs) > 0 {
			head = resp.Kvs[0]
		}
		return err
	})
	return head, err
}

// introduce reads what the session with this lease says of itself. Who may not read that still sees the leader.
func introduce(ctx context.Context, h *hub.Hub, lease clientv3.LeaseID) (info hub.Info, err error) {
	err = h.Do(ctx, "read a session key", func(ctx context.Context) error {
		resp, err := h.Client.Get(ctx, h.Keys.Session(int64(lease)))
		if err == nil && len(resp.Kvs) > 0 {
			info = hub.ParseInfo(resp.Kvs[0].Value)
		}
		return err
	})
	if retry.Of(err) == retry.Never {
		err = nil
	}
	return info, err
}
