package election

import (
	"context"
	"fmt"
	"time"

	"etcdkit/internal/claim"
	"etcdkit/internal/hub"
	"etcdkit/session"
)

// Resign ends the term: first its context, then, when Run's function has returned, its key, and the next candidate leads. It waits for the
// function, and for the answer, as long as ctx lives, and if ctx is over already, which is usual in a defer, for a second each
// (session.WithGrace); never past the deadline of the lease. Called with the context that Run gave to the function it does not wait for
// it, since the function would wait for itself; with another one it does, for as long as a lease lasts.
//
// It returns nil when the deletion is acknowledged and when it is called again; a *session.LostError if the term had been lost,
// session.ErrClosed if the session was closed before; and session.ErrUncertain if no answer came: then the deletion is tried again
// in the background until the session closes, and at the latest the key goes with the lease.
func (t *Term) Resign(ctx context.Context) error {
	if !t.end(session.ErrReleased) {
		t.awaitLeaver(ctx)
		return nil
	}
	ctx, cancel := t.unbound(ctx)
	defer cancel()
	t.awaitFunction(ctx, t.held.Deadline())
	if err := t.letGo(ctx); err != nil {
		return t.election.wrap(fmt.Errorf("resign: %w", err))
	}
	return nil
}

// end ends the term's context with this cause, unless it has ended. It is true for the first caller, who has to let go of the key
// and to close left.
func (t *Term) end(cause error) bool {
	t.mu.Lock()
	first := !t.ended
	t.ended = true
	t.mu.Unlock()
	if first {
		t.held.End(cause)
	}
	return first
}

// awaitFunction waits until Run's function has returned, if there is one and it is not the caller, as long as a release may take, and not
// past the deadline, if there is one: a function that calls with another context than its own would wait for itself for ever.
func (t *Term) awaitFunction(ctx context.Context, deadline time.Time) {
	if t.run == nil || inside(ctx, t.run) {
		return
	}
	ctx, cancel := t.election.hub.ReleaseContext(ctx, deadline)
	defer cancel()
	select {
	case <-t.served:
	case <-ctx.Done():
	}
}

// unbound returns a context that does not end with the term, if ctx is one that Run's function got: then it ends with Run's own.
func (t *Term) unbound(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.run == nil || !inside(ctx, t.run) {
		return ctx, func() {}
	}
	freed, cancel := hub.Either(context.WithoutCancel(ctx), t.run.ctx)
	deadline, ok := ctx.Deadline()
	if !ok {
		return freed, cancel
	}
	timed, stop := context.WithDeadline(freed, deadline)
	return timed, func() { stop(); cancel() }
}

// letGo gives up the key of a term that has ended, to the best candidate if there are priorities.
func (t *Term) letGo(ctx context.Context) error {
	defer close(t.left)
	if t.election.opts.ranked && !t.lost() && t.passOn(ctx) {
		return nil
	}
	t.outcome = t.held.Release(ctx)
	return t.outcome
}

// awaitLeaver waits until whoever ends the term has let go of it, as long as a release may take. Run's function does not, since it may be
// that it is waited for.
func (t *Term) awaitLeaver(ctx context.Context) {
	if t.run != nil && inside(ctx, t.run) {
		return
	}
	ctx, cancel := t.election.hub.ReleaseContext(ctx, t.held.Deadline())
	defer cancel()
	select {
	case <-t.left:
	case <-ctx.Done():
	}
}

// passOn is true if the best candidate is not simply the next one, and now leads.
func (t *Term) passOn(ctx context.Context) bool {
	ctx, cancel := t.election.hub.ReleaseContext(ctx, t.held.Deadline())
	defer cancel()
	log := t.election.hub.Log.With("election", t.election.name)
	line, err := claim.Standing(ctx, t.election.hub, t.election.prefix())
	if err != nil {
		log.Warn("the next candidate leads, since it cannot be read who is best", "error", err)
		return false
	}
	best := successor(line, t.election.prefix())
	if best < 2 {
		return false
	}
	m, err := moveTo(line, t.election.prefix(), t.Token(), best)
	if err == nil {
		err = t.commit(ctx, m)
	}
	if err != nil {
		log.Warn("the next candidate leads, since the best could not be made the leader", "error", err)
	}
	return err == nil
}
