package main

import (
	"context"
	"errors"
	"fmt"

	"etcdkit/config"
	"etcdkit/session"
)

// unsure is a write of which it is not known whether it happened, or will.
type unsure struct {
	why  error  // why no answer is known
	did  string // what it was to do: "written"
	tree bool
}

// Error says what may have happened, and where that can be seen.
func (u *unsure) Error() string {
	history := "etcdkit config history"
	if u.tree {
		history += " --" + treeFlag
	}
	return fmt.Sprintf("%v: it may have been %s, or may still be: see %q", u.why, u.did, history)
}

func (u *unsure) Unwrap() error { return u.why }

// final marks it as what is so however ctx ended.
func (u *unsure) final() {}

// became adds to the error of a write what became of it, as far as that is known. did is what the write was to do.
func (w *spot) became(ctx context.Context, st *config.Store, did string, err error) error {
	if !errors.Is(err, session.ErrUncertain) {
		return withTheirs(ctx, st, err)
	}
	u := &unsure{err, did, w.tree}
	if ctx.Err() == nil {
		return u // the store is full, say
	}
	u.why = context.Cause(ctx)
	var ended *statusError
	if errors.As(u.why, &ended) && ended.err == nil { // a signal, which has no text, and this needs one
		u.why = errors.New("interrupted")
		return &statusError{ended.status, u}
	}
	return u
}
