package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
	"etcdkit/integration/cluster"
	"etcdkit/session"
)

// newClient returns a client of services.
func newClient(t testing.TB, s *session.Session, opts ...httpdisc.Option) *http.Client {
	t.Helper()
	tr := httpdisc.NewTransport(s, opts...)
	t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// bodiesOf asks until all of these have answered, and then some times more: nobody else may.
func bodiesOf(t *testing.T, client *http.Client, url string, want ...string) {
	t.Helper()
	var got []string
	ask := func() {
		if status, body, err := fetch(client, http.MethodGet, url, nil); status != 200 || err != nil {
			t.Fatalf("%d %q, %v", status, body, err)
		} else if !slices.Contains(got, body) {
			got = append(got, body)
		}
	}
	eventually(t, strings.Join(want, ", ")+" answer", func() bool { ask(); return len(got) >= len(want) })
	for range 50 {
		ask()
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%v answered, want %v", got, want)
	}
}

// TestDiscoveryTransport follows instances as they come and go.
func TestDiscoveryTransport(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	web := newClient(t, s)
	_, _, err := fetch(web, http.MethodGet, "http://api/", nil)
	if !errors.Is(err, discovery.ErrNoInstance) || !strings.Contains(err.Error(), `no instance of service "api": none is registered`) {
		t.Errorf("nobody there: %v", err)
	}
	a := startSite(t, s, "api", "a", named("a"))
	answers(t, web, "http://api/", 200, "a")
	startSite(t, s, "api", "b", named("b"))
	startSite(t, s, "team/api", "c", named("c"))
	answers(t, web, "http://api/", 200, "b")
	bodiesOf(t, web, "http://api/", "a", "b")
	if err := a.reg.Update(soon(t), discovery.Instance{Addr: "127.0.0.1:1"}); err != nil { // where nobody is
		t.Fatal(err)
	}
	for range 20 { // all the same
		if status, body, err := fetch(web, http.MethodPost, "http://api/", strings.NewReader("x")); status != 200 || err != nil {
			t.Errorf("%d %q, %v", status, body, err)
		}
	}
	if err := httpdisc.Shutdown(soon(t), a.reg, a.srv); err != nil {
		t.Error(err)
	}
	bodiesOf(t, web, "http://api/", "b")

	named := newClient(t, s, httpdisc.WithHosts(func(host string) (string, bool) {
		name, ok := strings.CutSuffix(host, ".services")
		return strings.ReplaceAll(name, ".", "/"), ok
	}))
	bodiesOf(t, named, "http://team.api.services/", "c")
}

// TestDiscoveryTransportDraining has all instances leave: the last one serves until it has gone.
func TestDiscoveryTransportDraining(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Shared(t), cluster.Prefix(t))
	web := newClient(t, s)
	a := startSite(t, s, "api", "a", named("a"))
	answers(t, web, "http://api/", 200, "a")
	if err := a.reg.Drain(soon(t)); err != nil {
		t.Fatal(err)
	}
	v, err := discovery.Watch(soon(t), s, "api")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	eventually(t, "the view sees it drain", func() bool { return len(v.Instances()) == 0 && len(v.Snapshot().Draining) == 1 })
	bodiesOf(t, web, "http://api/", "a")
	if err := a.reg.Deregister(soon(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is left", func() bool {
		_, _, err := fetch(web, http.MethodGet, "http://api/", nil)
		return errors.Is(err, discovery.ErrNoInstance)
	})
}

// TestDiscoveryTransportOutlivesARestoredEtcd, whose store is empty until the instance is registered again: no request fails meanwhile.
func TestDiscoveryTransportOutlivesARestoredEtcd(t *testing.T) {
	t.Parallel()
	c, rewind := rewindable(t)
	fill(t, c.Admin(), "etcdkit/many/", 500)
	site := startSite(t, open(t, cluster.Shared(t), cluster.Prefix(t)), "elsewhere", "a", named("a"))
	record := fmt.Sprintf(`{"v":1,"addr":%q,"ttl":10}`, site.reg.Instance().Addr)
	mustPut(t, c.Admin(), apiLine+"a", record)
	web := newClient(t, open(t, c.Client(t), "etcdkit"))
	answers(t, web, "http://api/", 200, "a")
	rewind()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // by when it has looked again
		if status, body, err := fetch(web, http.MethodGet, "http://api/", nil); status != 200 || err != nil {
			t.Fatalf("%d %q, %v", status, body, err)
		}
	}
	mustPut(t, c.Admin(), apiLine+"a", record)
	startSite(t, open(t, c.Client(t), "etcdkit"), "api", "b", named("b"))
	answers(t, web, "http://api/", 200, "b")
	bodiesOf(t, web, "http://api/", "a", "b")
}

// TestDiscoveryTransportWithoutEtcd says so in time, obeys ctx, and recovers.
func TestDiscoveryTransportWithoutEtcd(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "without")
	startSite(t, s, "api", "a", named("a"))
	c.Stop(0)
	web := newClient(t, s)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api/", nil)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if resp, err := web.Do(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 3*time.Second {
		t.Errorf("%v, %v after %v", resp, err, time.Since(begun))
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			_, _, err := fetch(web, http.MethodGet, "http://api/", nil)
			var unavailable *httpdisc.UnavailableError
			if !errors.As(err, &unavailable) || unavailable.Service != "api" || !strings.Contains(err.Error(), "cannot be read") {
				t.Errorf("%v", err)
			}
		})
	}
	group.Wait()
	c.Restart(t, 0)
	answers(t, web, "http://api/", 200, "a")
}
