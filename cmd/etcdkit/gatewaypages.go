package main

import (
	"fmt"
	"net/http"
	"strings"

	"etcdkit/discovery/httpdisc"
)

// isOwn tells whether a path is the gateway's own: no route leads there.
func isOwn(path string) bool { return path == "/-" || strings.HasPrefix(path, "/-/") }

// front is what clients of a gateway meet.
type front struct {
	gateway *httpdisc.Gateway
	metrics *metrics
	scrape  http.Handler
}

func newFront(g *httpdisc.Gateway, m *metrics) *front {
	return &front{gateway: g, metrics: m, scrape: m.handler(g)}
}

// ServeHTTP answers for the pages of its own, and leaves all else to the gateway.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isOwn(r.URL.Path) {
		f.own(w, r)
		return
	}
	f.metrics.inFlight.Inc()
	defer f.metrics.inFlight.Dec() // also when a response is broken off, which is a panic
	f.gateway.ServeHTTP(w, r)
}

func (f *front) own(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 Method Not Allowed: this is a page of the gateway itself", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch r.URL.Path {
	case "/-/healthz":
		if err := f.gateway.Healthy(); err != nil {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		if len(f.gateway.Routes().Routes) == 0 {
			http.Error(w, "there are no routes", http.StatusServiceUnavailable)
			return
		}
		say(w, "ok")
	case "/-/healthz/live":
		say(w, "ok")
	case "/-/metrics":
		f.scrape.ServeHTTP(w, r)
	default:
		http.Error(w, "404 Not Found: the gateway has no such page", http.StatusNotFound)
	}
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, text) // who asked has gone
}
