package main

import (
	"context"
	"errors"
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
is one line too. Of a tree it is one object, with the segments of the keys as its levels: what programs are given. Where no
object can tell what stands there, such as text that is not UTF-8, the line says "refused" and why, and what the last good value
is: programs go on with it. They may refuse more: "etcdkit config status" tells.

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
			w := &configWatch{configs: c, cmd: cmd}
			return follow(ctx, c.program, cmd, v, func(ch *change) time.Time { return ch.StaleSince }, w.show)
		})
	}
	return cmd
}

// followed are the options to follow NAME with: at its own key, which needs no right to read those beside it, and does not fetch them. Those
// below a tree are spelled otherwise there than below a key that somebody gave.
func (w *spot) followed(cmd *cobra.Command, s *session.Session, name string) []config.Option {
	opts := w.options(cmd)
	if key := w.store(cmd, s, name).Key(); key != "" && !w.tree && !cmd.Flags().Changed(atKeyFlag) {
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

// configWatch is what a watch has printed so far.
type configWatch struct {
	*configs
	cmd  *cobra.Command
	last *change // nil before the first
}

// show prints a change, unless there is nothing new in it but whether the value is certain.
func (w *configWatch) show(ch *change) error {
	last := w.last
	w.last = ch
	if last != nil && last.Revision == ch.Revision && last.Deleted == ch.Deleted && (last.Refused == nil) == (ch.Refused == nil) && len(ch.Fields) == 0 {
		return nil
	}
	return w.printConfig(w.cmd, ch)
}

// printConfig prints a change.
func (c *configs) printConfig(cmd *cobra.Command, ch *change) error {
	value, line, refused := ch.New, "", whyRefused(ch.Refused)
	switch {
	case ch.Refused != nil:
		still := "nothing"
		if value != nil {
			still = oneLine(value)
		}
		line = fmt.Sprintf("revision %d: refused: %s, still %s", ch.Revision, refused, still)
	case ch.Deleted:
		value, line = nil, fmt.Sprintf("revision %d: deleted", ch.Revision)
	case ch.Revision == 0:
		value, line = nil, "there is no value"
	default:
		line = fmt.Sprintf("revision %d: %s", ch.Revision, oneLine(value))
	}
	result := struct {
		Revision int64  `json:"revision"`
		Deleted  bool   `json:"deleted,omitempty"`
		Refused  string `json:"refused,omitempty"`
		jsonValue
	}{ch.Revision, ch.Deleted, refused, describeJSON(value)}
	return c.print(cmd, result, func() error { return printLines(cmd.OutOrStdout(), escape(line)) })
}

// whyRefused tells what is wrong with an update that was refused. Its revision is told beside it.
func whyRefused(refused error) string {
	var r *config.RefusedError
	switch {
	case errors.As(refused, &r):
		return r.Err.Error()
	case refused != nil:
		return refused.Error()
	}
	return ""
}
