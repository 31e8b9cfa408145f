package integration

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// D2: the deletion is under way for long, is sent again, the lock is taken again, and only then the first deletion arrives. Etcd's
// Mutex deletes by name, and the name is the same each time.
func TestDefectLateUnlock(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		m := lock.NewMutex(open(t, client, "p"), "x")
		h := mustLock(t, m)
		first := keyOf(h)
		late := faults.SendLate(deletes(m.Key()))
		mustUnlock(t, h)
		h = mustLock(t, m)
		if again := keyOf(h); again != first {
			t.Fatalf("void: the key is %q and was %q", again, first)
		}
		must(t, late.Release())
		if h.Err() != nil || !valid(t, c.Admin(), h.Guard()) {
			t.Errorf("the late unlock took the newer hold: Err %v", h.Err())
		}
		mustUnlock(t, h)
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		m := theirMutex(t, client, "x")
		must(t, m.Lock(soon(t)))
		late := faults.SendLate(deletes("x"))
		if err := m.Unlock(soon(t)); err == nil {
			t.Fatal("void: the unlock whose request is still under way = nil")
		}
		must(t, m.Unlock(soon(t)))
		must(t, m.Lock(soon(t)))
		must(t, late.Release())
		if valid(t, c.Admin(), m.IsOwner()) {
			notShown(t, "the key is still there")
		}
		if err := theirMutex(t, c.Client(t), "x").TryLock(soon(t)); err != nil {
			notShown(t, "the TryLock of a second holder = %v", err)
		}
	})
}

// D4: the context ends while etcd is away. Etcd's Mutex then deletes its key under a context without an end.
func TestDefectContextIgnored(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		m := lock.NewMutex(open(t, client, "p"), "x")
		w := newWaiter(t, client, c.Admin(), m.Key())
		givesUp(t, c, w, lockOf(m))
		if err := w.within(quiet); !errors.Is(err, context.Canceled) {
			t.Errorf("Lock = %v", err)
		}
		c.Heal()
		w.free()
		awaitNoKeys(t, c.Admin(), m.Key())
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client := c.Client(t)
		w := newWaiter(t, client, c.Admin(), "x")
		givesUp(t, c, w, theirMutex(t, client, "x").Lock)
		w.staysQuiet()
		c.Heal()
		if err := w.returned(); !errors.Is(err, context.Canceled) {
			t.Errorf("Lock = %v", err)
		}
	})
}

// D5: the lock is taken and the answer is lost. Etcd's Lock fails, its Unlock says that there is nothing to unlock, and its session
// keeps the key alive.
func TestDefectOrphan(t *testing.T) {
	t.Parallel()
	sides(t, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		m := lock.NewMutex(open(t, client, "p"), "x")
		lost := faults.LoseReply(puts(m.Key()))
		h := mustLock(t, m)
		lost.Await()
		if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
			t.Errorf("keys %v, want the holder's alone", ks)
		}
		mustUnlock(t, h)
		mustUnlock(t, mustLock(t, lock.NewMutex(open(t, c.Client(t), "p"), "x")))
	}, func(t *testing.T) {
		c := cluster.New(t, 1)
		client, faults := faultyOf(t, c)
		m := theirMutex(t, client, "x")
		lost := faults.LoseReply(puts("x/"))
		if err := m.Lock(soon(t)); err == nil {
			notShown(t, "Lock = nil")
		}
		lost.Await()
		if err := m.Unlock(soon(t)); !errors.Is(err, concurrency.ErrLockReleased) {
			notShown(t, "Unlock = %v", err)
		}
		if err := theirMutex(t, c.Client(t), "x").TryLock(soon(t)); !errors.Is(err, concurrency.ErrLocked) {
			notShown(t, "nobody holds, and TryLock = %v", err)
		}
	})
}
