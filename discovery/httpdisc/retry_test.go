package httpdisc

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"etcdkit/discovery"
)

type retryCase struct {
	name, method string
	body         func() io.Reader
	headers      []string
	refused      bool // the first instance cannot be connected to, else it takes the request and dies
	again        bool
}

func retryCases() []retryCase {
	text := func() io.Reader { return strings.NewReader("x") }
	stream := func() io.Reader { return newStream("x") }
	return []retryCase{
		{"GET", "GET", nil, nil, false, true},
		{"GET, no method", "", nil, nil, false, true},
		{"DELETE", "DELETE", nil, nil, false, true},
		{"PUT with a body to be had again", "PUT", text, nil, false, true},
		{"PUT with a stream", "PUT", stream, nil, false, false},
		{"POST", "POST", nil, nil, false, false},
		{"POST with a body", "POST", text, nil, false, false},
		{"PATCH", "PATCH", text, nil, false, false},
		{"POST with a key", "POST", text, []string{"Idempotency-Key", "7"}, false, true},
		{"POST, never connected", "POST", nil, nil, true, true},
		{"POST with a body, never connected", "POST", text, nil, true, true},
		{"POST with a stream, never connected", "POST", stream, nil, true, true},
		{"PUT with a stream, never connected", "PUT", stream, nil, true, true},
	}
}

// TestTransportRetries looks at which requests are sent again, and that no instance gets one twice.
func TestTransportRetries(t *testing.T) {
	t.Parallel()
	for _, test := range retryCases() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, func(instances []discovery.Instance, opts ...Option) (http.RoundTripper, string) {
				return transport(t, instances, opts...), "http://api/"
			})
		})
	}
}

// TestGatewayRetries does the same through a Gateway, which can have no body again.
func TestGatewayRetries(t *testing.T) {
	t.Parallel()
	for _, test := range retryCases() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.again = test.refused || test.again && test.body == nil
			test.run(t, func(instances []discovery.Instance, opts ...Option) (http.RoundTripper, string) {
				_, srv := gateway(t, instances, toAPI, opts...)
				return failing{http.DefaultTransport}, srv.URL
			})
		})
	}
}

// failing has a Gateway's 502 be an error, as it is one for a Transport.
type failing struct{ http.RoundTripper }

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusBadGateway {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, err
}

func (test retryCase) run(t *testing.T, start func([]discovery.Instance, ...Option) (rt http.RoundTripper, url string)) {
	t.Helper()
	var first, second, retried atomic.Int64
	instances := []discovery.Instance{dies(t, "a", &first), backend(t, "b", func(w http.ResponseWriter, r *http.Request) {
		second.Add(1)
		_, _ = io.Copy(w, r.Body)
	})}
	if test.refused {
		instances[0] = refuses(t, "a")
	}
	var body io.Reader
	want := ""
	if test.body != nil {
		body, want = test.body(), "x"
	}
	p := newInOrder()
	rt, url := start(instances, p.option(), WithTrace(&Trace{Retried: func(string, *discovery.Instance, error) { retried.Add(1) }}))
	resp, err := rt.RoundTrip(request(t, test.method, url, body, test.headers...))
	if (err == nil) != test.again {
		t.Fatalf("%v", err)
	}
	if err == nil {
		if status, got := read(t, resp); status != 200 || got != want {
			t.Errorf("%d %q", status, got)
		}
	}
	if first.Load() > 1 || second.Load() != map[bool]int64{true: 1, false: 0}[test.again] || retried.Load() != second.Load() {
		t.Errorf("%d times at the first, %d at the second, %d retries", first.Load(), second.Load(), retried.Load())
	}
	told := p.outcomes(t, 1+int(second.Load()))
	if told[0] == nil || isCanceled(told[0]) || test.again && told[1] != nil {
		t.Errorf("the picker was told %v", told)
	}
	if s, ok := body.(*stream); ok && s.closed.Load() != 1 {
		t.Errorf("the body was closed %d times", s.closed.Load())
	}
}
