package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
)

// propagate is the time from a put's call to the new value being seen by who follows it.
func propagate() []row {
	var all []row
	for _, p := range []int{50, 99} {
		all = append(all, row{
			name: fmt.Sprintf("config/propagate/p%d", p), unit: "ms", lower: true,
			ours:  func(b *bench) func(time.Duration) float64 { return ourValues(b, 1).updates(p, b) },
			peer:  func(b *bench) func(time.Duration) float64 { return variable(p, b) },
			limit: func(b *bench) func(time.Duration) float64 { return events(p, b, 0) },
		})
	}
	return all
}

// fanout is a thousand values in one process: the watches that the server has for them, and the time from a put to the new value of any
// of them, whose limit is ours with one value.
func fanout() []row {
	const n = 1000
	watches := func(open func(b *bench, n int) followed) contender {
		return func(b *bench) func(time.Duration) float64 {
			return func(time.Duration) float64 {
				before := watchers(b)
				open(b, n)
				return watchers(b) - before
			}
		}
	}
	return []row{{
		name: "config/fanout/1000/watches", unit: "watches", lower: true, once: true,
		ours: watches(ourValues), peer: watches(rawValues),
		limit: func(*bench) func(time.Duration) float64 { return func(time.Duration) float64 { return 1 } },
	}, {
		name: "config/fanout/1000/p99", unit: "ms", lower: true,
		ours:  func(b *bench) func(time.Duration) float64 { return ourValues(b, n).updates(99, b) },
		peer:  func(b *bench) func(time.Duration) float64 { return rawValues(b, n).updates(99, b) },
		limit: func(b *bench) func(time.Duration) float64 { return ourValues(b, 1).updates(99, b) },
	}}
}

// followed are values that somebody follows, each the number that stands in seq.
type followed struct {
	keys []string
	seen chan sight
}

// sight is a value and when it was seen.
type sight struct {
	seq int64
	at  time.Time
}

// updates writes one of the values again and again, and measures when it is seen.
func (f followed) updates(p int, b *bench) func(time.Duration) float64 {
	c, seq := b.client(), int64(0)
	return func(d time.Duration) float64 {
		var found []float64
		for until := time.Now().Add(d); time.Now().Before(until); {
			seq++
			key, value := f.keys[rand.IntN(len(f.keys))], text(seq)
			start := time.Now()
			answered := make(chan error, 1)
			go func() { _, err := c.Put(background, key, value); answered <- err }()
			for s := range f.seen {
				if s.seq == seq {
					found = append(found, s.at.Sub(start).Seconds()*1000)
					break
				}
			}
			check(<-answered)
		}
		return percentile(found, p)
	}
}

// follow runs what follows each of n values, and returns when each has seen its first one.
func follow(b *bench, keys []string, one func(ctx context.Context, i int, see func(seq int64))) followed {
	f := followed{keys: keys, seen: make(chan sight, 2*len(keys))}
	c := b.client()
	for _, key := range keys {
		_, err := c.Put(background, key, text(0))
		check(err)
	}
	ctx, cancel := context.WithCancel(background)
	var all sync.WaitGroup
	b.later(func() { cancel(); all.Wait() })
	for i := range keys {
		all.Go(func() { one(ctx, i, func(seq int64) { f.seen <- sight{seq, time.Now()} }) })
	}
	for range keys {
		<-f.seen
	}
	return f
}

func ourValues(b *bench, n int) followed {
	s, app := b.ours(), b.name()
	keys, values := make([]string, n), make([]*config.Value[limits], n)
	for i := range n {
		name := fmt.Sprintf("%s/%d", app, i)
		v, err := config.Watch(background, s, name, limits{})
		check(err)
		b.later(func() { _ = v.Close() })
		keys[i], values[i] = "etcdkit/config/"+name, v
	}
	return follow(b, keys, func(ctx context.Context, i int, see func(int64)) {
		for ch, err := range values[i].Changes(ctx) {
			if err != nil {
				return
			}
			see(ch.New.Seq)
		}
	})
}

// rawValues has a watch for each, on one connection.
func rawValues(b *bench, n int) followed {
	c, app := b.client(), b.name()
	keys := make([]string, n)
	for i := range n {
		keys[i] = fmt.Sprintf("%s/%d", app, i)
	}
	return follow(b, keys, func(ctx context.Context, i int, see func(int64)) {
		first := true
		for resp := range c.Watch(ctx, keys[i], clientv3.WithCreatedNotify()) {
			if first {
				see(0)
				first = false
			}
			for _, ev := range resp.Events {
				var v limits
				check(json.Unmarshal(ev.Kv.Value, &v))
				see(v.Seq)
			}
		}
	})
}

// variable is updates of a runtimevar, which is open while it is measured alone: see runtimevarValue.
func variable(p int, b *bench) func(time.Duration) float64 {
	f := followed{keys: []string{b.name()}, seen: make(chan sight, 2)}
	check(writer(b, f.keys[0])(0))
	measure := f.updates(p, b)
	return func(d time.Duration) float64 {
		v := openVariable(b, f.keys[0])
		defer func() { check(v.Close()) }()
		ctx, cancel := context.WithCancel(background)
		var done sync.WaitGroup
		done.Go(func() {
			for ctx.Err() == nil {
				snap, err := v.Watch(ctx)
				if err == nil {
					f.seen <- sight{snap.Value.(limits).Seq, time.Now()}
				}
			}
		})
		defer done.Wait()
		defer cancel()
		return measure(d)
	}
}

// watchers is how many watches the members have, by their own metrics.
func watchers(b *bench) float64 {
	sum := 0.0
	for _, endpoint := range b.etcd.Endpoints() {
		resp, err := http.Get(endpoint + "/metrics")
		check(err)
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		check(err)
		_, rest, ok := strings.Cut(string(data), "\netcd_debugging_mvcc_watcher_total ")
		if !ok {
			check(fmt.Errorf("%s tells no number of watches", endpoint))
		}
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseFloat(line, 64)
		check(err)
		sum += n
	}
	return sum
}
