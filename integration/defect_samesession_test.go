package integration

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// D1: two callers of one session. The key of etcd's Mutex is the session's alone, so the second finds it and takes it for its own.
func TestDefectSameSession(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		s := open(t, cluster.Shared(t), cluster.Prefix(t))
		a, b := lock.NewMutex(s, "x"), lock.NewMutex(s, "x")
		h := mustLock(t, a)
		if _, err := b.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("the second TryLock = %v", err)
		}
		mustUnlock(t, h)
		mustUnlock(t, mustLock(t, b))
	}, func(t *testing.T) {
		client, key := cluster.Shared(t), cluster.Prefix(t)
		s := theirSession(t, client)
		a, b := concurrency.NewMutex(s, key), concurrency.NewMutex(s, key)
		must(t, a.TryLock(soon(t)))
		if err := b.TryLock(soon(t)); err != nil {
			notShown(t, "the second TryLock = %v", err)
			return
		}
		must(t, a.Unlock(soon(t)))
		if err := theirMutex(t, client, key).TryLock(soon(t)); err != nil {
			notShown(t, "b holds, a has unlocked, and the TryLock of another session = %v", err)
		}
	})
}
