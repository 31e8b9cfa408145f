package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

func errorsIs(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// handoffUnderLoad is two clients on one lock while others write 2,000 unrelated keys a second.
func handoffUnderLoad() []row {
	const rate = 2000
	beside := func(c contender) contender {
		return func(b *bench) func(time.Duration) float64 {
			slice := c(b)
			writers := each(16, func() func() error { return put(b.client(), "load/"+b.name()) })
			return func(d time.Duration) float64 {
				stop := load(rate, writers)
				defer stop()
				return slice(d)
			}
		}
	}
	ours, peer := contend(2)
	return []row{{
		name: "lock/handoff/load", unit: "ops/s",
		ours: beside(ours), peer: beside(peer), limit: beside(serialPut),
	}}
}

// load runs the writers at so many operations a second in all, until stop, which fails if they could not keep up with half of it:
// the row would be void.
func load(rate int, writers []func() error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var mu sync.Mutex // protects n
	n, start := 0, time.Now()
	for _, write := range writers {
		all.Go(func() {
			tick := time.NewTicker(time.Second * time.Duration(len(writers)) / time.Duration(rate))
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if write() == nil {
					mu.Lock()
					n++
					mu.Unlock()
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		if got := float64(n) / time.Since(start).Seconds(); got < float64(rate)/2 {
			check(fmt.Errorf("the load came to %.0f/s, wanted %d", got, rate))
		}
	}
}
