package integration

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

func TestDowngrade(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b, c := rw(t, prefix), rw(t, prefix), rw(t, prefix)
	w := mustTake(t, a.Lock)
	token, ctx := w.Token(), w.Context()
	own, other := asyncTake(t, a.RLock), asyncTake(t, b.RLock)
	awaitKeys(t, client, a.Key(), 2)
	writer := asyncTake(t, c.Lock)
	awaitKeys(t, client, a.Key(), 3)
	stm := func() error {
		_, err := concurrency.NewSTM(client, func(s concurrency.STM) error {
			if err := w.CheckSTM(s); err != nil {
				return err
			}
			s.Put(prefix+"/stm", "1")
			return nil
		}, concurrency.WithAbortContext(soon(t)))
		return err
	}
	if err := stm(); err != nil {
		t.Errorf("STM as a writer: %v", err)
	}
	if err := a.Downgrade(soon(t), w); err != nil {
		t.Fatal(err)
	}
	r1, r2 := next(t, own), next(t, other)
	if r1.Token() != token {
		t.Errorf("a reader of the same session has token %d, not %d", r1.Token(), token)
	}
	if w.Token() != token || w.Context() != ctx || w.Err() != nil || !valid(t, client, w.Guard()) {
		t.Errorf("after Downgrade: token %d, Err %v", w.Token(), w.Err())
	}
	if err := stm(); err != nil {
		t.Errorf("STM as a reader: %v", err)
	}
	waits(t, "a writer", writer)
	if err := a.Downgrade(soon(t), w); !errors.Is(err, lock.ErrNotExclusive) {
		t.Errorf("the second Downgrade = %v", err)
	}
	if err := b.Downgrade(soon(t), r2); !errors.Is(err, lock.ErrNotExclusive) {
		t.Errorf("Downgrade of a reader = %v", err)
	}
	mustUnlock(t, w)
	mustUnlock(t, r1)
	mustUnlock(t, r2)
	w2 := next(t, writer)
	if err := stm(); !errors.Is(err, session.ErrLost) {
		t.Errorf("STM after Unlock: %v", err)
	}
	for name, m := range map[string]*lock.RWMutex{"another session": a, "another lock": lock.NewRWMutex(open(t, client, prefix), "y")} {
		if err := m.Downgrade(soon(t), w2); !errors.Is(err, lock.ErrNotExclusive) {
			t.Errorf("Downgrade of a hold of %s = %v", name, err)
		}
	}
	if err := c.Downgrade(soon(t), nil); !errors.Is(err, lock.ErrNotExclusive) {
		t.Errorf("Downgrade of nothing = %v", err)
	}
	if _, err := client.Delete(soon(t), keyOf(w2)); err != nil {
		t.Fatal(err)
	}
	if err := c.Downgrade(soon(t), w2); !reason(session.Deleted)(err) {
		t.Errorf("Downgrade of a lost hold = %v", err)
	}
	if err := w2.Unlock(soon(t)); !reason(session.Deleted)(err) {
		t.Errorf("Unlock of a lost hold = %v", err)
	}
	awaitNoKeys(t, client, a.Key())
}

// A Mutex of the name, etcd's own, and a foreign key of any name are writers.
func TestWritersOfOtherKinds(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b := rw(t, prefix), rw(t, prefix)
	mutex := lock.NewMutex(open(t, client, prefix), "x")
	theirs := theirMutex(t, cluster.Shared(t), a.Key())

	r := mustTake(t, a.RLock)
	if _, err := mutex.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryLock of a Mutex beside a reader = %v", err)
	}
	if err := theirs.TryLock(soon(t)); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("TryLock of etcd's beside a reader = %v", err)
	}
	locked := make(chan error, 1)
	go func() { locked <- theirs.Lock(soon(t)) }()
	awaitKeys(t, client, a.Key(), 2)
	if _, err := b.TryRLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryRLock while etcd's Mutex waits = %v", err)
	}
	mustUnlock(t, r)
	must(t, <-locked)
	reader := asyncTake(t, b.RLock)
	awaitKeys(t, client, a.Key(), 2)
	waits(t, "a reader beside etcd's Mutex", reader)
	must(t, theirs.Unlock(soon(t)))
	mustUnlock(t, next(t, reader))

	for _, name := range []string{"zz", "\xff\xfe", "0", "\x7f", "}"} {
		put(t, client, a.Key()+"/"+name, "\x00junk")
		if _, err := a.TryRLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryRLock beside a foreign key %q = %v", name, err)
		}
		reader := asyncTake(t, a.RLock)
		awaitKeys(t, client, a.Key(), 2)
		waits(t, "a reader beside a foreign key", reader)
		if _, err := client.Delete(soon(t), a.Key()+"/"+name); err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, next(t, reader))
	}
	awaitNoKeys(t, client, a.Key())
}
