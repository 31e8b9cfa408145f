package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

func TestListAndOwners(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	a := open(t, client, prefix, session.WithLabels(map[string]string{"who": "a"}))
	b := open(t, client, prefix, session.WithLabels(map[string]string{"who": "b"}))
	reader := open(t, client, prefix)
	if list, err := lock.List(soon(t), reader); err != nil || len(list) != 0 {
		t.Errorf("List of nothing = %v, %v", list, err)
	}
	jobs, sub := lock.NewMutex(a, "jobs"), lock.NewMutex(a, "jobs/1 %@\x01é")
	h, h2 := mustLock(t, jobs), mustLock(t, sub)
	held := async(t, lock.NewMutex(b, "jobs"))
	awaitWaiters(t, jobs, 2)

	list, err := lock.List(soon(t), reader)
	if err != nil || len(list) != 2 {
		t.Fatalf("List = %+v, %v", list, err)
	}
	if l := list[0]; l.Name != "jobs" || l.Waiters != 1 || l.Holder.Token != h.Token() || l.Holder.Labels["who"] != "a" {
		t.Errorf("first %+v", l)
	}
	if l := list[1]; l.Name != "jobs/1 %@\x01é" || l.Waiters != 0 || l.Holder.Token != h2.Token() {
		t.Errorf("second %+v", l)
	}
	owners, err := lock.Owners(soon(t), reader, "jobs")
	if err != nil || len(owners) != 2 {
		t.Fatalf("Owners = %+v, %v", owners, err)
	}
	if !owners[0].Holder || owners[1].Holder || owners[0].Labels["who"] != "a" || owners[1].Labels["who"] != "b" {
		t.Errorf("Owners = %+v", owners)
	}

	broken, err := lock.Break(soon(t), reader, "jobs")
	if err != nil || broken.Token != h.Token() || broken.Labels["who"] != "a" {
		t.Errorf("Break = %+v, %v", broken, err)
	}
	done(t, "the end of the broken hold", h.Context().Done())
	mustUnlock(t, next(t, held))
	mustUnlock(t, h2)
	if _, err := lock.Break(soon(t), reader, "jobs"); !errors.Is(err, lock.ErrFree) {
		t.Errorf("Break of a free lock = %v", err)
	}
}

// More locks than one page, and more holders than one transaction can ask after.
func TestListReadsPages(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithLabels(map[string]string{"who": "me"}))
	const n = 1100
	for i := range n {
		if _, err := lock.NewMutex(s, fmt.Sprintf("n/%04d", i)).Lock(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := lock.List(soon(t), s)
	if err != nil || len(list) != n {
		t.Fatalf("List has %d locks, %v", len(list), err)
	}
	for i, l := range list {
		if l.Name != fmt.Sprintf("n/%04d", i) || l.Holder.Labels["who"] != "me" {
			t.Fatalf("lock %d: %+v", i, l)
		}
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	m := lock.NewMutex(open(t, client, prefix), "x")
	failed := errors.New("failed")
	free := func(what string) {
		t.Helper()
		if ks := keys(t, client, m.Key()); len(ks) > 0 {
			t.Errorf("%s: keys left: %v", what, ks)
		}
	}
	err := m.Do(soon(t), func(context.Context, *lock.Hold) error { return failed })
	if !errors.Is(err, failed) || errors.Is(err, session.ErrLost) {
		t.Errorf("Do = %v", err)
	}
	free("an error")

	func() {
		defer func() {
			if recover() != "panic" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = m.Do(soon(t), func(context.Context, *lock.Hold) error { panic("panic") })
	}()
	free("a panic")

	ctx, cancel := context.WithCancelCause(soon(t))
	err = m.Do(ctx, func(ctx context.Context, h *lock.Hold) error {
		cancel(failed)
		<-ctx.Done()
		if h.Err() != nil {
			t.Errorf("the caller's end was taken for a loss: %v", h.Err())
		}
		return context.Cause(ctx)
	})
	if !errors.Is(err, failed) {
		t.Errorf("Do = %v", err)
	}
	free("the end of the context")

	err = m.Do(soon(t), func(ctx context.Context, _ *lock.Hold) error {
		if _, err := client.Delete(ctx, keys(t, client, m.Key())[0]); err != nil {
			return err
		}
		<-ctx.Done()
		if !reason(session.Deleted)(context.Cause(ctx)) {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		return nil // the loss is told although fn saw nothing wrong
	})
	if !reason(session.Deleted)(err) {
		t.Errorf("Do = %v", err)
	}
}
