package httpdisc

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/discovery"
)

// raw sends a request as it stands, and returns the status and the body.
func raw(t testing.TB, srv *httptest.Server, send string) (int, string) {
	t.Helper()
	_, lines := dialRaw(t, srv.Listener.Addr().String(), send)
	resp, err := http.ReadResponse(lines, nil)
	if err != nil {
		t.Fatalf("%q: %v", send, err)
	}
	return read(t, resp)
}

// TestGatewayAdmits looks at requests that would go past the routes.
func TestGatewayAdmits(t *testing.T) {
	t.Parallel()
	p := newInOrder()
	var asked atomic.Int64
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, r.RequestURI)
	})}, Routes{Routes: []Route{{Service: "api", Host: "public"}}}, p.option())
	for _, test := range []struct {
		target string
		status int
		says   string
	}{
		{"/x", 200, "/x"},
		{"http://public/x?y", 200, "/x?y"},
		{"http://public", 200, "/"},
		{"ftp://public/x", 200, "/x"},
		{"*", 200, "*"},
		{"http://other/x", 404, "no route"},
		{"x:http://internal/admin/../secret", 400, "not a path"},
		{"x:foo", 400, "not a path"},
		{"http:http://internal/admin", 400, "not a path"},
		{"/x/..;/y", 400, "dot segments"},
		{"/x/%2e%2e%3Ba=b/y", 400, "dot segments"},
		{`/x/..\y`, 400, "dot segments"},
		{"/x%5c..%5Cy", 400, "dot segments"},
		{"http://%ff/", 400, "host"},
		{"http://xn--%c3%a9/", 400, "host"},
	} {
		status, body := raw(t, srv, "GET "+test.target+" HTTP/1.1\r\nHost: public\r\n\r\n")
		if status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %q, want %d %q", test.target, status, body, test.status, test.says)
		}
	}
	if n := asked.Load(); n != 5 || len(p.outcomes(t, 5)) != 5 {
		t.Errorf("the instance was asked %d times, the picker told %v", n, p.told)
	}
}

// TestGatewayUpgradesToNothingElse has h2c treated as if the client had not asked for it: else it would be a tunnel past the routes.
func TestGatewayUpgradesToNothingElse(t *testing.T) {
	t.Parallel()
	g, srv := gateway(t, []discovery.Instance{tells(t)}, toAPI)
	const settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	sends := []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: h2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
		"Connection: keep-alive\r\nUpgrade: websocket\r\n",
		"Upgrade: websocket\r\n",
	}
	ask := func(header string) (int, string) {
		return raw(t, srv, "GET /x HTTP/1.1\r\nHost: x\r\n"+header+"\r\n")
	}
	for _, header := range sends {
		if status, body := ask(header); status != 200 || strings.Contains(body, "Upgrade") || strings.Contains(body, "Http2") {
			t.Errorf("%q: %d %s", header, status, body)
		}
	}
	for _, header := range []string{"Connection: upgrade\r\nUpgrade: web\tsocket\r\n", "Connection: upgrade\r\nUpgrade: web\u017focket\r\n"} {
		if status, body := ask(header); status != 400 || !strings.Contains(body, "Upgrade") {
			t.Errorf("%q: %d %q", header, status, body)
		}
	}
	g.flight.draining.Store(true)
	if status, body := ask(sends[0]); status != 200 {
		t.Errorf("while it drains: %d %q", status, body)
	}
	if status, body := ask("Connection: foo, upgrade\r\nUpgrade: WebSocket\r\n"); status != 503 {
		t.Errorf("a websocket while it drains: %d %q", status, body)
	}
}

// TestGatewayClosesUpgraded has instances agree to what cannot be, or what nobody wanted.
func TestGatewayClosesUpgraded(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 10)
	switches := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", strings.ReplaceAll(r.Header.Get("X-Answer"), "|", "\r\n"))
		_ = rw.Flush()
		_ = conn.SetReadDeadline(time.Now().Add(patienceOfTests))
		if _, err := rw.ReadByte(); err == io.EOF { //nolint:errorlint // nothing wraps it, and a timeout is none
			closed <- struct{}{}
		}
	})
	p := newInOrder()
	base := &keeps{newBase(), nil}
	g, srv := gateway(t, []discovery.Instance{switches}, toAPI, p.option(), WithBase(base))
	const agreed = "Connection: Upgrade|Upgrade: websocket|"
	for asks, answer := range map[string]string{
		"": agreed, "Connection: Upgrade\r\nUpgrade: h2c\r\n": "Connection: Upgrade|Upgrade: h2c|", "X-Nothing: 1\r\n": "",
		"Connection: Upgrade\r\nUpgrade: websocket\r\n": "Connection: Upgrade|Upgrade: other|",
	} {
		if status, body := raw(t, srv, "GET / HTTP/1.1\r\nHost: x\r\n"+asks+"X-Answer: "+answer+"\r\n\r\n"); status != 502 {
			t.Errorf("%q for %q: %d %q", answer, asks, status, body)
		}
		await(t, closed)
	}
	// A writer that gives its connection to nobody.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {websocket}, "X-Answer": {agreed}}
	rec := httptest.NewRecorder()
	g.ServeHTTP(rec, r)
	if rec.Code != 502 {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
	await(t, closed)
	runtime.KeepAlive(base.last)
	if told := p.outcomes(t, 5); slices.ContainsFunc(told, func(err error) bool { return err != nil }) {
		t.Errorf("the picker was told %v", told)
	}
}

// keeps holds on to the last response: else a connection that nobody closes would be closed by the garbage collector.
type keeps struct {
	http.RoundTripper
	last *http.Response
}

func (k *keeps) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	resp, err = k.RoundTripper.RoundTrip(r)
	k.last = &http.Response{Body: resp.Body}
	return resp, err
}

// TestGatewayDropsForwarded in all spellings.
func TestGatewayDropsForwarded(t *testing.T) {
	t.Parallel()
	var lies []string
	for _, name := range []string{
		"X_Forwarded_For", "X-Forwarded-Scheme", "X-Forwarded-Email", "X-Forwarded", "X-Forwarded_User", "X_real-IP", "True-Client-Ip", "X-Client-Ip",
		"X-Original-Url", "X_Rewrite_Url", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "Forwarded",
	} {
		lies = append(lies, name, "lie")
	}
	_, srv := gateway(t, []discovery.Instance{tells(t)}, toAPI)
	for name, values := range ask(t, srv.URL, append(lies, "X-Forward", "kept")...).Header {
		if slices.Contains(values, "lie") {
			t.Errorf("%s came through", name)
		} else if name == "X-Forward" && values[0] != "kept" {
			t.Errorf("%s: %v", name, values)
		}
	}
	_, srv = gateway(t, []discovery.Instance{tells(t)}, toAPI, WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8")))
	h := ask(t, srv.URL, lies...).Header
	for i := 0; i < len(lies); i += 2 {
		if got, want := h.Get(lies[i]) != "", !strings.Contains(lies[i], "_"); got != want {
			t.Errorf("from a trusted proxy, %s came through: %v", lies[i], got)
		}
	}
}

// TestGatewayTrailers of requests.
func TestGatewayTrailers(t *testing.T) {
	t.Parallel()
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, r.Trailer)
	})}, toAPI)
	for name, want := range map[string]string{"X-Sum": "map[X-Sum:[7]]", "X-Forwarded-For": "map[]"} {
		send := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: %s\r\n\r\n1\r\nx\r\n0\r\n%[1]s: 7\r\n\r\n", name)
		if status, body := raw(t, srv, send); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", name, status, body, want)
		}
	}
}
