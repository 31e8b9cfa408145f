package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/lock"
	"etcdkit/session"
)

// locks is what the lock commands share.
type locks struct {
	*program
	prefix string
}

func newLock(p *program) *cobra.Command {
	l := &locks{program: p}
	cmd := newLockRun(l)
	cmd.Use = "lock NAME [-- COMMAND ARGS...]"
	cmd.Short = "Run a command under a lock; show and break locks"
	cmd.Long = `Run COMMAND while no other process, on any machine, holds the lock NAME. This is "etcdkit lock run", for short: see
"etcdkit help lock run" for all of it. A lock whose name is that of a subcommand needs the long form.`
	cmd.Example = `  etcdkit lock nightly-report -- ./report.sh
  etcdkit lock ls
  etcdkit lock owners nightly-report`
	flags := cmd.PersistentFlags()
	flags.StringVar(&l.prefix, "prefix", "etcdkit", "where the locks stand in etcd: what the programs gave to session.WithPrefix")
	bindVariables(flags, "prefix", ourVariables)
	l.conn.addFlags(flags)
	cmd.SetFlagErrorFunc(hintDashes)
	run := newLockRun(l)
	cmd.AddCommand(run, newLockList(l), newLockOwners(l), newLockBreak(l))
	return cmd
}

// place is a flag that tells how NAME leads to a lock.
type place struct {
	exact bool
}

const exactKeyFlag = "exact-key"

func (w *place) addFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.exact, exactKeyFlag, false, `NAME is a key in etcd: the line of "etcdctl lock NAME" and of concurrency.NewMutex`)
}

func (w *place) options(name string) []lock.Option {
	if w.exact {
		return []lock.Option{lock.WithKey(name)}
	}
	return nil
}

// look calls do with a session that only reads, or breaks: it needs no lease, and so leaves nothing behind.
func (l *locks) look(cmd *cobra.Command, do func(ctx context.Context, s *session.Session) error) error {
	return l.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
		bounded, cancel := l.conn.request(ctx)
		defer cancel()
		s := session.New(client, session.WithPrefix(l.prefix))
		err := do(bounded, s)
		if closing := s.Close(bounded); err == nil {
			err = closing
		}
		return because(bounded, err)
	})
}

// owner is an owner in JSON output.
type owner struct {
	Key    string            `json:"key"`
	Holder bool              `json:"holder"`
	Token  session.Token     `json:"token,omitempty"`
	Lease  string            `json:"lease"`
	Host   string            `json:"host,omitempty"`
	PID    int               `json:"pid,omitempty"`
	Since  string            `json:"session_since,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

func describeOwner(o lock.Owner) owner {
	out := owner{Key: o.Key, Holder: o.Holder, Token: o.Token, Lease: fmt.Sprintf("%x", int64(o.Lease)), Host: o.Host, PID: o.PID, Labels: o.Labels}
	if !o.Since.IsZero() {
		out.Since = o.Since.Format(timeFormat)
	}
	return out
}
