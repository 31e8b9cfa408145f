package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
	"etcdkit/session"
)

// backendPart serves at an address, or at one of its own choice, and registers there if it has a service. It ends as a program should.
func backendPart(b *bench, addr, endpoint, service string) {
	body := bytes.Repeat([]byte("x"), bodySize)
	l := listen(addr)
	srv := serve(b, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(body)
	}))
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	if service == "-" {
		answer(l.Addr().String(), func(string) string { return "" })
		check(srv.Shutdown(ctx))
		return
	}
	s := session.New(connect(b, session.ClientConfig(endpoint)), session.WithTTL(3*time.Second))
	b.later(func() { _ = s.Close(background) })
	reg, err := discovery.Register(ctx, s, service, discovery.Instance{Addr: l.Addr().String()})
	check(err)
	answer(l.Addr().String(), func(string) string { return "" })
	check(httpdisc.Shutdown(ctx, reg, srv))
}

// gatewayPart is ours.
func gatewayPart(b *bench, endpoint, service string) {
	s := session.New(connect(b, session.ClientConfig(endpoint)))
	b.later(func() { _ = s.Close(background) })
	routes := httpdisc.Routes{Routes: []httpdisc.Route{{PathPrefix: "/api", Service: service}}}
	g, err := httpdisc.StartGateway(background, s, routes, httpdisc.WithBase(toBackends()))
	check(err)
	b.later(func() { _ = g.Close() })
	l := listen("-")
	serve(b, l, g)
	answer(l.Addr().String(), func(string) string { return "" })
}

// proxyPart is a ReverseProxy that takes backends in turn. Its pool of buffers may be nil.
func proxyPart(b *bench, pool httputil.BufferPool, backends []string) {
	var next atomic.Uint32
	l := listen("-")
	serve(b, l, &httputil.ReverseProxy{
		Transport:  toBackends(),
		BufferPool: pool,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", backends[next.Add(1)%uint32(len(backends))]
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	answer(l.Addr().String(), func(string) string { return "" })
}

// buffers is a pool of them, of the size that a ReverseProxy makes.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
}

// Get returns a buffer.
func (b *buffers) Get() []byte { return b.pool.Get().(*[32 << 10]byte)[:] }

// Put takes it back.
func (b *buffers) Put(buf []byte) { b.pool.Put((*[32 << 10]byte)(buf)) }

// toBackends is the transport of both: that which a gateway of ours has by itself.
func toBackends() *http.Transport {
	dialer := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 512, IdleConnTimeout: 30 * time.Second,
		ExpectContinueTimeout: time.Second, DisableCompression: true,
	}
}

func serve(b *bench, l net.Listener, h http.Handler) *http.Server {
	srv := httpdisc.NewServer("", h)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	b.later(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			check(err)
		}
	})
	return srv
}

// listen listens at an address, or at one that the system does not give to anybody else, so that who was killed finds it free when it comes back.
func listen(addr string) net.Listener {
	if addr != "-" {
		l, err := net.Listen("tcp", addr)
		check(err)
		return l
	}
	for tries := 0; ; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000)))
		if err == nil {
			return l
		}
		if tries > 100 {
			check(err)
		}
	}
}
