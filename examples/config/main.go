// Command config is a small server whose log level, timeout and maintenance switch follow etcd: change them while it runs.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/config -listen 127.0.0.1:8080 &
//	etcdctl put examples/config/app/api '{"level":"debug","timeout":"200ms"}'
//	curl -i 127.0.0.1:8080
//	etcdctl put examples/config/app/api '{"maintenance":true}'
//	etcdctl put examples/config/app/api '{"timeout":"0s"}'
//
// The last one is refused, and the server says so in its log and goes on with what it had.
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

	"etcdkit/config"
	"etcdkit/session"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve at")
	lastGood := flag.String("last-good", "", "file that keeps the last good settings, for starts without etcd")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *lastGood); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, lastGood string) error {
	level := new(slog.LevelVar)
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: level}))

	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix("examples"), session.WithLogger(logger))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	opts := []config.Option{config.WithReport()}
	if lastGood != "" {
		opts = append(opts, config.WithLastGood(lastGood))
	}
	// Without etcd the server starts with what was good the last time, after ten seconds.
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	live, err := config.Watch(starting, s, "app/api", defaults, opts...)
	if err != nil {
		return err
	}
	defer func() { _ = live.Close() }() // a last good file that is behind is in the log

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newHandler(live, logger), ReadHeaderTimeout: 5 * time.Second}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	logger.Info("serving", "address", listener.Addr().String())

	err = follow(ctx, live, level, logger) // until ctx ends, or the settings cannot be followed any more: it serves on with what it has
	logger.Warn("settings are not followed any more", "error", err)
	select {
	case err = <-serving:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}
