package election_test

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/session"
)

// The examples run against a real etcd: integration gives them one, and where there is none they are skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ETCDKIT_ENDPOINTS") == "" {
		if err := flag.Set("test.skip", "^Example"); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// connect is what a program does once.
func connect() (client *clientv3.Client, s *session.Session, closeBoth func()) {
	client, err := clientv3.New(session.ClientConfig(strings.Split(os.Getenv("ETCDKIT_ENDPOINTS"), ",")...))
	if err != nil {
		log.Fatal(err)
	}
	s = session.New(client, session.WithPrefix("examples"))
	return client, s, func() {
		if err := s.Close(context.Background()); err != nil {
			log.Print(err)
		}
		client.Close()
	}
}

func Example() {
	_, s, closeBoth := connect()
	defer closeBoth()

	e := election.New(s, "scheduler", election.WithValue("10.0.0.7:80"))
	err := e.Run(context.Background(), func(ctx context.Context, t *election.Term) error {
		fmt.Println("leading until ctx ends, or this function returns:", t.Err() == nil, e.IsLeader())
		return ctx.Err()
	})
	fmt.Println(err, e.IsLeader())
	// Output:
	// leading until ctx ends, or this function returns: true true
	// <nil> false
}

func ExampleElection_Campaign() {
	ctx := context.Background()
	client, s, closeBoth := connect()
	defer closeBoth()

	t, err := election.New(s, "writer").Campaign(ctx)
	if err != nil {
		log.Fatal(err)
	}
	write := func(value string) bool {
		resp, err := client.Txn(ctx).If(t.Guard()).Then(clientv3.OpPut("examples/data", value)).Commit()
		if err != nil {
			log.Fatal(err)
		}
		return resp.Succeeded
	}
	fmt.Println("while leading:", write("1"))
	if err := t.Resign(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("afterwards:", write("2"))
	// Output:
	// while leading: true
	// afterwards: false
}

func ExampleElection_Leaders() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, s, closeBoth := connect()
	defer closeBoth()

	e := election.New(s, "observed", election.WithValue("a"))
	for l, err := range e.Leaders(ctx) {
		switch {
		case err != nil:
			log.Fatal(err) // nothing comes after it
		case l.Vacant():
			fmt.Println("nobody leads")
			if _, err := e.Campaign(ctx); err != nil {
				log.Fatal(err)
			}
		default:
			fmt.Println("leader:", l.Value)
			return
		}
	}
	// Output:
	// nobody leads
	// leader: a
}

func ExampleTerm_Transfer() {
	ctx := context.Background()
	_, s, closeBoth := connect()
	defer closeBoth()

	old, err := election.New(s, "handed-over").Campaign(ctx)
	if err != nil {
		log.Fatal(err)
	}
	won := make(chan *election.Term)
	go func() {
		t, err := election.New(s, "handed-over", election.WithValue("b")).Campaign(ctx)
		if err != nil {
			log.Fatal(err)
		}
		won <- t
	}()
	for old.Transfer(ctx, "b") != nil { // until b stands in line
	}
	fmt.Println("a higher token:", (<-won).Token() > old.Token())
	// Output: a higher token: true
}
