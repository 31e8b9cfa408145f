package integration

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// idle waits until the session's janitor has nothing to do: from then on what is left behind stays.
func idle(t *testing.T, s *session.Session) {
	t.Helper()
	must(t, s.Hub().Idle(soon(t)))
}

// A waiter that gives up leaves the line, without anybody's help.
func TestAWaiterWhoGivesUpLeavesTheLine(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	h := mustLock(t, lock.NewMutex(open(t, client, prefix), "x"))
	s := open(t, client, prefix)
	m := lock.NewMutex(s, "x")
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	gaveUp := make(chan error, 1)
	go func() { _, err := m.Lock(ctx); gaveUp <- err }()
	awaitWaiters(t, m, 2)
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v", err)
	}
	idle(t, s)
	if ks := keys(t, client, m.Key()); len(ks) != 1 {
		t.Errorf("keys %v, want the holder's alone", ks)
	}
	mustUnlock(t, h)
}

// The put of a caller who gave up arrives when nothing of its session stands in the line any more: it must find another fence.
func TestALateCommitFindsAnotherFence(t *testing.T) {
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
	}
	idle(t, s)
	must(t, late.Release())
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 0 {
		t.Errorf("keys %v after everybody has left", ks)
	}
}

// The put arrives after its slot was found empty and before the fence is written: the second look must see it.
func TestACommitJustBeforeTheFence(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	s := open(t, client, "p")
	m := lock.NewMutex(s, "x")
	mustUnlock(t, mustLock(t, m))
	late := faults.SendLate(puts(m.Key()))
	fence := faults.Hold(func(_ string, req any) bool {
		put, ok := req.(*etcdserverpb.PutRequest)
		return ok && strings.HasPrefix(string(put.Key), "p/session/")
	})
	ctx, cancel := context.WithCancel(soon(t))
	go func() { fence.Await(); cancel() }()
	if _, err := m.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v", err)
	}
	must(t, late.Release())
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Errorf("void: keys %v, the put came too late", ks)
	}
	must(t, fence.Release())
	idle(t, s)
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 0 {
		t.Errorf("keys %v after everybody has left", ks)
	}
}

// A turn arrives after the release was made sure of in another way: it must find its key gone, and leave the newer hold alone.
func TestALateTurnFindsItsKeyGone(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, faults := faultyOf(t, c)
	queued, trace := tellQueued()
	m := lock.NewMutex(open(t, client, "p", trace), "x")
	h := mustLock(t, m)
	late := faults.SendLate(turns(m.Key()))
	held := async(t, m)
	<-queued
	mustUnlock(t, h)
	h = next(t, held)
	must(t, late.Release())
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 || !valid(t, c.Admin(), h.Guard()) {
		t.Errorf("keys %v, want the holder's %q alone", ks, keyOf(h))
	}
	mustUnlock(t, h)
}
