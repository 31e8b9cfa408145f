package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"etcdkit/integration/proxy"
	"etcdkit/session"
)

// lateness is how long after the server deleted its key a session says that it is lost, at worst, in 20 cuts of three kinds: connections
// closed and new ones unanswered, connections half-open, and half-open after answers that took half a second. Below zero is in time.
func lateness() []row {
	const ttl = 2 * time.Second
	return []row{{
		name: "session/lateness", unit: "ms", lower: true, once: true,
		ours: func(b *bench) func(time.Duration) float64 {
			return worst(b, func(c *clientv3.Client) (clientv3.LeaseID, <-chan struct{}) {
				s := session.New(c, session.WithTTL(ttl))
				l, err := s.Lease(background)
				check(err)
				return l.ID(), l.Context().Done()
			})
		},
		peer: func(b *bench) func(time.Duration) float64 {
			return worst(b, func(c *clientv3.Client) (clientv3.LeaseID, <-chan struct{}) {
				s, err := concurrency.NewSession(c, concurrency.WithTTL(int(ttl/time.Second)))
				check(err)
				return s.Lease(), s.Done()
			})
		},
	}}
}

// cuts are the kinds of cuts.
var cuts = []func(*proxy.Proxy){
	func(p *proxy.Proxy) { p.Cut() },
	func(p *proxy.Proxy) { p.Blackhole() },
	func(p *proxy.Proxy) { p.Blackhole() }, // see slow
}

// slow is whether the answers before the i-th cut are slow: who counts from the receipt of an answer is late by that much.
func slow(i int) bool { return i%len(cuts) == 2 }

// worst cuts 20 sessions off and returns the worst lateness in ms. They are cut at once, each on a connection of its own.
func worst(b *bench, begin func(*clientv3.Client) (clientv3.LeaseID, <-chan struct{})) func(time.Duration) float64 {
	return func(time.Duration) float64 {
		const n = 20
		direct := b.client()
		late := make(chan float64, n)
		for i := range n {
			p, err := proxy.New()
			check(err)
			b.later(p.Close)
			p.Open(hostOf(b.etcd.Endpoints()[0]))
			cfg := session.ClientConfig(p.URL())
			cfg.Logger = zap.NewNop()
			c, err := clientv3.New(cfg)
			check(err)
			b.later(func() { _ = c.Close() })
			if slow(i) {
				p.Delay(proxy.Answers, 500*time.Millisecond)
			}
			lease, lost := begin(c)
			key := fmt.Sprintf("late/%d/%x", i, int64(lease))
			_, err = direct.Put(background, key, "", clientv3.WithLease(lease))
			check(err)
			ctx, cancel := context.WithTimeout(background, time.Minute)
			b.later(cancel)
			gone := direct.Watch(ctx, key, clientv3.WithFilterPut())
			time.Sleep(time.Second + time.Duration(i)*40*time.Millisecond) // after a renewal, and everywhere between two
			cuts[i%len(cuts)](p)
			go func() {
				var deleted, told time.Time
				for deleted.IsZero() || told.IsZero() {
					select {
					case <-lost:
						told, lost = time.Now(), nil
					case _, ok := <-gone:
						if !ok {
							late <- 60_000 // not told within a minute
							return
						}
						deleted = time.Now()
					}
				}
				late <- told.Sub(deleted).Seconds() * 1000
			}()
		}
		return slices.Max(each(n, func() float64 { return <-late }))
	}
}
