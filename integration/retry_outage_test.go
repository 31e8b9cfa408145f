package integration

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/internal/retry"
)

// pending starts three members, stops the two that follow and sends a put to the leader, which cannot commit it. It returns when
// the put has arrived. What the put returns comes through the channel.
func pending(t *testing.T) (c *cluster.Cluster, lead int, result <-chan error) {
	t.Helper()
	c = cluster.New(t, 3)
	lead = c.WaitLeader(t)
	client := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[lead : lead+1] })
	put(t, client, "key", "before")
	puts, done := c.Requests("Put"), make(chan error, 1)
	ctx := within(t, 8*time.Second) // the server's patience is 5.2 s
	c.Stop((lead + 1) % 3)
	c.Stop((lead + 2) % 3)
	go func() {
		_, err := client.Put(ctx, "key", "late")
		done <- err
	}()
	eventually(t, "the put arrives", func() bool { return c.Requests("Put") > puts })
	return c, lead, done
}

// A write can be committed long after its caller was told of a failure. It takes a leader that had not yet noticed that it is alone
// when the write came, so it is tried a few times.
func TestRetryClassOfACutWhileUnderWay(t *testing.T) {
	t.Parallel()
	for range 10 {
		if committedLate(t) {
			return
		}
	}
	t.Error("no write was committed after its caller was told of a failure")
}

// committedLate cuts off a client whose put is under way, lets the cluster heal, and reports whether the put was committed then.
func committedLate(t *testing.T) bool {
	t.Helper()
	c, lead, result := pending(t)
	if c.Cut(lead) == 0 {
		t.Error("there was no connection to cut")
	}
	classed(t, <-result, retry.Unknown)
	c.Heal(lead)
	// One is enough for a quorum; with both, they could elect one of them, and what was in the old leader's log alone would be gone.
	c.Restart(t, (lead+1)%3)
	c.WaitLeader(t)
	return value(t, c.Client(t), "key") == "late"
}

func TestRetryClassOfAServerThatStops(t *testing.T) {
	t.Parallel()
	c, lead, result := pending(t)
	c.Stop(lead)
	classed(t, <-result, retry.Unknown)
}

func TestRetryClassOfATimeout(t *testing.T) {
	t.Parallel()
	_, _, result := pending(t)
	classed(t, <-result, retry.Unknown) // "request timed out", most often
}

func TestRetryClassOfNoLeader(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[:1] })
	put(t, client, "key", "1")
	c.Stop(1)
	c.Stop(2)
	classed(t, watchError(t, client, "key"), retry.Unknown, "no leader")
	_, err := client.Put(clientv3.WithRequireLeader(t.Context()), "key", "2")
	classed(t, err, retry.Unknown, "no leader")
	ctx := within(t, 300*time.Millisecond)
	_, err = client.Get(ctx, "key")
	classed(t, err, retry.Unknown)
	c.Restart(t, 1, 2)
	left(t, client, "key", "1")
}

func TestRetryClassOfAFullStore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	client := c.Client(t)
	c.FillSpace(t)
	_, err := client.Put(t.Context(), "key", "1")
	classed(t, err, retry.Unknown, "database space exceeded")
	_, err = client.Grant(t.Context(), 10)
	classed(t, err, retry.Unknown, "database space exceeded")
	left(t, client, "key", "")
}

// The write that finds the store full only when it is applied is applied, and then answered as if it had not been. That takes
// writes that pass the door together, so it is tried until it is seen.
func TestRetryNoSpaceCanMeanApplied(t *testing.T) {
	t.Parallel()
	for until := time.Now().Add(2 * patience); time.Now().Before(until); {
		if refusedAndApplied(t) > 0 {
			return
		}
	}
	t.Error("no refused write was applied: then ErrNoSpace could be a certain answer")
}

// refusedAndApplied fills a store with writes at the same time, and returns how many were refused for space and are there.
func refusedAndApplied(t *testing.T) int {
	t.Helper()
	client := cluster.New(t, 1, cluster.SmallQuota).Client(t)
	big := strings.Repeat("x", 1<<20)
	refused := make([]bool, 32)
	var wg sync.WaitGroup
	for i := range refused {
		wg.Go(func() {
			_, err := client.Put(within(t, 20*time.Second), fmt.Sprintf("key%d", i), big)
			refused[i] = errors.Is(err, rpctypes.ErrNoSpace)
		})
	}
	wg.Wait()
	applied := 0
	for i, no := range refused {
		if no && value(t, client, fmt.Sprintf("key%d", i)) != "" {
			applied++
		}
	}
	return applied
}
