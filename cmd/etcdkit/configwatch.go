package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigWatch(c *configs) *cobra.Command {
	var where spot
	cmd := &cobra.Command{
		Use:   "watch NAME",
		Short: "Print a value, as it changes",
		Long: `Print the value NAME, and then each change of it: a line with the revision and the value, until Ctrl-C. With -o json each
is one line too. Of a tree it is one object, with the segments of the keys as its levels: what programs are given.

The watch survives lost connections and goes on where it was; several changes in short order can be one line. While etcd
cannot be reached, which takes a while to notice, a line tells since when the last value is not certain any more, and one
more when it is again.`,
		Example: `  etcdkit config watch app/api
  etcdkit config watch app/api -o json | jq --unbuffered .value.timeout`,
		Args:              exactly(configName),
		ValidArgsFunction: c.completeName(&where),
	}
	where.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
			s := session.New(client, session.WithPrefix(c.prefix))
			defer giveBack(s)
			v, err := c.follow(ctx, s, args[0], where.followed(cmd, s, args[0]))
			if err != nil {
				return err
			}
			defer func() { _ = v.Close() }() // there is no file that could be behind
			return c.watchConfig(ctx, cmd, v)
		})
	}
	return cmd
}

// followed are the options to follow NAME with: at its own key, which needs no right to read those beside it, and does not fetch them.
func (w *spot) followed(cmd *cobra.Command, s *session.Session, name string) []config.Option {
	opts := w.options(cmd)
	if key := w.store(cmd, s, name).Key(); key != "" && !cmd.Flags().Changed(atKeyFlag) {
		opts = append(opts, config.WithKey(key))
	}
	return opts
}

// follow reads the value as it is now, which is the first that is asked of etcd, and bounded.
func (c *configs) follow(ctx context.Context, s *session.Session, name string, opts []config.Option) (*config.Value[[]byte], error) {
	bounded, cancel := c.conn.request(ctx)
	defer cancel()
	v, err := config.Watch(bounded, s, name, []byte(nil), opts...)
	return v, because(bounded, err)
}

// freshness is how often to look whether the value is still certain: nothing tells when it stops being so.
const freshness = 200 * time.Millisecond

// watchConfig prints changes until ctx ends, which is how a watch is meant to end.
func (c *configs) watchConfig(ctx context.Context, cmd *cobra.Command, v *config.Value[[]byte]) error {
	walking, stop := context.WithCancel(ctx)
	type step struct {
		change *config.Change[[]byte]
		err    error
	}
	steps, done := make(chan step), make(chan struct{})
	go func() {
		defer close(done)
		for change, err := range v.Changes(walking) {
			select {
			case steps <- step{change, err}:
			case <-walking.Done():
			}
		}
	}()
	defer func() { stop(); <-done }()
	tick := time.NewTicker(freshness)
	defer tick.Stop()
	var since time.Time // when the value was last certain; zero if it is
	for {
		var err error
		select {
		case next := <-steps:
			if err = next.err; err == nil {
				err = c.printConfig(cmd, next.change)
			}
		case <-tick.C:
			since, err = c.tellStale(cmd, v.Stale(), since)
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// printConfig prints a change.
func (c *configs) printConfig(cmd *cobra.Command, change *config.Change[[]byte]) error {
	value, line := change.New, ""
	switch {
	case change.Deleted:
		value, line = nil, fmt.Sprintf("revision %d: deleted", change.Revision)
	case change.Revision == 0:
		value, line = nil, "there is no value"
	default:
		line = fmt.Sprintf("revision %d: %s", change.Revision, oneLine(value))
	}
	result := struct {
		Revision int64 `json:"revision"`
		Deleted  bool  `json:"deleted,omitempty"`
		jsonValue
	}{change.Revision, change.Deleted, describeJSON(value)}
	return c.print(cmd, result, func() error { return printLines(cmd.OutOrStdout(), escape(line)) })
}

// staleFrom is how long the value must have been in doubt to be worth a line: what is found out at once is none.
const staleFrom = time.Second

// tellStale prints when the value stops being certain, and when it is again. since is what it returned the last time.
func (c *configs) tellStale(cmd *cobra.Command, stale time.Duration, since time.Time) (time.Time, error) {
	line := "certain again"
	var now time.Time
	switch {
	case stale >= staleFrom && since.IsZero():
		now = time.Now().Add(-stale)
		line = "not certain since " + now.Local().Format(timeFormat)
	case stale == 0 && !since.IsZero():
	default:
		return since, nil
	}
	result := struct {
		Stale      bool   `json:"stale"`
		StaleSince string `json:"stale_since,omitempty"`
	}{Stale: !now.IsZero()}
	if !now.IsZero() {
		result.StaleSince = now.Format(timeFormat)
	}
	return now, c.print(cmd, result, func() error { return printLines(cmd.OutOrStdout(), line) })
}
