package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"etcdkit/integration/process"
	"etcdkit/session"
)

// bench is the etcd of one row, and what its contenders opened there.
type bench struct {
	etcd   *process.Cluster
	closer []func()
	names  atomic.Int64
}

// failure is how a contender gives up: measuring is no place for error handling of each request.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func newBench(members int) (*bench, error) {
	etcd, err := process.Start(members)
	if err != nil {
		return nil, err
	}
	return &bench{etcd: etcd}, nil
}

func (b *bench) close() {
	for i := len(b.closer) - 1; i >= 0; i-- {
		b.closer[i]()
	}
	b.etcd.Close()
}

// later runs f when the row is done.
func (b *bench) later(f func()) { b.closer = append(b.closer, f) }

// name returns a new name for a lock or a key.
func (b *bench) name() string { return fmt.Sprintf("n%d", b.names.Add(1)) }

// client returns a client with its own connection, configured alike for all contenders.
func (b *bench) client() *clientv3.Client {
	cfg := session.ClientConfig(b.etcd.Endpoints()...)
	cfg.Logger = zap.NewNop()
	c, err := clientv3.New(cfg)
	check(err)
	b.later(func() { _ = c.Close() })
	return c
}

// ours returns a session of the kit with its own connection and a lease.
func (b *bench) ours() *session.Session {
	s := session.New(b.client(), session.WithTTL(60*time.Second))
	_, err := s.Lease(context.Background())
	check(err)
	b.later(func() { _ = s.Close(context.Background()) })
	return s
}

// theirs returns a session of etcd's own package with its own connection.
func (b *bench) theirs() *concurrency.Session {
	s, err := concurrency.NewSession(b.client())
	check(err)
	b.later(func() { _ = s.Close() })
	return s
}

// hostOf is the address in a URL.
func hostOf(endpoint string) string { return strings.TrimPrefix(endpoint, "http://") }

// each makes n of something.
func each[T any](n int, f func() T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = f()
	}
	return all
}

// perSecond runs the operations, each again and again in a goroutine of its own, for d, and returns how many there were in a second.
func perSecond(ops ...func() error) func(d time.Duration) float64 {
	return func(d time.Duration) float64 {
		var (
			count  atomic.Int64
			failed atomic.Pointer[failure]
			all    sync.WaitGroup
		)
		over := make(chan struct{})
		start := time.Now()
		for _, op := range ops {
			all.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					if err := op(); err != nil {
						failed.Store(&failure{err})
						return
					}
					count.Add(1)
				}
			})
		}
		time.Sleep(d)
		n, took := count.Load(), time.Since(start)
		close(over)
		all.Wait()
		if f := failed.Load(); f != nil {
			panic(*f)
		}
		return float64(n) / took.Seconds()
	}
}
