package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/resolver"

	"etcdkit/discovery"
	"etcdkit/session"
)

// churn is what a watcher of 5,000 instances costs its process for each of 50 changes a second: moves, leaves and returns in turn. The watcher is
// a process of its own, and all that it uses of the processor is counted. The limit decodes the events of a watch into a map. At the end of each slice it must have exactly what stands in etcd.
func churn() []row {
	const n, perSecond = 5000, 50
	watcher := func(whose string) contender {
		return func(b *bench) func(time.Duration) float64 {
			f := newFleet(b, whose, n)
			p := startPart(b, "watcher", whose, b.etcd.Endpoints()[0], f.name)
			f.await(p)
			return func(d time.Duration) float64 {
				before, count := p.used(), 0
				tick := time.NewTicker(time.Second / perSecond)
				defer tick.Stop()
				for until := time.Now().Add(d); time.Now().Before(until); count++ {
					<-tick.C
					f.change()
				}
				time.Sleep(200 * time.Millisecond) // until the last one is digested
				cost := float64((p.used() - before).Nanoseconds()) / 1000 / float64(count)
				f.await(p)
				return cost
			}
		}
	}
	return []row{{
		name: fmt.Sprintf("discovery/churn/%d", n), unit: "µs/change", lower: true, ours: watcher("ours"), peer: watcher("theirs"), limit: watcher("raw"),
	}}
}

// fleet is the instances of a service, by who writes them.
type fleet struct {
	name    string
	put     func(i int, addr string)
	remove  func(i int)
	addr    map[int]string
	away    []int
	changes int
}

func newFleet(b *bench, whose string, n int) *fleet {
	c, f := b.client(), &fleet{addr: map[int]string{}}
	var prefix string
	record := ourRecord
	if whose == "theirs" {
		f.name = enrolledTheirs(b, n)
		prefix, record = f.name+"/", func(_ int, addr string) string { return theirRecord(addr) }
	} else {
		f.name = enrolled(b, n)
		prefix = servicePrefix(f.name)
	}
	f.put = func(i int, addr string) { check(err2(c.Put(background, prefix+idOf(i), record(i, addr)))) }
	f.remove = func(i int) { check(err2(c.Delete(background, prefix+idOf(i)))) }
	for i := range n {
		f.addr[i] = addrOf(i, 0)
	}
	return f
}

// change lets one move, another one go, or the last one that went come back.
func (f *fleet) change() {
	f.changes++
	i := rand.IntN(len(f.addr) + len(f.away))
	switch f.changes % 3 {
	case 0:
		i, f.away = f.away[0], nil
		fallthrough
	case 1:
		f.addr[i] = addrOf(i, f.changes)
		f.put(i, f.addr[i])
	case 2:
		delete(f.addr, i)
		f.away = []int{i}
		f.remove(i)
	}
}

// await returns when the watcher has exactly these instances.
func (f *fleet) await(p *part) {
	want := digest(slices.Collect(maps.Values(f.addr)))
	for deadline := time.Now().Add(30 * time.Second); p.ask("list") != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("a watcher does not have what stands in etcd, %d changes later", f.changes))
		}
	}
}

func digest(addrs []string) string {
	slices.Sort(addrs)
	sum := sha256.Sum256([]byte(strings.Join(addrs, "\n")))
	return strconv.Itoa(len(addrs)) + "/" + hex.EncodeToString(sum[:])
}

// used asks a part for the time that the processor has worked for it.
func (p *part) used() time.Duration {
	d, err := time.ParseDuration(p.ask("used"))
	check(err)
	return d
}

// watcherPart watches a service.
func watcherPart(b *bench, whose, endpoint, name string) {
	list := map[string]func(b *bench, endpoint, name string) func() []string{"ours": ourWatcher, "theirs": theirWatcher, "raw": rawWatcher}[whose]
	addrs := list(b, endpoint, name)
	answer("watching", func(line string) string {
		if line == "list" {
			return digest(addrs())
		}
		var u syscall.Rusage
		check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()).String()
	})
}

func ourWatcher(b *bench, endpoint, name string) func() []string {
	s := session.New(connect(b, session.ClientConfig(endpoint)))
	v, err := discovery.Watch(background, s, name)
	check(err)
	b.later(func() { _ = v.Close(); _ = s.Close(background) })
	return func() (addrs []string) {
		for _, inst := range v.Instances() {
			addrs = append(addrs, inst.Addr)
		}
		return addrs
	}
}

func theirWatcher(b *bench, endpoint, name string) func() []string {
	var last atomic.Pointer[resolver.State]
	last.Store(new(resolver.State))
	b.later(resolve(connect(b, session.ClientConfig(endpoint)), name, func(s resolver.State) { last.Store(&s) }))
	return func() (addrs []string) {
		for addr := range addresses(*last.Load()) {
			addrs = append(addrs, addr)
		}
		return addrs
	}
}

func rawWatcher(b *bench, endpoint, name string) func() []string {
	c := connect(b, session.ClientConfig(endpoint))
	ctx, cancel := context.WithCancel(background)
	prefix := servicePrefix(name)
	all := decoded(c, prefix) // before the watch: nothing changes until the list was asked for
	var mu sync.Mutex         // protects all
	watch := c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	var following sync.WaitGroup
	following.Go(func() {
		for resp := range watch {
			mu.Lock()
			for _, ev := range resp.Events {
				id := strings.TrimPrefix(string(ev.Kv.Key), prefix)
				if ev.Type == clientv3.EventTypeDelete {
					delete(all, id)
					continue
				}
				r := new(standing)
				check(json.Unmarshal(ev.Kv.Value, r))
				all[id] = r
			}
			mu.Unlock()
		}
	})
	b.later(func() { cancel(); following.Wait() })
	return func() (addrs []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range all {
			addrs = append(addrs, r.Addr)
		}
		return addrs
	}
}
