package lock_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/lock"
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
	ctx := context.Background()
	_, s, closeBoth := connect()
	defer closeBoth()

	mu := lock.NewMutex(s, "reports/nightly")
	h, err := mu.Lock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Unlock(ctx)
	fmt.Println("held:", h.Err() == nil)
	// Output: held: true
}

func ExampleMutex_Do() {
	_, s, closeBoth := connect()
	defer closeBoth()

	mu := lock.NewMutex(s, "reports/weekly")
	err := mu.Do(context.Background(), func(ctx context.Context, h *lock.Hold) error {
		fmt.Println("working until ctx ends, which it does when the lock is lost")
		return ctx.Err()
	})
	fmt.Println(err)
	// Output:
	// working until ctx ends, which it does when the lock is lost
	// <nil>
}

func ExampleMutex_TryLock() {
	ctx := context.Background()
	_, s, closeBoth := connect()
	defer closeBoth()

	mu := lock.NewMutex(s, "busy")
	h, err := mu.TryLock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Unlock(ctx)

	_, err = mu.TryLock(ctx)
	var held *lock.HeldError
	if errors.As(err, &held) {
		fmt.Println("held by this very process:", held.Owner.PID == os.Getpid())
	}
	// Output: held by this very process: true
}

func ExampleHold_Guard() {
	ctx := context.Background()
	client, s, closeBoth := connect()
	defer closeBoth()

	h, err := lock.NewMutex(s, "guarded").Lock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	write := func(value string) bool {
		resp, err := client.Txn(ctx).If(h.Guard()).Then(clientv3.OpPut("examples/data", value)).Commit()
		if err != nil {
			log.Fatal(err)
		}
		return resp.Succeeded
	}
	fmt.Println("while held:", write("1"))
	if err := h.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("afterwards:", write("2"))
	// Output:
	// while held: true
	// afterwards: false
}

func ExampleRWMutex() {
	ctx := context.Background()
	_, s, closeBoth := connect()
	defer closeBoth()

	mu := lock.NewRWMutex(s, "catalogue")
	h, err := mu.Lock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("write the catalogue, then go on reading what was written")
	if err := mu.Downgrade(ctx, h); err != nil {
		log.Fatal(err)
	}
	err = mu.RDo(ctx, func(context.Context, *lock.Hold) error {
		fmt.Println("others read as well")
		return nil
	})
	fmt.Println(err, h.Unlock(ctx))
	// Output:
	// write the catalogue, then go on reading what was written
	// others read as well
	// <nil> <nil>
}

func ExampleSemaphore() {
	ctx := context.Background()
	_, s, closeBoth := connect()
	defer closeBoth()

	gpus := lock.NewSemaphore(s, "gpus", 4)
	h, err := gpus.Acquire(ctx, 3)
	if err != nil {
		log.Fatal(err)
	}
	_, err = gpus.TryAcquire(ctx, 2)
	fmt.Println("two more at once:", !errors.Is(err, lock.ErrHeld))
	_, err = gpus.Acquire(ctx, 5)
	fmt.Println(err)
	if err := h.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	err = gpus.Do(ctx, 4, func(context.Context, *lock.Hold) error {
		fmt.Println("all four")
		return nil
	})
	fmt.Println(err)
	// Output:
	// two more at once: false
	// semaphore "gpus": 5 permits are wanted, and there are 4
	// all four
	// <nil>
}

func ExampleMulti() {
	ctx := context.Background()
	client, s, closeBoth := connect()
	defer closeBoth()

	transfer := lock.NewMulti(s, []string{"accounts/bob", "accounts/alice"})
	err := transfer.Do(ctx, func(ctx context.Context, h *lock.MultiHold) error {
		resp, err := client.Txn(ctx).If(h.Guards()...).Then(clientv3.OpPut("examples/transfer", "done")).Commit()
		if err == nil {
			fmt.Println("both held:", resp.Succeeded)
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// both held: true
	// <nil>
}
