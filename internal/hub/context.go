package hub

import (
	"context"
	"math"
	"time"

	"etcdkit/internal/retry"
)

// Either returns a context that ends when one of the two does, with its cause, and has the values of the first.
func Either(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(a)
	if b.Err() != nil { // at once, since a release has more time if its context is over from the start
		cancel(context.Cause(b))
	}
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// lasts is how much longer a Lasting context lives.
const lasts = 50 * time.Millisecond

// Lasting returns a context for a watch beside what is held as long as ctx lives. It ends a moment after ctx, unless it is cancelled before: the
// end of a watch costs as much as a request, and would come just before the release.
func (h *Hub) Lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		later := h.Go(func(ctx context.Context) {
			defer cancel()
			wait := time.NewTimer(lasts)
			defer wait.Stop()
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
		})
		if !later {
			cancel()
		}
	})
	return lasting, func() {
		if stop() {
			cancel()
		}
	}
}

// ReleaseContext bounds a release: by ctx while ctx lives, by the grace where it is over already (the usual case in a defer
// after SIGTERM), and by the deadline after which the lease has done the work.
func (h *Hub) ReleaseContext(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	left := time.Until(deadline)
	if deadline.IsZero() {
		left = math.MaxInt64
	}
	if ctx.Err() != nil {
		left = min(left, h.Grace)
		ctx = context.WithoutCancel(ctx)
	}
	return retry.Within(ctx, left)
}
