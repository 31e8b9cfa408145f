package integration

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// patience is how long a test waits for what must happen: long, since machines are slow.
const patience = 30 * time.Second

// open returns a session on the client, under a prefix of the test, and closes it with the test.
func open(t testing.TB, client *clientv3.Client, prefix string, opts ...session.Option) *session.Session {
	t.Helper()
	s := session.New(client, append([]session.Option{session.WithPrefix(prefix), session.WithTTL(5 * time.Second)}, opts...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx) // a test that cares closes by itself
	})
	return s
}

// soon is the context of something that must happen.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func mustLock(t testing.TB, m *lock.Mutex) *lock.Hold {
	t.Helper()
	h, err := m.Lock(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustUnlock(t testing.TB, h *lock.Hold) {
	t.Helper()
	if err := h.Unlock(soon(t)); err != nil {
		t.Fatal(err)
	}
}

// keys returns the keys below a prefix.
func keys(t testing.TB, client *clientv3.Client, prefix string) []string {
	t.Helper()
	resp, err := client.Get(soon(t), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var ks []string
	for _, kv := range resp.Kvs {
		ks = append(ks, string(kv.Key))
	}
	return ks
}

// awaitWaiters returns when n keys stand in the line of the mutex.
func awaitWaiters(t testing.TB, m *lock.Mutex, n int) {
	t.Helper()
	ctx := soon(t)
	for {
		owners, err := m.Owners(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(owners) == n {
			return
		}
	}
}

// done waits for a channel to be closed.
func done(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
	}
}

// async runs a Lock and delivers what it returns.
func async(t testing.TB, m *lock.Mutex) <-chan *lock.Hold {
	t.Helper()
	held := make(chan *lock.Hold, 1)
	ctx := soon(t)
	go func() {
		h, err := m.Lock(ctx)
		if err != nil {
			t.Errorf("Lock: %v", err)
		}
		held <- h
	}()
	return held
}

// tellQueued is an option of a session, and a channel that tells of each caller that waits in memory.
func tellQueued() (<-chan struct{}, session.Option) {
	queued := make(chan struct{}, 1000)
	return queued, session.WithTrace(&session.Trace{Queued: func(string) { queued <- struct{}{} }})
}

// next receives what async delivers.
func next(t testing.TB, held <-chan *lock.Hold) *lock.Hold {
	t.Helper()
	select {
	case h := <-held:
		if h == nil {
			t.FailNow()
		}
		return h
	case <-time.After(patience):
		t.Fatal("nobody got the lock")
		return nil
	}
}

func TestMutexExcludes(t *testing.T) {
	t.Parallel()
	const sessions, callers, rounds = 4, 4, 25
	prefix := cluster.Prefix(t)
	var (
		inside atomic.Int32
		mu     sync.Mutex // protects tokens
		tokens []session.Token
		all    sync.WaitGroup
	)
	for range sessions {
		s := open(t, cluster.Shared(t), prefix)
		for range callers {
			all.Go(func() {
				m := lock.NewMutex(s, "counter")
				for range rounds {
					err := m.Do(soon(t), func(_ context.Context, h *lock.Hold) error {
						if n := inside.Add(1); n != 1 {
							t.Errorf("%d holders at once", n)
						}
						mu.Lock()
						tokens = append(tokens, h.Token())
						mu.Unlock()
						inside.Add(-1)
						return h.Err()
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	if len(tokens) != sessions*callers*rounds {
		t.Fatalf("%d holds, want %d", len(tokens), sessions*callers*rounds)
	}
	if !slices.IsSorted(tokens) || len(slices.Compact(tokens)) != sessions*callers*rounds {
		t.Error("the tokens do not grow with each hold")
	}
}

func TestMutexIsFair(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	m := lock.NewMutex(open(t, cluster.Shared(t), prefix), "fair")
	h := mustLock(t, m)
	var order []<-chan *lock.Hold
	for i := range 5 {
		order = append(order, async(t, lock.NewMutex(open(t, cluster.Shared(t), prefix), "fair")))
		awaitWaiters(t, m, i+2)
	}
	for _, held := range order {
		mustUnlock(t, h)
		h = next(t, held)
	}
	mustUnlock(t, h)
	if left := keys(t, cluster.Shared(t), prefix+"/lock/"); len(left) > 0 {
		t.Errorf("keys left: %v", left)
	}
}

func TestUncontendedCostsTwoTransactions(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	m := lock.NewMutex(open(t, c.Client(t), "cost"), "a")
	mustUnlock(t, mustLock(t, m)) // grants the lease
	before, txns := c.Requests(""), c.Requests("Txn")
	for range 10 {
		mustUnlock(t, mustLock(t, m))
	}
	if n, m := c.Requests("")-before, c.Requests("Txn")-txns; n != 20 || m != 20 {
		t.Errorf("10 rounds took %d requests, %d of them transactions, want 20", n, m)
	}
}

func TestLocalTurnsCostOneTransaction(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	queued, trace := tellQueued()
	m := lock.NewMutex(open(t, c.Client(t), "cost", trace), "a")
	h := mustLock(t, m)
	const callers = 10
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			h, err := m.Lock(soon(t))
			if err != nil {
				t.Error(err)
				return
			}
			if err := h.Unlock(soon(t)); err != nil {
				t.Error(err)
			}
		})
	}
	for range callers {
		<-queued
	}
	before := c.Requests("")
	mustUnlock(t, h)
	all.Wait()
	if n := c.Requests("") - before; n != callers+1 {
		t.Errorf("%d turns took %d requests", callers, n)
	}
}

func TestTryLock(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	labels := map[string]string{"role": "holder"}
	mine := lock.NewMutex(open(t, c.Client(t), "p", session.WithLabels(labels)), "x")
	theirs := lock.NewMutex(open(t, c.Client(t), "p"), "x")
	h, err := mine.TryLock(soon(t))
	if err != nil {
		t.Fatal(err)
	}

	var held *lock.HeldError
	before := c.Requests("")
	if _, err = mine.TryLock(soon(t)); !errors.As(err, &held) || !errors.Is(err, lock.ErrHeld) {
		t.Fatalf("TryLock of what this session holds = %v", err)
	}
	if held.Owner.Token != h.Token() || held.Owner.Labels["role"] != "holder" {
		t.Errorf("it names %+v", held.Owner)
	}
	if n := c.Requests("") - before; n != 0 {
		t.Errorf("it took %d requests", n)
	}

	for range 2 {
		before = c.Requests("")
		if _, err = theirs.TryLock(soon(t)); !errors.As(err, &held) {
			t.Fatalf("TryLock of what another session holds = %v", err)
		}
		if held.Owner.Token != h.Token() || held.Owner.Labels["role"] != "holder" || !held.Owner.Holder {
			t.Errorf("it names %+v", held.Owner)
		}
	}
	if n, w := c.Requests("")-before, c.Requests("Txn"); n != 1 {
		t.Errorf("looking again took %d requests (%d transactions so far)", n, w)
	}
	if n := c.Requests("LeaseGrant"); n != 1 {
		t.Errorf("%d leases granted: looking needs none", n)
	}
	mustUnlock(t, h)
	h, err = theirs.TryLock(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, h)
}

func TestGuardAndSTM(t *testing.T) {
	t.Parallel()
	client := cluster.Shared(t)
	prefix := cluster.Prefix(t)
	m := lock.NewMutex(open(t, client, prefix), "x")
	h := mustLock(t, m)
	write := func(h *lock.Hold) (guarded, stm bool) {
		resp, err := client.Txn(soon(t)).If(h.Guard()).Then(clientv3.OpPut(prefix+"/data", "1")).Commit()
		if err != nil {
			t.Fatal(err)
		}
		_, err = concurrency.NewSTM(client, func(s concurrency.STM) error {
			if err := h.CheckSTM(s); err != nil {
				return err
			}
			s.Put(prefix+"/stm", "1")
			return nil
		}, concurrency.WithAbortContext(soon(t)))
		if err != nil && !errors.Is(err, session.ErrLost) {
			t.Fatal(err)
		}
		return resp.Succeeded, err == nil
	}
	if guarded, stm := write(h); !guarded || !stm {
		t.Errorf("the holder's writes: guarded %v, STM %v", guarded, stm)
	}
	mustUnlock(t, h)
	again := mustLock(t, m) // the same slot names
	if guarded, stm := write(h); guarded || stm {
		t.Errorf("an earlier holder's writes: guarded %v, STM %v", guarded, stm)
	}
	mustUnlock(t, again)
}

func TestLossReachesTheHolder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		lose func(t *testing.T, client *clientv3.Client, s *session.Session, m *lock.Mutex)
		want func(error) bool
	}{
		{"deleted", func(t *testing.T, client *clientv3.Client, _ *session.Session, m *lock.Mutex) {
			if _, err := client.Delete(soon(t), m.Key()+"/", clientv3.WithPrefix()); err != nil {
				t.Fatal(err)
			}
		}, reason(session.Deleted)},
		{"broken", func(t *testing.T, client *clientv3.Client, s *session.Session, _ *lock.Mutex) {
			if _, err := lock.Break(soon(t), s, "x"); err != nil {
				t.Fatal(err)
			}
		}, reason(session.Deleted)},
		{"revoked", func(t *testing.T, client *clientv3.Client, s *session.Session, _ *lock.Mutex) {
			l, err := s.Lease(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Revoke(soon(t), l.ID()); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return reason(session.Revoked)(err) || reason(session.Deleted)(err) }},
		{"closed", func(t *testing.T, _ *clientv3.Client, s *session.Session, _ *lock.Mutex) {
			if err := s.Close(soon(t)); err != nil {
				t.Fatal(err)
			}
		}, func(err error) bool { return errors.Is(err, session.ErrClosed) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := cluster.Shared(t)
			s := open(t, client, cluster.Prefix(t))
			m := lock.NewMutex(s, "x")
			h := mustLock(t, m)
			test.lose(t, client, s, m)
			done(t, "the end of the hold", h.Context().Done())
			if err := context.Cause(h.Context()); !test.want(err) {
				t.Errorf("cause: %v", err)
			}
			if err := h.Err(); !test.want(err) {
				t.Errorf("Err: %v", err)
			}
			if err := h.Unlock(soon(t)); !test.want(err) {
				t.Errorf("Unlock: %v", err)
			}
			if err := h.Unlock(soon(t)); err != nil {
				t.Errorf("the second Unlock: %v", err)
			}
		})
	}
}

func reason(want session.Reason) func(error) bool {
	return func(err error) bool {
		var lost *session.LostError
		return errors.As(err, &lost) && lost.Reason == want && errors.Is(err, session.ErrLost)
	}
}
