package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	etcdresolver "go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"etcdkit/discovery"
)

// join is the time from the call that registers an instance to a watcher in another session that has it, beside a hundred others, at the median.
func join() []row {
	const others = 100
	return []row{{
		name: "discovery/join", unit: "ms", lower: true,
		ours: func(b *bench) func(time.Duration) float64 {
			name := enrolled(b, others)
			s, v := b.ours(), watchService(b.ours(), name, others)
			seen := make(chan string, 16)
			ctx, cancel := context.WithCancel(background)
			var following sync.WaitGroup
			following.Go(func() {
				for ch, err := range v.Changes(ctx) {
					if err != nil {
						return
					}
					if len(ch.Added) == 1 {
						seen <- ch.Added[0].Addr
					}
				}
			})
			b.later(func() { cancel(); following.Wait(); _ = v.Close() })
			return joining(seen, func(addr string) (func() error, error) {
				r, err := discovery.Register(background, s, name, discovery.Instance{Addr: addr, Zone: "b", Weight: 2})
				if err != nil {
					return nil, err
				}
				return func() error { return r.Deregister(background) }, nil
			})
		},
		peer: func(b *bench) func(time.Duration) float64 {
			target := enrolledTheirs(b, others)
			lease, m := b.theirs().Lease(), manager(b.client(), target)
			seen := make(chan string, 16)
			var last atomic.Pointer[map[string]bool]
			last.Store(&map[string]bool{})
			b.later(resolve(b.client(), target, func(s resolver.State) {
				all := addresses(s)
				for addr := range all {
					if before := *last.Load(); len(before) == others && !before[addr] {
						seen <- addr
					}
				}
				last.Store(&all)
			}))
			return joining(seen, func(addr string) (func() error, error) {
				key := target + "/" + addr
				ep := endpoints.Endpoint{Addr: addr, Metadata: map[string]any{"zone": "b", "weight": 2}}
				if err := m.AddEndpoint(background, key, ep, clientv3.WithLease(lease)); err != nil {
					return nil, err
				}
				return func() error {
					err := m.DeleteEndpoint(background, key)
					for len(*last.Load()) != others {
						time.Sleep(time.Millisecond / 10) // the next one is told from the others
					}
					return err
				}, nil
			})
		},
		limit: func(b *bench) func(time.Duration) float64 { return events(50, b, 0) },
	}}
}

// joining registers again and again, and measures when that is seen.
func joining(seen <-chan string, register func(addr string) (leave func() error, err error)) func(time.Duration) float64 {
	n := 0
	return func(d time.Duration) float64 {
		var found []float64
		for until := time.Now().Add(d); time.Now().Before(until); {
			n++
			addr := addrOf(1<<16+n, n) // nobody had it before
			start := time.Now()
			var leave func() error
			answered := make(chan error, 1)
			go func() {
				var err error
				leave, err = register(addr)
				answered <- err
			}()
			for got := range seen {
				if got == addr {
					break
				}
			}
			found = append(found, time.Since(start).Seconds()*1000)
			check(<-answered)
			check(leave())
		}
		return percentile(found, 50)
	}
}

// resolve runs the resolver of etcd's own package.
func resolve(c *clientv3.Client, target string, update func(resolver.State)) (closer func()) {
	builder, err := etcdresolver.NewBuilder(c)
	check(err)
	r, err := builder.Build(resolver.Target{URL: url.URL{Scheme: "etcd", Path: "/" + target}}, resolverConn(update), resolver.BuildOptions{})
	check(err)
	return r.Close
}

// resolverConn is the connection of grpc-go as a resolver sees it.
type resolverConn func(resolver.State)

// UpdateState passes the list on.
func (f resolverConn) UpdateState(s resolver.State) error { f(s); return nil }

// ReportError is not called by this resolver.
func (f resolverConn) ReportError(err error) { check(err) }

// NewAddress is not called by this resolver.
func (f resolverConn) NewAddress([]resolver.Address) { check(fmt.Errorf("NewAddress is called")) }

// ParseServiceConfig is not called by this resolver.
func (f resolverConn) ParseServiceConfig(string) *serviceconfig.ParseResult { return nil }

func addresses(s resolver.State) map[string]bool {
	all := make(map[string]bool, len(s.Endpoints))
	for _, ep := range s.Endpoints {
		for _, a := range ep.Addresses {
			all[a.Addr] = true
		}
	}
	return all
}
