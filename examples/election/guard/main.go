// Command guard is a leader that counts in etcd, and cannot spoil the count of the next one, even if it is frozen and wakes up too late.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/election/guard
//
// Start two. Freeze the leader with kill -STOP until the other one leads, and let it go on with kill -CONT: what it still wanted to write
// is refused.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/session"
)

const counter = "examples/guard/count"

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
	defer s.Close(ctx)

	return election.New(s, "counter").Run(ctx, func(ctx context.Context, t *election.Term) error {
		return count(ctx, client, t)
	})
}

// count adds one a second. The next leader goes on where this one ends, since each write depends on the lead.
func count(ctx context.Context, client *clientv3.Client, t *election.Term) error {
	resp, err := client.Get(ctx, counter)
	if err != nil {
		return err
	}
	n := 0
	if len(resp.Kvs) > 0 {
		if n, err = strconv.Atoi(string(resp.Kvs[0].Value)); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ; ; n++ {
		resp, err := client.Txn(ctx).
			If(t.Guard()).
			Then(clientv3.OpPut(counter, strconv.Itoa(n+1))).
			Commit()
		if err != nil {
			return err
		}
		if !resp.Succeeded {
			return errors.New("somebody else leads; nothing was written")
		}
		fmt.Printf("counted to %d under token %d\n", n+1, t.Token())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
