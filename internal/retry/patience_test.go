package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A request that is never answered is sent again, and each time there is more time for the answer.
func TestAnAnswerThatNeverComesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var took []time.Duration
		err := Do(t.Context(), func(ctx context.Context) error {
			begun := time.Now()
			if len(took) == 3 {
				return nil
			}
			<-ctx.Done()
			took = append(took, time.Since(begun))
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				t.Errorf("the try ended with %v", cause)
			}
			return ctx.Err()
		})
		if err != nil || len(took) != 3 || took[0] != firstTry || took[1] != 2*firstTry || took[2] != 4*firstTry {
			t.Errorf("Do = %v after tries of %v", err, took)
		}
	})
}

func TestPatienceIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := Patience{tries: 1000}
		begun := time.Now()
		ctx, cancel := p.Try(t.Context())
		defer cancel()
		<-ctx.Done()
		if d := time.Since(begun); d != longestTry {
			t.Errorf("the longest try is %v", d)
		}
		p.Reset()
		begun = time.Now()
		ctx, cancel = p.Try(t.Context())
		defer cancel()
		<-ctx.Done()
		if d := time.Since(begun); d != firstTry {
			t.Errorf("after Reset it is %v", d)
		}
	})
}

// What waits for others is not hurried.
func TestLoopIsBoundedByItsContextAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if err := Loop(t.Context(), func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				return nil
			}
		}); err != nil {
			t.Error(err)
		}
	})
}
