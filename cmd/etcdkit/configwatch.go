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

// change is a step of what a watch prints.
type change = config.Change[[]byte]

// watchConfig prints changes until ctx ends, which is how a watch is meant to end.
func (c *configs) watchConfig(ctx context.Context, cmd *cobra.Command, v *config.Value[[]byte]) error {
	walking, stop := context.WithCancel(ctx)
	type step struct {
		change *change
		err    error
	}
	steps, done := make(chan step), make(chan struct{})
	go func() {
		defer close(done)
		for ch, err := range v.Changes(walking) {
			select {
			case steps <- step{ch, err}:
			case <-walking.Done():
			}
		}
	}()
	defer func() { stop(); <-done }()
	w := configWatch{configs: c, cmd: cmd, doubt: time.NewTimer(0)}
	w.doubt.Stop()
	defer w.doubt.Stop()
	for {
		var err error
		select {
		case next := <-steps:
			if err = next.err; err == nil {
				err = w.take(next.change)
			}
		case <-w.doubt.C:
			err = w.tellStale(w.last.StaleSince)
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

// staleFrom is how long the value must have been in doubt to be worth a line: what is found out at once is none.
const staleFrom = time.Second

// configWatch is what a watch has printed so far.
type configWatch struct {
	*configs
	cmd   *cobra.Command
	last  *change     // nil before the first
	doubt *time.Timer // runs while the value is in doubt, and that is not told yet
	told  bool
}

// take prints a change, unless there is nothing new in it but whether the value is certain.
func (w *configWatch) take(ch *change) error {
	last := w.last
	w.last = ch
	if last == nil || last.Revision != ch.Revision || last.Deleted != ch.Deleted || len(ch.Fields) > 0 {
		if err := w.printConfig(w.cmd, ch); err != nil {
			return err
		}
	}
	switch {
	case ch.StaleSince.IsZero():
		w.doubt.Stop()
		if w.told {
			return w.tellStale(time.Time{})
		}
	case last == nil || last.StaleSince.IsZero():
		w.doubt.Reset(max(staleFrom-time.Since(ch.StaleSince), 0))
	}
	return nil
}

// printConfig prints a change.
func (c *configs) printConfig(cmd *cobra.Command, ch *change) error {
	value, line := ch.New, ""
	switch {
	case ch.Deleted:
		value, line = nil, fmt.Sprintf("revision %d: deleted", ch.Revision)
	case ch.Revision == 0:
		value, line = nil, "there is no value"
	default:
		line = fmt.Sprintf("revision %d: %s", ch.Revision, oneLine(value))
	}
	result := struct {
		Revision int64 `json:"revision"`
		Deleted  bool  `json:"deleted,omitempty"`
		jsonValue
	}{ch.Revision, ch.Deleted, describeJSON(value)}
	return c.print(cmd, result, func() error { return printLines(cmd.OutOrStdout(), escape(line)) })
}

// tellStale prints since when the value is not certain any more, or that it is again.
func (w *configWatch) tellStale(since time.Time) error {
	w.told = !since.IsZero()
	line := "certain again"
	result := struct {
		Stale      bool   `json:"stale"`
		StaleSince string `json:"stale_since,omitempty"`
	}{Stale: w.told}
	if w.told {
		line = "not certain since " + since.Local().Format(timeFormat)
		result.StaleSince = since.Format(timeFormat)
	}
	return w.print(w.cmd, result, func() error { return printLines(w.cmd.OutOrStdout(), line) })
}
