package httpdisc

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"etcdkit/discovery"
)

// benchmark has 64 connections ask a handler for 1 KiB that it gets from backends.
func benchmark(b *testing.B, h http.Handler) {
	b.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	const connections = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				resp, err := client.Get(srv.URL + "/api/x")
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

func kibibyte(b *testing.B, id string) discovery.Instance {
	body := bytes.Repeat([]byte("x"), 1<<10)
	return backend(b, id, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func BenchmarkGateway(b *testing.B) {
	var instances []discovery.Instance
	for _, id := range []string{"a", "b", "c", "d"} {
		instances = append(instances, kibibyte(b, id))
	}
	g, err := StartGateway(b.Context(), nil, Routes{Routes: []Route{{PathPrefix: "/api", Service: "api"}}}, WithView("api", discovery.Fixed(instances...)))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	benchmark(b, g)
}

// BenchmarkReverseProxy is the peer: one backend that is known beforehand.
func BenchmarkReverseProxy(b *testing.B) {
	target := &url.URL{Scheme: "http", Host: kibibyte(b, "a").Addr}
	base := newBase()
	base.DisableCompression = true
	defer base.CloseIdleConnections()
	benchmark(b, &httputil.ReverseProxy{Transport: base, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
	}})
}
