package httpdisc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"etcdkit/discovery"
)

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestTransportReachesService(t *testing.T) {
	t.Parallel()
	echo := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, body)
	})
	tr := transport(t, []discovery.Instance{echo})
	req := request(t, http.MethodPost, "http://api/x%2Fy?q=1", strings.NewReader("hello"))
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Request != req || req.URL.Host != "api" || req.Host != "api" {
		t.Errorf("the request was changed: %v", resp.Request.URL)
	}
	if status, body := read(t, resp); status != 200 || body != "POST api /x%2Fy?q=1 hello" {
		t.Errorf("%d %q", status, body)
	}
	req = request(t, http.MethodGet, "http://api/", nil)
	req.Host = "shop.example.com"
	resp, err = tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := read(t, resp); body != "GET shop.example.com / " {
		t.Errorf("with a Host of its own: %q", body)
	}
}

func TestTransportPassesOthersOn(t *testing.T) {
	t.Parallel()
	other := says(t, "other")
	tr := transport(t, nil)
	if _, body := get(t, tr, "http://"+other.Addr+"/"); body != "other" {
		t.Errorf("%q", body)
	}
	for host, want := range map[string]bool{"api": true, "api:80": false, "localhost": false, "a.b": false, "": false, "[::1]": false} {
		if _, got := oneWord(host); got != want {
			t.Errorf("%q is a service: %v", host, got)
		}
	}
	tr = transport(t, []discovery.Instance{other}, WithHosts(func(host string) (string, bool) { return strings.CutSuffix(host, ".svc:8080") }))
	if _, body := get(t, tr, "http://api.svc:8080/"); body != "other" {
		t.Errorf("%q", body)
	}
}

func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	body := newStream("x")
	_, err := transport(t, nil).RoundTrip(request(t, http.MethodPost, "http://api/", body))
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !errors.Is(err, discovery.ErrNoInstance) || err.Error() != `no instance of service "api": none is registered` {
		t.Errorf("nobody there: %v", err)
	}
	if body.closed.Load() != 1 {
		t.Errorf("the body was closed %d times", body.closed.Load())
	}
	for want, opt := range map[string]Option{
		"WithRetries":          WithRetries(-1),
		"WithBudget":           WithBudget(-1, 0),
		"WithPicker":           WithPicker(nil),
		"WithLastGood":         WithLastGood(""),
		"WithView":             WithView("x", nil),
		"are for StartGateway": WithMaxBody(1),
	} {
		_, err := transport(t, nil, opt).RoundTrip(request(t, http.MethodGet, "http://api/", nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	tr := transport(t, []discovery.Instance{says(t, "a")})
	get(t, tr, "http://api/")
	_ = tr.Close()
	_ = tr.Close()
	for _, url := range []string{"http://new/", "http://api/"} {
		body := newStream("x")
		if _, err := tr.RoundTrip(request(t, http.MethodGet, url, body)); !errors.Is(err, ErrClosed) || body.closed.Load() != 1 {
			t.Errorf("%s after Close: %v, the body was closed %d times", url, err, body.closed.Load())
		}
	}
}

func TestTransportRetriesStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method       string
		status, want int
	}{
		{"GET", 503, 200}, {"GET", 502, 200}, {"GET", 504, 504}, {"GET", 500, 500}, {"POST", 503, 503}, {"GET", 429, 429},
	} {
		ill := backend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, "ill")
		})
		p := newInOrder()
		status, body := do(t, transport(t, []discovery.Instance{ill, says(t, "b")}, p.option()), test.method, "http://api/", nil)
		if status != test.want || body != map[bool]string{true: "b", false: "ill"}[status == 200] {
			t.Errorf("%s %d: %d %q", test.method, test.status, status, body)
		}
		told := p.outcomes(t, 1)
		if failure, ok := errors.AsType[*StatusError](told[0]); ok != (test.status >= 502) || ok && failure.Code != test.status {
			t.Errorf("%s %d: the picker was told %v", test.method, test.status, told)
		}
	}
	// Where all are ill, the last answer is what the caller gets.
	var asked atomic.Int64
	var all []discovery.Instance
	for _, id := range []string{"a", "b", "c", "d"} {
		all = append(all, backend(t, id, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(503) }))
	}
	if status, _ := get(t, transport(t, all), "http://api/"); status != 503 || asked.Load() != 3 {
		t.Errorf("%d after %d attempts", status, asked.Load())
	}
}

// TestTransportNeverRepeatsInstance has a picker that insists.
func TestTransportNeverRepeatsInstance(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	instances := []discovery.Instance{dies(t, "a", &n), says(t, "b")}
	insists := WithPicker(func(string) func(*http.Request) discovery.Picker {
		return func(*http.Request) discovery.Picker { return firstAlways{} }
	})
	for range 3 {
		if _, body := get(t, transport(t, instances, insists), "http://api/"); body != "b" {
			t.Errorf("%q", body)
		}
	}
	if n.Load() != 3 {
		t.Errorf("the first was asked %d times for 3 requests", n.Load())
	}
	tr := transport(t, instances[:1], insists)
	if _, err := tr.RoundTrip(request(t, "GET", "http://api/", nil)); err == nil || n.Load() != 4 {
		t.Errorf("alone: %v, asked %d times", err, n.Load())
	}
}

type firstAlways struct{}

func (firstAlways) Pick(s *discovery.Snapshot) (*discovery.Instance, func(error), error) {
	return &s.Instances[0], func(error) {}, nil
}

func TestTransportBudget(t *testing.T) {
	t.Parallel()
	var first, exhausted atomic.Int64
	instances := []discovery.Instance{dies(t, "a", &first), says(t, "b")}
	tr := transport(t, instances, WithBudget(0, 0.2), WithTrace(&Trace{Exhausted: func(string) { exhausted.Add(1) }}),
		WithPicker(func(string) func(*http.Request) discovery.Picker {
			return func(*http.Request) discovery.Picker { return firstAlways{} }
		}))
	failed := 0
	for range 5 {
		resp, err := tr.RoundTrip(request(t, "GET", "http://api/", nil))
		if err != nil {
			failed++
			continue
		}
		read(t, resp)
	}
	if failed != 3 || exhausted.Load() != 3 {
		t.Errorf("%d of 5 failed, %d times the budget was spent: want 3, since it is for 2", failed, exhausted.Load())
	}
}

// TestTransportTellsOnce has responses end in each way.
func TestTransportTellsOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	inst := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/full":
			_, _ = io.WriteString(w, "full")
		case "/broken":
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/stuck", "/never":
			if r.URL.Path == "/stuck" {
				_ = http.NewResponseController(w).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-release:
			}
		}
	})
	p := newInOrder()
	tr := transport(t, []discovery.Instance{inst}, p.option())
	ask := func(ctx context.Context, path string) (*http.Response, error) {
		return tr.RoundTrip(request(t, "GET", "http://api"+path, nil).WithContext(ctx))
	}
	told := func() error { return p.outcomes(t, 1)[len(p.told)-1] }

	resp, err := ask(t.Context(), "/empty")
	if err != nil || told() != nil {
		t.Fatalf("empty: %v", err)
	}
	_ = resp.Body.Close()

	resp, err = ask(t.Context(), "/full")
	if err != nil || len(p.done) != 0 {
		t.Fatalf("full: %v, told too early: %v", err, p.told)
	}
	if _, body := read(t, resp); body != "full" || told() != nil {
		t.Errorf("full: %q", body)
	}

	resp, err = ask(t.Context(), "/full")
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); told() != nil {
		t.Error("closed unread: an error was told")
	}

	resp, err = ask(t.Context(), "/broken")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(told(), io.ErrUnexpectedEOF) {
		t.Errorf("broken: %v", err)
	}
	_ = resp.Body.Close()

	ctx, cancel := context.WithCancel(t.Context())
	resp, err = ask(ctx, "/stuck")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); err == nil || !isCanceled(told()) {
		t.Errorf("canceled in the body: %v", err)
	}
	_ = resp.Body.Close()

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, "/never"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(told(), context.DeadlineExceeded) {
		t.Errorf("out of time: %v: a server that hangs is to blame", err)
	}
}

// TestTransportBlamesNobody for a request that cannot be sent, or a body that cannot be read.
func TestTransportBlamesNobody(t *testing.T) {
	t.Parallel()
	p := newInOrder()
	tr := transport(t, []discovery.Instance{says(t, "a"), says(t, "b")}, p.option())
	req := request(t, "GET", "http://api/", nil)
	req.Header["bad header"] = []string{"x"}
	if _, err := tr.RoundTrip(req); err == nil || !isCanceled(p.outcomes(t, 1)[0]) {
		t.Errorf("a bad header: %v, told %v", err, p.told)
	}
	broken := errors.New("broken")
	req = request(t, "PUT", "http://api/", io.MultiReader(strings.NewReader("x"), errorReader{broken}))
	req.ContentLength = 1000
	if _, err := tr.RoundTrip(req); !errors.Is(err, broken) || !isCanceled(p.outcomes(t, 1)[1]) {
		t.Errorf("a bad body: %v, told %v", err, p.told)
	}
}

// TestTransportAsksNobody where the caller is at fault and that can be seen: no instance is chosen.
func TestTransportAsksNobody(t *testing.T) {
	t.Parallel()
	p := newInOrder()
	tr := transport(t, []discovery.Instance{says(t, "a")}, p.option())
	over, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	for name, spoil := range map[string]func(*http.Request){
		"deadline": func(r *http.Request) { *r = *r.WithContext(over) },
		"scheme":   func(r *http.Request) { r.URL.Scheme = "ftp" },
		"Header":   func(r *http.Request) { r.Header = nil },
		"as long":  func(r *http.Request) { r.Body, r.ContentLength = nil, 5 },
	} {
		body := newStream("x")
		req := request(t, http.MethodPut, "http://api/", body)
		spoil(req)
		if _, err := tr.RoundTrip(req); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "as long" && body.closed.Load() != 1 {
			t.Errorf("%s: the body was closed %d times", name, body.closed.Load())
		}
	}
	if p.next.Load() != 0 {
		t.Errorf("%d were chosen", p.next.Load())
	}
	// What only the sending shows.
	req := request(t, http.MethodPut, "http://api/", strings.NewReader("xyz"))
	req.ContentLength = 5
	if _, err := tr.RoundTrip(req); err == nil || !isCanceled(p.outcomes(t, 1)[0]) {
		t.Errorf("a body that is too short: %v, told %v", err, p.told)
	}
	req = request(t, http.MethodGet, "http://api/", nil)
	req.Host = "xn--\u00e9"
	if _, err := tr.RoundTrip(req); err == nil || !isCanceled(p.outcomes(t, 1)[1]) {
		t.Errorf("a bad host: %v, told %v", err, p.told)
	}
}

// TestTransportWithoutSource has neither a list nor a picker.
func TestTransportWithoutSource(t *testing.T) {
	t.Parallel()
	if _, err := transport(t, nil).RoundTrip(request(t, http.MethodGet, "http://other/", nil)); !errors.Is(err, errNoSession) {
		t.Errorf("without a session: %v", err)
	}
	for name, f := range map[string]func(string) func(*http.Request) discovery.Picker{
		"no function": func(string) func(*http.Request) discovery.Picker { return nil },
		"no picker": func(string) func(*http.Request) discovery.Picker {
			return func(*http.Request) discovery.Picker { return nil }
		},
	} {
		_, err := transport(t, []discovery.Instance{says(t, "a")}, WithPicker(f)).RoundTrip(request(t, http.MethodGet, "http://api/", nil))
		if err == nil || !strings.Contains(err.Error(), "WithPicker") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// shout sends lines back in capitals on an upgraded connection; it is no websocket but in name.
func shout(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != websocket {
		http.Error(w, "upgrade", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	for {
		line, err := rw.ReadBytes('\n')
		if err != nil {
			return
		}
		_, _ = rw.Write(bytes.ToUpper(line))
		_ = rw.Flush()
	}
}

func TestTransportUpgrades(t *testing.T) {
	t.Parallel()
	p := newInOrder()
	tr := transport(t, []discovery.Instance{backend(t, "a", shout)}, p.option())
	resp, err := tr.RoundTrip(request(t, "GET", "http://api/", nil, "Connection", "Upgrade", "Upgrade", websocket))
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body of a 101 is a %T", resp.Body)
	}
	lines := bufio.NewReader(conn)
	for _, word := range []string{"hello\n", "again\n"} {
		if _, err := io.WriteString(conn, word); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); line != strings.ToUpper(word) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if err := p.outcomes(t, 1)[0]; err != nil {
		t.Errorf("told %v", err)
	}
	_ = conn.Close()
	if len(p.done) != 0 {
		t.Errorf("told %v when it was closed", p.told)
	}
}

func TestTransportWithClient(t *testing.T) {
	t.Parallel()
	inst := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, r.Host+r.URL.Path)
	})
	client := &http.Client{Transport: transport(t, []discovery.Instance{inst})}
	resp, err := client.Do(request(t, "GET", "http://api/old", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, body := read(t, resp); body != "api/new" {
		t.Errorf("%q", body)
	}
	client.CloseIdleConnections()
}

func TestTransportHTTPS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	t.Cleanup(srv.Close)
	tr := transport(t, []discovery.Instance{{ID: "a", Addr: srv.Listener.Addr().String(), Protocol: "https"}}, WithBase(srv.Client().Transport))
	if status, body := get(t, tr, "http://api/"); status != 200 {
		t.Errorf("%d %q", status, body)
	}
}
