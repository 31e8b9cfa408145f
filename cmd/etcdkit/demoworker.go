package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/lock"
	"etcdkit/session"
)

const (
	demoLock = "demo/printer"
	demoTTL  = 2 * time.Second // what etcd grants at least, as it is usually set up
	demoWork = 400 * time.Millisecond
)

// newDemoWorker is a process of the demo: it takes turns on the lock until its standard input is closed. Each line it writes is its
// name, what it did, and its token.
func newDemoWorker(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "demo-worker NAME",
		Short:  "A worker of the demo",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
				ctx, cancel := context.WithCancel(ctx)
				go func() {
					_, _ = io.Copy(io.Discard, cmd.InOrStdin()) // it ends with the parent, however that ends
					cancel()
				}()
				return takeTurns(ctx, cmd.OutOrStdout(), client, args[0])
			})
		},
	}
	p.conn.addFlags(cmd.Flags())
	return cmd
}

func takeTurns(ctx context.Context, out io.Writer, client *clientv3.Client, name string) error {
	s := session.New(client, session.WithTTL(demoTTL), session.WithLabels(map[string]string{"worker": name}))
	defer func() { _ = s.Close(context.Background()) }()
	mu := lock.NewMutex(s, demoLock)
	for {
		err := mu.Do(ctx, func(_ context.Context, h *lock.Hold) error { return turn(out, name, h) })
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, session.ErrLost):
			return err
		}
	}
}

// turn is the work that one worker at a time may do.
func turn(out io.Writer, name string, h *lock.Hold) error {
	if _, err := fmt.Fprintln(out, name, demoGot, h.Token()); err != nil {
		return err
	}
	select {
	case <-time.After(demoWork):
	case <-h.Context().Done():
	}
	what := demoDone
	if h.Err() != nil {
		what = demoLost
	}
	_, err := fmt.Fprintln(out, name, what, h.Token())
	return err
}

// What a worker says that it did.
const (
	demoGot  = "got"
	demoDone = "done"
	demoLost = "lost"
)
