package retry

import (
	"context"
	"time"
)

const (
	firstTry   = 2 * time.Second
	longestTry = 32 * time.Second
)

// Patience bounds requests whose answer may never come: etcd answers what a member had passed on to a leader that died only after seven
// seconds, and a member that is frozen does not answer at all. Each try gets twice the time of the one before, for networks that
// are slow. The zero Patience is ready for use by one goroutine.
type Patience struct {
	tries int
}

// Try returns a context for the next try.
func (p *Patience) Try(ctx context.Context) (context.Context, context.CancelFunc) {
	bound := min(firstTry<<min(p.tries, 8), longestTry)
	p.tries++
	return Within(ctx, bound)
}

// Reset is for after a success: the next try gets the shortest time again.
func (p *Patience) Reset() { p.tries = 0 }

// Within returns a context that ends with ctx, or after d. The bound is no deadline but a timer: a deadline travels with each request, and
// costs a server more than the timer costs us.
func Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}
