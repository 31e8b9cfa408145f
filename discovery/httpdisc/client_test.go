package httpdisc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"etcdkit/discovery"
)

// TestGatewayStalledReader has a client that does not read. The instance is given back, and not to blame.
func TestGatewayStalledReader(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{-1, 1 << 30} {
		p := newInOrder()
		exchanges := make(chan Exchange, 10)
		_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
			if length > 0 {
				w.Header().Set("Content-Length", fmt.Sprint(length))
			}
			_, _ = io.CopyN(w, zeros{}, 1<<30)
		})}, toAPI, p.option(), WithStallTimeout(50*time.Millisecond), WithTrace(&Trace{RequestDone: func(x *Exchange) { exchanges <- *x }}))
		dialRaw(t, srv.Listener.Addr().String(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := p.outcomes(t, 1)[0]; err != nil && !isCanceled(err) {
			t.Errorf("the picker was told %v", err)
		}
		if x := <-exchanges; !errors.Is(x.Err, errStalled) || x.Status != 200 {
			t.Errorf("%+v", x)
		}
	}
}

// TestGatewayPausesAreNoStall has an instance that pauses for longer than clients may, over both versions of HTTP, and then another request.
func TestGatewayPausesAreNoStall(t *testing.T) {
	t.Parallel()
	const stall = 20 * time.Millisecond
	inst := backend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, strings.Repeat("x", 5000))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * stall)
		}
	})
	g, err := StartGateway(t.Context(), nil, toAPI, WithView("api", discovery.Fixed(inst)), WithStallTimeout(stall))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	for _, two := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" { // another handler, on the same connection
				_, _ = io.WriteString(w, r.Proto)
				return
			}
			g.ServeHTTP(w, r)
		}))
		srv.EnableHTTP2 = two
		srv.StartTLS()
		t.Cleanup(srv.Close)
		rt := srv.Client().Transport
		for range 2 {
			if status, body := get(t, rt, srv.URL); status != 200 || len(body) != 15000 {
				t.Errorf("HTTP/2 %v: %d, %d bytes", two, status, len(body))
			}
			time.Sleep(2 * stall)
			if _, body := get(t, rt, srv.URL+"/own"); body != map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[two] {
				t.Errorf("HTTP/2 %v: %q", two, body)
			}
		}
	}
}

// TestGatewayFlushes a piece of a response whose length is known.
func TestGatewayFlushes(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	_, srv := gateway(t, []discovery.Instance{backend(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "01234")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "56789")
	})}, toAPI)
	_, lines := dialRaw(t, srv.Listener.Addr().String(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	close(release)
	if _, rest := read(t, resp); rest != "56789" {
		t.Errorf("%q", rest)
	}
}

// TestGatewayPauseOfStream has a client pause in a stream of both directions for longer than it may before the response begins.
func TestGatewayPauseOfStream(t *testing.T) {
	t.Parallel()
	const within = 50 * time.Millisecond
	echo := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			_, _ = fmt.Fprintln(w, lines.Text())
			_ = rc.Flush()
		}
	})
	g, err := StartGateway(t.Context(), nil, toAPI, WithView("api", discovery.Fixed(echo)), WithClientTimeout(within))
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, g, NewServer("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		g.ServeHTTP(w, r)
	})))
	out, in := io.Pipe()
	resp, err := http.DefaultTransport.RoundTrip(request(t, http.MethodPost, "http://"+addr, out))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for range 2 {
		time.Sleep(3 * within)
		if _, err := io.WriteString(in, "hello\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); line != "hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	_ = in.Close()
	_ = resp.Body.Close()
}

// TestGatewaySlowBodyUnwanted has a client dribble a body that nobody reads: the answer comes, and the connection ends.
func TestGatewaySlowBodyUnwanted(t *testing.T) {
	t.Parallel()
	_, srv := gateway(t, nil, Routes{}, WithClientTimeout(50*time.Millisecond))
	_, lines := dialRaw(t, srv.Listener.Addr().String(), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin")
	all, err := io.ReadAll(lines)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 404") {
		t.Errorf("%q, %v", all, err)
	}
}

// TestGatewaySlowInstanceTakesBody has an instance take a body with pauses that a client may not make: the client is not at fault, in no version of HTTP.
func TestGatewaySlowInstanceTakesBody(t *testing.T) {
	t.Parallel()
	const within = 200 * time.Millisecond
	const size = 16 << 20 // more than all that is between
	inst := backend(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		time.Sleep(2 * within)
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	})
	g, err := StartGateway(t.Context(), nil, toAPI, WithView("api", discovery.Fixed(inst)), WithClientTimeout(within))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	for _, two := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(g)
		srv.EnableHTTP2 = two
		srv.StartTLS()
		t.Cleanup(srv.Close)
		status, body := do(t, srv.Client().Transport, http.MethodPost, srv.URL, io.LimitReader(zeros{}, size))
		if want := fmt.Sprint(int64(size-1), nil); status != 200 || body != want {
			t.Errorf("HTTP/2 %v: %d %q, want %q", two, status, body, want)
		}
	}
}

// limits is a writer that remembers what was done to it.
type limits struct {
	http.ResponseWriter
	did []string
}

func (l *limits) SetWriteDeadline(end time.Time) error {
	l.did = append(l.did, map[bool]string{true: "lift", false: "limit"}[end.IsZero()])
	return nil
}

func (l *limits) FlushError() error {
	l.did = append(l.did, "flush")
	return nil
}

// TestAnswerFinishes has the end of a response sent within the limit, unless the whole of it is small.
func TestAnswerFinishes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]string{100: "limit lift", 5000: "limit lift limit flush lift"} {
		l := &limits{ResponseWriter: httptest.NewRecorder()}
		a := &answer{ResponseWriter: l, x: &exchange{}, conn: http.NewResponseController(l), within: time.Minute}
		_, _ = a.Write(make([]byte, size))
		a.finish()
		if got := strings.Join(l.did, " "); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}
