package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"etcdkit/discovery"
)

// TestGatewayWhileServersComeAndGo: one server drains, one dies, its registration with it or not, and one is new. No request fails.
func TestGatewayWhileServersComeAndGo(t *testing.T) {
	t.Parallel()
	prefix := fresh("comeandgo")
	drains, _ := startBackend(t, prefix, "drains")
	dies, _ := startBackend(t, prefix, "dies")
	crashes, _ := startBackend(t, prefix, "crashes")
	startBackend(t, prefix, "stays")
	gateway, url := startGateway(t, prefix, "--route", "/=api", "--no-access-log")
	seen := newSeen()
	for range 4 {
		seen.load(t, url)
	}
	for _, id := range []string{"drains", "dies", "crashes", "stays"} {
		eventually(t, id+" answers", func() bool { return seen.of(id) > 0 })
	}
	startBackend(t, prefix, "new")
	eventually(t, "new answers", func() bool { return seen.of("new") > 0 })
	drains.signal(syscall.SIGTERM)
	crashes.say("exit 1")
	if one, two := drains.wait(), crashes.wait(); one != 0 || two != 1 {
		t.Errorf("status %d and %d", one, two)
	}
	dies.signal(syscall.SIGKILL)
	<-dies.done // the server, which has the same output, is dead, too
	gone := seen.of("dies") + 4
	more := seen.of("stays")
	eventually(t, "the list forgets it", func() bool { return stateIn(t, prefix, "api", "dies") == "" })
	eventually(t, "the others answer", func() bool { return seen.of("stays") > more+50 })
	seen.stop()
	if n := seen.of("dies"); n > gone {
		t.Errorf("answers of the dead: %d", n-gone)
	}
	for what, n := range seen.failures {
		t.Errorf("%d times: %s", n, what)
	}
	_, metrics := fetch(t, url+"/-/metrics", "")
	requests := metric(t, metrics, `requests_total{code="200",service="api"}`)
	if int(requests) != seen.total() || metric(t, metrics, `instances{service="api",state="serving"}`) != 2 || metric(t, metrics, "in_flight") != 0 ||
		metric(t, metrics, `request_duration_seconds_count{service="api"}`) != requests || strings.Contains(metrics, `code="5`) {
		t.Errorf("metrics of %d requests: %s", seen.total(), metrics)
	}
	gateway.signal(syscall.SIGTERM)
	if status := gateway.wait(); status != 0 {
		t.Errorf("status %d: %s", status, gateway.err.all())
	}
	if got := gateway.err.all(); strings.Contains(got, "msg=request") {
		t.Errorf("an access log: %s", got)
	}
}

// metric returns the value of a metric.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(metricPrefix+name) + " (.*)$").FindStringSubmatch(text)
	if found == nil {
		t.Errorf("no metric %s in %s", name, text)
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Error(err)
	}
	return value
}

// seen counts who answers.
type seen struct {
	quit    chan struct{}
	loading sync.WaitGroup

	mu       sync.Mutex // protects what follows
	answers  map[string]int
	failures map[string]int
}

func newSeen() *seen {
	return &seen{quit: make(chan struct{}), answers: map[string]int{}, failures: map[string]int{}}
}

// load asks again and again, until stop.
func (s *seen) load(t *testing.T, url string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	s.loading.Go(func() {
		defer client.CloseIdleConnections()
		for t.Context().Err() == nil {
			select {
			case <-s.quit:
				return
			case <-time.After(2 * time.Millisecond): // the machine has other tests to run
				s.ask(client, url)
			}
		}
	})
	t.Cleanup(s.loading.Wait)
}

func (s *seen) ask(client *http.Client, url string) {
	resp, err := client.Get(url)
	status, body := "", []byte(nil)
	if err == nil {
		status = resp.Status
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || status != "200 OK" {
		s.failures[fmt.Sprintf("%s %s %v", status, body, err)]++
		return
	}
	s.answers[string(body)]++
}

func (s *seen) stop() {
	close(s.quit)
	s.loading.Wait()
}

func (s *seen) of(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[id]
}

func (s *seen) total() (n int) {
	for _, count := range s.answers {
		n += count
	}
	return n
}

func TestGatewayFollowsRoutes(t *testing.T) {
	t.Parallel()
	prefix := fresh("liveroutes")
	startBackend(t, prefix, "one")
	p, url := startGateway(t, prefix)
	put := func(routes string) {
		t.Helper()
		succeed(t, "config", "put", "--prefix", prefix, "gateway", "--value", routes)
	}
	if status, body := fetch(t, url+"/-/healthz", ""); status != http.StatusServiceUnavailable || body != "there are no routes\n" {
		t.Errorf("without routes: %d, %q", status, body)
	}
	if status, body := fetch(t, url+"/-/healthz/live", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("without routes: %d, %q", status, body)
	}
	if status, _ := fetch(t, url+"/api/x", ""); status != http.StatusNotFound {
		t.Errorf("without routes: %d", status)
	}
	put(`{"routes":[{"path_prefix":"/api","service":"api"},{"host":"shop.example.com","service":"shop"}]}`)
	p.awaitNote("new routes")
	if status, body := fetch(t, url+"/-/healthz", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("with routes: %d, %q", status, body)
	}
	if status, body := fetch(t, url+"/api/x", ""); status != http.StatusOK || body != "one" {
		t.Errorf("%d, %q", status, body)
	}
	if status, body := fetch(t, url+"/", "shop.example.com"); status != http.StatusServiceUnavailable || !strings.Contains(body, `no instance of service "shop": none is registered`) {
		t.Errorf("an unknown service: %d, %q", status, body)
	}
	put(`{"routes":[{"path_prefix":"api","service":"api"}]}`)
	p.awaitNote(`must begin with a slash`)
	if status, _ := fetch(t, url+"/api/x", ""); status != http.StatusOK {
		t.Errorf("after a bad edit: %d", status)
	}
	put(`{"routes":[{"service":"api"},{"path_prefix":"/-/metrics","service":"api"}]}`)
	p.awaitNote("new routes")
	if status, body := fetch(t, url+"/-/metrics", ""); status != http.StatusOK || !strings.Contains(body, "etcdkit_gateway_routes_refused_total 1") {
		t.Errorf("metrics: %d, %q", status, body)
	}
	if status, body := fetch(t, url+"/-/x", ""); status != http.StatusNotFound || !strings.Contains(body, "the gateway has no such page") {
		t.Errorf("a page of its own: %d, %q", status, body)
	}
	resp, err := http.Post(url+"/-/healthz", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

// TestGatewayDrains: a request that is on its way is answered, and probes are told.
func TestGatewayDrains(t *testing.T) {
	t.Parallel()
	prefix := fresh("gatewaydrains")
	server, _ := startBackend(t, prefix, "one")
	p, url := startGateway(t, prefix, "--route", "/=api")
	answers := make(chan string, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		_, body := fetch(t, url+"/slow", "")
		answers <- body
	})
	t.Cleanup(asking.Wait)
	server.await("slow")
	p.signal(syscall.SIGTERM)
	eventually(t, "probes fail", func() bool {
		status, body := probeOver(t, url)
		return status == http.StatusServiceUnavailable && body == "draining\n"
	})
	server.say("late")
	if got := <-answers; got != "late" {
		t.Errorf("the request in flight: %q", got)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("status %d: %s", status, p.err.all())
	}
}

// probeOver is fetch of the health page, where the gateway may have closed its port.
func probeOver(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url + "/-/healthz")
	if err != nil {
		t.Fatalf("the port was closed before probes could notice: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// TestGatewayCutsWhatIsLeft when a second signal comes, or the grace is over.
func TestGatewayCutsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grace  string
		again  bool
		status int
		says   string
	}{
		"signal": {"1h", true, 128 + 15, ""},
		"grace":  {"700ms", false, statusFailed, "etcdkit: --grace of 700ms is over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := fresh("cuts" + name)
			server, _ := startBackend(t, prefix, "one")
			p, url := startGateway(t, prefix, "--route", "/=api", "--grace", c.grace, "--no-access-log")
			var asking sync.WaitGroup
			asking.Go(func() { // it is cut, or gets a 503
				if resp, err := http.Get(url + "/slow"); err == nil {
					_ = resp.Body.Close()
				}
			})
			t.Cleanup(asking.Wait)
			server.await("slow")
			p.signal(syscall.SIGTERM)
			if c.again {
				eventually(t, "it drains", func() bool { status, _ := probeOver(t, url); return status != http.StatusOK })
				p.signal(syscall.SIGTERM)
			}
			if status := p.wait(); status != c.status || !strings.Contains(p.err.all(), c.says) {
				t.Errorf("status %d: %s", status, p.err.all())
			}
		})
	}
}

// TestGatewayStartsWithoutEtcd: from the files of its former life.
func TestGatewayStartsWithoutEtcd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "files")
	etcd, endpoint := startDev(t, t.TempDir())
	server, _ := startBackendAt(t, endpoint, "etcdkit", "one", "--ttl", "1h")
	succeed(t, "--endpoints", endpoint, "config", "put", "edge", "--value", `{"routes":[{"service":"api"}]}`)
	args := []string{"--endpoints", endpoint, "--command-timeout", "1s", "--dial-timeout", "1s", "--routes", "edge", "--last-good", dir}
	p, url := startGateway(t, "etcdkit", args...)
	if status, body := fetch(t, url, ""); status != http.StatusOK || body != "one" {
		t.Fatalf("%d, %q", status, body)
	}
	p.signal(syscall.SIGTERM)
	p.wait()
	etcd.signal(syscall.SIGKILL)
	etcd.wait()
	p, url = startGateway(t, "etcdkit", args...)
	p.awaitNote("starting with what was known last")
	if status, body := fetch(t, url, ""); status != http.StatusOK || body != "one" {
		t.Errorf("%d, %q: %s", status, body, p.err.all())
	}
	_, text := fetch(t, url+"/-/metrics", "")
	if metric(t, text, `stale_seconds{service="api"}`) <= 0 {
		t.Errorf("it is not stale: %s", text)
	}
	server.signal(syscall.SIGKILL)
	complaint{"without files", append([]string{"gateway", "--listen", "127.0.0.1:0"}, args[:2]...), statusFailed, []string{"etcd at " + endpoint, "connection refused"}}.checkAlone(t)
}

func TestGatewayLogs(t *testing.T) {
	t.Parallel()
	prefix := fresh("gatewaylogs")
	startBackend(t, prefix, "one")
	p := launch(t, nil, "gateway", "--prefix", prefix, "--listen", "127.0.0.1:0", "--route", "shop.example.com/api=api", "--strip-prefix",
		"--health-path", "/healthz", "--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--log-format", "json", "--log-to", "stdout", "-o", "json")
	var ready struct{ Address string }
	if err := json.Unmarshal([]byte(p.await(`"address"`)), &ready); err != nil {
		t.Fatal(err)
	}
	if status, body := fetch(t, "http://"+ready.Address+"/api/x?secret=1", "shop.example.com"); status != http.StatusOK || body != "one" {
		t.Errorf("%d, %q", status, body)
	}
	line := p.await(`"msg":"request"`)
	var entry map[string]any
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	delete(entry, "time")
	delete(entry, "seconds")
	want := map[string]any{
		"level": "INFO", "msg": "request", "client": "127.0.0.1", "method": "GET", "host": "shop.example.com", "path": "/api/x", "status": 200.0,
		"bytes": 3.0, "service": "api", "instance": "one", "attempts": 1.0,
	}
	one, _ := json.Marshal(entry)
	two, _ := json.Marshal(want)
	if !bytes.Equal(one, two) {
		t.Errorf("logged %s, want %s", one, two)
	}
	if p.err.all() != "" {
		t.Errorf("on standard error: %q", p.err.all())
	}
}

// TestGatewayEjects: who only fails gets no requests, and is counted.
func TestGatewayEjects(t *testing.T) {
	t.Parallel()
	prefix := fresh("ejects")
	startBackend(t, prefix, "good")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	enroll(t, prefix, "api", discovery.Instance{ID: "closed", Addr: fmt.Sprintf("127.0.0.1:%d", port)})
	_, url := startGateway(t, prefix, "--route", "/=api", "--no-access-log")
	text := ""
	eventually(t, "it is ejected", func() bool {
		for range 50 { // the one that fails is chosen now and then
			if status, body := fetch(t, url, ""); status != http.StatusOK || body != "good" {
				t.Fatalf("%d, %q", status, body)
			}
		}
		_, text = fetch(t, url+"/-/metrics", "")
		return metric(t, text, `ejected{service="api"}`) == 1
	})
	if metric(t, text, `retries_total{service="api"}`) < 5 || metric(t, text, `instances{service="api",state="serving"}`) != 2 {
		t.Errorf("metrics: %s", text)
	}
}

func TestBadGateways(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := func(more ...string) []string {
		return append([]string{"gateway", "--prefix", "badgateways", "--listen", "127.0.0.1:0"}, more...)
	}
	for _, c := range []complaint{
		{"argument", gateway("x"), statusUsage, []string{`unexpected argument "x"`}},
		{"no service", gateway("--route", "/api"), statusUsage, []string{`--route "/api": must be [HOST][/PATH]=SERVICE`, `see "etcdkit gateway --help"`}},
		{"empty service", gateway("--route", "/api="), statusUsage, []string{`--route "/api="`, "service: must not be empty"}},
		{"nothing", gateway("--route", ""), statusUsage, []string{`--route ""`}},
		{"no path", gateway("--route", "=api"), statusUsage, []string{`--route "=api"`}},
		{"odd path", gateway("--route", "/a/../b=api"), statusUsage, []string{`--route "/a/../b=api": path_prefix "/a/../b": must be a clean path`}},
		{"odd host", gateway("--route", "a:80/x=api"), statusUsage, []string{`host "a:80": must be without a port`}},
		{"own path", gateway("--route", "/-/metrics=api"), statusUsage, []string{`--route "/-/metrics=api": what is below /-/ is the gateway's own`}},
		{"twice", gateway("--route", "/a=api", "--route", "/a/=web"), statusUsage, []string{"--route: ", "are those of routes[0]"}},
		{"both", gateway("--route", "/a=api", "--routes", "x"), statusUsage, []string{"--routes and --route exclude each other"}},
		{"no routes", gateway("--routes", ""), statusUsage, []string{"--routes must not be empty"}},
		{"bad name of routes", gateway("--routes", "a//b"), statusUsage, []string{"a//b"}},
		{"strip", gateway("--strip-prefix"), statusUsage, []string{"--strip-prefix is for --route"}},
		{"health", gateway("--health-path", "/x"), statusUsage, []string{"--health-path is for --route"}},
		{"health of nobody", gateway("--route", "/a=api", "--health-path", "web=/x"), statusUsage, []string{`--health-path "web=/x"`, `no route leads to service "web"`}},
		{"odd health", gateway("--route", "/a=api", "--health-path", "x"), statusUsage, []string{`--health-path "x": must be /PATH`}},
		{"proxy", gateway("--trusted-proxy", "10.0.0.0/99"), statusUsage, []string{`--trusted-proxy "10.0.0.0/99"`}},
		{"timeout", gateway("--timeout", "0s"), statusUsage, []string{"--timeout 0s: must be more than zero"}},
		{"grace", gateway("--grace", "-1s"), statusUsage, []string{"--grace must not be negative"}},
		{"log", gateway("--log-format", "xml"), statusUsage, []string{`--log-format "xml": must be text or json`}},
		{"log to", gateway("--log-to", "file"), statusUsage, []string{`--log-to "file": must be stderr or stdout`}},
		{"no files", gateway("--last-good", ""), statusUsage, []string{"--last-good must not be empty"}},
		{"odd files", gateway("--last-good", file), statusFailed, []string{"--last-good: ", file}},
		{"port in use", gateway("--listen", taken), statusFailed, []string{"--listen " + taken, "address already in use"}},
		{"no port", gateway("--listen", "localhost"), statusFailed, []string{"--listen localhost: ", "missing port"}},
	} {
		c.check(t, shared.endpoint)
	}
	mute := newMute(t)
	complaint{
		"mute", append([]string{"--endpoints", mute, "--command-timeout", "500ms"}, gateway()...), statusFailed,
		[]string{"no answer from etcd at " + mute + " within 500ms"},
	}.checkAlone(t)
}
