package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// sem returns the semaphore "x" of a new session and client.
func sem(t testing.TB, prefix string, size int, opts ...session.Option) *lock.Semaphore {
	t.Helper()
	return lock.NewSemaphore(open(t, cluster.Shared(t), prefix, opts...), "x", size)
}

// permits is Acquire of so many.
func permits(s *lock.Semaphore, n int) taker {
	return func(ctx context.Context) (*lock.Hold, error) { return s.Acquire(ctx, n) }
}

func TestSemaphoreNeverGivesOutMoreThanItHas(t *testing.T) {
	t.Parallel()
	const sessions, callers, rounds, size = 6, 3, 12, 5
	prefix := cluster.Prefix(t)
	var out, most atomic.Int32
	var all sync.WaitGroup
	for i := range sessions {
		s := sem(t, prefix, size)
		for j := range callers {
			n := 1 + (i+j)%size
			all.Go(func() {
				for range rounds {
					err := s.Do(soon(t), n, func(_ context.Context, h *lock.Hold) error {
						now := out.Add(int32(n))
						if now > size {
							t.Errorf("%d permits of %d are out", now, size)
						}
						most.Store(max(most.Load(), now))
						time.Sleep(time.Millisecond)
						out.Add(int32(-n))
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
	if most.Load() < size-1 {
		t.Errorf("never more than %d permits were out", most.Load())
	}
	awaitNoKeys(t, cluster.Shared(t), prefix+"/semaphore/")
}

// A heavy waiter is served before light ones that came later, although there is room for them.
func TestHeavyWaitersAreNotOvertaken(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b, c := sem(t, prefix, 3), sem(t, prefix, 3), sem(t, prefix, 3)
	light := mustTake(t, permits(a, 1))
	heavy := asyncTake(t, permits(b, 3))
	awaitKeys(t, client, a.Key()+"/", 2)
	var held *lock.HeldError
	for name, s := range map[string]*lock.Semaphore{"another session": c, "the holder's": a} {
		if _, err := s.TryAcquire(soon(t), 1); !errors.As(err, &held) || held.Owner.Token != light.Token() || held.Owner.Permits != 1 || !held.Owner.Holder {
			t.Errorf("TryAcquire of %s past a waiter = %v, %+v", name, err, held)
		}
	}
	late := asyncTake(t, permits(c, 1))
	awaitKeys(t, client, a.Key()+"/", 3)
	owners, err := c.Owners(soon(t))
	if err != nil || len(owners) != 3 {
		t.Fatalf("Owners = %+v, %v", owners, err)
	}
	for i, want := range []int{1, 3, 1} {
		if o := owners[i]; o.Permits != want || o.Holder != (i == 0) || o.PID == 0 {
			t.Errorf("owner %d: %+v", i, o)
		}
	}
	waits(t, "a light waiter", late)
	mustUnlock(t, light)
	h := next(t, heavy)
	waits(t, "a light waiter beside all permits", late)
	mustUnlock(t, h)
	mustUnlock(t, next(t, late))
	awaitNoKeys(t, client, a.Key()+"/")
}

// The callers of one session are served in their order, with one key in etcd for all that wait.
func TestCallersOfASessionQueueBeforeTheSemaphore(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	queued, trace := tellQueued()
	s := sem(t, prefix, 2, trace)
	holds := []*lock.Hold{mustTake(t, permits(s, 1)), mustTake(t, permits(s, 1))}
	if holds[0].Token() == holds[1].Token() || holds[0].Context() == holds[1].Context() {
		t.Error("two holds are one")
	}
	var line []<-chan *lock.Hold
	for i := range 5 {
		line = append(line, asyncTake(t, permits(s, 1)))
		if i == 0 {
			awaitKeys(t, client, s.Key()+"/", 3)
		} else {
			<-queued
		}
	}
	if ks := keys(t, client, s.Key()+"/"); len(ks) != 3 {
		t.Errorf("keys %v, want two of holders and one of a waiter", ks)
	}
	last := holds[1].Token()
	for i, held := range line {
		mustUnlock(t, holds[i])
		h := next(t, held)
		if h.Token() <= last {
			t.Errorf("token %d after %d", h.Token(), last)
		}
		last = h.Token()
		holds = append(holds, h)
	}
	mustUnlock(t, holds[5])
	mustUnlock(t, holds[6])
	awaitNoKeys(t, client, s.Key()+"/")
}

func TestResize(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b, c := sem(t, prefix, 2), sem(t, prefix, 2), sem(t, prefix, 2)
	size := func(want int) {
		t.Helper()
		if n, err := b.Size(soon(t)); n != want || err != nil {
			t.Errorf("Size = %d, %v; want %d", n, err, want)
		}
	}
	size(2)
	h1, h2 := mustTake(t, permits(a, 1)), mustTake(t, permits(b, 1))
	waiting := asyncTake(t, permits(c, 1))
	awaitKeys(t, client, a.Key()+"/", 3)
	must(t, a.Resize(soon(t), 3)) // lets the waiter in
	h3 := next(t, waiting)
	size(3)

	must(t, a.Resize(soon(t), 1)) // takes nothing
	for _, h := range []*lock.Hold{h1, h2, h3} {
		if h.Err() != nil || !valid(t, client, h.Guard()) {
			t.Errorf("a smaller size took a permit: %v", h.Err())
		}
	}
	waiting = asyncTake(t, permits(a, 1))
	awaitKeys(t, client, a.Key()+"/", 4)
	mustUnlock(t, h1)
	mustUnlock(t, h3)
	waits(t, "a waiter beside the one who has all", waiting)
	if ks := keys(t, client, a.Key()+"/"); len(ks) != 2 {
		t.Errorf("keys %v", ks)
	}
	mustUnlock(t, h2)
	mustUnlock(t, next(t, waiting))

	put(t, client, a.Key()+".size", "junk")
	size(2)
	awaitNoKeys(t, client, a.Key()+"/")
}

// A size that shrinks below what a waiter wants tells him so; a size that was agreed on counts from the first call on.
func TestMorePermitsThanThereAre(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a, b := sem(t, prefix, 4), sem(t, prefix, 4)
	tooMany := func(what string, err error, wanted, size int) {
		t.Helper()
		var many *lock.TooManyError
		if !errors.As(err, &many) || !errors.Is(err, lock.ErrTooMany) || many.Wanted != wanted || many.Size != size || many.Name != "x" {
			t.Errorf("%s = %v", what, err)
		}
		if ks := keys(t, client, a.Key()+"/"); len(ks) > 1 { // one holds
			t.Errorf("%s left %v", what, ks)
		}
	}
	_, err := a.Acquire(soon(t), 5)
	tooMany("Acquire", err, 5, 4)
	_, err = a.TryAcquire(soon(t), 5)
	tooMany("TryAcquire", err, 5, 4)
	h := mustTake(t, permits(a, 2))
	waiting := make(chan error, 1)
	go func() { _, err := b.Acquire(soon(t), 4); waiting <- err }()
	awaitKeys(t, client, a.Key()+"/", 2)
	must(t, a.Resize(soon(t), 3))
	tooMany("Acquire of a waiter", <-waiting, 4, 3)
	_, err = b.Acquire(soon(t), 4)
	tooMany("Acquire of more than what is agreed on", err, 4, 3)
	must(t, a.Resize(soon(t), 6))
	mustUnlock(t, mustTake(t, permits(b, 4)))
	_, err = b.TryAcquire(soon(t), 7)
	tooMany("TryAcquire of more than what is agreed on", err, 7, 6)
	mustUnlock(t, h)
	awaitNoKeys(t, client, a.Key()+"/")
}

func TestBadInputOfASemaphore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	good := lock.NewSemaphore(s, "x", 3)
	before := c.Requests("")
	acquire := func(s *lock.Semaphore, n int) error { _, err := s.Acquire(soon(t), n); return err }
	try := func(s *lock.Semaphore, n int) error { _, err := s.TryAcquire(soon(t), n); return err }
	size := func(s *lock.Semaphore, _ int) error { _, err := s.Size(soon(t)); return err }
	owners := func(s *lock.Semaphore, _ int) error { _, err := s.Owners(soon(t)); return err }
	resize := func(s *lock.Semaphore, n int) error { return s.Resize(soon(t), n) }
	for what, err := range map[string]error{
		"no permit": acquire(good, 0), "less than none": try(good, -1), "size 0": resize(good, 0), "size -1": resize(good, -1),
		"made with 0": acquire(lock.NewSemaphore(s, "x", 0), 1), "made with -1": try(lock.NewSemaphore(s, "x", -1), 1),
		"size of a bad one": size(lock.NewSemaphore(s, "x", 0), 0), "owners of a bad one": owners(lock.NewSemaphore(s, "x", 0), 0),
		"resize of a bad one": resize(lock.NewSemaphore(s, "x", 0), 1),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), `semaphore "x": `) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"bad name": acquire(lock.NewSemaphore(s, "a//b", 1), 1), "bad key": acquire(lock.NewSemaphore(s, "x", 1, lock.WithKey("a/")), 1),
	} {
		if !errors.Is(err, session.ErrBadName) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := c.Requests("") - before; n != 0 {
		t.Errorf("bad input took %d requests", n)
	}
	if ks := keys(t, c.Admin(), "p/"); len(ks) > 0 {
		t.Errorf("bad input left %v", ks)
	}
}

// What is not ours takes all permits.
func TestForeignKeysInASemaphore(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := sem(t, prefix, 100)
	for _, name := range []string{"zz", "\xff\xfe", "0", "a~", "a~0", "a~x", "a~99999999999999999999"} {
		put(t, client, s.Key()+"/"+name, "\x00junk")
		if _, err := s.TryAcquire(soon(t), 1); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryAcquire beside a foreign key %q = %v", name, err)
		}
		held := asyncTake(t, permits(s, 1))
		awaitKeys(t, client, s.Key()+"/", 2)
		waits(t, "a caller beside a foreign key", held)
		_, err := client.Delete(soon(t), s.Key()+"/"+name)
		must(t, err)
		mustUnlock(t, next(t, held))
	}
	awaitNoKeys(t, client, s.Key()+"/")
}

// Far back in a long line, where single keys are watched, and in the middle of it, nobody misses his turn, whoever leaves and whoever stays.
func TestALongLineBeforeASemaphore(t *testing.T) {
	t.Parallel()
	const clients, size = 40, 3
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	first := sem(t, prefix, size)
	var holds []*lock.Hold
	for range size {
		holds = append(holds, mustTake(t, permits(first, 1)))
	}
	var line []<-chan *lock.Hold
	var cancels []context.CancelFunc
	for i := range clients {
		ctx, cancel := context.WithCancel(soon(t))
		cancels = append(cancels, cancel)
		s, held := sem(t, prefix, size), make(chan *lock.Hold, 1)
		go func() { h, _ := s.Acquire(ctx, 1); held <- h }()
		line = append(line, held)
		awaitKeys(t, client, first.Key()+"/", size+i+1)
	}
	// Two of the three stay for ever; all others go through the third permit, except for those who give up.
	mustUnlock(t, holds[2])
	for i, held := range line {
		if i%5 == 3 {
			continue
		}
		if i%5 == 2 {
			cancels[i+1]()
			if h := <-line[i+1]; h != nil {
				t.Errorf("client %d was served before client %d", i+1, i)
				mustUnlock(t, h)
			}
		}
		mustUnlock(t, next(t, held))
	}
	mustUnlock(t, holds[0])
	mustUnlock(t, holds[1])
	awaitNoKeys(t, client, first.Key()+"/")
}

func TestCostOfASemaphore(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	a, b := lock.NewSemaphore(s, "x", 2), lock.NewSemaphore(open(t, c.Client(t), "p"), "x", 2)
	mustUnlock(t, mustTake(t, permits(a, 1))) // grants the lease
	mustUnlock(t, mustTake(t, permits(b, 1)))
	count := func(what string, want int, f func()) {
		t.Helper()
		before := c.Requests("")
		f()
		if n := c.Requests("") - before; n != want {
			t.Errorf("%s took %d requests, want %d", what, n, want)
		}
	}
	count("Acquire and Unlock", 2, func() { mustUnlock(t, mustTake(t, permits(a, 1))) })
	count("TryAcquire and Unlock", 3, func() { h, err := a.TryAcquire(soon(t), 2); must(t, err); mustUnlock(t, h) })
	h := mustTake(t, permits(a, 2))
	_, _ = b.TryAcquire(soon(t), 1) // learns who holds
	count("TryAcquire of what is taken", 1, func() {
		if _, err := b.TryAcquire(soon(t), 1); !errors.Is(err, lock.ErrHeld) {
			t.Errorf("TryAcquire = %v", err)
		}
	})
	mustUnlock(t, h)
	count("a hundred permits at a time", 2, func() {
		mustUnlock(t, mustTake(t, permits(lock.NewSemaphore(s, "big", 1000), 100)))
	})
}

// Many permits and many callers in one process: nobody is turned away who tries, as long as there is room.
func TestTryAcquireIsNotInTheWayOfOthers(t *testing.T) {
	t.Parallel()
	s := sem(t, cluster.Prefix(t), 20)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			take := permits(s, 1)
			if i%2 == 0 {
				take = func(ctx context.Context) (*lock.Hold, error) { return s.TryAcquire(ctx, 1) }
			}
			h, err := take(soon(t))
			if err != nil {
				t.Error(fmt.Errorf("caller %d: %w", i, err))
				return
			}
			mustUnlock(t, h)
		})
	}
	all.Wait()
}
