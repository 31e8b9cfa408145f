package election

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
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
	head, ok, err := claim.Head(ctx, e.hub, e.prefix())
	if err == nil && !ok {
		err = ErrNoLeader
	}
	if err != nil {
		return nil, e.wrap(retry.BothEnds(ctx, err))
	}
	return newLeader(head, e.prefix()), nil
}
