package integration

import (
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// D6: TryLock of a lock that is held. Etcd's stands in line and leaves it again, two writes, and is in the way of others meanwhile.
func TestDefectTryLockWrites(t *testing.T) {
	t.Parallel()
	revision := func(t *testing.T, client *clientv3.Client) int64 {
		resp, err := client.Get(soon(t), "any")
		must(t, err)
		return resp.Header.Revision
	}
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		m := lock.NewMutex(open(t, c.Client(t), "p"), "x")
		put(t, c.Admin(), m.Key()+"/stranger", "")
		before := revision(t, c.Admin())
		if _, err := m.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryLock = %v", err)
		}
		if n := revision(t, c.Admin()) - before; n != 0 {
			t.Errorf("a TryLock that failed wrote %d times", n)
		}
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		m := theirMutex(t, c.Client(t), "x")
		put(t, c.Admin(), "x/stranger", "")
		before := revision(t, c.Admin())
		if err := m.TryLock(soon(t)); !errors.Is(err, concurrency.ErrLocked) {
			t.Errorf("TryLock = %v", err)
		}
		if n := revision(t, c.Admin()) - before; n != 2 {
			notShown(t, "a TryLock that failed wrote %d times", n)
		}
	})
}
