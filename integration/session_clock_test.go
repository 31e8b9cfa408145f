package integration

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"

	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// A lease is trusted from when it was asked for, however late the answer comes.
func TestTheFirstDeadlineCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p", session.WithTTL(10*time.Second))
	late := faults.HoldReply(cluster.Method("LeaseGrant"))
	leased := make(chan error, 1)
	var l *session.Lease
	go func() {
		var err error
		l, err = s.Lease(soon(t))
		leased <- err
	}()
	late.Await()
	asked := time.Now()
	<-time.After(200 * time.Millisecond)
	must(t, late.Release())
	must(t, <-leased)
	if d := l.Deadline().Sub(asked); d > 9*time.Second {
		t.Errorf("the deadline is %v after the request: the time of the answer was added", d)
	}
}

// A client that would try to connect once a minute is made to try again as soon as etcd is back.
func TestAnOutageIsNotStretched(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t, func(cfg *clientv3.Config) {
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: time.Minute, Multiplier: 1, MaxDelay: time.Minute},
		}))
	})
	s := open(t, client, "p")
	mustLease(t, s)
	c.Stop(0)
	eventually(t, "a try to connect that fails", func() bool {
		return client.ActiveConnection().GetState() == connectivity.TransientFailure
	})
	c.Restart(t, 0)
	c.WaitLeader(t)
	recovers(t, client)
}
