package main

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// TestAsk needs no etcd: the connection goes where the test says.
func TestAsk(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, state, served := grpc.NewServer(), health.NewServer(), make(chan struct{})
	grpc_health_v1.RegisterHealthServer(srv, state)
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-served
	})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if from, status, err := ask(t.Context(), conn); from != listener.Addr().String() || status != "SERVING" || err != nil {
		t.Errorf("from %q: %q, %v", from, status, err)
	}
	state.Shutdown()
	if _, status, err := ask(t.Context(), conn); status != "NOT_SERVING" || err != nil {
		t.Errorf("%q, %v", status, err)
	}
	srv.Stop()
	if _, _, err := ask(t.Context(), conn); err == nil {
		t.Error("nobody is there, and answers")
	}
}
