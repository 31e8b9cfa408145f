package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Defaults of a Backoff.
const (
	defaultMin = 25 * time.Millisecond // what etcd's own client waits between two tries
	defaultMax = time.Second           // a healed cluster is found again within this
)

// Backoff is a pause that doubles each time, from Min to Max, of which a random half is left out, so that clients that failed
// together do not come back together. The zero value goes from 25 ms to 1 s. It is not for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration // zero before the first pause
}

// Wait pauses. It returns early, with the cause, if ctx ends.
func (b *Backoff) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // and the next pause stays as short
	}
	return Pause(ctx, b.step())
}

// Pause lets some time go by. It returns early, with the cause, if ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reset makes the next pause a short one: something succeeded.
func (b *Backoff) Reset() { b.next = 0 }

// step returns the length of this pause, between the half of it and all of it, and doubles the next one.
func (b *Backoff) step() time.Duration {
	least, most := b.Min, b.Max
	if least <= 0 {
		least = defaultMin
	}
	if most <= 0 {
		most = defaultMax
	}
	most = max(least, most)
	pause := min(max(b.next, least), most)
	b.next = most
	if pause < most/2 { // so that doubling cannot overflow
		b.next = 2 * pause
	}
	return pause/2 + rand.N(pause/2+1)
}
