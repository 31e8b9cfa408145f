package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"etcdkit/internal/retry"
)

// script returns an operation that fails with these errors, one at each run, the last for ever, and counts its runs.
func script(errs ...error) (op func(context.Context) error, runs *int) {
	runs = new(int)
	return func(context.Context) error {
		err := errs[min(*runs, len(errs)-1)]
		*runs++
		return err
	}, runs
}

func TestDoUntilSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, runs := script(rpctypes.ErrNoLeader, rpctypes.ErrTooManyRequests, errors.New("odd"), nil)
		if err := retry.Do(t.Context(), op); err != nil || *runs != 4 {
			t.Errorf("Do = %v after %d runs, want nil after 4", err, *runs)
		}
	})
}

func TestDoStopsAtNever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, runs := script(rpctypes.ErrTooManyRequests, rpctypes.ErrPermissionDenied)
		err := retry.Do(t.Context(), op)
		if !errors.Is(err, rpctypes.ErrPermissionDenied) || *runs != 2 {
			t.Errorf("Do = %v after %d runs", err, *runs)
		}
		if retry.Of(err) != retry.Never {
			t.Errorf("class %v: no try can have happened", retry.Of(err))
		}
	})
}

// A refusal does not take back what an earlier try may have done.
func TestDoRemembersAnUnknownTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op, _ := script(rpctypes.ErrTimeout, rpctypes.ErrPermissionDenied)
		err := retry.Do(t.Context(), op)
		if !errors.Is(err, rpctypes.ErrPermissionDenied) || err.Error() != rpctypes.ErrPermissionDenied.Error() {
			t.Errorf("Do = %v, want the refusal in its own words", err)
		}
		if retry.Of(err) != retry.Unknown {
			t.Errorf("class %v, want unknown", retry.Of(err))
		}
	})
}

func TestDoUntilContextEnds(t *testing.T) {
	t.Parallel()
	because := errors.New("because")
	tests := []struct {
		name  string
		errs  []error
		cause error
		text  string
		class retry.Class
	}{
		{"unknown", []error{rpctypes.ErrNoLeader}, context.DeadlineExceeded, "context deadline exceeded (last: etcdserver: no leader)", retry.Unknown},
		{"never sent", []error{rpctypes.ErrTooManyRequests}, because, "because (last: etcdserver: too many requests)", retry.DidNot},
		{"one may have happened", []error{rpctypes.ErrStopped, rpctypes.ErrLeaseNotFound}, because, "because (last: etcdserver: requested lease not found)", retry.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, test.cause)
				defer cancel()
				op, runs := script(test.errs...)
				start := time.Now()
				err := retry.Do(ctx, op)
				if took := time.Since(start); took != time.Minute {
					t.Errorf("Do returned after %v, want at the end of its context", took)
				}
				if *runs < 60 || *runs > 130 {
					t.Errorf("%d runs in a minute, want about one a second", *runs)
				}
				last := test.errs[len(test.errs)-1]
				if !errors.Is(err, test.cause) || !errors.Is(err, last) {
					t.Errorf("Do = %v, want both %v and %v in it", err, test.cause, last)
				}
				if err.Error() != test.text {
					t.Errorf("Do says %q, want %q", err, test.text)
				}
				if retry.Of(err) != test.class {
					t.Errorf("class %v, want %v", retry.Of(err), test.class)
				}
			})
		})
	}
}

// A try that the context cut short must not hide what was wrong before it.
func TestDoKeepsTheTellingError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := true
		err := retry.Do(ctx, func(ctx context.Context) error {
			if first {
				first = false
				return rpctypes.ErrNoLeader
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if want := "context deadline exceeded (last: etcdserver: no leader)"; err.Error() != want {
			t.Errorf("Do says %q, want %q", err, want)
		}
	})
}

func TestDoUnderAnEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("closed"))
	op, runs := script(nil)
	err := retry.Do(ctx, op)
	if *runs != 0 || err == nil || err.Error() != "closed" {
		t.Errorf("Do = %v after %d runs, want the cause and no run", err, *runs)
	}
	if retry.Of(err) != retry.DidNot {
		t.Errorf("class %v: nothing was sent", retry.Of(err))
	}
}
