package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"etcdkit/config"
	"etcdkit/integration/proxy"
	"etcdkit/session"
)

// heal is the time from the end of an outage to a value that is fresh again, what was written meanwhile included, at worst of six that are
// cut off at once: two each from a server that is gone, from a network that is gone, and half-open. Ours has a client of
// session.ClientConfig; the peer is etcd's client as it comes.
func heal() []row {
	var all []row
	for _, outage := range []time.Duration{8 * time.Second, time.Minute} {
		all = append(all, row{
			name: fmt.Sprintf("config/heal/%v", outage), unit: "s", lower: true, once: true,
			ours: func(b *bench) func(time.Duration) float64 {
				return healed(b, outage, func(p *proxy.Proxy, key, name string) func() {
					s := session.New(connect(b, session.ClientConfig(p.URL())))
					b.later(func() { _ = s.Close(background) })
					v, err := config.Watch(background, s, name, limits{})
					check(err)
					return func() {
						for ch, err := range v.Changes(background) {
							check(err)
							if ch.New.Seq == after {
								break
							}
						}
						for v.Stale() > 0 {
							time.Sleep(time.Millisecond)
						}
					}
				})
			},
			peer: func(b *bench) func(time.Duration) float64 {
				return healed(b, outage, func(p *proxy.Proxy, key, name string) func() {
					ctx, cancel := context.WithCancel(background)
					b.later(cancel)
					watch := connect(b, clientv3.Config{Endpoints: []string{p.URL()}}).Watch(ctx, key, clientv3.WithCreatedNotify())
					<-watch
					return func() {
						for resp := range watch {
							for _, ev := range resp.Events {
								var v limits
								check(json.Unmarshal(ev.Kv.Value, &v))
								if v.Seq == after {
									return
								}
							}
						}
					}
				})
			},
			limit: func(*bench) func(time.Duration) float64 { return func(time.Duration) float64 { return 1 } },
		})
	}
	return all
}

// after is what is written during the outage.
const after = 1

// outages are the kinds of outages.
var outages = []struct {
	begin func(p *proxy.Proxy)
	end   func(p *proxy.Proxy, b *bench)
}{
	{func(p *proxy.Proxy) { p.Shut() }, func(p *proxy.Proxy, b *bench) { p.Open(hostOf(b.etcd.Endpoints()[0])) }},
	{func(p *proxy.Proxy) { p.Cut() }, func(p *proxy.Proxy, _ *bench) { p.Heal() }},
	{func(p *proxy.Proxy) { p.Blackhole() }, func(p *proxy.Proxy, _ *bench) { p.Unblackhole() }},
}

// connect returns a client that says nothing.
func connect(b *bench, cfg clientv3.Config) *clientv3.Client {
	cfg.Logger = zap.NewNop()
	c, err := clientv3.New(cfg)
	check(err)
	b.later(func() { _ = c.Close() })
	return c
}

// healed cuts off six who follow a value, and returns the time, in seconds, that the slowest takes to be fresh.
func healed(b *bench, outage time.Duration, open func(p *proxy.Proxy, key, name string) (fresh func())) func(time.Duration) float64 {
	return func(time.Duration) float64 {
		const n = 6
		name := b.name()
		key := "etcdkit/config/" + name
		write := writer(b, key)
		check(write(0))
		var proxies []*proxy.Proxy
		var all []func()
		for range n {
			p, err := proxy.New()
			check(err)
			b.later(p.Close)
			p.Open(hostOf(b.etcd.Endpoints()[0]))
			proxies = append(proxies, p)
			all = append(all, open(p, key, name))
		}
		time.Sleep(time.Second) // each is at rest
		for i, p := range proxies {
			outages[i%len(outages)].begin(p)
		}
		time.Sleep(outage)
		check(write(after))
		begun := time.Now()
		took := make(chan float64, n)
		for i, p := range proxies {
			outages[i%len(outages)].end(p, b)
			go func() { all[i](); took <- time.Since(begun).Seconds() }()
		}
		return slices.Max(each(n, func() float64 {
			select {
			case t := <-took:
				return t
			case <-time.After(5 * time.Minute):
				return 300
			}
		}))
	}
}
