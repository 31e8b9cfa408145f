package integration

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// D7: somebody deletes the holder's key. Etcd's Mutex has no way to tell its holder, and even Unlock says that all is well.
func TestDefectSilentLoss(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		m := lock.NewMutex(open(t, client, cluster.Prefix(t)), "x")
		h := mustLock(t, m)
		_, err := client.Delete(soon(t), m.Key()+"/", clientv3.WithPrefix())
		must(t, err)
		done(t, "the end of the hold", h.Context().Done())
		if err := context.Cause(h.Context()); !reason(session.Deleted)(err) {
			t.Errorf("cause: %v", err)
		}
		if err := h.Unlock(soon(t)); !reason(session.Deleted)(err) {
			t.Errorf("Unlock = %v", err)
		}
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		s := theirSession(t, client)
		m := concurrency.NewMutex(s, key)
		must(t, m.Lock(soon(t)))
		_, err := client.Delete(soon(t), key+"/", clientv3.WithPrefix())
		must(t, err)
		next := theirMutex(t, client, key)
		must(t, next.TryLock(soon(t))) // somebody else holds it
		if closed(s.Done()) {
			notShown(t, "the session ended")
		}
		if err := m.Unlock(soon(t)); err != nil {
			notShown(t, "Unlock = %v", err)
		}
	})
}
