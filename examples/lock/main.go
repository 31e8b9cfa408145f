// Command lock is a job that must not run twice at once: start it as often as you like, on as many machines as you like.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/lock
//
// Each instance waits for the lock, works for a second, writes its result under the lock's guard, and leaves. Kill one with -9 while it
// works: the next one is in when the lease has run out. Stop one with Ctrl-C: the next one is in at once.
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

	"etcdkit/lock"
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

	report := lock.NewMutex(s, "reports/nightly")
	return report.Do(ctx, func(ctx context.Context, h *lock.Hold) error {
		fmt.Printf("working with token %d\n", h.Token())
		select {
		case <-time.After(time.Second): // the work
		case <-ctx.Done(): // Ctrl-C, or the lock was lost
			return context.Cause(ctx)
		}
		resp, err := client.Txn(ctx).
			If(h.Guard()).
			Then(clientv3.OpPut("examples/reports/nightly/result", fmt.Sprintf("written under token %d", h.Token()))).
			Commit()
		if err != nil {
			return err
		}
		if !resp.Succeeded {
			return errors.New("lost the lock before the result was written; nothing was changed")
		}
		fmt.Println("done")
		return nil
	})
}
