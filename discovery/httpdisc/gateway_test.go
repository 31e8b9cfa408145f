package httpdisc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/discovery"
)

// tells is an instance that answers with what it was asked.
func tells(t testing.TB) discovery.Instance {
	return backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.RequestURI, "host": r.Host, "header": r.Header})
	})
}

type told struct {
	Path, Host string
	Header     http.Header
}

// ask sends a request to a gateway and returns what the instance was asked.
func ask(t testing.TB, url string, headers ...string) (got told) {
	t.Helper()
	status, body := do(t, http.DefaultTransport, http.MethodGet, url, nil, headers...)
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		t.Fatalf("%d %q", status, body)
	}
	return got
}

func TestGatewayRewrites(t *testing.T) {
	t.Parallel()
	routes := Routes{Routes: []Route{
		{Service: "api"},
		{Service: "api", PathPrefix: "/v1/api", StripPrefix: true},
	}}
	_, srv := gateway(t, []discovery.Instance{tells(t)}, routes)
	if got := ask(t, srv.URL+"/x%2Fy?a=b"); got.Path != "/x%2Fy?a=b" {
		t.Errorf("%+v", got)
	}
	got := ask(t, srv.URL+"/v1/api/x%2Fy?a=b")
	if got.Path != "/x%2Fy?a=b" || got.Header.Get("X-Forwarded-Prefix") != "/v1/api" {
		t.Errorf("%+v", got)
	}
	lies := []string{
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "X-Real-Ip", "1.2.3.4", "Forwarded", "for=1.2.3.4",
		"X-Forwarded-Prefix", "/evil", "Connection", "X-Hop", "X-Hop", "1", "Proxy-Authorization", "secret",
	}
	got = ask(t, srv.URL+"/", lies...)
	host := srv.Listener.Addr().String()
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": host, "X-Forwarded-Proto": "http", "X-Real-Ip": "", "Forwarded": "", "X-Forwarded-Prefix": "",
		"X-Hop": "", "Connection": "", "Proxy-Authorization": "", "Accept-Encoding": "gzip", // that of the test's own client
	} {
		if strings.Join(got.Header[name], ", ") != want {
			t.Errorf("%s: %q, want %q", name, got.Header[name], want)
		}
	}
	if got.Host != host {
		t.Errorf("Host %q", got.Host)
	}

	_, srv = gateway(t, []discovery.Instance{tells(t)}, toAPI, WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8")))
	got = ask(t, srv.URL+"/", lies...)
	if h := got.Header; h.Get("X-Forwarded-For") != "1.2.3.4, 127.0.0.1" || h.Get("X-Forwarded-Host") != "evil" || h.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("from a trusted proxy: %v", h)
	}
	_, srv = gateway(t, []discovery.Instance{tells(t)}, toAPI, WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8")))
	if h := ask(t, srv.URL+"/", lies...).Header; h.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("from another one: %v", h)
	}
}

// TestGatewayRefuses looks at the answers that are the gateway's own.
func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	var never atomic.Int64
	routes := Routes{Routes: []Route{
		{Service: "api", PathPrefix: "/api", StripPrefix: true},
		{Service: "empty", PathPrefix: "/empty"},
		{Service: "dead", PathPrefix: "/dead"},
		{Service: "slow", PathPrefix: "/slow", Timeout: 30 * time.Millisecond},
		{Service: "dies", PathPrefix: "/dies"},
	}}
	exchanges := make(chan Exchange, 100)
	_, srv := gateway(t, []discovery.Instance{says(t, "a")}, routes,
		WithView("empty", discovery.Fixed()), WithView("dead", discovery.Fixed(refuses(t, "x"))), WithView("dies", discovery.Fixed(dies(t, "x", &never))),
		WithView("slow", discovery.Fixed(backend(t, "s", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-hangs:
			}
		}))), WithMaxBody(10), WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
		attempts           int
	}{
		{"GET", "/api/x", "", 200, "a", 1},
		{"GET", "/nothing", "", 404, "no route", 0},
		{"GET", "/empty/x", "", 503, `no instance of service "empty": none is registered`, 0},
		{"GET", "/dead/x", "", 502, `service "dead"`, 1},
		{"POST", "/dies/x", "body", 502, `service "dies"`, 1},
		{"GET", "/slow/x", "", 504, `no response after 30ms`, 1},
		{"GET", "/api/%2e%2e/x", "", 400, "dot segments", 0},
		{"GET", "/%61pi/x%2fy", "", 400, "escapes", 0},
		{"POST", "/api/x", "more than ten bytes", 413, "more than 10 bytes", 0},
	} {
		for _, accept := range []string{"", "application/json"} {
			status, body := do(t, http.DefaultTransport, test.method, srv.URL+test.path, strings.NewReader(test.body), "Accept", accept)
			if status != test.status || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), test.says) {
				t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, body, test.status, test.says)
			}
			if status != 200 && json.Valid([]byte(body)) != (accept != "") {
				t.Errorf("%s: for Accept %q: %q", test.path, accept, body)
			}
			x := <-exchanges
			if x.Status != test.status || x.Attempts != test.attempts || (x.Err == nil) != (status == 200) || x.Took <= 0 || x.Request.URL.Path == "" {
				t.Errorf("%s: told %+v", test.path, x)
			}
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(request(t, "GET", srv.URL+"/empty", nil))
	if err != nil {
		t.Fatal(err)
	}
	if read(t, resp); resp.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	// A body that is too large without saying so.
	if status, body := do(t, http.DefaultTransport, "POST", srv.URL+"/api/x", newStream("more than ten bytes")); status != 413 {
		t.Errorf("a large stream: %d %q", status, body)
	}
}

func TestStartGatewayRefuses(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]Option{
		"WithHosts":         WithHosts(oneWord),
		"WithTimeout":       WithTimeout(0),
		"WithClientTimeout": WithClientTimeout(-1),
		"WithHealthEvery":   WithHealthEvery(0),
		"WithMaxBody":       WithMaxBody(-1),
		"WithStallTimeout":  WithStallTimeout(-1),
		"WithLiveRoutes":    WithLiveRoutes("x"), // without a session
		"WithBudget":        WithBudget(0, -1),
	} {
		if _, err := StartGateway(t.Context(), nil, Routes{}, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := StartGateway(t.Context(), nil, toAPI); !errors.Is(err, errNoSession) {
		t.Errorf("%v", err)
	}
	if _, err := StartGateway(t.Context(), nil, Routes{Routes: []Route{{}}}); err == nil || !strings.Contains(err.Error(), "routes[0]") {
		t.Errorf("%v", err)
	}
}

func TestGatewayTellsTrace(t *testing.T) {
	t.Parallel()
	exchanges := make(chan Exchange, 10)
	g, srv := gateway(t, []discovery.Instance{refuses(t, "a"), says(t, "bee")}, toAPI, newInOrder().option(),
		WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	get(t, http.DefaultTransport, srv.URL+"/x")
	x := <-exchanges
	if x.Attempts != 2 || x.Instance.ID != "bee" || x.Route.Service != "api" || x.Bytes != 3 || x.Err != nil || x.Request.URL.Path != "/x" {
		t.Errorf("%+v", x)
	}
	if st := g.Services(); len(st) != 1 || st[0].Service != "api" || st[0].Instances != 2 {
		t.Errorf("%+v", st)
	}
	if len(g.Routes().Routes) != 1 {
		t.Errorf("%+v", g.Routes())
	}
}

// TestGatewayStreams in both directions at once: nothing is buffered until a body's end, and no timeout cuts it.
func TestGatewayStreams(t *testing.T) {
	t.Parallel()
	echo := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		_ = rc.Flush()
		lines := bufio.NewScanner(r.Body)
		n := 0
		for lines.Scan() {
			n++
			_, _ = fmt.Fprintln(w, strings.ToUpper(lines.Text()))
			_ = rc.Flush()
		}
		w.Header().Set("X-Sum", fmt.Sprint(n))
	})
	const timeout = 100 * time.Millisecond
	g, err := StartGateway(t.Context(), nil, toAPI, WithView("api", discovery.Fixed(echo)), WithTimeout(timeout))
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, g, NewServer("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		g.ServeHTTP(w, r)
	})))
	out, in := io.Pipe()
	resp, err := http.DefaultTransport.RoundTrip(request(t, "POST", "http://"+addr+"/", out))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two", "three"} {
		_, _ = fmt.Fprintln(in, word)
		if line, err := lines.ReadString('\n'); line != strings.ToUpper(word)+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
		time.Sleep(timeout) // a stream may be idle for longer than its beginning may take
	}
	_ = in.Close()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil || resp.Trailer.Get("X-Sum") != "3" {
		t.Errorf("%q, %v, trailer %v", rest, err, resp.Trailer)
	}
	_ = resp.Body.Close()
}

// serve runs a server of the gateway.
func serve(t testing.TB, g *Gateway, srv *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
		_ = g.Close()
	})
	return l.Addr().String()
}

// TestGatewayBigBodies through a gateway that must not hold them.
func TestGatewayBigBodies(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	exchanges := make(chan Exchange, 10)
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = io.CopyN(w, zeros{}, n)
	})}, toAPI, WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	req := request(t, "POST", srv.URL, io.LimitReader(zeros{}, size))
	req.ContentLength = size
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v; %+v", n, err, <-exchanges)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestGatewayUploadIsNoTimeout has a client that takes longer for its body than an instance may for its answer.
func TestGatewayUploadIsNoTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })},
		toAPI, WithTimeout(timeout))
	out, in := io.Pipe()
	go func() {
		for range 3 {
			time.Sleep(timeout)
			_, _ = io.WriteString(in, "x")
		}
		_ = in.Close()
	}()
	if status, body := do(t, http.DefaultTransport, "POST", srv.URL, out); status != 200 || body != "xxx" {
		t.Errorf("%d %q", status, body)
	}
}

func dialRaw(t testing.TB, addr, send string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patienceOfTests)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

const upgradeToShout = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestGatewayUpgrades(t *testing.T) {
	t.Parallel()
	exchanges := make(chan Exchange, 10)
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", shout)}, toAPI, WithTimeout(50*time.Millisecond),
		WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	conn, lines := dialRaw(t, srv.Listener.Addr().String(), upgradeToShout)
	resp, err := http.ReadResponse(lines, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != websocket {
		t.Fatalf("%+v, %v", resp, err)
	}
	for _, word := range []string{"hello\n", "again\n"} {
		time.Sleep(50 * time.Millisecond) // which is no timeout for a connection that is open
		_, _ = io.WriteString(conn, word)
		if line, err := lines.ReadString('\n'); line != strings.ToUpper(word) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	conn.Close()
	if x := <-exchanges; x.Status != 101 || x.Err != nil {
		t.Errorf("%+v", x)
	}
}

func TestGatewayBoundsClients(t *testing.T) {
	t.Parallel()
	g, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })},
		toAPI, WithClientTimeout(50*time.Millisecond))
	addr := srv.Listener.Addr().String()

	var bomb bytes.Buffer
	bomb.WriteString("GET / HTTP/1.1\r\nHost: x\r\n")
	for i := range 2000 {
		fmt.Fprintf(&bomb, "X-Header-%d: %s\r\n", i, strings.Repeat("x", 64))
	}
	bomb.WriteString("\r\n")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = conn.Write(bomb.Bytes()) }() // the server may close before it is out
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header bomb: %v", resp.Status)
	}

	_, lines := dialRaw(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin")
	resp, err := http.ReadResponse(lines, nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a slow body: %+v, %v", resp, err)
	}

	quick := NewServer("", g)
	quick.ReadHeaderTimeout = 50 * time.Millisecond // ten seconds are long for a test; that they are set is what follows
	slow, lines := dialRaw(t, serve(t, g, quick), "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	defer slow.Close()
	if all, err := io.ReadAll(lines); err != nil || len(all) > 0 && !strings.Contains(string(all), "408") { // an end is enough
		t.Errorf("a slow header: %q, %v", all, err)
	}
	fresh := NewServer(":1", nil)
	if fresh.ReadHeaderTimeout <= 0 || fresh.IdleTimeout <= clientIdleTimeout || fresh.MaxHeaderBytes != 64<<10 || fresh.Addr != ":1" {
		t.Errorf("%+v", fresh)
	}
}

// TestGatewayBlamesNoInstance for clients that break off.
func TestGatewayBlamesNoInstance(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 10)
	p := newInOrder()
	exchanges := make(chan Exchange, 10)
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})}, toAPI, p.option(), WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	addr := srv.Listener.Addr().String()
	for _, send := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"} {
		conn, _ := dialRaw(t, addr, send)
		await(t, arrived)
		conn.Close()
		told := p.outcomes(t, 1)
		if err := told[len(told)-1]; !isCanceled(err) {
			t.Errorf("%q: the picker was told %v", send, err)
		}
		if x := <-exchanges; x.Status != statusClientGone && x.Status != 400 || x.Err == nil {
			t.Errorf("%q: %+v", send, x)
		}
	}
}

// TestGatewayKeepsToItself what etcd or a Picker says.
func TestGatewayKeepsToItself(t *testing.T) {
	t.Parallel()
	exchanges := make(chan Exchange, 10)
	reason := errors.New("no rights for inside/services/api")
	_, srv := gateway(t, []discovery.Instance{says(t, "a")}, toAPI, WithPicker(func(string) func(*http.Request) discovery.Picker {
		return func(*http.Request) discovery.Picker { return picksNone{reason} }
	}), WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
	status, body := get(t, http.DefaultTransport, srv.URL)
	if status != 503 || strings.Contains(body, "inside") || !strings.Contains(body, `service "api"`) {
		t.Errorf("%d %q", status, body)
	}
	if x := <-exchanges; !errors.Is(x.Err, reason) {
		t.Errorf("the trace was told %v", x.Err)
	}
	if text := public(unread("api", reason).(*UnavailableError)); strings.Contains(text, "inside") { //nolint:errorlint // nothing wraps it
		t.Errorf("%q", text)
	}
}

type picksNone struct{ err error }

func (p picksNone) Pick(*discovery.Snapshot) (*discovery.Instance, func(error), error) {
	return nil, nil, p.err
}

// TestGatewayTriesPlain after an instance with TLS.
func TestGatewayTriesPlain(t *testing.T) {
	t.Parallel()
	secure := refuses(t, "a")
	secure.Protocol = "https"
	_, srv := gateway(t, []discovery.Instance{secure, says(t, "b")}, toAPI, newInOrder().option())
	if status, body := do(t, http.DefaultTransport, http.MethodPost, srv.URL, strings.NewReader("x")); status != 200 || body != "b" {
		t.Errorf("%d %q", status, body)
	}
}
