package election

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/internal/hub"
)

// An attendant is a goroutine beside a term that may end it: on request, for a better candidate, or for want of health.

// attendAfter is the age from which a term takes requests. Most terms that end sooner never had one.
const attendAfter = 100 * time.Millisecond

// attend runs f beside the term, and until f has done what it does at the term's end.
func (t *Term) attend(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.held.Context().Err() != nil {
		return
	}
	t.attendants.Add(1)
	ran := t.election.hub.Go(func(context.Context) {
		defer t.attendants.Done()
		f()
	})
	if !ran {
		t.attendants.Done()
	}
}

// awaitAttendants waits until nothing goes on for the term any more.
func (t *Term) awaitAttendants() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.attendants.Wait()
}

// giveUp is Resign for attendants: it waits for Run's function for as long as that takes.
func (t *Term) giveUp(cause error) error {
	return t.leaveFor(cause, t.letGo)
}

// yieldTo is Transfer for attendants, in the same way.
func (t *Term) yieldTo(m move, cause error, also ...clientv3.Op) error {
	return t.leaveFor(cause, func(ctx context.Context) error { return t.handOver(ctx, m, also...) })
}

// leaveFor ends the term with that cause, unless it has ended already, and then lets go of it.
func (t *Term) leaveFor(cause error, letGo func(context.Context) error) error {
	if !t.end(cause) {
		return nil
	}
	log := t.election.hub.Log.With("election", t.election.name)
	log.Info("giving up the lead", "reason", cause)
	t.awaitFunction(t.election.hub.Context(), time.Time{})
	ctx, cancel := t.working()
	defer cancel()
	err := letGo(ctx)
	if err != nil {
		log.Warn("the lead was not given up as it should be", "error", err)
	}
	return err
}

// working is the context of what attendants do once they have ended the term: it ends with the session, and with Run's own.
func (t *Term) working() (context.Context, context.CancelFunc) {
	if t.run == nil {
		return context.WithCancel(t.election.hub.Context())
	}
	return hub.Either(t.run.ctx, t.election.hub.Context())
}
