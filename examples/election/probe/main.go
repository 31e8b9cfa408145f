// Command probe is a leader behind a load balancer that sends requests to whoever says that it is ready, and that lets another one lead
// when it is not well.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/election/probe 127.0.0.1:8080
//
// GET /ready is 200 while this process certainly leads, and else 503. GET /healthy is 200 while its session is of use. Put a file
// named "sick" into the working directory: within a second or so it stops leading, until the file is gone.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/session"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: probe ADDRESS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address string) error {
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()

	s := session.New(client, session.WithPrefix("examples"), session.WithTTL(5*time.Second))
	defer s.Close(ctx)

	e := election.New(s, "probed", election.WithValue(address), election.WithHealth(healthy))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: probes(s, e), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println("probes at", listener.Addr())

	err = e.Run(ctx, func(ctx context.Context, t *election.Term) error {
		fmt.Printf("leading with token %d\n", t.Token())
		<-ctx.Done() // the service
		return context.Cause(ctx)
	})
	_ = server.Close()
	<-served //nolint:errcheck // it was closed
	return err
}

// healthy is what makes this process fit to lead.
func healthy(context.Context) error {
	if _, err := os.Stat("sick"); err == nil {
		return errors.New("there is a file named sick")
	}
	return nil
}

// probes ask nobody: they cost nothing, and answer while etcd is away.
func probes(s *session.Session, e *election.Election) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !e.IsLeader() {
			http.Error(w, "not leading", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /healthy", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}
