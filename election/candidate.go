package election

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/claim"
	"etcdkit/internal/retry"
	"etcdkit/session"
)

// Candidate is who leads or waits to.
type Candidate struct {
	ID       string // what Transfer takes; unique within the election
	Value    string
	Priority int // 0 also where none was given

	Key    string
	Token  session.Token    // which counts once it leads
	Lease  clientv3.LeaseID // that the key is attached to
	Leader bool

	// What its session says of itself. It is all zero for a key that was not put by this kit.
	Host   string
	PID    int
	Since  time.Time // when the session was opened
	Labels map[string]string
}

func newCandidate(o claim.Owner, prefix string) Candidate {
	id := idOf(o, prefix)
	return Candidate{
		ID: id, Value: o.Value, Priority: priorityOf(id),
		Key: o.Key, Token: o.Token, Lease: o.Lease, Leader: o.Holder,
		Host: o.Info.Host, PID: o.Info.PID, Since: o.Info.Since, Labels: o.Info.Labels,
	}
}

// Candidates lists the leader and those who wait, in the order in which they would lead. The list is empty if nobody stands.
func (e *Election) Candidates(ctx context.Context) ([]Candidate, error) {
	if err := e.usable(); err != nil {
		return nil, e.wrap(err)
	}
	line, err := claim.Owners(ctx, e.hub, e.prefix())
	if err != nil {
		return nil, e.wrap(retry.BothEnds(ctx, err))
	}
	list := make([]Candidate, len(line))
	for i, o := range line {
		list[i] = newCandidate(o, e.prefix())
	}
	return list, nil
}
