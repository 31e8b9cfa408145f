package session_test

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

func Example() {
	ctx := context.Background()
	client, err := clientv3.New(session.ClientConfig(strings.Split(os.Getenv("ETCDKIT_ENDPOINTS"), ",")...))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	s := session.New(client, session.WithPrefix("examples"), session.WithTTL(10*time.Second))
	defer s.Close(ctx)

	// A key of our own that lives as long as the session.
	lease, err := s.Lease(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Put(ctx, "examples/here", "yes", clientv3.WithLease(lease.ID())); err != nil {
		log.Fatal(err)
	}
	fmt.Println(lease.TTL(), lease.Err(), s.Margin() > 0)
	// Output: 10s <nil> true
}
