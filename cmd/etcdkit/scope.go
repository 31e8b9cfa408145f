package main

import (
	"context"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/lock"
	"etcdkit/session"
)

// scope is what the commands share that use a session: where its keys stand.
type scope struct {
	*program
	prefix string
}

// addFlags gives the command and those below it the flags of the scope. what names what stands there.
func (c *scope) addFlags(cmd *cobra.Command, what string) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.prefix, "prefix", "etcdkit", "where the "+what+" stand in etcd: what the programs gave to session.WithPrefix")
	bindVariables(flags, "prefix", ourVariables)
	c.conn.addFlags(flags)
}

// look calls do with a session, and as much time as a request has. A session that only reads, or breaks, needs no lease, and one that needs
// it gives it back: nothing is left behind.
func (c *scope) look(cmd *cobra.Command, do func(ctx context.Context, s *session.Session) error) error {
	return c.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
		bounded, cancel := c.conn.request(ctx)
		defer cancel()
		s := session.New(client, session.WithPrefix(c.prefix))
		err := do(bounded, s)
		if closing := s.Close(bounded); err == nil {
			err = closing
		}
		return because(bounded, err)
	})
}

// place is a flag that tells how NAME leads to a key.
type place struct {
	exact bool
}

const exactKeyFlag = "exact-key"

// addFlag adds it. others names who uses such keys, too.
func (w *place) addFlag(cmd *cobra.Command, others string) {
	cmd.Flags().BoolVar(&w.exact, exactKeyFlag, false, "NAME is a key in etcd: "+others)
}

// othersLock and othersElect are who uses the keys of locks and elections besides the kit.
const (
	othersLock  = `the line of "etcdctl lock NAME" and of concurrency.NewMutex`
	othersElect = `the line of "etcdctl elect NAME" and of concurrency.NewElection`
)

func (w *place) options(name string) []lock.Option {
	if w.exact {
		return []lock.Option{lock.WithKey(name)}
	}
	return nil
}
