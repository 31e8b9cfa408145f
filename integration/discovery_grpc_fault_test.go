package integration

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"etcdkit/discovery"
	"etcdkit/discovery/grpcdisc"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// TestGRPCAfterIdlenessFindsWhoIsThereNow, not who was there before: the first request goes to a server that is alive.
func TestGRPCAfterIdlenessFindsWhoIsThereNow(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	servers := open(t, client, prefix)
	old := startServer(t, servers, "api", discovery.Instance{ID: "a"})
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, client, prefix)), "api", roundRobin, grpc.WithIdleTimeout(50*time.Millisecond))
	awaitAnswers(t, conn, "a")
	for _, id := range []string{"b", "c", "d"} {
		eventually(t, "it is idle", func() bool { return conn.GetState() == connectivity.Idle })
		next := startServer(t, servers, "api", discovery.Instance{ID: id})
		if err := grpcdisc.Shutdown(soon(t), old.reg, old.srv, grpcdisc.WithPause(0)); err != nil {
			t.Fatal(err)
		}
		old.kill()
		if who, err := whoAnswers(t.Context(), conn); who != id || err != nil {
			t.Errorf("the first request after idleness: %q, %v, want %q", who, err, id)
		}
		old = next
	}
}

// traffic sends requests, several at a time, until it is stopped, which returns how many there were. None may fail.
func traffic(t *testing.T, conn *grpc.ClientConn) (stop func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if _, err := whoAnswers(t.Context(), conn); err != nil {
					t.Errorf("a request: %v", err)
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return func() int64 {
		cancel()
		wg.Wait()
		return sent.Load()
	}
}

// TestGRPCShutdownWithoutEtcd fails no request: clients go elsewhere, as the server ends their connections in time.
func TestGRPCShutdownWithoutEtcd(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	servers := open(t, c.Client(t), "etcdkit", session.WithTTL(time.Minute))
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit")), "api", roundRobin)
	a := startServer(t, servers, "api", discovery.Instance{ID: "a"})
	startServer(t, servers, "api", discovery.Instance{ID: "b"})
	awaitAnswers(t, conn, "a", "b")
	c.Stop(0)
	a.delay.Store(int64(300 * time.Millisecond))
	stop := traffic(t, conn)
	begun := time.Now()
	err := grpcdisc.Shutdown(within(t, 3*time.Second), a.reg, a.srv)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v, with 3 s", took)
	}
	if !errors.Is(err, session.ErrUncertain) || strings.Contains(err.Error(), "cut off") {
		t.Errorf("shutdown: %v", err)
	}
	awaitAnswers(t, conn, "b")
	t.Logf("%d requests", stop())
}

// TestGRPCShutdownWithoutTime takes a second, with a handler that does not end, and without etcd.
func TestGRPCShutdownWithoutTime(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	servers := open(t, c.Client(t), "etcdkit", session.WithTTL(time.Minute))
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit")), "api", roundRobin)
	g := startServer(t, servers, "api", discovery.Instance{ID: "a"})
	awaitAnswers(t, conn, "a")
	g.deaf = make(chan struct{})
	g.delay.Store(int64(time.Hour))
	hanging := make(chan error, 1)
	go func() {
		_, err := whoAnswers(t.Context(), conn)
		hanging <- err
	}()
	eventually(t, "a request that hangs", func() bool { return g.begun.Load() == 1 })
	c.Stop(0)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	err := grpcdisc.Shutdown(over, g.reg, g.srv)
	if took := time.Since(begun); took > 1600*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if !errors.Is(err, context.Canceled) || !errors.Is(err, session.ErrUncertain) {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-hanging; err == nil {
		t.Error("a request that does not end has succeeded")
	}
	close(g.deaf)
}

// TestGRPCOutlivesARestoredEtcd, whose store is empty until the servers have noticed, which takes some of them a while: no request fails.
func TestGRPCOutlivesARestoredEtcd(t *testing.T) {
	t.Parallel()
	c, rewind := rewindable(t)
	faults := cluster.NewFaults(t)
	fill(t, c.Admin(), "etcdkit/many/", 500)
	var servers []*grpcServer
	for _, id := range []string{"a", "b", "c", "d"} {
		client := c.Client(t, func(cfg *clientv3.Config) { cfg.DialOptions = append(cfg.DialOptions, faults.DialOption()) })
		servers = append(servers, startServer(t, open(t, client, "etcdkit"), "api", discovery.Instance{ID: id}))
	}
	conn := grpcConn(t, grpcdisc.NewBuilder(open(t, c.Client(t), "etcdkit")), "api", roundRobin)
	awaitAnswers(t, conn, "a", "b", "c", "d")
	stop := traffic(t, conn)
	var held []*cluster.Fault
	for _, g := range servers {
		held = append(held, faults.Hold(puts(apiLine+g.id)))
	}
	rewind()
	for _, h := range held {
		h.Await()
	}
	v := mustView(t, open(t, c.Client(t), "etcdkit"), "api")
	t.Logf("restored, with %d instances", len(v.Instances())) // none, but where this took so long that they tried twice
	awaitAnswers(t, conn, "a", "b", "c", "d")
	for _, h := range held {
		if err := h.Release(); err != nil {
			t.Log(err)
		}
	}
	for _, g := range servers {
		eventually(t, "all are registered again", func() bool { return g.reg.Err() == nil && value(t, c.Admin(), apiLine+g.id) != "" })
	}
	awaitAnswers(t, conn, "a", "b", "c", "d")
	t.Logf("%d requests", stop())
	if err := servers[0].reg.Deregister(soon(t)); err != nil {
		t.Fatal(err)
	}
	awaitAnswers(t, conn, "b", "c", "d") // the list is what etcd has, again
}
