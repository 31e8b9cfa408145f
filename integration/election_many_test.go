package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// Two thousand elections are won by one session, under one lease, and none is lost when etcd's leader changes.
func TestThousandsOfElections(t *testing.T) {
	t.Parallel()
	const n, at = 2000, 32
	c := cluster.New(t, 3)
	var streams atomic.Int64
	s := open(t, c.Client(t, countStreams(&streams)), "p", session.WithTTL(30*time.Second)) // a slow machine must not lose them
	terms := make([]*election.Term, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range at {
		all.Go(func() {
			for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
				term, err := election.New(s, fmt.Sprint("role/", i)).Campaign(soon(t))
				if err != nil {
					t.Error(err)
					return
				}
				terms[i] = term
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	leader := c.WaitLeader(t)
	for i := range 3 {
		c.MoveLeader(t, (leader+1+i)%3)
		put(t, c.Admin(), "noise", fmt.Sprint(i)) // the new one has committed something
	}
	lease := mustLease(t, s)
	for i, term := range terms {
		if term.Err() != nil {
			t.Fatalf("election %d was lost: %v", i, term.Err())
		}
	}
	resp, err := c.Admin().Get(soon(t), "p/election/", clientv3.WithPrefix())
	must(t, err)
	if len(resp.Kvs) != n {
		t.Errorf("%d keys, want %d", len(resp.Kvs), n)
	}
	for _, kv := range resp.Kvs {
		if clientv3.LeaseID(kv.Lease) != lease.ID() {
			t.Fatalf("%s is under the lease %x", kv.Key, kv.Lease)
		}
	}
	if got := streams.Load(); got > 50 { // one for the keys held, and a new one when a slow machine makes it look stuck
		t.Errorf("%d streams", got)
	}
	must(t, s.Close(soon(t)))
	awaitNoKeys(t, c.Admin(), "p/election/")
}

// A thousand elections that one session observes cost a few streams.
func TestThousandsOfObservers(t *testing.T) {
	t.Parallel()
	const n = 1000
	c := cluster.New(t, 1)
	var streams atomic.Int64
	s := open(t, c.Client(t, countStreams(&streams)), "p")
	ctx, cancel := context.WithCancel(soon(t))
	var all sync.WaitGroup
	begun, seen := make(chan int, n), make(chan int, n)
	const at = 50
	for i := range n {
		if i >= at {
			<-begun
		}
		all.Go(func() {
			for l, err := range election.New(s, fmt.Sprint("role/", i)).Leaders(ctx) {
				switch {
				case err != nil:
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				case l.Value == "v":
					seen <- i
					return
				case l.StaleSince.IsZero():
					begun <- i
				}
			}
		})
	}
	for range at {
		<-begun
	}
	for i := range n {
		mustPut(t, c.Admin(), fmt.Sprintf("p/election/role/%d/@/a", i), "v")
	}
	for range n {
		<-seen
	}
	cancel()
	all.Wait()
	t.Logf("%d streams", streams.Load())
	if got := streams.Load(); got > 40 { // four, and on a slow machine one that seems stuck is given up now and then
		t.Errorf("%d streams for %d elections", got, n)
	}
}

// What the package promises of its cost.
func TestCostOfAnElection(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	mustLease(t, s)
	txns, reads := c.Requests("Txn"), c.Requests("Range")
	term := mustCampaign(t, election.New(s, "x"))
	must(t, term.Resign(soon(t)))
	// On a slow machine the term may be old enough to look for requests, which reads.
	if txns, reads = c.Requests("Txn")-txns, c.Requests("Range")-reads; txns != 2 || reads > 3 {
		t.Errorf("%d transactions and %d reads", txns, reads)
	}
}
