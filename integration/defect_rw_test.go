package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// The defects of the RWMutex of etcd's recipes (Q4), beside ours:
//
//	a writer without a key                    TestDefectWriterWithoutAKey (and TestDefectPhantom)
//	one value for two readers leaves a key    TestDefectOneValueTwoReaders
//	a compacted revision is polled for ever   TestDefectPollsForEver

// The lease of a waiting writer is gone when the reader before it leaves. The recipes' Lock says nil, and nothing keeps others out.
func TestDefectWriterWithoutAKey(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		s := open(t, client, cluster.Prefix(t))
		m := lock.NewRWMutex(s, "x")
		grantedAfterDeath(t, client, m.Key(), mustLease(t, s).ID(), func(ctx context.Context) error { _, err := m.Lock(ctx); return err })
		if _, err := lock.NewRWMutex(open(t, client, "other"), "x", lock.WithKey(m.Key())).TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("a second writer: %v", err)
		}
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		s := theirSession(t, client)
		grantedAfterDeath(t, client, key, s.Lease(), func(context.Context) error { return recipe.NewRWMutex(s, key).Lock() })
		second := make(chan error, 1)
		go func() { second <- recipe.NewRWMutex(theirSession(t, client), key).Lock() }()
		if err := <-second; err != nil {
			notShown(t, "a second writer: %v", err)
		}
	})
}

// One value, two readers: the recipes' remembers the key of the last one, and the first one's stays and keeps writers out.
func TestDefectOneValueTwoReaders(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		m := lock.NewRWMutex(open(t, client, cluster.Prefix(t)), "x")
		a, b := mustTake(t, m.RLock), mustTake(t, m.RLock)
		mustUnlock(t, a)
		mustUnlock(t, b)
		if ks := keys(t, client, m.Key()); len(ks) != 0 {
			t.Errorf("keys left: %v", ks)
		}
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		m := recipe.NewRWMutex(theirSession(t, client), key)
		must(t, m.RLock())
		must(t, m.RLock())
		must(t, m.RUnlock())
		_ = m.RUnlock() // of a key that is gone
		if ks := keys(t, client, key); len(ks) != 1 {
			notShown(t, "keys left: %v", ks)
		}
	})
}

// The revision at which a writer joined is compacted away while it is cut off. The recipes' watch starts at that revision, so from then on it opens
// one after the other, each refused, as long as the lock is held.
func TestDefectPollsForEver(t *testing.T) {
	t.Parallel()
	// polls is how many requests it takes to wait when that has happened.
	polls := func(t *testing.T, c *cluster.Cluster, client *clientv3.Client, key string, lock func(context.Context) error) int {
		w := newWaiter(t, client, c.Admin(), key)
		w.wait(soon(t), lock)
		c.Cut()
		for range 5 {
			put(t, c.Admin(), "noise", "")
		}
		c.Compact(t)
		c.Heal()
		recovers(t, client)
		before := c.Requests("Range") + c.Requests("Txn")
		w.staysWaiting()
		n := c.Requests("Range") + c.Requests("Txn") - before
		w.free()
		must(t, w.returned())
		return n
	}
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		m := lock.NewRWMutex(open(t, client, "p", session.WithTTL(time.Minute)), "x")
		if n := polls(t, c, client, m.Key(), func(ctx context.Context) error { _, err := m.Lock(ctx); return err }); n > 5 {
			t.Errorf("%d requests in %v of waiting", n, quiet)
		}
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		m := recipe.NewRWMutex(theirSession(t, client), "x")
		if n := polls(t, c, client, "x", func(context.Context) error { return m.Lock() }); n < 8 {
			notShown(t, "%d requests in %v of waiting", n, quiet)
		}
	})
}

// staysWaiting looks on for a while. Nobody may be let in beside a stranger.
func (w *waiter) staysWaiting() {
	w.t.Helper()
	select {
	case err := <-w.result:
		w.t.Fatalf("Lock beside a stranger = %v", err)
	case <-time.After(quiet):
	}
}
