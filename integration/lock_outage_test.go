package integration

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

func TestWaiterSurvivesCompaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	holder := lock.NewMutex(open(t, c.Client(t), "p"), "x")
	waiter := lock.NewMutex(open(t, c.Client(t), "p"), "x")
	h := mustLock(t, holder)
	held := async(t, waiter)
	awaitWaiters(t, holder, 2)
	for range 3 {
		c.Cut()
		for range 5 {
			if _, err := c.Admin().Put(soon(t), "noise", "x"); err != nil {
				t.Fatal(err)
			}
		}
		c.Compact(t)
		c.Heal()
	}
	mustUnlock(t, h)
	h = next(t, held)
	if h.Err() != nil {
		t.Error(h.Err())
	}
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), holder.Key())
}

// The holder lets go while the waiter is cut off and its watch compacted away: it must find out all the same.
func TestReleaseDuringAnOutageOfTheWaiter(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	waiter := lock.NewMutex(open(t, c.Client(t), "p", session.WithTTL(30*time.Second)), "x")
	if _, err := c.Admin().Put(soon(t), waiter.Key()+"/foreign", "who knows"); err != nil {
		t.Fatal(err)
	}
	held := async(t, waiter)
	for len(keys(t, c.Admin(), waiter.Key())) < 2 {
	}
	c.Cut()
	if _, err := c.Admin().Delete(soon(t), waiter.Key()+"/foreign"); err != nil {
		t.Fatal(err)
	}
	c.Compact(t)
	c.Heal()
	mustUnlock(t, next(t, held))
}

// A waiter whose lease is gone queues again on the next one, and one whose key was deleted too.
func TestWaiterQueuesAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, client *clientv3.Client, s *session.Session, m *lock.Mutex){
		"dead lease": func(t *testing.T, client *clientv3.Client, s *session.Session, _ *lock.Mutex) {
			l, err := s.Lease(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Revoke(soon(t), l.ID()); err != nil {
				t.Fatal(err)
			}
		},
		"deleted key": func(t *testing.T, client *clientv3.Client, _ *session.Session, m *lock.Mutex) {
			owners, err := m.Owners(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Delete(soon(t), owners[1].Key); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, prefix := cluster.Shared(t), cluster.Prefix(t)
			holder := lock.NewMutex(open(t, client, prefix), "x")
			s := open(t, client, prefix, session.WithTTL(2*time.Second))
			waiter := lock.NewMutex(s, "x")
			h := mustLock(t, holder)
			held := async(t, waiter)
			awaitWaiters(t, holder, 2)
			harm(t, client, s, holder)
			mustUnlock(t, h)
			h = next(t, held)
			resp, err := client.Txn(soon(t)).If(h.Guard()).Commit()
			if err != nil || !resp.Succeeded || h.Err() != nil {
				t.Errorf("a phantom: guard %v, %v, Err %v", resp, err, h.Err())
			}
			mustUnlock(t, h)
		})
	}
}

// Every key with a lower create revision excludes, whatever it is called and holds.
func TestForeignKeysInTheLine(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	s := open(t, client, cluster.Prefix(t))
	m := lock.NewMutex(s, "x")
	l, err := s.Lease(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zz", "\xff\xfe", "0", strconv.FormatInt(int64(l.ID()), 16)} { // the last is our own first slot
		if _, err := client.Put(soon(t), m.Key()+"/"+name, "\x00junk"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryLock with a foreign key %q = %v", name, err)
		}
		held := async(t, m)
		awaitWaiters(t, m, 2)
		select {
		case <-held:
			t.Errorf("granted beside a foreign key %q", name)
		default:
		}
		if _, err := client.Delete(soon(t), m.Key()+"/"+name); err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, next(t, held))
	}
}

// Locks are held and let go while the store is full; nobody new can lock, and hears so at once.
func TestFullStore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1, cluster.SmallQuota)
	queued, trace := tellQueued()
	s := open(t, c.Client(t), "p", trace)
	a, b := lock.NewMutex(s, "a"), lock.NewMutex(s, "b")
	ha, hb := mustLock(t, a), mustLock(t, b)
	waiting := make(chan error, 1)
	go func() { _, err := b.Lock(soon(t)); waiting <- err }()
	<-queued
	c.FillSpace(t)

	if _, err := lock.NewMutex(s, "c").Lock(soon(t)); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("Lock in a full store = %v", err)
	}
	if _, err := lock.NewMutex(open(t, c.Client(t), "p"), "c").Lock(soon(t)); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("Lock of a new session in a full store = %v", err)
	}
	if _, err := a.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryLock of a held lock in a full store = %v", err)
	}
	if ha.Err() != nil {
		t.Errorf("a hold was lost: %v", ha.Err())
	}
	mustUnlock(t, ha)
	mustUnlock(t, hb) // with somebody waiting: the turn fails, the release does not
	if err := <-waiting; !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("the local waiter got %v", err)
	}
	awaitNoKeys(t, c.Admin(), "p/lock/")
	c.FreeSpace(t)
	mustUnlock(t, mustLock(t, a))
	mustUnlock(t, mustLock(t, b))
}

// Unlock does its work in a defer whose context is over.
func TestUnlockUnderAnEndedContext(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	m := lock.NewMutex(open(t, client, cluster.Prefix(t)), "x")
	ctx, cancel := context.WithCancel(t.Context())
	h, err := m.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if h.Err() != nil {
		t.Errorf("the end of Lock's context ended the hold: %v", h.Err())
	}
	if err := h.Unlock(ctx); err != nil {
		t.Errorf("Unlock = %v", err)
	}
	if ks := keys(t, client, m.Key()); len(ks) > 0 {
		t.Errorf("keys left: %v", ks)
	}
}

// Unlock while etcd cannot be reached is bounded, says that its outcome is uncertain, and the janitor finishes it.
func TestUnlockWhileEtcdIsUnreachable(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	m := lock.NewMutex(open(t, c.Client(t), "p", session.WithTTL(time.Minute)), "x")
	h := mustLock(t, m)
	c.Cut()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	from := time.Now()
	err := h.Unlock(ctx)
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("Unlock took %v", took)
	}
	if !errors.Is(err, session.ErrUncertain) {
		t.Errorf("Unlock = %v", err)
	}
	if err := h.Unlock(ctx); err != nil {
		t.Errorf("the second Unlock = %v", err)
	}
	c.Heal()
	awaitNoKeys(t, c.Admin(), m.Key())
	mustUnlock(t, mustLock(t, m))
}
