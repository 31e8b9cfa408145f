package integration

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// faultyOf returns a client that is subject to the faults.
func faultyOf(t *testing.T, c *cluster.Cluster) (*clientv3.Client, *cluster.Faults) {
	t.Helper()
	faults := cluster.NewFaults(t)
	return c.Client(t, func(cfg *clientv3.Config) { cfg.DialOptions = append(cfg.DialOptions, faults.DialOption()) }), faults
}

// puts matches the transactions that put a key below the prefix.
func puts(prefix string) cluster.Match {
	return func(_ string, req any) bool {
		txn, ok := req.(*etcdserverpb.TxnRequest)
		return ok && putsIn(txn, prefix)
	}
}

func putsIn(txn *etcdserverpb.TxnRequest, prefix string) bool {
	for _, op := range txn.Success {
		if put := op.GetRequestPut(); put != nil && strings.HasPrefix(string(put.Key), prefix) {
			return true
		}
	}
	return false
}

// deletes matches the transactions that delete a key below the prefix and put none.
func deletes(prefix string) cluster.Match {
	return func(_ string, req any) bool {
		txn, ok := req.(*etcdserverpb.TxnRequest)
		if !ok || putsIn(txn, prefix) {
			return false
		}
		for _, op := range txn.Success {
			if del := op.GetRequestDeleteRange(); del != nil && strings.HasPrefix(string(del.Key), prefix) {
				return true
			}
		}
		return false
	}
}

// awaitNoKeys returns when nothing stands below the prefix.
func awaitNoKeys(t *testing.T, client *clientv3.Client, prefix string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for len(keys(t, client, prefix)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("keys left: %v", keys(t, client, prefix))
		}
	}
}

// A committed acquire whose answer was lost is adopted: one key, and its holder knows of it.
func TestLostReplyOfAnAcquireIsAdopted(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	m := lock.NewMutex(open(t, client, "p"), "x")
	mustUnlock(t, mustLock(t, m))
	lost := faults.LoseReply(puts(m.Key()))
	h := mustLock(t, m)
	lost.Await()
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Errorf("keys %v, want one", ks)
	}
	resp, err := client.Txn(soon(t)).If(h.Guard()).Commit()
	if err != nil || !resp.Succeeded {
		t.Errorf("the guard of the adopted key: %v, %v", resp, err)
	}
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), m.Key())
}

// The request of a caller who gave up commits later: nobody must be kept out by it, and nobody let in.
func TestLateCommitIsVoid(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p")
	m := lock.NewMutex(s, "x")
	mustUnlock(t, mustLock(t, m))

	late := faults.SendLate(puts(m.Key()))
	ctx, cancel := context.WithCancel(soon(t))
	go func() { late.Await(); cancel() }()
	if h, err := m.Lock(ctx); err == nil { // it may have been quick enough to send another one
		mustUnlock(t, h)
	} else if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// The janitor settles: only then may others of this session be served.
	h := mustLock(t, m)
	if err := late.Release(); err != nil {
		t.Fatal(err)
	}
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Errorf("keys %v, want the holder's alone", ks)
	}
	if h.Err() != nil {
		t.Error(h.Err())
	}
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), m.Key())
}

// What a caller that gave up may have left is taken back even if nobody of its session ever comes again.
func TestLostReplyOfACallerWhoGaveUpIsTakenBack(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	m := lock.NewMutex(open(t, client, "p"), "x")
	mustUnlock(t, mustLock(t, m))
	held := faults.HoldReply(puts(m.Key())) // it commits
	ctx, cancel := context.WithCancel(soon(t))
	failed := make(chan error, 1)
	go func() { _, err := m.Lock(ctx); failed <- err }()
	held.Await()
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Fatalf("keys %v: the fault did not let the request commit", ks)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v", err)
	}
	awaitNoKeys(t, c.Admin(), m.Key())
}

func TestLockObeysItsContextWhileEtcdIsUnreachable(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	m := lock.NewMutex(s, "x")
	check := func(what string, lock func(context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := lock(ctx)
		late := time.Since(first(ctx.Deadline()))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
		if late > time.Second { // the promise is 100 ms; this machine has other things to do
			t.Errorf("%s returned %v after its context ended", what, late)
		}
		t.Logf("%s: %v after the end: %v", what, late, err)
	}
	acquire := func(ctx context.Context) error { _, err := m.Lock(ctx); return err }
	try := func(ctx context.Context) error { _, err := m.TryLock(ctx); return err }
	c.Cut()
	check("Lock without a lease", acquire)
	check("TryLock without a lease", try)
	c.Heal()
	mustUnlock(t, mustLock(t, m))
	c.Cut()
	check("Lock with a lease", acquire)
	check("TryLock with a lease", try)
	c.Heal()
	mustUnlock(t, mustLock(t, m))
	c.Blackhole()
	check("Lock on a half-open connection", acquire)
	c.Unblackhole()
	mustUnlock(t, mustLock(t, m))
}

func first[A, B any](a A, _ B) A { return a }

func TestNoLeaseNamesTheEndpoints(t *testing.T) {
	t.Parallel()
	cfg := session.ClientConfig("127.0.0.1:1")
	client, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := open(t, client, "p")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = lock.NewMutex(s, "x").Lock(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Lock = %v", err)
	}
	if h := s.Healthy(); h == nil {
		t.Error("the session says it is healthy")
	}
}

// The holder's context ends before its key does, and the next one is in within TTL + 1.5 s.
func TestCutHolderEndsBeforeItsKey(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"cut", "half-open"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := cluster.New(t, 1)
			const ttl = 2 * time.Second
			h := mustLock(t, lock.NewMutex(open(t, c.Client(t), "p", session.WithTTL(ttl)), "x"))
			gone, guard := make(chan time.Time, 1), h.Guard()
			if how == "cut" {
				c.Cut()
			} else {
				c.Blackhole()
			}
			from := time.Now()
			go func() {
				for {
					resp, err := c.Admin().Get(context.Background(), string(guard.KeyBytes()))
					if err == nil && len(resp.Kvs) == 0 {
						gone <- time.Now()
						return
					}
				}
			}()
			done(t, "the end of the hold", h.Context().Done())
			ended := time.Now()
			deleted := <-gone
			if !ended.Before(deleted) {
				t.Errorf("the context ended %v after the key", ended.Sub(deleted))
			}
			if !reason(session.Expired)(h.Err()) {
				t.Errorf("Err: %v", h.Err())
			}
			t.Logf("context ended after %v, key gone after %v", ended.Sub(from), deleted.Sub(from))
		})
	}
}

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

// The answer to a turn is lost: the key of the next local caller is found and used.
func TestLostReplyOfATurn(t *testing.T) {
	t.Parallel()
	tests := map[string]func(f *cluster.Faults, key string) *cluster.Fault{
		"committed": func(f *cluster.Faults, key string) *cluster.Fault { return f.LoseReply(turns(key)) },
		"late":      func(f *cluster.Faults, key string) *cluster.Fault { return f.SendLate(turns(key)) },
		"not at all": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCNoLeader)
		},
		"no space": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCNoSpace)
		},
		"certain": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCRequestTooManyRequests)
		},
		"not allowed": func(f *cluster.Faults, key string) *cluster.Fault {
			return f.FailBefore(turns(key), rpctypes.ErrGRPCPermissionDenied)
		},
	}
	for name, harm := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster.New(t, 1)
			client, faults := faultyOf(t, c)
			queued, trace := tellQueued()
			m := lock.NewMutex(open(t, client, "p", trace), "x")
			h := mustLock(t, m)
			fault := harm(faults, m.Key())
			held := make([]<-chan *lock.Hold, 3)
			for i := range held {
				held[i] = async(t, m)
				<-queued
			}
			mustUnlock(t, h)
			fault.Await()
			if name == "late" {
				if err := fault.Release(); err != nil {
					t.Fatal(err)
				}
			}
			last := session.Token(0)
			for _, one := range held {
				h := next(t, one)
				if h.Token() <= last || h.Err() != nil {
					t.Errorf("token %d after %d, Err %v", h.Token(), last, h.Err())
				}
				last = h.Token()
				mustUnlock(t, h)
			}
			awaitNoKeys(t, c.Admin(), m.Key())
		})
	}
}

// turns matches the transactions that pass a lock on.
func turns(prefix string) cluster.Match {
	return func(_ string, req any) bool {
		txn, ok := req.(*etcdserverpb.TxnRequest)
		return ok && len(txn.Success) == 2 && txn.Success[0].GetRequestDeleteRange() != nil && putsIn(txn, prefix)
	}
}
