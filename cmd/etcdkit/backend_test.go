package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asServer makes the test binary a server that "etcdkit register" can run: it answers with its ID.
const asServer = "TEST_BINARY_IS_SERVER"

// serveTest serves at ETCDKIT_ADDR until SIGTERM, and then finishes what it is at. A request for /slow is answered when a line comes, the
// health of /healthz is turned by lines "ill" and "well", and "exit N" ends it.
func serveTest(in io.Reader, out io.Writer) int {
	say := func(words ...any) { _, _ = fmt.Fprintln(out, words...) } // nobody listens if that fails
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	ill, lines := new(atomic.Bool), make(chan string)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, os.Getenv("ETCDKIT_INSTANCE")) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		say("slow")
		_, _ = io.WriteString(w, <-lines)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	srv := &http.Server{Addr: os.Getenv("ETCDKIT_ADDR"), Handler: mux}
	go func() {
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			switch line := scanner.Text(); {
			case line == "ill" || line == "well":
				ill.Store(line == "ill")
			case strings.HasPrefix(line, "exit "):
				status, _ := strconv.Atoi(line[5:])
				os.Exit(status)
			default:
				lines <- line
			}
		}
	}()
	done := make(chan struct{})
	go func() {
		<-terminated
		say("told")
		_ = srv.Shutdown(context.Background())
		close(done)
	}()
	say("serving", os.Getenv("ETCDKIT_SERVICE"), os.Getenv("ETCDKIT_INSTANCE"))
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		say(err)
		return 1
	}
	<-done
	return 0
}

// startBackend runs a server of the service api under "etcdkit register", with a check of its health, and waits until the list says that it is good. The TTL is 2 s.
func startBackend(t *testing.T, prefix, id string, more ...string) (p *process, addr string) {
	t.Helper()
	return startBackendAt(t, shared.endpoint, prefix, id, more...)
}

func startBackendAt(t *testing.T, endpoint, prefix, id string, more ...string) (p *process, addr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	args := []string{
		"--endpoints", endpoint, "register", "api", "--prefix", prefix, "--id", id, "--addr", addr, "--check", "http://" + addr + "/healthz", "--interval", "100ms", "--ttl", "2s",
	}
	watch := launch(t, nil, "--endpoints", endpoint, "services", "watch", "api", "--prefix", prefix)
	p = launch(t, nil, append(append(args, more...), "--", "env", asServer+"=1", self)...)
	p.awaitNote("etcdkit: healthy: service")
	awaitServing(watch, id)
	watch.signal(syscall.SIGTERM)
	watch.wait()
	return p, addr
}

// awaitServing waits until a watch says that an instance serves: it may have missed what was before.
func awaitServing(watch *process, id string) {
	watch.t.Helper()
	for {
		line := watch.await(" " + id + " at ")
		if strings.HasPrefix(line, "serving") || strings.HasSuffix(line, ", serving") {
			return
		}
	}
}

// startGateway starts one and returns it with its URL.
func startGateway(t *testing.T, prefix string, args ...string) (*process, string) {
	t.Helper()
	p := launch(t, nil, append([]string{"gateway", "--prefix", prefix, "--listen", "127.0.0.1:0"}, args...)...)
	return p, "http://" + strings.TrimPrefix(p.await("the gateway is ready on "), "the gateway is ready on ")
}

// fetch sends a GET, and returns the status and the body. A host other than that of the URL can be given.
func fetch(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	req.RequestURI = ""
	if host != "" {
		req.Host = host
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Errorf("GET %s: %v", url, err)
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("GET %s: %v", url, err)
	}
	return resp.StatusCode, string(body)
}

// eventually waits for what no event tells: that it has reached another process.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !happened() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not in time: %s", what)
		}
	}
}
