package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"etcdkit/election"
)

// observe is the time from a proclamation's call to an observer that has it, at the median of a hundred observers in one process.
func observe() []row {
	const n = 100
	return []row{{
		name: "election/observe/100", unit: "ms", lower: true,
		ours: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			t, err := election.New(b.ours(), name, election.WithValue("first")).Campaign(background)
			check(err)
			e := election.New(b.ours(), name)
			return told(b, n, func(v string) error { return t.Proclaim(background, v) }, func(ctx context.Context, see func(string)) {
				for l, err := range e.Leaders(ctx) {
					if err != nil {
						return
					}
					if !l.Vacant() {
						see(l.Value)
					}
				}
			})
		},
		peer: func(b *bench) func(time.Duration) float64 {
			name := b.name()
			leader := concurrency.NewElection(b.theirs(), name)
			check(leader.Campaign(background, "first"))
			s := b.theirs()
			return told(b, n, func(v string) error { return leader.Proclaim(background, v) }, func(ctx context.Context, see func(string)) {
				for resp := range concurrency.NewElection(s, name).Observe(ctx) {
					see(string(resp.Kvs[0].Value))
				}
			})
		},
		limit: func(b *bench) func(time.Duration) float64 { return events(50, b, 0) },
	}}
}

// told starts n observers, and returns what proclaims again and again and measures when they see it.
func told(b *bench, n int, proclaim func(string) error, observer func(ctx context.Context, see func(string))) func(time.Duration) float64 {
	type sight struct {
		value string
		at    time.Time
	}
	seen := make(chan sight, 2*n)
	ctx, cancel := context.WithCancel(background)
	var all sync.WaitGroup
	b.later(func() { cancel(); all.Wait() })
	for range n {
		all.Go(func() {
			observer(ctx, func(v string) { seen <- sight{v, time.Now()} })
		})
	}
	for range n { // each has seen the first value
		<-seen
	}
	return func(d time.Duration) float64 {
		var found []float64
		for until, i := time.Now().Add(d), 0; time.Now().Before(until); i++ {
			v := fmt.Sprint(until.UnixNano(), " ", i)
			start := time.Now()
			answered := make(chan error, 1)
			go func() { answered <- proclaim(v) }()
			for left := n; left > 0; {
				if s := <-seen; s.value == v {
					found = append(found, s.at.Sub(start).Seconds()*1000)
					left--
				}
			}
			check(<-answered)
		}
		return percentile(found, 50)
	}
}
