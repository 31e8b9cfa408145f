// Command singleton is a worker of which one is at work in the whole fleet, however many run.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/election/singleton
//
// Start it as often as you like. Stop the one at work with Ctrl-C: the next one is at work at once. Kill it with -9: the next one is at
// work when the lease has run out. Cut it off from etcd: it stops before the next one begins.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()

	s := session.New(client, session.WithPrefix("examples"), session.WithTTL(5*time.Second))
	defer s.Close(ctx) // ctx may be over by then: Close does its work all the same

	return election.New(s, "singleton").Run(ctx, work)
}

// work runs in one process of the fleet at a time. When it returns, for whatever reason, another one may begin.
func work(ctx context.Context, t *election.Term) error {
	fmt.Printf("at work with token %d\n", t.Token())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Println("working")
		case <-ctx.Done(): // Ctrl-C, or the lead was lost
			fmt.Println("stopped:", context.Cause(ctx))
			return nil
		}
	}
}
