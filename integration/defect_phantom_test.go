package integration

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// L5: the lease of a waiter is gone when its turn comes. Etcd's Mutex looks at its key before it grants; its Election and the RWMutex of its
// recipes do not, and grant with nothing there that keeps anybody else out.
func TestDefectPhantom(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		s := open(t, client, cluster.Prefix(t))
		m := lock.NewMutex(s, "x")
		grantedAfterDeath(t, client, m.Key(), mustLease(t, s).ID(), lockOf(m))
		if ks := keys(t, client, m.Key()); len(ks) != 1 {
			t.Errorf("granted with the keys %v", ks)
		}
	}, func(t *testing.T) {
		for name, take := range map[string]func(s *concurrency.Session, key string) func(context.Context) error{
			"Election": func(s *concurrency.Session, key string) func(context.Context) error {
				return func(ctx context.Context) error { return concurrency.NewElection(s, key).Campaign(ctx, "") }
			},
			"RWMutex": func(s *concurrency.Session, key string) func(context.Context) error {
				return func(context.Context) error { return recipe.NewRWMutex(s, key).Lock() }
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client, key := cluster.Shared(t), cluster.Prefix(t)
				s := theirSession(t, client)
				grantedAfterDeath(t, client, key, s.Lease(), take(s, key))
				if ks := keys(t, client, key); len(ks) != 0 {
					notShown(t, "granted with the keys %v", ks)
				}
			})
		}
	})
}

// grantedAfterDeath waits in the line at key until the lease is revoked and the stranger gone. It must be granted.
func grantedAfterDeath(t *testing.T, client *clientv3.Client, key string, lease clientv3.LeaseID, take func(context.Context) error) {
	t.Helper()
	w := newWaiter(t, client, cluster.Shared(t), key)
	w.wait(soon(t), take)
	_, err := w.admin.Revoke(soon(t), lease)
	must(t, err)
	w.free()
	if err := w.returned(); err != nil {
		t.Fatalf("not granted: %v", err)
	}
}
