package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/ringhash" // it registers its policy
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"

	"etcdkit/discovery"
)

// pickKeys are what requests are hashed by, and hashHeader is where grpc-go finds it.
var pickKeys = func() (keys [1024]string) {
	for i := range keys {
		keys[i] = fmt.Sprint("user-", i)
	}
	return keys
}()

const (
	hashHeader = "user"
	ringHash   = "ring_hash_experimental"
)

// pick is what it costs to choose one of a thousand instances for a request, and to tell how it went, on all cores at once. The peers are the pickers of
// grpc-go's policies round_robin, least_request (which knows nothing of latencies) and ring_hash, all of whose connections are ready.
func pick() []row {
	const n = 1000
	var all []row
	for _, p := range []struct {
		name         string
		ours         func() func(i int) discovery.Picker
		policy, conf string
	}{
		{"rr", same(func() discovery.Picker { return discovery.RoundRobin() }), roundrobin.Name, ""},
		{"p2c", same(func() discovery.Picker { return discovery.LeastLoaded() }), leastrequest.Name, `{}`},
		{"hash", byKey, ringHash, `{"requestHashHeader":"` + hashHeader + `"}`},
	} {
		all = append(all, row{
			name: fmt.Sprintf("discovery/pick/%s/%d", p.name, n), unit: "ns", lower: true,
			ours: func(b *bench) func(time.Duration) float64 {
				v := watchService(b.ours(), enrolled(b, n), n)
				b.later(func() { _ = v.Close() })
				picker := p.ours()
				return atOnce(func(i int) error {
					_, done, err := v.Pick(picker(i))
					done(nil)
					return err
				})
			},
			peer: func(*bench) func(time.Duration) float64 {
				picker, infos := grpcPicker(n, p.policy, p.conf)
				return atOnce(func(i int) error {
					result, err := picker.Pick(infos[i%len(infos)])
					if result.Done != nil {
						result.Done(balancer.DoneInfo{})
					}
					return err
				})
			},
		})
	}
	return all
}

func same(open func() discovery.Picker) func() func(int) discovery.Picker {
	return func() func(int) discovery.Picker {
		p := open()
		return func(int) discovery.Picker { return p }
	}
}

func byKey() func(int) discovery.Picker {
	ring := discovery.ConsistentHash()
	return func(i int) discovery.Picker { return ring.Key(pickKeys[i%len(pickKeys)]) }
}

// atOnce calls on every core, and returns the time by the number of all calls, in ns.
func atOnce(call func(i int) error) func(time.Duration) float64 {
	const batch = 1000
	return func(d time.Duration) float64 {
		var count atomic.Int64
		var failed atomic.Pointer[failure]
		var all sync.WaitGroup
		begun := time.Now()
		for core := range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				for i := core * batch; time.Since(begun) < d; {
					for end := i + batch; i < end; i++ {
						if err := call(i); err != nil {
							failed.Store(&failure{err})
							return
						}
					}
					count.Add(batch)
				}
			})
		}
		all.Wait()
		if f := failed.Load(); f != nil {
			panic(*f)
		}
		return float64(time.Since(begun).Nanoseconds()) / float64(count.Load())
	}
}

// grpcPicker returns the picker that a policy has when the connections to n endpoints are ready, and what to call it with.
func grpcPicker(n int, policy, conf string) (balancer.Picker, []balancer.PickInfo) {
	cc := &grpcConn{tasks: make(chan func(), 4*n)}
	builder := balancer.Get(policy)
	state := balancer.ClientConnState{}
	if conf != "" {
		parsed, err := builder.(balancer.ConfigParser).ParseConfig(json.RawMessage(conf))
		check(err)
		state.BalancerConfig = parsed
	}
	for i := range n {
		state.ResolverState.Endpoints = append(state.ResolverState.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addrOf(i, 0)}}})
	}
	check(builder.Build(cc, balancer.BuildOptions{}).UpdateClientConnState(state))
	infos := make([]balancer.PickInfo, len(pickKeys))
	for i, key := range pickKeys {
		infos[i].Ctx = metadata.AppendToOutgoingContext(background, hashHeader, key)
		cc.serve(infos[i])
	}
	if policy != ringHash && cc.ready != n {
		check(fmt.Errorf("%s: %d connections, want %d", policy, cc.ready, n))
	}
	return cc.state.Load().Picker, infos
}

// grpcConn is a connection of grpc-go as policies see it, whose parts are ready as soon as they are to connect.
type grpcConn struct {
	balancer.ClientConn // what no policy calls here
	state               atomic.Pointer[balancer.State]
	tasks               chan func() // what to tell the policy, which may not be told while it calls
	ready               int
}

// serve returns when a request can be sent. Policies connect at once, or when they are asked, in a goroutine of their own.
func (c *grpcConn) serve(info balancer.PickInfo) {
	for {
		for len(c.tasks) > 0 {
			(<-c.tasks)()
		}
		_, err := c.state.Load().Picker.Pick(info)
		if err == nil {
			return
		}
		if !errors.Is(err, balancer.ErrNoSubConnAvailable) {
			check(err)
		}
		select {
		case task := <-c.tasks:
			task()
		case <-time.After(30 * time.Second):
			check(errors.New("a policy does not connect"))
		}
	}
}

// UpdateState takes the picker.
func (c *grpcConn) UpdateState(s balancer.State) { c.state.Store(&s) }

// ResolveNow has nothing to do.
func (c *grpcConn) ResolveNow(resolver.ResolveNowOptions) {}

// MetricsRecorder returns one that records nothing.
func (c *grpcConn) MetricsRecorder() stats.MetricsRecorder { return noMetrics{} }

// NewSubConn returns the connection to one address.
func (c *grpcConn) NewSubConn(_ []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	return &grpcSubConn{conn: c, tell: opts.StateListener}, nil
}

type grpcSubConn struct {
	balancer.SubConn
	conn *grpcConn
	tell func(balancer.SubConnState)
}

// Connect connects.
func (s *grpcSubConn) Connect() {
	s.conn.tasks <- func() {
		s.tell(balancer.SubConnState{ConnectivityState: connectivity.Connecting})
		s.tell(balancer.SubConnState{ConnectivityState: connectivity.Ready})
		s.conn.ready++
	}
}

// RegisterHealthListener says that all is well.
func (s *grpcSubConn) RegisterHealthListener(tell func(balancer.SubConnState)) {
	s.conn.tasks <- func() { tell(balancer.SubConnState{ConnectivityState: connectivity.Ready}) }
}

// Shutdown has nothing to do.
func (s *grpcSubConn) Shutdown() {}

type noMetrics struct{ stats.MetricsRecorder }

// RecordInt64Count drops it.
func (noMetrics) RecordInt64Count(*stats.Int64CountHandle, int64, ...string) {}
