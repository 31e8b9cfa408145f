// Command grpc is a gRPC server, or a client that follows such servers as they come and go. Run several servers, end one, end etcd:
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/grpc -serve 127.0.0.1:0 &
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/grpc -serve 127.0.0.1:0 &
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/discovery/grpc -every 500ms
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/session"
)

func main() {
	serveAt := flag.String("serve", "", "address to serve at; without it, this is a client")
	every := flag.Duration("every", time.Second, "time between two requests of the client")
	lists := flag.String("lists", "", "directory in which the client keeps its lists, for starts without etcd")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *serveAt, *every, *lists); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, serveAt string, every time.Duration, lists string) error {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix("examples"), session.WithLogger(logger))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	if serveAt != "" {
		return serve(ctx, s, serveAt, logger)
	}
	return follow(ctx, s, every, lists, logger)
}
