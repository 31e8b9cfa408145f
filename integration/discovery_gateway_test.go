package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
	"etcdkit/integration/cluster"
	"etcdkit/integration/process"
	"etcdkit/session"
)

// site is a backend that runs in this process.
type site struct {
	id     string
	srv    *http.Server
	reg    *discovery.Registration
	served chan error
}

// startSite serves with h and registers.
func startSite(t testing.TB, s *session.Session, service, id string, h http.Handler) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &site{id: id, srv: httpdisc.NewServer("", h), served: make(chan error, 1)}
	go func() { b.served <- b.srv.Serve(l) }()
	t.Cleanup(func() {
		_ = b.srv.Close() // a test that cares shuts it down
		if err := <-b.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	b.reg, err = discovery.Register(soon(t), s, service, discovery.Instance{ID: id, Addr: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// named answers with its name.
func named(id string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, id)
	})
}

// startGateway serves a gateway and returns its URL.
func startGateway(t testing.TB, s *session.Session, routes httpdisc.Routes, opts ...httpdisc.Option) (*httpdisc.Gateway, string) {
	t.Helper()
	g, err := httpdisc.StartGateway(soon(t), s, routes, opts...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpdisc.NewServer("", g)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
		_ = g.Close()
	})
	return g, "http://" + l.Addr().String()
}

// users are clients of their own connections.
func users(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func fetch(client *http.Client, method, url string, body io.Reader) (int, string, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// answers waits until a URL is answered like that.
func answers(t *testing.T, client *http.Client, url string, status int, body string) {
	t.Helper()
	var got string
	defer func() {
		if t.Failed() {
			t.Logf("last answer of %s: %s", url, got)
		}
	}()
	eventually(t, fmt.Sprintf("%s is answered with %d %q", url, status, body), func() bool {
		is, text, err := fetch(client, http.MethodGet, url, nil)
		got = fmt.Sprint(is, " ", text, err)
		return err == nil && is == status && strings.Contains(text, body)
	})
}

var toAPI = httpdisc.Routes{Routes: []httpdisc.Route{{PathPrefix: "/api", Service: "api", StripPrefix: true}}}

// TestDiscoveryGatewayRoutes follows routes and instances as they come and go.
func TestDiscoveryGatewayRoutes(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	changes := make(chan httpdisc.RoutesChange, 100)
	_, url := startGateway(t, s, toAPI, httpdisc.WithLiveRoutes("gateway"), httpdisc.WithTrace(&httpdisc.Trace{
		RoutesChanged: func(c *httpdisc.RoutesChange) { changes <- *c },
	}))
	web := users(t)
	answers(t, web, url+"/api/x", 503, `no instance of service "api": none is registered`)
	answers(t, web, url+"/shop", 404, "no route")

	a := startSite(t, s, "api", "a", named("a"))
	answers(t, web, url+"/api/x", 200, "a")
	startSite(t, s, "team/shop", "s", named("s"))

	st := config.NewStore(s, "gateway")
	put := func(routes string) {
		t.Helper()
		if _, err := st.Put(soon(t), config.AnyRevision, []byte(routes)); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"routes": [{"path_prefix": "/shop", "service": "team/shop", "timeout": "5s"}, {"host": "api.example.com", "service": "api"}]}`)
	answers(t, web, url+"/shop/x", 200, "s")
	answers(t, web, url+"/api/x", 404, "")
	if c := <-changes; len(c.Routes.Routes) != 2 || c.Refused != nil || c.Err != nil || c.Revision == 0 {
		t.Errorf("%+v", c)
	}
	put(`{"routes": [{"path_prefix": "shop", "service": "team/shop"}]}`)
	if c := <-changes; len(c.Routes.Routes) != 2 || !errors.Is(c.Refused, config.ErrRefused) || !strings.Contains(c.Refused.Error(), "begin with a slash") {
		t.Errorf("%+v", c)
	}
	answers(t, web, url+"/shop/x", 200, "s")
	put(`{"routes": [{"path_prefix": "/api", "service": "api"}, {"path_prefix": "/none", "service": "nobody"}]}`)
	answers(t, web, url+"/none", 503, `"nobody"`)
	answers(t, web, url+"/api", 200, "a")

	startSite(t, s, "api", "b", named("b"))
	answers(t, web, url+"/api", 200, "b") // traffic flows to who comes
	if err := httpdisc.Shutdown(soon(t), a.reg, a.srv); err != nil {
		t.Error(err)
	}
	for range 20 {
		if status, body, err := fetch(web, http.MethodGet, url+"/api", nil); status != 200 || body != "b" || err != nil {
			t.Errorf("%d %q, %v", status, body, err)
		}
	}
}

// load sends requests from several users until it is told to stop.
type load struct {
	stop    context.CancelFunc
	group   sync.WaitGroup
	failed  atomic.Int64
	example atomic.Value
	n       atomic.Int64
	by      sync.Map // who answered: *atomic.Int64
}

// startLoad sends GETs, and with posts also POSTs, each with a number of its own.
func startLoad(t testing.TB, url string, posts bool) *load {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{stop: cancel}
	client := users(t)
	for i := range 8 {
		l.group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				method, body := http.MethodGet, io.Reader(nil)
				if posts && n%2 == 0 {
					method, body = http.MethodPost, strings.NewReader(fmt.Sprintf("%d/%d", i, n))
				}
				status, who, err := fetch(client, method, url, body)
				l.n.Add(1)
				if err != nil || status != http.StatusOK {
					l.failed.Add(1)
					l.example.Store(fmt.Sprintf("%s: %d %q, %v", method, status, who, err))
					continue
				}
				l.count(who).Add(1)
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) count(who string) *atomic.Int64 {
	n, ok := l.by.Load(who)
	if !ok {
		n, _ = l.by.LoadOrStore(who, new(atomic.Int64))
	}
	return n.(*atomic.Int64)
}

func (l *load) end() {
	l.stop()
	l.group.Wait()
}

// sees waits for n more answers of somebody.
func (l *load) sees(t *testing.T, who string, n int64) {
	t.Helper()
	before := l.count(who).Load()
	eventually(t, fmt.Sprintf("%d answers of %s", n, who), func() bool { return l.count(who).Load() >= before+n })
}

func (l *load) flawless(t *testing.T) {
	t.Helper()
	l.end()
	if l.failed.Load() > 0 || l.n.Load() == 0 {
		t.Errorf("%d of %d requests failed, such as %v", l.failed.Load(), l.n.Load(), l.example.Load())
	}
}

// TestDiscoveryGatewayRoll restarts all backends one by one, under load, with POSTs.
func TestDiscoveryGatewayRoll(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix)
	var twice atomic.Int64
	var seen sync.Map
	count := func(id string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); len(body) > 0 {
				if _, again := seen.LoadOrStore(string(body), true); again {
					twice.Add(1)
				}
			}
			time.Sleep(time.Millisecond) // so that there is always something in flight
			_, _ = io.WriteString(w, id)
		})
	}
	var sites []*site
	for i := range 4 {
		id := fmt.Sprintf("%d.0", i)
		sites = append(sites, startSite(t, open(t, client, prefix), "api", id, count(id)))
	}
	_, url := startGateway(t, s, toAPI)
	answers(t, users(t), url+"/api", 200, "")
	l := startLoad(t, url+"/api", true)
	for i, old := range sites {
		l.sees(t, old.id, 10)
		if err := httpdisc.Shutdown(soon(t), old.reg, old.srv); err != nil {
			t.Errorf("shutting %s down: %v", old.id, err)
		}
		id := fmt.Sprintf("%d.1", i)
		startSite(t, open(t, client, prefix), "api", id, count(id))
		l.sees(t, id, 10)
	}
	l.flawless(t)
	if n := twice.Load(); n > 0 {
		t.Errorf("%d POSTs came twice", n)
	}
}

// backendVariable makes a run of TestDiscoveryGatewayBackend a backend: its name, the prefix and the endpoint of etcd.
const backendVariable = "ETCDKIT_TEST_BACKEND"

// TestDiscoveryGatewayBackend is no test: it is what other tests start as a process that can be killed.
func TestDiscoveryGatewayBackend(t *testing.T) {
	spec := strings.Split(os.Getenv(backendVariable), " ")
	if len(spec) != 3 {
		t.Skip("it is for other tests")
	}
	client, err := clientv3.New(session.ClientConfig(spec[2]))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix(spec[1]), session.WithTTL(3*time.Second))
	startSite(t, s, "api", spec[0], named(spec[0]))
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test has ended
}

func startProcess(t *testing.T, id, prefix, endpoint string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiscoveryGatewayBackend$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", backendVariable, id, prefix, endpoint))
	cmd.SysProcAttr = process.Apart()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// TestDiscoveryGatewayKill kills one of four backends under load: no GET fails, and the list forgets it.
func TestDiscoveryGatewayKill(t *testing.T) {
	t.Parallel()
	client, prefix := cluster.Shared(t), cluster.Prefix(t)
	s := open(t, client, prefix, session.WithTTL(3*time.Second))
	v, err := discovery.Watch(soon(t), s, "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	backends := map[string]*exec.Cmd{}
	for _, id := range []string{"a", "b", "c", "d"} {
		backends[id] = startProcess(t, id, prefix, cluster.SharedEndpoints()[0])
	}
	eventually(t, "four backends are there", func() bool { return len(v.Instances()) == 4 })
	_, url := startGateway(t, s, toAPI)
	answers(t, users(t), url+"/api", 200, "")
	l := startLoad(t, url+"/api", false)
	for id := range backends {
		l.sees(t, id, 100)
	}
	if err := backends["b"].Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	l.sees(t, "a", 100)
	before := l.count("b").Load()
	l.sees(t, "a", 100)
	if after := l.count("b").Load(); after != before {
		t.Errorf("b answered %d times after its death", after-before)
	}
	eventually(t, "b is forgotten", func() bool { return len(v.Instances()) == 3 })
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("b was forgotten after %v", took)
	}
	l.flawless(t)
}

// TestDiscoveryGatewayOutage stops etcd: the gateway goes on, one that starts meanwhile has the last good lists, and all follows when etcd is back.
func TestDiscoveryGatewayOutage(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "outage")
	lastGood := httpdisc.WithLastGood(t.TempDir())
	routes, err := json.Marshal(toAPI)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, c.Client(t), "outage/config/gateway", string(routes))
	web := users(t)
	startSite(t, s, "api", "a", named("a"))
	g, url := startGateway(t, s, httpdisc.Routes{}, httpdisc.WithLiveRoutes("gateway"), lastGood)
	answers(t, web, url+"/api", 200, "a")

	l := startLoad(t, url+"/api", true)
	c.Stop(0)
	eventually(t, "the gateway notices", func() bool { st := g.Services(); return len(st) == 1 && st[0].Stale > 0 })
	l.sees(t, "a", 100)

	starting, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s2 := open(t, c.Client(t), "outage")
	late, err := httpdisc.StartGateway(starting, s2, httpdisc.Routes{}, httpdisc.WithLiveRoutes("gateway"), lastGood)
	if err != nil {
		t.Fatalf("starting without etcd: %v", err)
	}
	t.Cleanup(func() { _ = late.Close() })
	if len(late.Routes().Routes) != 1 {
		t.Errorf("routes %+v", late.Routes())
	}
	eventually(t, "the late gateway has its list", func() bool { st := late.Services(); return len(st) == 1 && st[0].Instances == 1 })

	c.Restart(t, 0)
	startSite(t, s, "api", "b", named("b"))
	l.sees(t, "b", 10)
	eventually(t, "both know both", func() bool {
		return g.Services()[0].Instances == 2 && late.Services()[0].Instances == 2 && late.Services()[0].Stale == 0
	})
	l.flawless(t)
}

// TestDiscoveryGatewayShutdownWithoutEtcd returns in time, and lets the request in flight finish.
func TestDiscoveryGatewayShutdownWithoutEtcd(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.Client(t), "shutdown")
	arrived, release := make(chan struct{}), make(chan struct{})
	b := startSite(t, s, "api", "a", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	answered := make(chan string, 1)
	go func() {
		_, body, _ := fetch(users(t), http.MethodGet, "http://"+b.reg.Instance().Addr, nil)
		answered <- body
	}()
	<-arrived
	c.Stop(0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	time.AfterFunc(time.Second, func() { close(release) })
	begun := time.Now()
	err := httpdisc.Shutdown(ctx, b.reg, b.srv)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if !errors.Is(err, session.ErrUncertain) {
		t.Errorf("%v, want ErrUncertain, since the instance stands there still", err)
	}
	if body := <-answered; body != "done" {
		t.Errorf("the request in flight was answered with %q", body)
	}
}

// TestDiscoveryGatewayShutdownAtOnce has no time at all: what is in flight is cut, and the instance goes all the same.
func TestDiscoveryGatewayShutdownAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, cluster.Shared(t), cluster.Prefix(t))
	arrived := make(chan struct{})
	b := startSite(t, s, "api", "a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	cut := make(chan error, 1)
	go func() {
		_, _, err := fetch(users(t), http.MethodGet, "http://"+b.reg.Instance().Addr, nil)
		cut <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	if err := httpdisc.Shutdown(ctx, b.reg, b.srv); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cut short", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := <-cut; err == nil {
		t.Error("the request in flight was answered")
	}
	if snap, err := discovery.List(soon(t), s, "api"); err != nil || len(snap.Instances)+len(snap.Draining) != 0 {
		t.Errorf("%+v, %v", snap, err)
	}
}
