package main

import (
	"context"
	"errors"
	"fmt"

	"etcdkit/lock"
)

// untilLate returns a context for all that comes before the hold: it ends with ctx, or when the time of --wait is over.
func (r *lockRun) untilLate(ctx context.Context, name string) (context.Context, context.CancelFunc) {
	if r.wait == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, r.wait,
		&statusError{statusNotFree, fmt.Errorf("%s %q: no answer from etcd at %s within %v", r.noun(), name, r.conn.where(), r.wait)})
}

// acquire returns the lock when it is held, and tells once whom it waits for.
func (r *lockRun) acquire(ctx context.Context, g gate) (*lock.Hold, error) {
	hold, err := r.attempt(ctx, g)
	var held *lock.HeldError
	switch {
	case !errors.As(err, &held):
		return hold, err
	case r.try:
		return nil, &statusError{statusNotFree, err}
	}
	notef(r.cmd, "waiting: %v", held)
	hold, err = g.wait(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, &statusError{statusNotFree, fmt.Errorf("not free within %v: %w", r.wait, held)} // more than that etcd said nothing
	}
	return hold, because(ctx, err)
}

// attempt takes the lock if it is free. It is the first that is asked of etcd, and bounded: one that does not answer is an error.
func (r *lockRun) attempt(ctx context.Context, g gate) (*lock.Hold, error) {
	bounded, cancel := r.conn.request(ctx)
	defer cancel()
	hold, err := g.try(bounded)
	return hold, because(bounded, err)
}
