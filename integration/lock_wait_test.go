package integration

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// strayWatcher hands the watches of one key to a test, which may put responses of its own in, as a lagging member or a resumed watch
// would.
type strayWatcher struct {
	clientv3.Watcher
	mu      sync.Mutex // protects streams
	streams []*stray
}

type stray struct {
	key string
	in  chan clientv3.WatchResponse // what the test puts in; closed by it to end the watch without a word
}

func (w *strayWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	ctx, cancel := context.WithCancel(ctx)
	real := w.Watcher.Watch(ctx, key, opts...)
	s := &stray{key: key, in: make(chan clientv3.WatchResponse)}
	out := make(chan clientv3.WatchResponse)
	go func() {
		defer cancel()
		defer close(out)
		in := s.in
		announced := false
		for {
			var resp clientv3.WatchResponse
			var ok bool
			select {
			case resp, ok = <-real:
			case resp, ok = <-in:
			}
			if !ok {
				return
			}
			select {
			case out <- resp:
			case <-ctx.Done():
				return
			}
			if !announced && resp.Created {
				announced = true
				w.mu.Lock()
				w.streams = append(w.streams, s)
				w.mu.Unlock()
			}
		}
	}()
	return out
}

// await returns the n-th watch that was created on a key with the prefix.
func (w *strayWatcher) await(t *testing.T, prefix string, n int) *stray {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		w.mu.Lock()
		seen := 0
		for _, s := range w.streams {
			if strings.HasPrefix(s.key, prefix) {
				if seen++; seen == n {
					w.mu.Unlock()
					return s
				}
			}
		}
		w.mu.Unlock()
	}
	t.Fatalf("no watch number %d below %q", n, prefix)
	return nil
}

// A delete of the slot's earlier use, and a watch that ends without a word, are no release.
func TestOnlyTheRightDeleteIsARelease(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	holder := lock.NewMutex(open(t, client, prefix), "x")
	mustUnlock(t, mustLock(t, holder)) // an earlier use of the slot
	h := mustLock(t, holder)

	waiting := cluster.Shared(t)
	watcher := &strayWatcher{Watcher: waiting.Watcher}
	waiting.Watcher = watcher
	held := async(t, lock.NewMutex(open(t, waiting, prefix), "x"))

	w := watcher.await(t, holder.Key(), 1)
	w.in <- clientv3.WatchResponse{Events: []*clientv3.Event{{
		Type: clientv3.EventTypeDelete,
		Kv:   &mvccpb.KeyValue{Key: []byte(w.key), ModRevision: int64(h.Token()) - 1},
	}}}
	w.in <- clientv3.WatchResponse{Events: []*clientv3.Event{{
		Type: clientv3.EventTypeDelete,
		Kv:   &mvccpb.KeyValue{Key: []byte(w.key), ModRevision: int64(h.Token())},
	}}}
	close(w.in)
	w = watcher.await(t, holder.Key(), 2) // it opened another one, and so was not granted
	w.in <- clientv3.WatchResponse{CompactRevision: 3, Canceled: true}
	w = watcher.await(t, holder.Key(), 3)
	// Even a delete that looks right is believed only after a look at the line.
	w.in <- clientv3.WatchResponse{Events: []*clientv3.Event{{
		Type: clientv3.EventTypeDelete,
		Kv:   &mvccpb.KeyValue{Key: []byte(w.key), ModRevision: int64(h.Token()) + 1000},
	}}}
	watcher.await(t, holder.Key(), 4)
	select {
	case <-held:
		t.Fatal("granted beside the holder")
	default:
	}
	mustUnlock(t, h)
	mustUnlock(t, next(t, held))
}

// The owner's lease runs out: the next one is in within TTL + 1.5 s (the promise; here as long as it takes), with its own key there.
func TestExpiryOfTheOwner(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	dead, alive := c.Client(t), c.Client(t)
	const ttl = 2 * time.Second
	m := lock.NewMutex(open(t, alive, "p"), "x")
	h := mustLock(t, lock.NewMutex(open(t, dead, "p", session.WithTTL(ttl)), "x"))
	held := async(t, m)
	awaitWaiters(t, m, 2)
	from := time.Now()
	if err := dead.Close(); err != nil { // nothing renews any more
		t.Fatal(err)
	}
	won := next(t, held)
	if h.Err() == nil {
		t.Error("two holders")
	}
	t.Logf("the next one was in after %v", time.Since(from))
	mustUnlock(t, won)
}

// Waiters on three members, with the leader stopped and members cut off from the others while they wait.
func TestWaitersOutliveMembers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	ttl := session.WithTTL(20 * time.Second)
	holder := lock.NewMutex(open(t, c.Client(t), "p", ttl), "x")
	h := mustLock(t, holder)
	var line []<-chan *lock.Hold
	for i := range 3 {
		line = append(line, async(t, lock.NewMutex(open(t, c.Client(t), "p", ttl), "x")))
		awaitWaiters(t, holder, i+2)
	}
	lead := c.WaitLeader(t)
	c.Stop(lead)
	c.WaitLeader(t)
	mustUnlock(t, h)
	h = next(t, line[0])
	c.Restart(t, lead)
	c.WaitLeader(t)
	cut := (c.WaitLeader(t) + 1) % 3
	c.Isolate(cut)
	mustUnlock(t, h)
	h = next(t, line[1])
	c.Rejoin(cut)
	mustUnlock(t, h)
	mustUnlock(t, next(t, line[2]))
	awaitNoKeys(t, c.Client(t), holder.Key())
}

// A waiter of a member that is cut off from the others hears of it, and gets the lock through another one.
func TestWaiterPinnedToACutOffMember(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	follower := (c.WaitLeader(t) + 1) % 3
	only := func(i int) func(*clientv3.Config) {
		return func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[i : i+1] }
	}
	holder := lock.NewMutex(open(t, c.Client(t, only((follower+1)%3)), "p", session.WithTTL(20*time.Second)), "x")
	pinned := open(t, c.Client(t, only(follower)), "p", session.WithTTL(3*time.Second))
	waiter := lock.NewMutex(pinned, "x")
	h := mustLock(t, holder)
	held := async(t, waiter)
	awaitWaiters(t, holder, 2)
	l := mustLease(t, pinned)
	c.Isolate(follower)
	done(t, "the end of the epoch", l.Context().Done())
	mustUnlock(t, h)
	select {
	case <-held:
		t.Error("a member without a quorum granted the lock")
	default:
	}
	c.Rejoin(follower)
	mustUnlock(t, next(t, held))
}

// A right that is taken away ends the hold at its deadline, with the reason; one that is given back in time costs nothing.
func TestPermissionTakenAwayFromAHolder(t *testing.T) {
	t.Parallel()
	_, root, user := guarded(t)
	s := open(t, user, "mine", session.WithTTL(3*time.Second))
	h := mustLock(t, lock.NewMutex(s, "x"))
	revoke := func() {
		if _, err := root.RoleRevokePermission(soon(t), "role", "mine/", "mine0"); err != nil {
			t.Fatal(err)
		}
	}
	grant := func() {
		if _, err := root.RoleGrantPermission(soon(t), "role", "mine/", "mine0", clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
			t.Fatal(err)
		}
	}
	revoke()
	eventually(t, "a renewal to be refused", func() bool { return s.Margin() < 1500*time.Millisecond })
	grant()
	eventually(t, "a renewal to be accepted", func() bool { return s.Margin() > 2*time.Second })
	if h.Err() != nil {
		t.Fatalf("lost although the right came back: %v", h.Err())
	}
	revoke()
	done(t, "the end of the hold", h.Context().Done())
	if err := context.Cause(h.Context()); !reason(session.Permission)(err) || !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("cause %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := lock.NewMutex(s, "x").Lock(ctx); !errors.Is(err, rpctypes.ErrPermissionDenied) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Lock without the right = %v", err)
	}
	grant()
	mustUnlock(t, mustLock(t, lock.NewMutex(s, "x")))
}

// A thousand callers of one session, of which half give up, are served or told; nothing is left.
func TestCallersWhoGiveUpInAQueue(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	sessions := []*session.Session{open(t, client, prefix), open(t, client, prefix)}
	var all sync.WaitGroup
	for i := range 200 {
		m := lock.NewMutex(sessions[i%2], "x")
		all.Go(func() {
			ctx, cancel := context.WithCancel(soon(t))
			defer cancel()
			if i%3 == 0 {
				time.AfterFunc(time.Duration(i)*200*time.Microsecond, cancel)
			}
			h, err := m.Lock(ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			if err := h.Unlock(soon(t)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	awaitNoKeys(t, client, prefix+"/lock/")
}
