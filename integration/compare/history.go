package main

import (
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/session"
)

// history is eight clients on a lock that has been acquired 100,000 times since etcd was last compacted, beside the same on a fresh one.
func history() []row {
	const clients, acquisitions = 8, 100_000
	fresh := func(b *bench) (sessions []*session.Session, name string) {
		return each(clients, func() *session.Session { return b.ours() }), b.name()
	}
	rounds := func(sessions []*session.Session, name string) func(time.Duration) float64 {
		var ops []func() error
		for _, s := range sessions {
			ops = append(ops, round(s, name))
		}
		return perSecond(ops...)
	}
	return []row{{
		name: "lock/history", unit: "ops/s",
		ours: func(b *bench) func(time.Duration) float64 {
			sessions, name := fresh(b)
			var done atomic.Int64
			var all sync.WaitGroup
			for _, s := range sessions { // many callers in each: most turns are within a session, which is quicker
				for range 16 {
					op := round(s, name)
					all.Go(func() {
						for done.Add(1) <= acquisitions {
							if op() != nil {
								return
							}
						}
					})
				}
			}
			all.Wait()
			return rounds(sessions, name)
		},
		peer: func(b *bench) func(time.Duration) float64 { return rounds(fresh(b)) },
	}}
}
