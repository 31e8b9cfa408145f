package main

import (
	"fmt"
	"os/exec"
	"time"
)

// bodySize is that of the responses.
const bodySize = 1 << 10

// overhead is the requests that 64 connections get answered in a second through a gateway with four backends. The peer is a ReverseProxy to one backend
// that it was told, with the same transport; in the second row with a pool of buffers too, without which it makes one of 32 KiB for each response. Backends, gateways and who sends the load are processes of their own, and share the machine.
func overhead() []row {
	const backends = 4
	through := func(front func(b *bench) string) contender {
		return func(b *bench) func(time.Duration) float64 {
			addr := front(b)
			return func(d time.Duration) float64 {
				l := startLoad(b, addr, false)
				time.Sleep(d)
				got := l.stop()
				got.flawless()
				return float64(got.requests) / got.seconds
			}
		}
	}
	ours := through(func(b *bench) string {
		service := b.name()
		for range backends {
			startBackend(b, service)
		}
		return startPart(b, "gateway", b.etcd.Endpoints()[0], service).ready
	})
	proxy := func(kind string) contender {
		return through(func(b *bench) string { return startPart(b, kind, startBackend(b, "").ready).ready })
	}
	all := []row{
		{name: "gateway/overhead", unit: "requests/s", ours: ours, peer: proxy("proxy")},
		{name: "gateway/overhead/pool", unit: "requests/s", ours: ours, peer: proxy("pooledproxy")},
	}
	if path, err := exec.LookPath("nginx"); err == nil {
		all = append(all, row{
			name: "gateway/overhead/nginx", unit: "requests/s", ours: ours,
			peer: through(func(b *bench) string {
				return startNginx(b, path, each(backends, func() string { return startBackend(b, "").ready }))
			}),
		})
	}
	return all
}

// kill is how many GETs fail, as the clients see it, while four backends are killed with SIGKILL one after the other, and come back two seconds later. The
// peer is a ReverseProxy that takes them in turn.
func kill() []row {
	return []row{through4("gateway/kill", false, func(b *bench, site *site) {
		site.part.kill()
		time.Sleep(2 * time.Second)
		site.restart(b)
	})}
}

// roll is how many GETs and POSTs fail while four backends are restarted one after the other: ours with a drain before, the peer's with what
// net/http does on Shutdown.
func roll() []row {
	return []row{through4("gateway/roll", true, func(b *bench, site *site) {
		site.part.stop()
		site.restart(b)
	})}
}

// site is a backend that comes back at its address.
type site struct {
	part    *part
	addr    string
	service string // "" if it does not register
}

func (s *site) restart(b *bench) {
	s.part = startPart(b, "backend", s.addr, b.etcd.Endpoints()[0], orDash(s.service))
}

// through4 counts the failures of requests while something happens to one of four backends after the other.
func through4(name string, posts bool, befall func(b *bench, s *site)) row {
	front := func(registered bool, open func(b *bench, service string, sites []*site) string) contender {
		return func(b *bench) func(time.Duration) float64 {
			service := ""
			if registered {
				service = b.name()
			}
			sites := each(4, func() *site {
				p := startBackend(b, service)
				return &site{p, p.ready, service}
			})
			addr := open(b, service, sites)
			return func(time.Duration) float64 {
				l := startLoad(b, addr, posts)
				for _, s := range sites {
					time.Sleep(time.Second)
					befall(b, s)
				}
				time.Sleep(time.Second)
				got := l.stop()
				if got.requests < 1000 {
					check(fmt.Errorf("only %d requests", got.requests))
				}
				return float64(got.failed)
			}
		}
	}
	return row{
		name: name, unit: "failed", lower: true, once: true,
		ours: front(true, func(b *bench, service string, _ []*site) string {
			return startPart(b, "gateway", b.etcd.Endpoints()[0], service).ready
		}),
		peer: front(false, func(b *bench, _ string, sites []*site) string {
			var addrs []string
			for _, s := range sites {
				addrs = append(addrs, s.addr)
			}
			return startPart(b, "proxy", addrs...).ready
		}),
		limit: func(*bench) func(time.Duration) float64 { return func(time.Duration) float64 { return 0 } },
	}
}

// startBackend starts a backend of a service, or one that does not register.
func startBackend(b *bench, service string) *part {
	return startPart(b, "backend", "-", b.etcd.Endpoints()[0], orDash(service))
}

// orDash makes an argument of what may be empty.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
