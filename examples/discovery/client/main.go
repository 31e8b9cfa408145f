// Command client asks the instances of the service hello in turn, twice a second, and follows who comes and goes: see ../server.
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

	"etcdkit/discovery"
	"etcdkit/session"
)

func main() {
	every := flag.Duration("every", 500*time.Millisecond, "pause between two requests")
	lastGood := flag.String("last-good", "", "file that keeps the list, for starts without etcd")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *every, *lastGood); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, every time.Duration, lastGood string) error {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()
	s := session.New(client, session.WithPrefix("examples"), session.WithLogger(logger))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	var opts []discovery.Option
	if lastGood != "" {
		opts = append(opts, discovery.WithLastGood(lastGood))
	}
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	view, err := discovery.Watch(starting, s, "hello", opts...)
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }() // a file that is behind is in the log

	following := make(chan error, 1)
	go func() { following <- follow(ctx, view, logger) }()
	ask(ctx, view, every, logger)
	return <-following
}

// follow says who comes and goes.
func follow(ctx context.Context, view *discovery.View, log *slog.Logger) error {
	for ch, err := range view.Changes(ctx) {
		if err != nil {
			return err
		}
		log.Info("instances", "now", len(ch.Snapshot.Instances), "added", addrs(ch.Added), "removed", addrs(ch.Removed), "stale", view.Stale(), "error", ch.Snapshot.Err)
	}
	return nil // never: the last pair has an error
}

func addrs(list []discovery.Instance) (all []string) {
	for _, inst := range list {
		all = append(all, inst.Addr)
	}
	return all
}
