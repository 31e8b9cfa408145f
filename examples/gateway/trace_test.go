package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
)

// TestTrace needs no etcd: routes and instances are what the test says.
func TestTrace(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(backend.Close)
	var out bytes.Buffer
	g, err := httpdisc.StartGateway(t.Context(), nil, httpdisc.Routes{Routes: []httpdisc.Route{{PathPrefix: "/api", Service: "api"}}},
		httpdisc.WithView("api", discovery.Fixed(discovery.Instance{ID: "one", Addr: backend.Listener.Addr().String()})),
		httpdisc.WithTrace(trace(slog.New(slog.NewTextHandler(&out, nil)))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	for path, want := range map[string]string{"/api/x": "status=200 bytes=5 instance=one", "/": "status=404"} {
		out.Reset()
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: logged %q, want %q", path, &out, want)
		}
	}
}
