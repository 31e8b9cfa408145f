package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"etcdkit/integration/cluster"
	"etcdkit/lock"
	"etcdkit/session"
)

// Requests pass and answers do not (F7): renewals keep the lease alive in etcd, but nobody knows that here. The hold ends at its deadline; after
// that its key must be gone before this session is granted the lock again, and a Lock that was tried meanwhile leaves nothing.
func TestAnswersAreLost(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithTTL(2*time.Second))
	m, other := lock.NewMutex(s, "x"), lock.NewMutex(s, "y")
	h := mustLock(t, m)
	c.LoseAnswers()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := other.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock without answers = %v", err)
	}
	done(t, "the end of the hold", h.Context().Done())
	if !reason(session.Expired)(h.Err()) {
		t.Errorf("Err: %v", h.Err())
	}
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 {
		t.Errorf("keys %v when the hold ended: it ends before its key", ks)
	}
	if c.Unblackhole() == 0 {
		t.Error("void: no answer was lost")
	}
	again := mustLock(t, m)
	if ks := keys(t, c.Admin(), m.Key()); len(ks) != 1 || again.Token() <= h.Token() {
		t.Errorf("keys %v, token %d after %d", ks, again.Token(), h.Token())
	}
	mustUnlock(t, again)
	awaitNoKeys(t, c.Admin(), "p/lock/")
}

// Slow answers (F8) cost time and no hold, as long as they take less than a third of the TTL.
func TestSlowAnswersLoseNothing(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "p", session.WithTTL(3*time.Second))
	waiting := open(t, c.Client(t), "p", session.WithTTL(3*time.Second))
	h := mustLock(t, lock.NewMutex(s, "x"))
	c.Delay(400 * time.Millisecond)
	held := async(t, lock.NewMutex(waiting, "x"))
	select {
	case <-h.Context().Done():
		t.Errorf("lost: %v", context.Cause(h.Context()))
	case <-time.After(5 * time.Second): // longer than a lease lives that nobody renews
	}
	mustUnlock(t, h)
	mustUnlock(t, next(t, held))
	c.Delay(0)
	awaitNoKeys(t, c.Admin(), "p/lock/")
}
