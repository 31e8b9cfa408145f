package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// rival is who holds and who waits for it, of a lock or a semaphore.
type rival struct {
	name       string
	hold, wait taker
	line       string // the prefix of the keys
	held       *lock.Hold
	waiting    <-chan *lock.Hold
}

// rivals are a writer behind a reader, a reader behind a writer, and a caller of a semaphore behind one who has taken all permits.
func rivals(holder, waiter *session.Session) []*rival {
	var all []*rival
	for _, name := range []string{"writer behind reader", "reader behind writer"} {
		h, w := lock.NewRWMutex(holder, name), lock.NewRWMutex(waiter, name)
		r := &rival{name: name, hold: h.RLock, wait: w.Lock, line: h.Key() + "/"}
		if len(all) > 0 {
			r.hold, r.wait = h.Lock, w.RLock
		}
		all = append(all, r)
	}
	h, w := lock.NewSemaphore(holder, "x", 3), lock.NewSemaphore(waiter, "x", 3)
	return append(all, &rival{name: "semaphore", hold: permits(h, 2), wait: permits(w, 2), line: h.Key() + "/"})
}

// inLine lets all holders hold and all waiters wait.
func inLine(t *testing.T, sight *clientv3.Client, all []*rival) {
	t.Helper()
	for _, r := range all {
		r.held = mustTake(t, r.hold)
		r.waiting = asyncTake(t, r.wait)
		awaitKeys(t, sight, r.line, 2)
	}
}

// serve lets all waiters have what they wait for. The holders have let go, or lost.
func serve(t *testing.T, sight *clientv3.Client, all []*rival) {
	t.Helper()
	for _, r := range all {
		h := next(t, r.waiting)
		if h.Err() != nil || h.Token() <= r.held.Token() {
			t.Errorf("%s: token %d after %d, Err %v", r.name, h.Token(), r.held.Token(), h.Err())
		}
		mustUnlock(t, h)
		awaitNoKeys(t, sight, r.line)
	}
}

// The holder is gone without a word (F1): who waits is in as soon as the lease has run out, and not before the hold has ended.
func TestSharedHolderDies(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	dead := c.Client(t)
	all := rivals(open(t, dead, "p", session.WithTTL(2*time.Second)), open(t, c.Client(t), "p"))
	inLine(t, c.Admin(), all)
	must(t, dead.Close())
	for _, r := range all {
		h := next(t, r.waiting)
		if r.held.Err() == nil {
			t.Errorf("%s: the one who died still believes", r.name)
		}
		mustUnlock(t, h)
	}
	awaitNoKeys(t, c.Admin(), "p/lock/")
	awaitNoKeys(t, c.Admin(), "p/semaphore/")
}

// The holder is cut off for longer than its lease lives (F2 as the others see it): it ends by itself before its key does, its guard is void
// afterwards, and after the outage it can hold again.
func TestSharedHolderIsCutOff(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	all := rivals(open(t, c.Client(t), "p", session.WithTTL(2*time.Second)), open(t, c.Client(t), "p", session.WithTTL(time.Minute)))
	inLine(t, c.Admin(), all)
	c.Cut()
	gone := make([]chan time.Time, len(all))
	for i, r := range all {
		gone[i] = make(chan time.Time, 1)
		go func() {
			for {
				resp, err := c.Admin().Get(context.Background(), keyOf(r.held))
				if err == nil && len(resp.Kvs) == 0 {
					gone[i] <- time.Now()
					return
				}
			}
		}()
	}
	for i, r := range all {
		done(t, "the end of the hold", r.held.Context().Done())
		ended := time.Now()
		if i == 0 && !ended.Before(<-gone[i]) { // the others are seen later than they end
			t.Errorf("%s: the hold ended after its key", r.name)
		}
		if !reason(session.Expired)(r.held.Err()) {
			t.Errorf("%s: Err %v", r.name, r.held.Err())
		}
		if i > 0 {
			<-gone[i]
		}
		if valid(t, c.Admin(), r.held.Guard()) {
			t.Errorf("%s: the guard of a lost hold is good", r.name)
		}
	}
	c.Heal()
	serve(t, c.Admin(), all)
	for _, r := range all {
		mustUnlock(t, mustTake(t, r.hold))
	}
}

// The leader stops (F3), and a member is cut off from the others (F5), while callers of other members wait.
func TestSharedWaitersOutliveMembers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	only := func(i int) func(*clientv3.Config) {
		return func(cfg *clientv3.Config) { cfg.Endpoints = c.Endpoints()[i : i+1] }
	}
	long := session.WithTTL(20 * time.Second)
	lead := c.WaitLeader(t)
	all := rivals(open(t, c.Client(t), "p", long), open(t, c.Client(t), "p", long))
	sight := c.Client(t)
	inLine(t, sight, all)
	c.Stop(lead)
	c.WaitLeader(t)
	for _, r := range all {
		mustUnlock(t, r.held)
	}
	serve(t, sight, all)
	c.Restart(t, lead)
	lead = c.WaitLeader(t)

	pinned := open(t, c.Client(t, only((lead+1)%3)), "p", session.WithTTL(3*time.Second))
	all = rivals(open(t, c.Client(t, only(lead)), "p", long), pinned)
	inLine(t, sight, all)
	l := mustLease(t, pinned)
	c.Isolate((lead + 1) % 3)
	done(t, "the end of the epoch", l.Context().Done())
	for _, r := range all {
		mustUnlock(t, r.held)
		waits(t, "a caller of a member without a quorum: "+r.name, r.waiting)
	}
	c.Rejoin((lead + 1) % 3)
	serve(t, sight, all)
}

// All members stop and start again (F9), and the history is compacted under those who wait (F10), also while they are away.
func TestSharedWaitersOutliveOutages(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	all := rivals(open(t, c.Client(t), "p", session.WithTTL(time.Minute)), open(t, c.Client(t), "p", session.WithTTL(time.Minute)))
	inLine(t, c.Admin(), all)
	compact := func() {
		for range 5 {
			put(t, c.Admin(), "noise", "")
		}
		c.Compact(t)
	}
	compact()
	c.Stop(0)
	c.Restart(t, 0)
	recovers(t, c.Admin())
	c.Cut()
	compact()
	for _, r := range all {
		_, err := c.Admin().Delete(soon(t), keyOf(r.held)) // a release that nobody sees
		must(t, err)
	}
	compact()
	c.Heal()
	serve(t, c.Admin(), all)
	for _, r := range all {
		if err := r.held.Unlock(soon(t)); !errors.Is(err, session.ErrLost) {
			t.Errorf("%s: Unlock of a hold whose key was deleted = %v", r.name, err)
		}
	}
}

// Somebody else deletes keys, revokes the lease, and writes junk over what is ours (F18).
func TestForeignWritesToSharedHolds(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	holder, waiter := open(t, client, prefix), open(t, client, prefix)
	all := rivals(holder, waiter)
	inLine(t, client, all)
	for _, r := range all {
		beside := r.held
		if r.name == "writer behind reader" {
			ours := keyOf(r.held)
			put(t, client, ours, "\x00\xff junk") // its lease, too, is gone now
			if r.held.Err() != nil || !valid(t, client, r.held.Guard()) {
				t.Errorf("%s: junk over the key ended the hold: %v", r.name, r.held.Err())
			}
		}
		_, err := client.Delete(soon(t), keyOf(beside))
		must(t, err)
		done(t, "the end of the hold", beside.Context().Done())
		if !reason(session.Deleted)(context.Cause(beside.Context())) {
			t.Errorf("%s: cause %v", r.name, context.Cause(beside.Context()))
		}
	}
	serve(t, client, all)

	all = rivals(holder, waiter)
	inLine(t, client, all)
	for _, r := range all { // the waiter's key
		for _, key := range keys(t, client, r.line) {
			if key != keyOf(r.held) {
				_, err := client.Delete(soon(t), key)
				must(t, err)
			}
		}
		mustUnlock(t, r.held)
	}
	serve(t, client, all)

	all = rivals(holder, waiter)
	inLine(t, client, all)
	_, err := client.Revoke(soon(t), mustLease(t, holder).ID())
	must(t, err)
	serve(t, client, all)
	for _, r := range all {
		done(t, "the end of the hold", r.held.Context().Done())
		if err := r.held.Err(); !errors.Is(err, session.ErrLost) {
			t.Errorf("%s: Err %v", r.name, err)
		}
	}
}

// When the key that readers share is gone, all of them have lost.
func TestReadersLoseTogether(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	m := rw(t, prefix)
	readers := []*lock.Hold{mustTake(t, m.RLock), mustTake(t, m.RLock), mustTake(t, m.RLock)}
	mustUnlock(t, readers[2])
	_, err := client.Delete(soon(t), keyOf(readers[0]))
	must(t, err)
	if h := mustTake(t, m.RLock); !valid(t, client, h.Guard()) || h.Token() == readers[0].Token() {
		t.Error("who came after the key was gone shares it")
	} else {
		mustUnlock(t, h)
	}
	for i, h := range readers[:2] {
		done(t, "the end of the hold", h.Context().Done())
		if err := h.Unlock(soon(t)); !reason(session.Deleted)(err) {
			t.Errorf("reader %d: Unlock = %v", i, err)
		}
	}
	mustUnlock(t, mustTake(t, m.Lock))
	awaitNoKeys(t, client, m.Key())
}

// The answer to what a caller put is lost, or it commits when the caller has given up: one key, and nobody is kept out by it.
func TestLostAnswersOfSharedClaims(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p")
	for i := range 2 {
		r := rivals(s, s)[i*2] // a reader, and a semaphore
		mustUnlock(t, mustTake(t, r.hold))
		lost := faults.LoseReply(puts(r.line))
		h := mustTake(t, r.hold)
		lost.Await()
		if ks := keys(t, c.Admin(), r.line); len(ks) != 1 || !valid(t, client, h.Guard()) {
			t.Errorf("%s: keys %v", r.name, ks)
		}
		mustUnlock(t, h)

		late := faults.SendLate(puts(r.line))
		ctx, cancel := context.WithCancel(soon(t))
		go func() { late.Await(); cancel() }()
		if h, err := r.hold(ctx); err == nil {
			mustUnlock(t, h)
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		must(t, late.Release())
		h = mustTake(t, r.wait) // excludes the other
		if h.Err() != nil {
			t.Error(h.Err())
		}
		mustUnlock(t, h)
		awaitNoKeys(t, c.Admin(), r.line)
	}
}

// The answer to a Downgrade or to a Resize is lost: sent again, it is found to have happened.
func TestLostAnswersOfWrites(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p", session.WithTTL(time.Minute))
	m, sem := lock.NewRWMutex(s, "x"), lock.NewSemaphore(s, "x", 3)
	for name, harm := range map[string]func(match cluster.Match) *cluster.Fault{"lost": faults.LoseReply, "late": faults.SendLate} {
		h := mustTake(t, m.Lock)
		fault := harm(puts(keyOf(h)))
		must(t, m.Downgrade(soon(t), h))
		must(t, fault.Release())
		r := mustTake(t, m.RLock)
		if r.Token() != h.Token() || !valid(t, client, h.Guard()) {
			t.Errorf("%s: token %d beside %d", name, r.Token(), h.Token())
		}
		mustUnlock(t, h)
		mustUnlock(t, r)

		fault = harm(puts(sem.Key() + ".size"))
		must(t, sem.Resize(soon(t), 5))
		must(t, sem.Resize(soon(t), 6))
		must(t, fault.Release()) // a late one does not undo what came after it
		if n, err := sem.Size(soon(t)); n != 6 || err != nil {
			t.Errorf("%s: size %d, %v", name, n, err)
		}
	}
	h := mustTake(t, m.Lock)
	c.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := m.Downgrade(ctx, h); !errors.Is(err, session.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Downgrade without etcd = %v", err)
	}
	if err := sem.Resize(ctx, 7); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Resize without etcd = %v", err)
	}
	c.Heal()
	must(t, m.Downgrade(soon(t), h))
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), "p/lock/")
}

// Nothing works on when all have let go: no key, no clean-up, and no goroutine of a line, with thousands of names used in one session.
func TestManyNamesLeaveNothing(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	for i := range 200 {
		name := fmt.Sprint(i)
		mustUnlock(t, mustTake(t, lock.NewRWMutex(s, name).RLock))
		mustUnlock(t, mustTake(t, permits(lock.NewSemaphore(s, name, 2), 2)))
	}
	if ks := keys(t, client, prefix); len(ks) != 1 {
		t.Errorf("keys %v, want the session's", ks)
	}
	must(t, s.Close(soon(t)))
	awaitNoKeys(t, client, prefix)
}
