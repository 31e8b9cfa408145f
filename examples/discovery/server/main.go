// Command server is a small HTTP server that registers itself as an instance of the service hello, and leaves without a failed request.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/server &
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/server -zone b &
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/client
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/session"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve at, which clients can reach")
	id := flag.String("id", "", "name of this instance; one is made up if it is empty")
	zone := flag.String("zone", "a", "where it runs")
	ttl := flag.Duration("ttl", 10*time.Second, "how long clients believe in it after its death")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, discovery.Instance{ID: *id, Zone: *zone, Protocol: "http"}, *ttl); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen string, inst discovery.Instance, ttl time.Duration) error {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix("examples"), session.WithTTL(ttl), session.WithLogger(logger))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	// First it serves, then it says so.
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	inst.Addr = listener.Addr().String()
	server := &http.Server{Handler: hello(inst), ReadHeaderTimeout: 5 * time.Second}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()

	starting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	reg, err := discovery.Register(starting, s, "hello", inst)
	if err != nil {
		return errors.Join(err, server.Close(), <-serving)
	}
	logger.Info("registered", "id", reg.Instance().ID, "address", inst.Addr)

	select {
	case err = <-serving:
		return errors.Join(err, reg.Deregister(ctx))
	case <-ctx.Done():
	}
	// First it says that it leaves, then it stops: what clients have begun is finished.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = reg.Drain(ending)
	time.Sleep(200 * time.Millisecond) // until clients know
	err = errors.Join(err, server.Shutdown(ending), reg.Deregister(ending))
	logger.Info("deregistered", "id", reg.Instance().ID, "error", err)
	return err
}

// hello says who answers.
func hello(inst discovery.Instance) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "hello from %s in zone %s\n", inst.Addr, inst.Zone) // a client that has gone
	})
}
