// Command standby is a service with a warm standby in another zone: the machine with the higher priority leads whenever it is there.
//
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/election/standby zone-a 10
//	ETCDKIT_ENDPOINTS=127.0.0.1:2379 go run ./examples/election/standby zone-b 5
//
// Stop zone-a: zone-b leads at once. Start it again: it leads again, and zone-b has stopped before that. Each follows the leader
// while it does not lead, so that it is warm when its turn comes.
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

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: standby NAME PRIORITY")
	}
	priority, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], priority); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func run(ctx context.Context, name string, priority int) error {
	endpoints := strings.Split(cmp.Or(os.Getenv("ETCDKIT_ENDPOINTS"), "127.0.0.1:2379"), ",")
	client, err := clientv3.New(session.ClientConfig(endpoints...))
	if err != nil {
		return err
	}
	defer client.Close()

	s := session.New(client, session.WithPrefix("examples"), session.WithTTL(5*time.Second))
	defer s.Close(ctx)

	e := election.New(s, "standby", election.WithValue(name), election.WithPriority(priority), election.WithPreempt())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		follow(ctx, e)
	}()
	err = e.Run(ctx, func(ctx context.Context, t *election.Term) error {
		fmt.Printf("%s leads with token %d\n", name, t.Token())
		<-ctx.Done() // the service
		fmt.Printf("%s stops: %v\n", name, context.Cause(ctx))
		return nil
	})
	<-followed
	return err
}

// follow says who leads until ctx ends.
func follow(ctx context.Context, e *election.Election) {
	for l, err := range e.Leaders(ctx) {
		switch {
		case err != nil:
			return
		case !l.StaleSince.IsZero():
			fmt.Println("cut off from etcd since", l.StaleSince.Format(time.TimeOnly))
		case l.Vacant():
			fmt.Println("nobody leads")
		default:
			fmt.Println("following", l.Value)
		}
	}
}
