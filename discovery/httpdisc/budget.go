package httpdisc

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// budgetMemory is for how long requests earn retries, and retries count.
const budgetMemory = 10 * time.Second

// budget bounds retries to a share of the requests, so that a service that fails as a whole does not get a multiple of its load. Requests
// and retries count less and less as time passes, by e in budgetMemory.
type budget struct {
	share, perSecond float64
	requests         atomic.Int64 // since at

	mu     sync.Mutex // protects the rest
	at     time.Time
	recent float64 // requests before at
	spent  float64 // retries
}

// request counts one. It is all that the usual case costs.
func (b *budget) request() { b.requests.Add(1) }

// retry takes a retry out of the budget, if it is in there.
func (b *budget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.at.IsZero() {
		b.at = now
	}
	since := now.Sub(b.at).Seconds() / budgetMemory.Seconds()
	b.at = now
	kept, came := math.Exp(-since), float64(b.requests.Swap(0))
	if since > 0 {
		came *= (1 - kept) / since // as if they had come evenly
	}
	b.recent = b.recent*kept + came
	b.spent *= kept
	if b.spent+1 > b.perSecond*budgetMemory.Seconds()+b.share*b.recent {
		return false
	}
	b.spent++
	return true
}
