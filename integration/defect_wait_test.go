package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// lockOf is Lock of ours as a waiter calls it.
func lockOf(m *lock.Mutex) func(context.Context) error {
	return func(ctx context.Context) error { _, err := m.Lock(ctx); return err }
}

// D3: the lease of a waiter is gone. Ours stands in line again before the lock is free; etcd's waits on with no key, and errs when it is
// its turn.
func TestDefectDeadSessionWaits(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		s := open(t, client, cluster.Prefix(t))
		m := lock.NewMutex(s, "x")
		w := newWaiter(t, client, cluster.Shared(t), m.Key())
		w.wait(soon(t), lockOf(m))
		_, err := w.admin.Revoke(soon(t), mustLease(t, s).ID())
		must(t, err)
		awaitWaiters(t, m, 2)
		w.free()
		if err := w.returned(); err != nil {
			t.Errorf("Lock = %v", err)
		}
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		w := newWaiter(t, client, cluster.Shared(t), key)
		s := theirSession(t, client)
		w.wait(soon(t), concurrency.NewMutex(s, key).Lock)
		_, err := w.admin.Revoke(soon(t), s.Lease())
		must(t, err)
		done(t, "the end of the session", s.Done())
		w.staysQuiet()
		if ks := keys(t, client, key); len(ks) != 1 {
			notShown(t, "a waiter with a dead session has a key: %v", ks)
		}
		w.free()
		if err := w.returned(); !errors.Is(err, concurrency.ErrSessionExpired) {
			notShown(t, "Lock of a free lock = %v", err)
		}
	})
}

// D9: the waiter's watch is on a member that is cut off from the others. Etcd's does not ask for a leader, so it hears nothing at all,
// while its client could reach the others.
func TestDefectCutOffMember(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c, member, client := pinned(t)
		m := lock.NewMutex(open(t, client, "p", session.WithTTL(30*time.Second)), "x")
		w := newWaiter(t, client, c.Admin(), m.Key())
		w.wait(soon(t), lockOf(m))
		client.SetEndpoints(c.Endpoints()...)
		c.Isolate(member)
		w.free()
		from := time.Now()
		if err := w.returned(); err != nil {
			t.Errorf("Lock = %v", err)
		}
		t.Logf("granted %v after the release", time.Since(from))
	}, func(t *testing.T) {
		c, member, client := pinned(t)
		w := newWaiter(t, client, c.Admin(), "x")
		w.wait(soon(t), theirMutex(t, client, "x").Lock)
		client.SetEndpoints(c.Endpoints()...)
		c.Isolate(member)
		w.free()
		// The member itself knows by now, and tells those who asked.
		alone := c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[member : member+1] })
		if err := watchError(t, alone, "any"); !errors.Is(err, rpctypes.ErrNoLeader) {
			t.Fatalf("void: a watch that requires a leader ends with %v", err)
		}
		w.staysQuiet()
		c.Rejoin(member)
		if err := w.returned(); err != nil {
			t.Errorf("Lock after the member is back = %v", err)
		}
	})
}

// pinned returns a cluster and a client of one of its members, one that does not lead and is not Admin's.
func pinned(t *testing.T) (c *cluster.Cluster, member int, client *clientv3.Client) {
	t.Helper()
	c = cluster.New(t, 3)
	member = 1
	if c.WaitLeader(t) == member {
		member = 2
	}
	return c, member, c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[member : member+1] })
}

// D10: while the waiter is away, the history is compacted past its watch. Ours looks again; etcd's Lock gives up its place and fails.
func TestDefectCompaction(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		m := lock.NewMutex(open(t, client, "p", session.WithTTL(30*time.Second)), "x")
		w := newWaiter(t, client, c.Admin(), m.Key())
		w.wait(soon(t), lockOf(m))
		compactAway(t, c)
		w.free()
		if err := w.returned(); err != nil {
			t.Errorf("Lock = %v", err)
		}
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		w := newWaiter(t, client, c.Admin(), "x")
		w.wait(soon(t), theirMutex(t, client, "x").Lock)
		compactAway(t, c)
		w.free()
		if err := w.returned(); !errors.Is(err, rpctypes.ErrCompacted) {
			notShown(t, "Lock = %v", err)
		}
	})
}
