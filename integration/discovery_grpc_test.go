package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds" // outlier_detection_experimental

	"etcdkit/discovery"
	"etcdkit/discovery/grpcdisc"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// rawCodec passes bytes through, so that no generated code is needed.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (rawCodec) Name() string                    { return "raw" }

// A grpcServer answers with its ID, to everything.
type grpcServer struct {
	id     string
	srv    *grpc.Server
	reg    *discovery.Registration
	delay  atomic.Int64 // of an answer
	begun  atomic.Int32 // requests that take an hour
	broken atomic.Bool
	deaf   chan struct{} // until it is closed, the handlers do not look at their ctx
	addr   string
	served chan struct{}
}

func startServer(t *testing.T, s *session.Session, service string, inst discovery.Instance) *grpcServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &grpcServer{id: inst.ID, addr: listener.Addr().String(), served: make(chan struct{}), deaf: make(chan struct{})}
	close(g.deaf)
	g.srv = grpc.NewServer(grpc.WaitForHandlers(true), grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		delay := time.Duration(g.delay.Load())
		if delay == time.Hour {
			g.begun.Add(1)
		}
		select {
		case <-time.After(delay):
		case <-stream.Context().Done():
			<-g.deaf
			return context.Cause(stream.Context())
		}
		if g.broken.Load() {
			return status.Error(codes.Unavailable, "broken")
		}
		answer := []byte(g.id)
		return stream.SendMsg(&answer)
	}))
	go func() {
		defer close(g.served)
		_ = g.srv.Serve(listener)
	}()
	t.Cleanup(g.kill)
	inst.Addr = g.addr
	if g.reg, err = discovery.Register(soon(t), s, service, inst); err != nil {
		t.Fatal(err)
	}
	return g
}

// kill ends the server without a word to anybody.
func (g *grpcServer) kill() {
	g.srv.Stop()
	<-g.served
}

const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

func grpcConn(t *testing.T, b *grpcdisc.Builder, service, config string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(append(b.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(config)), opts...)
	conn, err := grpc.NewClient("etcdkit:///"+service, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// whoAnswers sends one request.
func whoAnswers(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	question, answer := []byte{}, []byte{}
	err := conn.Invoke(ctx, "/test/Who", &question, &answer, append(opts, grpc.ForceCodec(rawCodec{}))...)
	return string(answer), err
}

// awaitAnswers sends requests until those, and none but those, answer: so many in a row that no other one was left out by chance.
func awaitAnswers(t *testing.T, conn *grpc.ClientConn, want ...string) {
	t.Helper()
	var got map[string]int
	eventually(t, fmt.Sprintf("answers of %v", want), func() bool {
		got = make(map[string]int)
		for range 40 {
			id, err := whoAnswers(t.Context(), conn)
			if err != nil {
				return false
			}
			got[id]++
		}
		for _, id := range want {
			if got[id] == 0 {
				return false
			}
		}
		return len(got) == len(want)
	})
}

// TestGRPCFollowsServers under the policies of grpc-go, as they come, drain, and are killed.
func TestGRPCFollowsServers(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"round robin":       roundRobin,
		"weighted":          `{"loadBalancingConfig":[{"weighted_round_robin":{}}]}`,
		"least request":     `{"loadBalancingConfig":[{"least_request_experimental":{"choiceCount":2}}]}`,
		"outlier detection": `{"loadBalancingConfig":[{"outlier_detection_experimental":{"childPolicy":[{"round_robin":{}}]}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, prefix := cluster.Shared(t), cluster.Prefix(t)
			servers := open(t, client, prefix)
			a := startServer(t, servers, "team/api", discovery.Instance{ID: "a", Weight: 3})
			b := startServer(t, servers, "team/api", discovery.Instance{ID: "b", Zone: "z"})
			conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix)), "team/api", config)
			awaitAnswers(t, conn, "a", "b")
			startServer(t, servers, "team/api", discovery.Instance{ID: "c"})
			awaitAnswers(t, conn, "a", "b", "c")
			if err := a.reg.Drain(soon(t)); err != nil {
				t.Fatal(err)
			}
			awaitAnswers(t, conn, "b", "c")
			b.kill() // requests go on at the others, whatever the list says
			awaitAnswers(t, conn, "c")
			if err := a.reg.Deregister(soon(t)); err != nil {
				t.Fatal(err)
			}
			awaitAnswers(t, conn, "c")
		})
	}
}

// TestGRPCOutlierDetection: of servers that are in the list, the one that fails is left out.
func TestGRPCOutlierDetection(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	servers := open(t, client, prefix)
	for _, id := range []string{"a", "b", "c"} {
		g := startServer(t, servers, "api", discovery.Instance{ID: id})
		g.broken.Store(id == "b")
	}
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix)), "api", `{"loadBalancingConfig":[{"outlier_detection_experimental":{
		"interval":"0.2s","baseEjectionTime":"60s","maxEjectionPercent":50,
		"failurePercentageEjection":{"threshold":50,"enforcementPercentage":100,"minimumHosts":3,"requestVolume":5},
		"childPolicy":[{"round_robin":{}}]}}]}`)
	awaitAnswers(t, conn, "a", "c")
}

// TestGRPCRollingRestart of all servers, with drain, fails no request.
func TestGRPCRollingRestart(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	servers := open(t, client, prefix)
	old := make([]*grpcServer, 4)
	for i := range old {
		old[i] = startServer(t, servers, "api", discovery.Instance{ID: fmt.Sprint("old", i)})
	}
	for _, config := range []string{roundRobin, `{"loadBalancingConfig":[{"least_request_experimental":{}}]}`} {
		conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix)), "api", config)
		awaitAnswers(t, conn, "old0", "old1", "old2", "old3")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var sent, failed atomic.Int64
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					sent.Add(1)
					if id, err := whoAnswers(t.Context(), conn); err != nil {
						failed.Add(1)
						t.Errorf("%q: %v", id, err)
						return
					}
				}
			})
		}
		for i := range old {
			fresh := startServer(t, servers, "api", discovery.Instance{ID: fmt.Sprintf("new%d", i)})
			fresh.delay.Store(int64(5 * time.Millisecond))
			if err := grpcdisc.Shutdown(soon(t), old[i].reg, old[i].srv); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			old[i] = fresh
		}
		awaitAnswers(t, conn, "new0", "new1", "new2", "new3")
		cancel()
		wg.Wait()
		t.Logf("%d of %d requests failed", failed.Load(), sent.Load())
		for i := range old { // for the next policy
			next := startServer(t, servers, "api", discovery.Instance{ID: fmt.Sprint("old", i)})
			if err := grpcdisc.Shutdown(soon(t), old[i].reg, old[i].srv, grpcdisc.WithPause(0)); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			old[i] = next
		}
	}
}

// TestGRPCWithoutInstances fails at once, names the service, and heals.
func TestGRPCWithoutInstances(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	servers := open(t, client, prefix)
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix)), "team/api", roundRobin)
	for range 2 {
		eventually(t, "an error at once", func() bool {
			begun := time.Now()
			_, err := whoAnswers(t.Context(), conn)
			if took := time.Since(begun); err != nil && (status.Code(err) != codes.Unavailable || took > 2*time.Second) {
				t.Errorf("after %v: %v", took, err)
			}
			return err != nil && strings.Contains(err.Error(), "team/api") // until the news have come, nobody answers at the old address
		})
		waited := make(chan error, 1)
		go func() {
			_, err := whoAnswers(t.Context(), conn, grpc.WaitForReady(true))
			waited <- err
		}()
		g := startServer(t, servers, "team/api", discovery.Instance{ID: "a"})
		if err := <-waited; err != nil {
			t.Errorf("a request that waits: %v", err)
		}
		if err := grpcdisc.Shutdown(soon(t), g.reg, g.srv, grpcdisc.WithPause(0)); err != nil {
			t.Error(err)
		}
	}
}

// TestGRPCOutlivesAnOutage of etcd, and idleness in it; and a process starts in it by what the last one saved.
func TestGRPCOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	client, dir := c.Client(t), t.TempDir()+"/lists"
	servers := open(t, client, "etcdkit")
	startServer(t, servers, "team/api", discovery.Instance{ID: "a"})
	startServer(t, servers, "team/api", discovery.Instance{ID: "b"})
	s := open(t, client, "etcdkit")
	b := grpcdisc.NewBuilder(s)
	conn := grpcConn(t, b, "team/api", roundRobin)
	sleepy := grpcConn(t, b, "team/api", roundRobin, grpc.WithIdleTimeout(50*time.Millisecond))
	saver := grpcdisc.NewBuilder(s, grpcdisc.WithLastGood(dir))
	saving := grpcConn(t, saver, "team/api", roundRobin)
	for _, conn := range []*grpc.ClientConn{conn, sleepy, saving} {
		awaitAnswers(t, conn, "a", "b")
	}
	if err := saving.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a list is saved", func() bool {
		files, err := os.ReadDir(dir)
		return err == nil && len(files) == 1
	})
	c.Stop(0)
	awaitAnswers(t, conn, "a", "b")
	for range 3 { // each time, it was idle
		eventually(t, "it is idle", func() bool { return sleepy.GetState().String() == "IDLE" })
		if _, err := whoAnswers(t.Context(), sleepy); err != nil {
			t.Errorf("after idleness: %v", err)
		}
	}
	alone := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit")), "team/api", roundRobin)
	if _, err := whoAnswers(t.Context(), alone); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "team/api") {
		t.Errorf("without a list: %v", err)
	}
	booted := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit"), grpcdisc.WithLastGood(dir)), "team/api", roundRobin)
	awaitAnswers(t, booted, "a", "b")

	c.Restart(t, 0)
	for _, conn := range []*grpc.ClientConn{conn, sleepy, alone, booted} {
		awaitAnswers(t, conn, "a", "b")
	}
	startServer(t, servers, "team/api", discovery.Instance{ID: "c"})
	for _, conn := range []*grpc.ClientConn{conn, sleepy, alone, booted} {
		awaitAnswers(t, conn, "a", "b", "c")
	}
}

// TestGRPCShutdownIsBounded, with a request that does not end, whose handler may not even obey, and with etcd down.
func TestGRPCShutdownIsBounded(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	servers := open(t, c.Client(t), "etcdkit")
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit")), "api", roundRobin)
	for i, test := range []struct{ deaf, down bool }{{false, false}, {true, false}, {true, true}} {
		g := startServer(t, servers, "api", discovery.Instance{ID: fmt.Sprint(i)})
		awaitAnswers(t, conn, g.id)
		if test.deaf {
			g.deaf = make(chan struct{})
		}
		g.delay.Store(int64(time.Hour))
		hanging := make(chan error, 1)
		go func() {
			_, err := whoAnswers(t.Context(), conn)
			hanging <- err
		}()
		eventually(t, "a request that hangs", func() bool { return g.begun.Load() == 1 })
		if test.down {
			c.Stop(0)
		}
		begun := time.Now()
		err := grpcdisc.Shutdown(within(t, 2*time.Second), g.reg, g.srv)
		if took := time.Since(begun); took > 3500*time.Millisecond {
			t.Errorf("%+v: it took %v, with 2 s", test, took)
		}
		if err == nil || !strings.Contains(err.Error(), "requests were cut off") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: %v", test, err)
		}
		if err := <-hanging; err == nil {
			t.Error("a request that does not end has succeeded")
		}
		if test.deaf {
			close(g.deaf)
		}
	}
}

// TestGRPCReadsEndpointsOfEtcd: servers that register as etcd's own package would have them are seen.
func TestGRPCReadsEndpointsOfEtcd(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	service := strings.Trim(prefix, "/") + "/svc"
	g := startServer(t, open(t, client, prefix), "elsewhere", discovery.Instance{ID: "a"})
	mustPut(t, client, service+"/one", fmt.Sprintf(`{"Op":0,"Addr":%q,"Metadata":null}`, g.addr))
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix), grpcdisc.WithEndpoints()), service, roundRobin)
	awaitAnswers(t, conn, "a")
}

// seen is a connection that only keeps what it was told.
type seen struct {
	resolver.ClientConn
	state atomic.Pointer[resolver.State]
}

func (s *seen) UpdateState(state resolver.State) error {
	s.state.Store(&state)
	return nil
}

func (s *seen) ReportError(error) {}

func (s *seen) ids() (ids []string) {
	if state := s.state.Load(); state != nil {
		for _, e := range state.Endpoints {
			inst, _ := grpcdisc.FromEndpoint(e)
			ids = append(ids, inst.ID)
		}
	}
	return ids
}

// TestGRPCDropsTheDeadOnProbation: after a mass loss, who cannot be connected to leaves the list, and who can stays for the time of the probation.
func TestGRPCDropsTheDeadOnProbation(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	servers := open(t, client, prefix)
	startServer(t, servers, "api", discovery.Instance{ID: "there"})
	alive := startServer(t, servers, "elsewhere", discovery.Instance{ID: "alive"})
	lost := map[string]string{"alive": alive.addr}
	for _, id := range []string{"dead1", "dead2", "dead3"} {
		g := startServer(t, servers, "elsewhere", discovery.Instance{ID: id})
		lost[id] = g.addr
		g.kill()
	}
	key := func(id string) string { return prefix + "/discovery/api/@/" + id }
	for id, addr := range lost {
		mustPut(t, client, key(id), fmt.Sprintf(`{"v":1,"addr":%q,"ttl":3600}`, addr))
	}
	b := grpcdisc.NewBuilder(open(t, client, prefix))
	list := new(seen)
	target, err := url.Parse("etcdkit:///api")
	if err != nil {
		t.Fatal(err)
	}
	follows, err := b.Build(resolver.Target{URL: *target}, list, resolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(follows.Close)
	eventually(t, "five instances", func() bool { return len(list.ids()) == 5 })
	for id := range lost {
		mustDelete(t, client, key(id))
	}
	// Who only looks at the list does not find out; a connection does, as soon as it has seen them on probation.
	eventually(t, "the dead are gone", func() bool {
		conn := grpcConn(t, b, "api", roundRobin)
		defer func() { _ = conn.Close() }()
		if _, err := whoAnswers(t.Context(), conn); err != nil {
			t.Errorf("a request: %v", err)
		}
		return slices.Equal(list.ids(), []string{"alive", "there"})
	})
}
