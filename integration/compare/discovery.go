package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

	"etcdkit/discovery"
	"etcdkit/session"
)

// instances is what it costs to have the list of a service with 10,000 instances. etcd's own package asks the server each time.
func instances() []row {
	const n = 10_000
	both := func(measure func(d time.Duration, call func(n int), batch int) float64) (ours, peer, limit contender) {
		ours = func(b *bench) func(time.Duration) float64 {
			v := watchService(b.ours(), enrolled(b, n), n)
			b.later(func() { _ = v.Close() })
			var sink []discovery.Instance
			return func(d time.Duration) float64 {
				defer runtime.KeepAlive(&sink)
				return measure(d, func(n int) {
					for range n {
						sink = v.Instances()
					}
				}, batch)
			}
		}
		peer = func(b *bench) func(time.Duration) float64 {
			m := manager(b.client(), enrolledTheirs(b, n))
			return func(d time.Duration) float64 {
				return measure(d, func(int) { listed(m, n) }, 1)
			}
		}
		limit = func(*bench) func(time.Duration) float64 {
			var current atomic.Pointer[discovery.Snapshot]
			current.Store(new(discovery.Snapshot))
			var sink []discovery.Instance
			return func(d time.Duration) float64 {
				defer runtime.KeepAlive(&sink)
				return measure(d, func(n int) {
					for range n {
						sink = current.Load().Instances
					}
				}, batch)
			}
		}
		return ours, peer, limit
	}
	time := row{name: fmt.Sprintf("discovery/instances/%d", n), unit: "ns", lower: true}
	time.ours, time.peer, time.limit = both(batchTimes)
	allocs := row{name: time.name + "/allocs", unit: "allocs", lower: true}
	allocs.ours, allocs.peer, allocs.limit = both(batchAllocations)
	return []row{time, allocs}
}

// batchTimes returns the time of a call, in ns, at the median of batches.
func batchTimes(d time.Duration, call func(n int), batch int) float64 {
	var found []float64
	for until := time.Now().Add(d); ; {
		begun := time.Now()
		call(batch)
		end := time.Now()
		found = append(found, float64(end.Sub(begun).Nanoseconds())/float64(batch))
		if end.After(until) {
			return median(found)
		}
	}
}

// batchAllocations returns how many a call has, those of the whole process counted.
func batchAllocations(d time.Duration, call func(n int), batch int) float64 {
	var before, after runtime.MemStats
	n := 0
	runtime.ReadMemStats(&before)
	for until := time.Now().Add(d); time.Now().Before(until); n += batch {
		call(batch)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// reopen is the time until a program that starts has the list of a service. etcd's own package reads it in one request, and the limit in a stream.
func reopen() []row {
	const n = 10_000
	return []row{{
		name: fmt.Sprintf("discovery/boot/%d", n), unit: "ms", lower: true,
		ours: func(b *bench) func(time.Duration) float64 {
			s, name := b.ours(), enrolled(b, n)
			return openings(n, func() int {
				v := watchService(s, name, n)
				defer func() { check(v.Close()) }()
				return len(v.Instances())
			})
		},
		peer: func(b *bench) func(time.Duration) float64 {
			m := manager(b.client(), enrolledTheirs(b, n))
			return openings(n, func() int { return listed(m, n) })
		},
		limit: func(b *bench) func(time.Duration) float64 {
			c, prefix := b.client(), servicePrefix(enrolled(b, n))
			return openings(n, func() int { return len(decoded(c, prefix)) })
		},
	}}
}

// standing is a record of ours.
type standing struct {
	Format int `json:"v"`
	discovery.Instance
	State string `json:"state,omitempty"`
	TTL   int64  `json:"ttl,omitempty"`
}

// decoded reads records in a stream, and decodes them as a program would by hand.
func decoded(c *clientv3.Client, prefix string) map[string]*standing {
	stream, err := c.GetStream(background, prefix, clientv3.WithPrefix())
	check(err)
	all := map[string]*standing{}
	for chunk := range stream {
		check(chunk.Err())
		for _, kv := range chunk.Kvs {
			r := new(standing)
			check(json.Unmarshal(kv.Value, r))
			all[strings.TrimPrefix(string(kv.Key), prefix)] = r
		}
	}
	return all
}

// watchService opens a view, of a service with n instances.
func watchService(s *session.Session, name string, n int) *discovery.View {
	v, err := discovery.Watch(background, s, name)
	check(err)
	if got := len(v.Instances()); got != n {
		check(fmt.Errorf("%d instances, want %d", got, n))
	}
	return v
}

func servicePrefix(name string) string { return "etcdkit/discovery/" + name + "/@/" }

func manager(c *clientv3.Client, target string) endpoints.Manager {
	m, err := endpoints.NewManager(c, target)
	check(err)
	return m
}

// listed reads the list of etcd's own package.
func listed(m endpoints.Manager, n int) int {
	all, err := m.List(background)
	check(err)
	if len(all) != n {
		check(fmt.Errorf("%d endpoints, want %d", len(all), n))
	}
	return len(all)
}

// enrolled puts the records of n instances of a new service, as registering would, and returns its name.
func enrolled(b *bench, n int) string {
	name := b.name()
	enroll(b.client(), n, func(i int) (string, string) { return servicePrefix(name) + idOf(i), ourRecord(i, addrOf(i, 0)) })
	return name
}

// enrolledTheirs is enrolled for etcd's own package. It returns the target.
func enrolledTheirs(b *bench, n int) string {
	target := b.name()
	enroll(b.client(), n, func(i int) (string, string) { return target + "/" + idOf(i), theirRecord(addrOf(i, 0)) })
	return target
}

func idOf(i int) string { return fmt.Sprintf("i%05d", i) }

// addrOf is where an instance is after it has moved so many times.
func addrOf(i, moves int) string {
	return fmt.Sprintf("10.%d.%d.%d:%d", i>>16&0xff, i>>8&0xff, i&0xff, 1024+moves%60_000)
}

func ourRecord(i int, addr string) string {
	inst := discovery.Instance{ID: idOf(i), Addr: addr, Zone: "b", Weight: 2}
	data, err := json.Marshal(standing{Format: 1, Instance: inst, TTL: 10})
	check(err)
	return string(data)
}

// theirRecord is what endpoints.Manager writes.
func theirRecord(addr string) string {
	return fmt.Sprintf(`{"Op":0,"Addr":%q,"Metadata":{"zone":"b","weight":2}}`, addr)
}

func enroll(c *clientv3.Client, n int, record func(i int) (key, value string)) {
	const most = 100 // of a transaction
	for begin := 0; begin < n; begin += most {
		var ops []clientv3.Op
		for i := begin; i < min(begin+most, n); i++ {
			key, value := record(i)
			ops = append(ops, clientv3.OpPut(key, value))
		}
		_, err := c.Txn(background).Then(ops...).Commit()
		check(err)
	}
}
