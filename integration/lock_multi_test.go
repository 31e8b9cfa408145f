package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

func multi(t testing.TB, prefix string, names ...string) *lock.Multi {
	t.Helper()
	return lock.NewMulti(open(t, cluster.Shared(t), prefix), names)
}

// All or nothing, in whatever order the names were given: nobody waits for ever, and no two share a name.
func TestMultiHasNoDeadlock(t *testing.T) {
	t.Parallel()
	const sessions, callers, rounds = 4, 3, 8
	prefix := cluster.Prefix(t)
	all := []string{"a", "b", "c", "d"}
	inside := make([]atomic.Int32, len(all))
	var wg sync.WaitGroup
	for range sessions {
		s := open(t, cluster.Shared(t), prefix)
		for range callers {
			wg.Go(func() {
				for range rounds {
					picked := rand.Perm(len(all))[:2+rand.IntN(2)]
					var names []string
					for _, i := range picked {
						names = append(names, all[i])
					}
					err := lock.NewMulti(s, names).Do(soon(t), func(_ context.Context, h *lock.MultiHold) error {
						for _, i := range picked {
							if inside[i].Add(1) != 1 {
								t.Errorf("two holders of %s", all[i])
							}
						}
						if len(h.Tokens()) != len(picked) || h.Tokens()[names[0]] == 0 {
							t.Errorf("tokens %v of %v", h.Tokens(), names)
						}
						for _, i := range picked {
							inside[i].Add(-1)
						}
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
	wg.Wait()
	awaitNoKeys(t, cluster.Shared(t), prefix+"/lock/")
}

// While one of the locks is held by somebody else, a Multi waits, or TryLock fails, and who gives up has nothing.
func TestMultiIsAllOrNothing(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	one := lock.NewMutex(open(t, client, prefix), "c")
	m := multi(t, prefix, "c", "a", "b")
	h := mustLock(t, one)
	var held *lock.HeldError
	if _, err := m.TryLock(soon(t)); !errors.As(err, &held) || held.Name != "c" || held.Owner.Token != h.Token() {
		t.Errorf("TryLock = %v", err)
	}
	awaitKeys(t, client, prefix+"/lock/", 1)

	ctx, cancel := context.WithCancel(soon(t))
	gaveUp := make(chan error, 1)
	go func() { _, err := m.Lock(ctx); gaveUp <- err }()
	awaitWaiters(t, one, 2)
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v", err)
	}
	awaitKeys(t, client, prefix+"/lock/", 1)

	taken := make(chan *lock.MultiHold, 1)
	go func() {
		h, err := m.Lock(soon(t))
		if err != nil {
			t.Error(err)
		}
		taken <- h
	}()
	awaitWaiters(t, one, 2)
	mustUnlock(t, h)
	all := <-taken
	if all == nil {
		t.FailNow()
	}
	if _, err := one.TryLock(soon(t)); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("TryLock of one of them = %v", err)
	}
	must(t, all.Unlock(soon(t)))
	must(t, all.Unlock(soon(t)))
	if !errors.Is(context.Cause(all.Context()), session.ErrReleased) || all.Err() == nil {
		t.Errorf("after Unlock: cause %v, Err %v", context.Cause(all.Context()), all.Err())
	}
	awaitNoKeys(t, client, prefix+"/lock/")
}

func TestGuardsOfAMulti(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	h, err := multi(t, prefix, "b", "a").TryLock(soon(t))
	must(t, err)
	write := func() (guarded, stm bool) {
		resp, err := client.Txn(soon(t)).If(h.Guards()...).Then(clientv3.OpPut(prefix+"/data", "1")).Commit()
		must(t, err)
		_, err = concurrency.NewSTM(client, func(s concurrency.STM) error {
			if err := h.CheckSTM(s); err != nil {
				return err
			}
			s.Put(prefix+"/stm", "1")
			return nil
		}, concurrency.WithAbortContext(soon(t)))
		return resp.Succeeded, err == nil
	}
	if guarded, stm := write(); !guarded || !stm || len(h.Guards()) != 2 {
		t.Errorf("the holder's writes: guarded %v, STM %v", guarded, stm)
	}
	broken, err := lock.Break(soon(t), open(t, client, prefix), "b")
	must(t, err)
	if broken.Token != h.Tokens()["b"] {
		t.Errorf("Break took token %d of %v", broken.Token, h.Tokens())
	}
	if guarded, stm := write(); guarded || stm {
		t.Errorf("the writes of who lost one of two: guarded %v, STM %v", guarded, stm)
	}
	done(t, "the end of all", h.Context().Done())
	if !reason(session.Deleted)(context.Cause(h.Context())) || !reason(session.Deleted)(h.Err()) {
		t.Errorf("cause %v, Err %v", context.Cause(h.Context()), h.Err())
	}
	if err := h.Unlock(soon(t)); !reason(session.Deleted)(err) {
		t.Errorf("Unlock = %v", err)
	}
	awaitNoKeys(t, client, prefix+"/lock/") // the other one too
}

// One of those that are held already is lost while another is waited for: all of them are taken anew.
func TestMultiStartsAgain(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	last := lock.NewMutex(open(t, client, prefix), "z")
	h := mustLock(t, last)
	taken := make(chan *lock.MultiHold, 1)
	m := multi(t, prefix, "z", "a")
	go func() {
		all, err := m.Lock(soon(t))
		if err != nil {
			t.Error(err)
		}
		taken <- all
	}()
	awaitWaiters(t, last, 2)
	first, err := lock.Break(soon(t), open(t, client, prefix), "a")
	must(t, err)
	owners := func() lock.Owner {
		list, err := lock.Owners(soon(t), open(t, client, prefix), "a")
		must(t, err)
		if len(list) != 1 {
			return lock.Owner{}
		}
		return list[0]
	}
	eventually(t, "a new hold of the first", func() bool { return owners().Token > first.Token })
	mustUnlock(t, h)
	all := <-taken
	if all == nil || all.Err() != nil || all.Tokens()["a"] <= first.Token {
		t.Fatalf("taken: %+v", all)
	}
	must(t, all.Unlock(soon(t)))
	awaitNoKeys(t, client, prefix+"/lock/")
}

func TestBadInputOfAMulti(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p")
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("n%d", i)
	}
	for what, names := range map[string][]string{
		"none": nil, "twice": {"a", "b", "a"}, "too many": many, "a bad one": {"a", "b//c"},
	} {
		m := lock.NewMulti(s, names)
		_, err := m.Lock(soon(t))
		_, try := m.TryLock(soon(t))
		if err == nil || try == nil || err.Error() != try.Error() || errors.Is(err, session.ErrBadName) != (what == "a bad one") {
			t.Errorf("%s: %v, %v", what, err, try)
		}
		t.Log(err)
	}
	if n := c.Requests(""); n != 0 {
		t.Errorf("bad input took %d requests", n)
	}
	h, err := lock.NewMulti(s, many[:64]).TryLock(soon(t))
	must(t, err)
	resp, err := c.Admin().Txn(soon(t)).If(h.Guards()...).Commit()
	if err != nil || !resp.Succeeded {
		t.Errorf("64 guards in one transaction: %v, %v", resp, err)
	}
	must(t, h.Unlock(soon(t)))
	awaitNoKeys(t, c.Admin(), "p/lock/")
}

// Who waits obeys his context also when etcd cannot be reached to give back what was taken.
func TestMultiObeysItsContext(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	last := lock.NewMutex(open(t, c.Client(t), "p", session.WithTTL(time.Minute)), "z")
	h := mustLock(t, last)
	m := lock.NewMulti(open(t, c.Client(t), "p", session.WithTTL(time.Minute)), []string{"z", "a"})
	ctx, cancel := context.WithCancel(soon(t))
	gaveUp := make(chan error, 1)
	go func() { _, err := m.Lock(ctx); gaveUp <- err }()
	awaitWaiters(t, last, 2)
	c.Cut()
	from := time.Now()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) || time.Since(from) > time.Second {
		t.Errorf("Lock = %v after %v", err, time.Since(from))
	}
	c.Heal()
	mustUnlock(t, h)
	awaitNoKeys(t, c.Admin(), "p/lock/")
}
