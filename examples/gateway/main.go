// Command gateway stands in front of services: it follows who is there, and the routes that stand in etcd, while it runs.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/gateway -listen 127.0.0.1:8080 &
//	etcdctl put examples/config/gateway '{"routes":[{"path_prefix":"/api","service":"api","strip_prefix":true}]}'
//	curl -i 127.0.0.1:8080/api/hello
//
// That is answered with 503 until an instance of the service api registers: start examples/discovery/server, once or more often, and
// kill it, and watch who answers.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
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

	"etcdkit/discovery/httpdisc"
	"etcdkit/session"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen string) error {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix("examples"), session.WithLogger(logger))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	g, err := httpdisc.StartGateway(starting, s, httpdisc.Routes{}, httpdisc.WithLiveRoutes("gateway"), httpdisc.WithTrace(trace(logger)))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	server := httpdisc.NewServer(listen, g)
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	logger.Info("serving", "address", listener.Addr().String())

	select {
	case err = <-serving:
		return errors.Join(err, g.Close())
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err = g.Shutdown(ending, server)
	if served := <-serving; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
