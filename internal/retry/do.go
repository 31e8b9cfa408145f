package retry

import (
	"context"
	"errors"
)

// Do runs op until it succeeds, with a Backoff in between, and returns nil; or until it fails with an error of class Never, and
// returns that; or until ctx ends, and returns an error that wraps the cause of that and the last failure. Of the error that it
// returns tells what all tries together may have done: it is Unknown if one of them was, whatever came after.
//
// op must be harmless when it is run again after it was applied. It answers for its own special cases: to a revocation, for
// example, ErrLeaseNotFound is success, and here it would be tried again. Each try is one request, or few, and bounded by a Patience.
func Do(ctx context.Context, op func(ctx context.Context) error) error {
	var patience Patience
	return Loop(ctx, func(ctx context.Context) error {
		ctx, cancel := patience.Try(ctx)
		defer cancel()
		return op(ctx)
	})
}

// Loop is Do for an op that waits for what others do: one try is bounded by ctx alone.
func Loop(ctx context.Context, op func(ctx context.Context) error) error {
	var pause Backoff
	outcome := &gaveUpError{class: DidNot}
	for ctx.Err() == nil {
		err := op(ctx)
		class := Of(err)
		switch {
		case class == Never && outcome.class == Unknown:
			return &gaveUpError{cause: err, class: Unknown}
		case class == OK, class == Never:
			return err
		}
		outcome.add(ctx, err, class)
		if pause.Wait(ctx) != nil {
			break
		}
	}
	outcome.cause = context.Cause(ctx)
	return outcome
}

// gaveUpError says why Do stopped, and what it met last.
type gaveUpError struct {
	cause error // why ctx ended, or what refused the last try
	last  error // the last failure that tells more than that ctx ended, or nil
	class Class // of all tries together: one that may have happened is enough
}

// add takes in the failure of one try.
func (e *gaveUpError) add(ctx context.Context, err error, class Class) {
	if class == Unknown {
		e.class = Unknown
	}
	// A try that ctx cut short says nothing new: the reader wants to know what was wrong before.
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		e.last = err
	}
}

// Error puts the cause first, since that is what the caller asked for.
func (e *gaveUpError) Error() string {
	if e.last == nil {
		return e.cause.Error()
	}
	return e.cause.Error() + " (last: " + e.last.Error() + ")"
}

// Unwrap lets errors.Is find both.
func (e *gaveUpError) Unwrap() []error {
	if e.last == nil {
		return []error{e.cause}
	}
	return []error{e.cause, e.last}
}
