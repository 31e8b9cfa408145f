package session

import (
	"context"
	"testing"
	"time"
)

// A lease that turns out to be alive is trusted from when that was asked, not from when it was answered.
func TestANewEpochCountsFromTheQuestion(t *testing.T) {
	t.Parallel()
	keep(t, tenSeconds, func(t *testing.T, k *keeper, l *line) {
		lease := mustWait(t, k)
		l.set(never)
		<-lease.ctx.Done()
		l.set(func(ctx context.Context, _ time.Duration) error { return takes(ctx, 2*time.Second) })
		next := mustWait(t, k)
		if left := next.left(); next == lease || left != 7*time.Second {
			t.Errorf("%v left of 9s after an answer that took 2s", left)
		}
	})
}
