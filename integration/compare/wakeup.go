package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// wakeup is the time from the return of one holder's unlock to the next holder running, with 64 clients in line.
func wakeup() []row {
	const clients = 64
	var all []row
	for _, p := range []int{50, 99} {
		all = append(all, row{
			name: fmt.Sprintf("lock/wakeup/p%d", p), unit: "ms", lower: true,
			ours: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return gaps(p, each(clients, func() locker { return ourLocker(b.ours(), name) }))
			},
			peer: func(b *bench) func(time.Duration) float64 {
				name := b.name()
				return gaps(p, each(clients, func() locker { return theirLocker(b.theirs(), name) }))
			},
			limit: func(b *bench) func(time.Duration) float64 { return events(p, b, 0) },
		})
	}
	return all
}

// gaps measures the time between an unlock's return and the next lock's return, of which it returns a percentile in ms. The gap
// can be less than nothing: the next one may run before the last one has its answer.
func gaps(p int, lockers []locker) func(time.Duration) float64 {
	return func(d time.Duration) float64 {
		var found []float64
		for i, all := 1, tenures(d, 0, lockers); i < len(all); i++ {
			found = append(found, all[i].begun.Sub(all[i-1].left).Seconds()*1000)
		}
		return percentile(found, p)
	}
}

// events measures the time from a put to its event in another client's watch, each after a pause: what was idle is slower than what is
// not, so the limit has the rhythm of what it is the limit of.
func events(p int, b *bench, pause time.Duration) func(time.Duration) float64 {
	writer, key := b.client(), b.name()
	ctx, cancel := context.WithCancel(background)
	b.later(cancel)
	watch := b.client().Watch(ctx, key, clientv3.WithCreatedNotify())
	<-watch
	return func(d time.Duration) float64 {
		var found []float64
		for until := time.Now().Add(max(d, 10*pause)); time.Now().Before(until); {
			time.Sleep(pause)
			start := time.Now()
			answered := make(chan error, 1)
			go func() { answered <- put(writer, key)() }() // the event and the answer come at the same time
			<-watch
			found = append(found, time.Since(start).Seconds()*1000)
			check(<-answered)
		}
		return percentile(found, p)
	}
}

func percentile(found []float64, p int) float64 {
	if len(found) == 0 {
		check(fmt.Errorf("nothing was measured"))
	}
	sorted := slices.Sorted(slices.Values(found))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
