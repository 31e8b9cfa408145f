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
