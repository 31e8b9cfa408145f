package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// A probe that keeps traffic away from an unhealthy instance must see it recover, though nobody asks for a lease then.
func TestHealthRecoversByItself(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithTTL(2*time.Second))
	c.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Lease(ctx); err == nil || s.Healthy() == nil {
		t.Errorf("without etcd: %v, healthy %v", err, s.Healthy())
	}
	c.Heal()
	eventually(t, "health after an outage", func() bool { return s.Healthy() == nil })
	l := mustLease(t, s)
	if _, err := c.Admin().Revoke(soon(t), l.ID()); err != nil {
		t.Fatal(err)
	}
	done(t, "the end of the epoch", l.Context().Done())
	eventually(t, "health after a revocation", func() bool { return s.Healthy() == nil })
}

// After an outage that ended the epoch, Close still asks: the lease is alive, and so are the keys on it.
func TestCloseAfterALostEpochRevokes(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithTTL(2*time.Second))
	l := mustLease(t, s)
	c.Cut()
	done(t, "the end of the epoch", l.Context().Done())
	c.Heal()
	if err := s.Close(soon(t)); err != nil {
		t.Errorf("Close = %v", err)
	}
	if n := leases(t, c.Admin()); n != 0 {
		t.Errorf("%d leases left", n)
	}
}

// Close overtakes an Unlock: that is no deletion by somebody else.
func TestCloseOvertakesUnlock(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p")
	m := lock.NewMutex(s, "x")
	h := mustLock(t, m)
	hold := faults.Hold(cluster.Method("Txn"))
	unlocked := make(chan error, 1)
	go func() { unlocked <- h.Unlock(soon(t)) }()
	hold.Await()
	if err := s.Close(soon(t)); err != nil {
		t.Errorf("Close = %v", err)
	}
	_ = hold.Release()
	if err := <-unlocked; errors.Is(err, session.ErrLost) || err != nil && !errors.Is(err, session.ErrClosed) {
		t.Errorf("Unlock = %v", err)
	}
}

// termRaiser makes the first renewal look as if it was answered in a far later raft term, as before a restore from a backup.
type termRaiser struct {
	grpc.ClientStream
	raised *bool
}

func (s termRaiser) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if resp, ok := m.(*pb.LeaseKeepAliveResponse); ok && err == nil && !*s.raised {
		*s.raised = true
		resp.Header.RaftTerm += 1000
	}
	return err
}

// A raft term that falls costs an epoch, and not the session: the lease is given up, and the line goes on.
func TestAFallingRaftTermIsSurvived(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	raised := false
	client := c.Client(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				stream, err := streamer(ctx, desc, cc, method, opts...)
				return termRaiser{stream, &raised}, err
			}))
	})
	holder := lock.NewMutex(open(t, c.Client(t), "p"), "x")
	s := open(t, client, "p", session.WithTTL(time.Second))
	h := mustLock(t, holder)
	l := mustLease(t, s)
	held := async(t, lock.NewMutex(s, "x"))
	done(t, "the end of the epoch", l.Context().Done())
	mustUnlock(t, h)
	mustUnlock(t, next(t, held))
	mustUnlock(t, mustLock(t, holder))
}
