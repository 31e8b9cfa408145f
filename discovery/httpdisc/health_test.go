package httpdisc

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/discovery"
)

// TestGatewayHealth takes an instance out while its health path fails, and in again.
func TestGatewayHealth(t *testing.T) {
	t.Parallel()
	var ill atomic.Bool
	ill.Store(true)
	sick := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "a")
	})
	checked := make(chan error, 10)
	routes := Routes{Routes: toAPI.Routes, Health: map[string]string{"api": "/healthz"}}
	g, srv := gateway(t, []discovery.Instance{sick, says(t, "b")}, routes, WithHealthEvery(20*time.Millisecond),
		WithTrace(&Trace{Checked: func(_ string, _ *discovery.Instance, err error) { checked <- err }}))
	if err := <-checked; err == nil || !strings.Contains(err.Error(), "status 500") {
		t.Fatalf("checked: %v", err)
	}
	seen := func() (ids []string) {
		for range 20 {
			if _, id := get(t, http.DefaultTransport, srv.URL); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	down := func() []string { return g.Services()[0].Down }
	for !slices.Equal(down(), []string{"a"}) {
		time.Sleep(time.Millisecond)
	}
	if ids := seen(); !slices.Equal(ids, []string{"b"}) {
		t.Errorf("while a is down, %v answer", ids)
	}
	ill.Store(false)
	if err := <-checked; err != nil {
		t.Errorf("checked: %v", err)
	}
	for len(down()) > 0 {
		time.Sleep(time.Millisecond)
	}
	if ids := seen(); len(ids) != 2 {
		t.Errorf("after that, %v answer", ids)
	}
	ill.Store(true)
	if err := <-checked; err == nil {
		t.Error("it was not found ill again")
	}
	g.apply(toAPI) // without a health path
	if len(down()) > 0 || len(seen()) != 2 {
		t.Errorf("without checks %v are down", down())
	}
}

func TestHealthAllDown(t *testing.T) {
	t.Parallel()
	d := &down{ids: map[string]string{"a": "1:1", "b": "1:2"}}
	all := &discovery.Snapshot{Instances: []discovery.Instance{{ID: "a", Addr: "1:1"}, {ID: "b", Addr: "1:2"}}}
	if got := d.without(all); got != all {
		t.Errorf("%+v, want all, where all seem down", got)
	}
	moved := &discovery.Snapshot{Instances: []discovery.Instance{{ID: "a", Addr: "1:1"}, {ID: "b", Addr: "1:3"}}}
	if got := d.without(moved); len(got.Instances) != 1 || got.Instances[0].ID != "b" || d.without(moved) != got {
		t.Errorf("%+v, want b, which has moved, in the same snapshot each time", got)
	}
}
