package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/internal/retry"
)

func TestSharedCluster(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			client, prefix := cluster.Shared(t), cluster.Prefix(t)
			if strings.Contains(prefix, "//") || prefix == cluster.Prefix(t) {
				t.Errorf("prefix %q", prefix)
			}
			put(t, client, prefix+"/a", "1")
			if got := value(t, client, prefix+"/a"); got != "1" {
				t.Errorf("read %q", got)
			}
			lease, err := client.Grant(t.Context(), 1)
			if err != nil || lease.TTL != 1 {
				t.Errorf("a lease of 1 s was granted as %v, %v", lease, err)
			}
		})
	}
}

func TestClustersAreStrangers(t *testing.T) {
	t.Parallel()
	a, b := cluster.New(t, 1), cluster.New(t, 1)
	put(t, a.Client(t), "key", "a")
	resp, err := b.Client(t).Get(t.Context(), "key")
	if err != nil || len(resp.Kvs) != 0 {
		t.Errorf("the other cluster has %v, %v", resp, err)
	}
	other, err := a.Admin().Get(t.Context(), "key")
	if err != nil || other.Header.ClusterId == resp.Header.ClusterId {
		t.Errorf("both have the cluster id %x (%v)", resp.Header.ClusterId, err)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "before")
	if n := c.Cut(); n != 1 {
		t.Errorf("%d connections were cut, want 1", n)
	}
	if _, err := client.Put(within(t, 300*time.Millisecond), "key", "during"); retry.Of(err) != retry.Unknown {
		t.Errorf("put during the cut: %v", err)
	}
	put(t, c.Admin(), "other", "by admin")
	c.Heal()
	recovers(t, client)
	if got := value(t, client, "key"); got != "before" {
		t.Errorf("the put got through the cut: %q", got)
	}
	if got := value(t, client, "other"); got != "by admin" {
		t.Errorf("what Admin wrote: %q", got)
	}
}

func TestCutOneMember(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	first := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[:1] })
	second := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[1:2] })
	put(t, first, "key", "1")
	put(t, second, "key", "2")
	c.Cut(0)
	put(t, second, "key", "3")
	if _, err := first.Get(within(t, 200*time.Millisecond), "key"); err == nil {
		t.Error("the member that was cut answers")
	}
	c.Heal(0)
	recovers(t, first)
}

func TestBlackhole(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "before")
	puts := c.Requests("Put")
	c.Blackhole()
	_, err := client.Put(within(t, 300*time.Millisecond), "key", "during")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put into the black hole: %v, want no answer", err)
	}
	if n := c.Unblackhole(); n == 0 {
		t.Error("nothing was swallowed")
	}
	recovers(t, client)
	if got := value(t, client, "key"); got != "before" || c.Requests("Put") != puts {
		t.Errorf("the put got through: %q, %d puts", got, c.Requests("Put")-puts)
	}
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "kept")
	watch := client.Watch(t.Context(), "key", clientv3.WithCreatedNotify())
	<-watch // an open stream must not hold up Stop
	endpoints := c.Endpoints()
	start := time.Now()
	c.Stop(0)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("Stop took %v", took)
	}
	if _, err := client.Put(within(t, 200*time.Millisecond), "key", "lost"); err == nil {
		t.Error("a stopped member answers")
	}
	c.Restart(t, 0)
	recovers(t, client)
	if got := value(t, client, "key"); got != "kept" {
		t.Errorf("after the restart: %q", got)
	}
	if got := c.Endpoints(); got[0] != endpoints[0] {
		t.Errorf("the endpoint moved from %v to %v", endpoints, got)
	}
}

func TestLeaderStops(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	put(t, client, "key", "1")
	old := c.WaitLeader(t)
	c.Stop(old)
	if lead := c.WaitLeader(t); lead == old {
		t.Errorf("member %d leads though it is stopped", lead)
	}
	recovers(t, client)
	put(t, client, "key", "2")
	c.Restart(t, old)
	c.WaitLeader(t)
}

func TestAllMembersStop(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	client := c.Client(t)
	put(t, client, "key", "kept")
	for i := range 3 {
		c.Stop(i)
	}
	c.Restart(t, 0, 1, 2)
	recovers(t, client)
	if got := value(t, client, "key"); got != "kept" {
		t.Errorf("after the restart: %q", got)
	}
}

func TestIsolate(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	old := c.WaitLeader(t)
	alone := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[old : old+1] })
	put(t, alone, "key", "1")
	c.Isolate(old)
	_, err := alone.Put(within(t, 500*time.Millisecond), "key", "2")
	if err == nil {
		t.Error("an isolated member accepts a write")
	}
	rest := c.Client(t, func(cfg *clientv3.Config) {
		cfg.Endpoints = []string{c.Endpoints()[(old+1)%3], c.Endpoints()[(old+2)%3]}
	})
	recovers(t, rest)
	put(t, rest, "key", "3")
	c.Rejoin(old)
	c.WaitLeader(t)
	if got := value(t, alone, "key"); got != "3" {
		t.Errorf("the member that rejoined reads %q", got)
	}
}

func TestMoveLeader(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	for to := range 3 {
		c.MoveLeader(t, to)
		if got := c.WaitLeader(t); got != to {
			t.Errorf("member %d leads, want %d", got, to)
		}
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "1")
	put(t, client, "key", "2")
	rev := c.Compact(t)
	_, err := client.Get(t.Context(), "key", clientv3.WithRev(rev-1))
	if !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("reading before revision %d: %v", rev, err)
	}
}

func TestFillSpace(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	client := c.Client(t)
	put(t, client, "key", "1")
	c.FillSpace(t)
	if _, err := client.Put(t.Context(), "key", "2"); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("put into a full store: %v", err)
	}
	if _, err := client.Grant(t.Context(), 1); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("grant in a full store: %v", err)
	}
	if _, err := client.Delete(t.Context(), "key"); err != nil {
		t.Errorf("delete in a full store: %v", err)
	}
	c.FreeSpace(t)
	put(t, client, "key", "3")
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client := c.Client(t)
	put(t, client, "key", "1")
	before, all := c.Requests("Txn"), c.Requests("")
	for range 3 {
		if _, err := client.Txn(t.Context()).Then(clientv3.OpGet("key")).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Requests("/etcdserverpb.KV/Txn") - before; got != 3 {
		t.Errorf("%d transactions were counted, want 3", got)
	}
	if got := c.Requests("") - all; got != 3 {
		t.Errorf("%d requests were counted, want 3", got)
	}
}

func TestShortLeaseExpires(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	lease, err := client.Grant(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	resp, err := client.Put(t.Context(), prefix+"/key", "", clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatal(err)
	}
	for answer := range client.Watch(within(t, 10*time.Second), prefix+"/key", clientv3.WithRev(resp.Header.Revision+1)) {
		if len(answer.Events) > 0 && answer.Events[0].Type == clientv3.EventTypeDelete {
			if took := time.Since(start); took < 900*time.Millisecond {
				t.Errorf("the key went after %v", took)
			}
			return
		}
	}
	t.Error("the key outlived its lease")
}
