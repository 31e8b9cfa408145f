package httpdisc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"etcdkit/discovery"
)

const patienceOfTests = 30 * time.Second

// backend starts an instance that serves with h.
func backend(t testing.TB, id string, h http.HandlerFunc) discovery.Instance {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return discovery.Instance{ID: id, Addr: srv.Listener.Addr().String()}
}

// says is an instance that answers with its ID.
func says(t testing.TB, id string) discovery.Instance {
	return backend(t, id, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, id) })
}

// refuses is an instance that nobody can connect to.
func refuses(t testing.TB, id string) discovery.Instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return discovery.Instance{ID: id, Addr: l.Addr().String()}
}

// dies is an instance that takes each request as a whole, and then closes the connection.
func dies(t testing.TB, id string, got *atomic.Int64) discovery.Instance {
	return backend(t, id, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got.Add(1)
		panic(http.ErrAbortHandler)
	})
}

// inOrder is a Picker that takes the instances by ID, and remembers what it is told.
type inOrder struct {
	next atomic.Int64

	mu   sync.Mutex // protects told
	told []error
	done chan struct{} // gets one for each outcome
}

func newInOrder() *inOrder { return &inOrder{done: make(chan struct{}, 1000)} }

func (p *inOrder) Pick(s *discovery.Snapshot) (*discovery.Instance, func(error), error) {
	i := p.next.Add(1) - 1
	called := new(atomic.Bool)
	return &s.Instances[int(i)%len(s.Instances)], func(err error) {
		if called.Swap(true) {
			panic("done was called twice")
		}
		p.mu.Lock()
		p.told = append(p.told, err)
		p.mu.Unlock()
		p.done <- struct{}{}
	}, nil
}

// outcomes waits for n of them.
func (p *inOrder) outcomes(t testing.TB, n int) []error {
	t.Helper()
	for range n {
		await(t, p.done)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

func (p *inOrder) option() Option {
	return WithPicker(func(string) func(*http.Request) discovery.Picker {
		return func(*http.Request) discovery.Picker { return p }
	})
}

func await(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patienceOfTests):
		t.Fatal("it never happened")
	}
}

// get asks for a URL and returns the status and the body.
func get(t testing.TB, rt http.RoundTripper, url string) (int, string) {
	t.Helper()
	return do(t, rt, http.MethodGet, url, nil)
}

func do(t testing.TB, rt http.RoundTripper, method, url string, body io.Reader, headers ...string) (int, string) {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, method, url, body, headers...))
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return read(t, resp)
}

func read(t testing.TB, resp *http.Response) (int, string) {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func request(t testing.TB, method, url string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// transport returns one for the service api.
func transport(t testing.TB, instances []discovery.Instance, opts ...Option) *Transport {
	t.Helper()
	tr := NewTransport(nil, append([]Option{WithView("api", discovery.Fixed(instances...))}, opts...)...)
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

// gateway serves the instances of the service api.
func gateway(t testing.TB, instances []discovery.Instance, routes Routes, opts ...Option) (*Gateway, *httptest.Server) {
	t.Helper()
	g, err := StartGateway(t.Context(), nil, routes, append([]Option{WithView("api", discovery.Fixed(instances...))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = NewServer("", g)
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		_ = g.Close()
		srv.Close()
	})
	return g, srv
}

var toAPI = Routes{Routes: []Route{{Service: "api"}}}

// stream is a body that cannot be had again.
type stream struct {
	io.Reader
	closed atomic.Int64
}

func (s *stream) Close() error {
	s.closed.Add(1)
	return nil
}

func newStream(text string) *stream { return &stream{Reader: strings.NewReader(text)} }

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }
