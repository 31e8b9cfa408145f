package integration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

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
