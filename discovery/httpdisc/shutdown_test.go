package httpdisc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"etcdkit/discovery"
)

func TestGatewayShutdown(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			arrived <- struct{}{}
			<-release
		case "/up":
			shout(w, r)
			return
		}
		_, _ = io.WriteString(w, "done")
	}
	g, srv := gateway(t, []discovery.Instance{backend(t, "a", handler)}, toAPI)
	addr := srv.Listener.Addr().String()
	_, slow := dialRaw(t, addr, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	await(t, arrived)
	kept, again := dialRaw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(again, nil)
	if err != nil || resp.Close {
		t.Fatalf("%+v, %v", resp, err)
	}
	read(t, resp)
	up, upgraded := dialRaw(t, addr, strings.Replace(upgradeToShout, "/", "/up", 1))
	if resp, err := http.ReadResponse(upgraded, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%+v, %v", resp, err)
	}
	if err := g.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(ctx, srv.Config) }()
	for g.Healthy() == nil {
		time.Sleep(time.Millisecond)
	}
	_, _ = io.WriteString(kept, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err = http.ReadResponse(again, nil)
	if err != nil || resp.StatusCode != 200 || !resp.Close {
		t.Errorf("a request on a kept connection: %+v, %v, want one that is the last", resp, err)
	}
	close(release)
	if resp, err = http.ReadResponse(slow, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the request in flight: %+v, %v", resp, err)
	}
	_, _ = io.WriteString(up, "still\n")
	if line, err := upgraded.ReadString('\n'); line != "STILL\n" {
		t.Errorf("the upgraded connection: %q, %v", line, err)
	}
	enough := errors.New("enough")
	cancel(enough)
	if _, err := upgraded.ReadByte(); err == nil {
		t.Error("the upgraded connection is still there")
	}
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func TestGatewayShutdownWithoutRequests(t *testing.T) {
	t.Parallel()
	g, srv := gateway(t, []discovery.Instance{says(t, "a")}, toAPI)
	get(t, http.DefaultTransport, srv.URL)
	if err := g.Shutdown(t.Context(), srv.Config); err != nil {
		t.Error(err)
	}
}

// TestGatewayShutdownTwice at the same time, as a signal handler and a deferred one do.
func TestGatewayShutdownTwice(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		g := &Gateway{services: newServices(nil, newOptions(nil))}
		g.ctx, g.cancel = context.WithCancelCause(t.Context())
		g.flight.enter()
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- g.Shutdown(t.Context()) }()
		}
		time.Sleep(time.Second)
		if len(ended) > 0 {
			t.Error("one has not waited")
		}
		g.flight.leave()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestGatewayClosed(t *testing.T) {
	t.Parallel()
	g, srv := gateway(t, []discovery.Instance{says(t, "a")}, toAPI)
	get(t, http.DefaultTransport, srv.URL)
	_ = g.Close()
	if status, body := get(t, http.DefaultTransport, srv.URL); status != 503 || !strings.Contains(body, "closed") {
		t.Errorf("%d %q", status, body)
	}
}
