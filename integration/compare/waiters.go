package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/lock"
	"etcdkit/session"
)

// waiters is what a caller that waits for a lock costs in memory: a thousand in each of ten sessions, all of which are served afterwards.
func waiters() []row {
	const sessions, callers = 10, 1000
	return []row{{
		name: "lock/waiters/1000x10", unit: "kB/waiter", lower: true, once: true,
		ours: func(b *bench) func(time.Duration) float64 {
			return func(time.Duration) float64 {
				var queued atomic.Int64
				trace := &session.Trace{Queued: func(string) { queued.Add(1) }}
				name := b.name()
				open := func() *session.Session {
					s := session.New(b.client(), session.WithTTL(time.Minute), session.WithTrace(trace))
					_, err := s.Lease(background)
					check(err)
					b.later(func() { _ = s.Close(background) })
					return s
				}
				all := each(sessions, open)
				holder, err := lock.NewMutex(b.ours(), name).Lock(background)
				check(err)
				before := inUse()
				var served atomic.Int64
				var group sync.WaitGroup
				for _, s := range all {
					op := round(s, name)
					for range callers {
						group.Go(func() {
							if op() == nil {
								served.Add(1)
							}
						})
					}
				}
				for queued.Load() < sessions*(callers-1) { // one of each session waits in etcd
					runtime.Gosched()
				}
				cost := float64(inUse()-before) / (sessions * callers) / 1024
				check(holder.Unlock(background))
				group.Wait()
				if n := served.Load(); n != sessions*callers {
					check(fmt.Errorf("%d of %d callers were served", n, sessions*callers))
				}
				return cost
			}
		},
	}}
}

// inUse is the memory that heap and stacks take, after a collection.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
