package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/process"
	"etcdkit/integration/proxy"
	"etcdkit/integration/worker"
)

// ground is what the crews work on.
type ground struct {
	etcd    *process.Cluster
	proxies []*proxy.Proxy
	sight   *clientv3.Client // beside the proxies
}

func lay() (*ground, error) {
	etcd, err := process.Start(3)
	if err != nil {
		return nil, err
	}
	g := &ground{etcd: etcd}
	for _, endpoint := range etcd.Endpoints() {
		p, err := proxy.New()
		if err != nil {
			g.close()
			return nil, err
		}
		p.Open(strings.TrimPrefix(endpoint, "http://"))
		g.proxies = append(g.proxies, p)
	}
	if g.sight, err = etcd.Client(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *ground) close() {
	if g.sight != nil {
		_ = g.sight.Close()
	}
	for _, p := range g.proxies {
		p.Close()
	}
	g.etcd.Close()
}

func (g *ground) endpoints() []string {
	var all []string
	for _, p := range g.proxies {
		all = append(all, p.URL())
	}
	return all
}

// A fault happens when it begins, and lasts until end is called.
type fault struct {
	name  string
	least time.Duration // it lasts as long as this, or twice as long at most
	robs  bool          // etcd may take a lease away early, so that only guard and token can be judged
	begin func(g *ground, crew *worker.Crew, random *rand.Rand) (end func() error, err error)
}

func nothing() error { return nil }

// each does the same to all proxies.
func (g *ground) each(f func(*proxy.Proxy)) {
	for _, p := range g.proxies {
		f(p)
	}
}

// faults are all that can be drawn. A new one is one more entry.
var faults = []fault{
	{name: "none", least: time.Second, begin: func(*ground, *worker.Crew, *rand.Rand) (func() error, error) { return nothing, nil }},
	{name: "client killed", least: time.Second, begin: func(_ *ground, crew *worker.Crew, random *rand.Rand) (func() error, error) {
		crew.Members[random.IntN(len(crew.Members))].Kill()
		return nothing, nil
	}},
	{name: "client frozen past its TTL", least: 5 * time.Second, begin: func(_ *ground, crew *worker.Crew, random *rand.Rand) (func() error, error) {
		m := crew.Members[random.IntN(len(crew.Members))]
		return m.Thaw, crew.Freeze(m)
	}},
	{name: "connections cut", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		g.each(func(p *proxy.Proxy) { p.Cut() })
		return func() error { g.each((*proxy.Proxy).Heal); return nil }, nil
	}},
	{name: "connections half-open", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		g.each((*proxy.Proxy).Blackhole)
		return func() error { g.each(func(p *proxy.Proxy) { p.Unblackhole() }); return nil }, nil
	}},
	{name: "answers lost", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		g.each(func(p *proxy.Proxy) { p.Swallow(proxy.Answers) })
		return func() error { g.each(func(p *proxy.Proxy) { p.Unblackhole() }); return nil }, nil
	}},
	{name: "answers slow", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, random *rand.Rand) (func() error, error) {
		d := time.Duration(100+random.IntN(1400)) * time.Millisecond
		g.each(func(p *proxy.Proxy) { p.Delay(proxy.Answers, d) })
		return func() error { g.each(func(p *proxy.Proxy) { p.Delay(proxy.Answers, 0) }); return nil }, nil
	}},
	{name: "one member unreachable", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, random *rand.Rand) (func() error, error) {
		p := g.proxies[random.IntN(len(g.proxies))]
		p.Cut()
		return func() error { p.Heal(); return nil }, nil
	}},
	{name: "compaction", least: time.Second, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		return func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			resp, err := g.sight.Put(ctx, "soak/compaction", "")
			if err == nil {
				_, err = g.sight.Compact(ctx, resp.Header.Revision)
			}
			return err
		}, nil
	}},
	{name: "leader killed", least: 2 * time.Second, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		return onLeader(g, func(i int) error { g.etcd.Kill(i); return nil }, g.etcd.Restart)
	}},
	{name: "leader frozen", least: 5 * time.Second, robs: true, begin: func(g *ground, _ *worker.Crew, _ *rand.Rand) (func() error, error) {
		return onLeader(g, g.etcd.Stop, g.etcd.Continue)
	}},
}

// onLeader does something to the leader, and undoes it.
func onLeader(g *ground, do, undo func(int) error) (func() error, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	i, err := g.etcd.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return func() error { return undo(i) }, do(i)
}
