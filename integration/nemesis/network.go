package nemesis

import (
	"context"
	"time"

	"etcdkit/integration/proxy"
)

// network are faults between workers and etcd.
var network = []Fault{
	{ID: "F7", Name: "connections cut", Counts: "connections", Lasts: 1.5, Begin: func(_ context.Context, s *Scene) (End, error) {
		cut := s.cut()
		return func(context.Context) (int64, error) { s.heal(); return cut, nil }, nil
	}},
	{ID: "F7", Name: "one member unreachable", Counts: "connections", Lasts: 1, Begin: func(_ context.Context, s *Scene) (End, error) {
		p := s.proxies[s.Random.IntN(len(s.proxies))]
		cut := int64(p.Cut())
		return func(context.Context) (int64, error) { p.Heal(); return cut, nil }, nil
	}},
	{ID: "F7", Name: "connections half-open", Counts: "bytes", Lasts: 1.5, Begin: swallow(proxy.Requests, proxy.Answers)},
	{ID: "F7", Name: "answers lost", Counts: "bytes", Lasts: 1.5, Begin: swallow(proxy.Answers)},
	{ID: "F7", Name: "requests lost", Counts: "bytes", Lasts: 1.5, Begin: swallow(proxy.Requests)},
	{ID: "F8", Name: "answers slow", Counts: "ms of a round trip", Lasts: 1.5, Begin: delay(proxy.Answers)},
	{ID: "F8", Name: "requests slow", Counts: "ms of a round trip", Lasts: 1.5, Begin: delay(proxy.Requests)},
}

// cut closes all connections of workers, and lets none through until heal. It returns how many there were.
func (g *Ground) cut() (n int64) {
	for _, p := range g.proxies {
		n += int64(p.Cut())
	}
	return n
}

func (g *Ground) heal() {
	for _, p := range g.proxies {
		p.Heal()
	}
}

func swallow(ways ...proxy.Direction) func(context.Context, *Scene) (End, error) {
	return func(_ context.Context, s *Scene) (End, error) {
		for _, p := range s.proxies {
			p.Swallow(ways...)
		}
		return func(context.Context) (n int64, err error) {
			for _, p := range s.proxies {
				n += p.Unblackhole()
			}
			return n, nil
		}, nil
	}
}

// delay makes one way slow. A client of its own measures that it is.
func delay(way proxy.Direction) func(context.Context, *Scene) (End, error) {
	return func(ctx context.Context, s *Scene) (End, error) {
		client, err := s.client(s.endpoints(), "root")
		if err != nil {
			return nil, err
		}
		if _, err := client.Get(ctx, "x"); err != nil { // so that it is connected
			client.Close()
			return nil, err
		}
		d := time.Duration(100+s.Random.IntN(1400)) * time.Millisecond
		for _, p := range s.proxies {
			p.Delay(way, d)
		}
		return func(ctx context.Context) (int64, error) {
			defer client.Close()
			begin := time.Now()
			_, err := client.Get(ctx, "x")
			took := time.Since(begin)
			for _, p := range s.proxies {
				p.Delay(way, 0)
			}
			if took < d {
				return 0, err
			}
			return took.Milliseconds(), err
		}, nil
	}
}
