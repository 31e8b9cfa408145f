package integration

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
)

// taker is a way to take a lock: RWMutex.RLock, a Semaphore's Acquire of so many.
type taker func(context.Context) (*lock.Hold, error)

func mustTake(t testing.TB, take taker) *lock.Hold {
	t.Helper()
	h, err := take(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// asyncTake runs a taker and delivers what it returns.
func asyncTake(t testing.TB, take taker) <-chan *lock.Hold {
	t.Helper()
	held := make(chan *lock.Hold, 1)
	ctx := soon(t)
	go func() {
		h, err := take(ctx)
		if err != nil {
			t.Error(err)
		}
		held <- h
	}()
	return held
}

// waits fails the test if somebody was let in who has to wait.
func waits(t testing.TB, who string, held <-chan *lock.Hold) {
	t.Helper()
	select {
	case <-held:
		t.Errorf("%s was let in", who)
	default:
	}
}

// rw returns the readers-writer lock "x" of a new session and client.
func rw(t testing.TB, prefix string) *lock.RWMutex {
	t.Helper()
	return lock.NewRWMutex(open(t, cluster.Shared(t), prefix), "x")
}

// awaitKeys returns when n keys stand below a prefix.
func awaitKeys(t testing.TB, client *clientv3.Client, prefix string, n int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for len(keys(t, client, prefix)) != n {
		if time.Now().After(deadline) {
			t.Fatalf("keys %v, want %d", keys(t, client, prefix), n)
		}
	}
}

func TestReadersTogetherWritersAlone(t *testing.T) {
	t.Parallel()
	const sessions, callers, rounds = 4, 4, 15
	prefix := cluster.Prefix(t)
	var readers, writers, most atomic.Int32
	var last atomic.Int64
	read := func(_ context.Context, h *lock.Hold) error {
		n := readers.Add(1)
		if w := writers.Load(); w != 0 {
			t.Errorf("a reader beside %d writers", w)
		}
		most.Store(max(most.Load(), n))
		time.Sleep(time.Millisecond) // else they would hardly ever meet
		readers.Add(-1)
		return h.Err()
	}
	write := func(_ context.Context, h *lock.Hold) error {
		if w, r := writers.Add(1), readers.Load(); w != 1 || r != 0 {
			t.Errorf("%d writers, %d readers", w, r)
		}
		if before := last.Swap(int64(h.Token())); before >= int64(h.Token()) {
			t.Errorf("token %d after %d", h.Token(), before)
		}
		writers.Add(-1)
		return h.Err()
	}
	var all sync.WaitGroup
	for range sessions {
		m := rw(t, prefix)
		for caller := range callers {
			all.Go(func() {
				for round := range rounds {
					do := m.RDo
					what := read
					if (round+caller)%4 == 0 {
						do, what = m.Do, write
					}
					if err := do(soon(t), what); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	if most.Load() < 2 {
		t.Error("no two readers ever met")
	}
	awaitNoKeys(t, cluster.Shared(t), prefix+"/lock/")
}

// First come, first served, by revision: a reader behind a waiting writer waits, too, and readers in a row hold together.
func TestReadersDoNotOvertakeWriters(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b, c, d := rw(t, prefix), rw(t, prefix), rw(t, prefix), rw(t, prefix)
	first := mustTake(t, a.RLock)
	beside := mustTake(t, b.RLock)
	writer := asyncTake(t, c.Lock)
	awaitKeys(t, client, a.Key(), 3)
	var held *lock.HeldError
	for name, m := range map[string]*lock.RWMutex{"another session": d, "a session that reads": a} {
		if _, err := m.TryRLock(soon(t)); !errors.As(err, &held) || !errors.Is(err, lock.ErrHeld) || held.Owner.Read || held.Owner.Holder {
			t.Errorf("TryRLock of %s while a writer waits = %v", name, err)
		}
	}
	late := []<-chan *lock.Hold{asyncTake(t, d.RLock)}
	awaitKeys(t, client, a.Key(), 4)
	late = append(late, asyncTake(t, a.RLock)) // reads already, and gets a second key
	awaitKeys(t, client, a.Key(), 5)
	owners, err := a.Owners(soon(t))
	if err != nil || len(owners) != 5 {
		t.Fatalf("Owners = %+v, %v", owners, err)
	}
	for i, o := range owners {
		if o.Read != (i != 2) || o.Holder != (i < 2) {
			t.Errorf("owner %d: %+v", i, o)
		}
	}
	if list, err := lock.List(soon(t), open(t, client, prefix)); err != nil || len(list) != 1 || list[0].Waiters != 3 || !list[0].Holder.Read {
		t.Errorf("List = %+v, %v", list, err)
	}
	mustUnlock(t, first)
	waits(t, "the writer, beside a reader,", writer)
	mustUnlock(t, beside)
	w := next(t, writer)
	for _, held := range late {
		waits(t, "a reader beside the writer", held)
	}
	mustUnlock(t, w)
	h1, h2 := next(t, late[0]), next(t, late[1])
	if h1.Err() != nil || h2.Err() != nil || h1.Token() <= w.Token() || h2.Token() <= w.Token() {
		t.Errorf("readers %d (%v) and %d (%v) after writer %d", h1.Token(), h1.Err(), h2.Token(), h2.Err(), w.Token())
	}
	mustUnlock(t, h1)
	mustUnlock(t, h2)
	awaitNoKeys(t, client, a.Key())
}

// Readers of one session share a key and a token, in all cases in which nobody else waits.
func TestReadersOfASessionShareAKey(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	m := lock.NewRWMutex(open(t, c.Client(t), "p"), "x")
	const readers = 20
	holds := make(chan *lock.Hold, 2*readers)
	for _, take := range []taker{m.RLock, m.TryRLock} {
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				h, err := take(soon(t))
				if err != nil {
					t.Error(err)
					return
				}
				holds <- h
			})
		}
		all.Wait()
	}
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Errorf("keys %v, want one", ks)
	}
	before := c.Requests("Txn") // a hold that is no longer young reads its key, too
	h := mustTake(t, m.RLock)
	if n := c.Requests("Txn") - before; n != 1 {
		t.Errorf("one more reader took %d transactions, want one that reads", n)
	}
	mustUnlock(t, h)
	if n := c.Requests("Txn") - before; n != 1 {
		t.Errorf("one reader less took %d transactions, want none", n-1)
	}
	token := h.Token()
	close(holds)
	for h := range holds {
		if h.Token() != token || h.Err() != nil {
			t.Errorf("token %d, want %d; Err %v", h.Token(), token, h.Err())
		}
		if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
			t.Fatalf("keys %v while somebody reads", ks)
		}
		mustUnlock(t, h)
	}
	awaitNoKeys(t, c.Admin(), m.Key())
}

// Many who try at once to read a free lock are all let in.
func TestTryRLockIsNotInTheWayOfOthers(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	for range 10 {
		m := lock.NewRWMutex(s, "x")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				h, err := m.TryRLock(soon(t))
				if err != nil {
					t.Error(err)
					return
				}
				mustUnlock(t, h)
			})
		}
		all.Wait()
	}
	awaitNoKeys(t, client, prefix+"/lock/")
	h := mustTake(t, lock.NewRWMutex(s, "x").Lock)
	if _, err := lock.NewRWMutex(s, "x").TryRLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryRLock beside a writer of this session = %v", err)
	}
	if _, err := rw(t, prefix).TryRLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryRLock beside a writer of another = %v", err)
	}
	mustUnlock(t, h)
}

// A writer who gave up is in nobody's way, in its own session and in others.
func TestAWriterWhoGivesUp(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b := rw(t, prefix), rw(t, prefix)
	for name, m := range map[string]*lock.RWMutex{"of the reader's session": a, "of another session": b} {
		reads := mustTake(t, a.RLock)
		ctx, giveUp := context.WithCancel(soon(t))
		gaveUp := make(chan error, 1)
		go func() { _, err := m.Lock(ctx); gaveUp <- err }()
		awaitKeys(t, client, a.Key(), 2)
		behind := []<-chan *lock.Hold{asyncTake(t, a.RLock), asyncTake(t, b.RLock)}
		giveUp()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("a writer %s: %v", name, err)
		}
		for _, held := range behind {
			mustUnlock(t, next(t, held)) // beside the reader that still holds
		}
		mustUnlock(t, reads)
		awaitNoKeys(t, client, a.Key())
	}
}

// Readers that come and go in two sessions, so that somebody always reads, do not starve a writer: of a third, or of one of theirs.
func TestWritersDoNotStarve(t *testing.T) {
	t.Parallel()
	prefix := cluster.Prefix(t)
	a, b := rw(t, prefix), rw(t, prefix)
	for _, writer := range []*lock.RWMutex{rw(t, prefix), a} {
		ctx, cancel := context.WithCancel(soon(t))
		var all sync.WaitGroup
		for i := range 8 {
			m := []*lock.RWMutex{a, b}[i%2]
			all.Go(func() {
				for ctx.Err() == nil {
					_ = m.RDo(ctx, func(ctx context.Context, _ *lock.Hold) error {
						select {
						case <-ctx.Done():
						case <-time.After(20 * time.Millisecond):
						}
						return nil
					})
				}
			})
		}
		for range 5 {
			mustUnlock(t, mustTake(t, writer.Lock))
		}
		cancel()
		all.Wait()
	}
	awaitNoKeys(t, cluster.Shared(t), prefix+"/lock/")
}
