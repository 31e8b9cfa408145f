package integration

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// D8: the holder of a lock that was waited for sends a number along with its writes. What etcd's Mutex has for that, the revision of
// Header, is the one of a later read: nobody else can find it in etcd. (Its IsOwner is right, and good for transactions alone.)
func TestDefectNoToken(t *testing.T) {
	t.Parallel()
	token := func(key string, n session.Token) clientv3.Cmp {
		return clientv3.Compare(clientv3.CreateRevision(key), "=", int64(n))
	}
	sides(t, func(t *testing.T) {
		client := cluster.Shared(t)
		m := lock.NewMutex(open(t, client, cluster.Prefix(t)), "x")
		w := newWaiter(t, client, cluster.Shared(t), m.Key())
		var h *lock.Hold
		w.wait(soon(t), func(ctx context.Context) (err error) { h, err = m.Lock(ctx); return err })
		w.free()
		must(t, w.returned())
		if key := keyOf(h); !valid(t, client, token(key, h.Token())) {
			t.Errorf("the token %d is not the create revision of %q", h.Token(), key)
		}
		mustUnlock(t, h)
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		w := newWaiter(t, client, cluster.Shared(t), key)
		m := theirMutex(t, client, key)
		w.wait(soon(t), m.Lock)
		w.free()
		must(t, w.returned())
		if !valid(t, client, m.IsOwner()) {
			t.Error("void: it is not the owner")
		}
		if n := m.Header().Revision; valid(t, client, token(m.Key(), session.Token(n))) {
			notShown(t, "the revision %d of the header is the create revision of its key", n)
		}
	})
}
