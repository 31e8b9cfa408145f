package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/lock"
	"etcdkit/session"
)

const (
	demoLock     = "demo/printer"
	demoElection = "demo/boss"
	demoTTL      = 2 * time.Second // what etcd grants at least, as it is usually set up
	demoWork     = 400 * time.Millisecond
)

// The commands of the demo's processes.
const (
	lockWorker  = "demo-worker"
	electWorker = "demo-candidate"
	serveWorker = "demo-server"
)

// newDemoWorkers are the processes of the demo: one that takes turns on the lock, one that stands for election, and one that serves, until
// standard input is closed. Each line they write is their name, what they did, and their token (of who serves, the port); and the etcd.
func newDemoWorkers(p *program) []*cobra.Command {
	return []*cobra.Command{
		newDemoWorker(p, lockWorker, takeTurns), newDemoWorker(p, electWorker, stand), newDemoWorker(p, serveWorker, serveDemo), newDemoEtcd(),
	}
}

func newDemoWorker(p *program, name string, work func(context.Context, io.Writer, *clientv3.Client, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:    name + " NAME",
		Short:  "A process of the demo",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
				ctx, cancel := context.WithCancel(ctx)
				go func() {
					_, _ = io.Copy(io.Discard, cmd.InOrStdin()) // it ends with the parent, however that ends
					cancel()
				}()
				return work(ctx, cmd.OutOrStdout(), client, args[0])
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

// stand leads whenever it can, until ctx ends.
func stand(ctx context.Context, out io.Writer, client *clientv3.Client, name string) error {
	say := func(what string, token session.Token) { _, _ = fmt.Fprintln(out, name, what, token) } // nobody listens if that fails
	s := session.New(client, session.WithTTL(demoTTL), session.WithTrace(&session.Trace{Waiting: func(string) { say(demoWaits, 0) }}))
	defer func() { _ = s.Close(context.Background()) }()
	err := election.New(s, demoElection, election.WithValue(name)).Run(ctx, func(ctx context.Context, t *election.Term) error {
		say(demoLeads, t.Token())
		<-ctx.Done()
		if t.Err() != nil {
			say(demoLost, t.Token())
			return nil
		}
		say(demoResigns, t.Token())
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// What a worker says that it did.
const (
	demoGot  = "got"
	demoDone = "done"
	demoLost = "lost"

	demoWaits   = "waits"
	demoLeads   = "leads"
	demoResigns = "resigns"

	demoServes = "serves"
)
