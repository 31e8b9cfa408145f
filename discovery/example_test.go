package discovery_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/session"
)

// The examples run against a real etcd: integration gives them one, and where there is none they are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ETCDKIT_ENDPOINTS") == "" {
		if err := flag.Set("test.skip", "^Example[A-EG-Z_]|^Example$"); err != nil { // those of Fixed need none
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// connect is what a program does once. The prefix is new each time, so that the examples find nothing of an earlier run.
func connect() (s *session.Session, closeBoth func()) {
	client, err := clientv3.New(session.ClientConfig(strings.Split(os.Getenv("ETCDKIT_ENDPOINTS"), ",")...))
	if err != nil {
		log.Fatal(err)
	}
	s = session.New(client, session.WithPrefix(fmt.Sprintf("examples-%d", time.Now().UnixNano())))
	return s, func() {
		if err := s.Close(context.Background()); err != nil {
			log.Print(err)
		}
		client.Close()
	}
}

// A server registers itself, and a client follows who is there.
func Example() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()

	r, err := discovery.Register(ctx, s, "api", discovery.Instance{ID: "one", Addr: "10.0.0.7:8080", Zone: "b"})
	if err != nil {
		log.Fatal(err)
	}

	v, err := discovery.Watch(ctx, s, "api")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	for ch, err := range v.Changes(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		for _, inst := range ch.Added {
			fmt.Println("added", inst.ID, "at", inst.Addr)
			if err := r.Drain(ctx); err != nil { // it finishes what it has, and gets no more
				log.Fatal(err)
			}
		}
		if len(ch.Removed) > 0 {
			fmt.Println("removed", ch.Removed[0].ID)
			if err := r.Deregister(ctx); err != nil {
				log.Fatal(err)
			}
			return
		}
	}
	// Output:
	// added one at 10.0.0.7:8080
	// removed one
}

// The outcome of each request goes back to whoever picked the instance.
func ExampleView_Pick() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()
	if _, err := discovery.Register(ctx, s, "api", discovery.Instance{Addr: "10.0.0.7:8080"}); err != nil {
		log.Fatal(err)
	}
	v, err := discovery.Watch(ctx, s, "api")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = v.Close() }()

	picker := discovery.RoundRobin()
	inst, done, err := v.Pick(picker)
	if err != nil {
		log.Fatal(err) // errors.Is(err, discovery.ErrNoInstance): nobody is there
	}
	fmt.Println("asking", inst.Addr)
	err = nil // of the request
	done(err)
	// Output: asking 10.0.0.7:8080
}

// An instance that says that it is not well gets no requests until it is.
func ExampleWithHealth() {
	ctx := context.Background()
	s, closeBoth := connect()
	defer closeBoth()
	check := func(context.Context) error { return errors.New("the database is away") }
	r, err := discovery.Register(ctx, s, "api", discovery.Instance{Addr: "10.0.0.7:8080"}, discovery.WithHealth(check, time.Second))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = r.Deregister(ctx) }()
	list, err := discovery.List(ctx, s, "api")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(list.Instances), "take requests,", len(list.Unhealthy), "does not")
	// Output: 0 take requests, 1 does not
}

// What uses a View is tested without an etcd.
func ExampleFixed() {
	v := discovery.Fixed(discovery.Instance{ID: "a", Addr: "127.0.0.1:8080"})
	for _, inst := range v.Instances() {
		fmt.Println(inst.ID, inst.Addr)
	}
	// Output: a 127.0.0.1:8080
}
