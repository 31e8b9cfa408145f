package httpdisc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
	"etcdkit/session"
)

// The examples run against a real etcd: integration gives them one, and where there is none they are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ETCDKIT_ENDPOINTS") == "" {
		if err := flag.Set("test.skip", "^Example"); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// connect is what a program does once. The prefix is new each time, so that the examples find nothing of an earlier run.
func connect() (s *session.Session, closeBoth func()) {
	client, err := clientv3.New(session.ClientConfig(strings.Split(os.Getenv("ETCDKIT_ENDPOINTS"), ",")...))
	if err != nil {
		log.Fatal(err)
	}
	s = session.New(client, session.WithPrefix(fmt.Sprintf("examples-%d", time.Now().UnixNano())))
	return s, func() {
		if err := s.Close(context.Background()); err != nil {
			log.Print(err)
		}
		client.Close()
	}
}

// serve is a backend: it serves, registers, and shuts down when it is told to.
func serve(ctx context.Context, s *session.Session, service, answer string) (shutdown func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := httpdisc.NewServer("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", answer, r.URL.Path)
	}))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	reg, err := discovery.Register(ctx, s, service, discovery.Instance{Addr: listener.Addr().String()})
	if err != nil {
		log.Fatal(err)
	}
	return func() {
		if err := httpdisc.Shutdown(ctx, reg, srv); err != nil {
			log.Print(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}
}

func ExampleNewTransport() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()
	shutdown := serve(ctx, s, "api", "hello from api, asked for")

	transport := httpdisc.NewTransport(s)
	defer func() { _ = transport.Close() }()
	client := &http.Client{Transport: transport}
	resp, err := client.Get("http://api/users/7")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	fmt.Println(string(body), err)

	shutdown()
	_, err = client.Get("http://api/users/7")
	fmt.Println(err)
	// Output:
	// hello from api, asked for /users/7 <nil>
	// Get "http://api/users/7": no instance of service "api": none is registered
}

func ExampleStartGateway() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()
	defer serve(ctx, s, "api", "api:")()

	g, err := httpdisc.StartGateway(ctx, s, httpdisc.Routes{Routes: []httpdisc.Route{
		{PathPrefix: "/api", Service: "api", StripPrefix: true, Timeout: 5 * time.Second},
		{Host: "shop.example.com", Service: "shop"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(g) // or httpdisc.NewServer(":8080", g)
	defer srv.Close()
	for _, path := range []string{"/api/users", "/elsewhere"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode, strings.TrimSpace(string(body)), err)
	}
	if err := g.Shutdown(ctx, srv.Config); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 200 api: /users <nil>
	// 404 404 Not Found: no route for this host and path <nil>
}

// Requests of one user go to one instance, as long as it is there and not overrun.
func ExampleWithPicker() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()
	for _, name := range []string{"one", "two", "three"} {
		defer serve(ctx, s, "api", name)()
	}

	transport := httpdisc.NewTransport(s, httpdisc.WithPicker(func(string) func(*http.Request) discovery.Picker {
		ring := discovery.ConsistentHash()
		ejection := discovery.Ejection(ring.Key(""))
		return func(r *http.Request) discovery.Picker { return ejection.With(ring.Key(r.Header.Get("X-User"))) }
	}))
	defer func() { _ = transport.Close() }()
	answers := map[string]bool{}
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api/", nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("X-User", "ann")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		_ = resp.Body.Close()
		answers[string(body)] = true
	}
	fmt.Println(len(answers), "instance")
	// Output: 1 instance
}
