package election

import (
	"cmp"
	"context"
	"errors"
	"time"

	"etcdkit/internal/retry"
	"etcdkit/session"
)

// run is one call of Run.
type run struct {
	ctx    context.Context
	health *health
}

// runKey marks the contexts that a run gives away. Each run has a key of its own, since runs can be nested.
type runKey struct{ *run }

// inside tells whether ctx is one that the run gave to its function.
func inside(ctx context.Context, r *run) bool { return ctx.Value(runKey{r}) != nil }

// steady is how long a term has to last for the next one to be campaigned for without a long pause.
const steady = 5 * time.Second

// Run leads again and again until ctx ends: it campaigns, calls fn with a context that ends with ctx and with the term, and waits for fn.
// fn has to return when its context ends.
//
// When fn returns while it leads, Run resigns and returns what fn returned; WithRestart can make it go on instead. When ctx ends, fn has
// returned first, then Run resigns and returns what fn returned, or ctx's error if it was not leading. When the term ended otherwise
// (it was lost, handed over or resigned, by whomever), Run campaigns again once fn has returned, whatever it
// returned, after a pause that grows up to a second while terms are short. It resigns also if fn panics.
//
// Resign and Transfer end fn's context, wait for fn, and only then let go: from within fn, call them with the context that fn was given.
// All that Run started has ended when it returns. If the term was lost while ctx ended or fn returned, that loss is joined to what is returned:
// what fn did last may have happened beside another leader, unless it was guarded.
func (e *Election) Run(ctx context.Context, fn func(ctx context.Context, t *Term) error) error {
	r := &run{health: newHealth(e.opts.health)}
	r.ctx = context.WithValue(ctx, runKey{r}, true)
	defer r.health.close()
	var pause retry.Backoff
	for {
		if err := e.awaitHealth(r); err != nil {
			return e.wrap(retry.BothEnds(ctx, err))
		}
		t, err := e.campaign(r.ctx, r)
		if err != nil {
			return err
		}
		begun := time.Now()
		again, err := e.serve(r, t, fn)
		if !again {
			return err
		}
		e.hub.Log.Info("the term is over; campaigning again", "election", e.name, "error", err)
		if time.Since(begun) > steady {
			pause.Reset()
		}
		if err := pause.Wait(ctx); err != nil {
			return e.wrap(retry.BothEnds(ctx, err))
		}
	}
}

// serve calls fn for one term and sees to it that the term is over. again tells whether to campaign again.
func (e *Election) serve(r *run, t *Term, fn func(context.Context, *Term) error) (again bool, err error) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(session.ErrReleased)
	stop := context.AfterFunc(t.Context(), func() { cancel(context.Cause(t.Context())) })
	watched := r.health.watch(t)
	led, returned := false, false
	defer func() { // also if fn panics
		stop()
		led = t.held.Err() == nil
		cancel(cmp.Or(context.Cause(t.Context()), error(session.ErrReleased))) // what fn has started must not believe for longer
		close(t.served)
		resigned := t.Resign(r.ctx)
		<-t.left // if somebody else lets go of it
		if resigned == nil && errors.Is(t.outcome, session.ErrLost) {
			resigned = e.wrap(t.outcome)
		}
		err = retry.Join(err, resigned)
		<-watched
		t.awaitAttendants()
		if returned && r.ctx.Err() == nil {
			again = !led || e.opts.restart != nil && e.opts.restart(err)
		}
	}()
	if t.held.Err() == nil {
		err = fn(ctx, t)
	} else if r.ctx.Err() != nil { // it was lost, or given up on request, before it was of use
		err = e.wrap(retry.BothEnds(r.ctx, context.Cause(r.ctx)))
	}
	returned = true
	return false, err
}
