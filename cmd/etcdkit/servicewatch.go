package main

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/discovery"
	"etcdkit/session"
)

func newServiceWatch(l *services) *cobra.Command {
	return &cobra.Command{
		Use:   "watch NAME",
		Short: "Print the instances of a service, and who comes and goes",
		Long: `Print the instances of the service NAME with their states, and then each change: a line each, until Ctrl-C. An instance has
"joined" when it is new (its state comes last), is "draining", "unhealthy" or "serving" when its state has changed, "updated" when something else
has, and has "left" when it is gone. With -o json each line has the whole instance.

Where most instances vanish at once without having said that they leave, they are kept for a while on "probation": that is
what a gateway does, too.

The watch survives lost connections and goes on where it was. While etcd cannot be reached nobody leaves; a line tells since
when the list is not certain any more, which takes a while to notice, and one more when it is again.`,
		Example: `  etcdkit services watch api
  etcdkit services watch api -o json | jq -r --unbuffered '"\(.event) \(.instance.addr)"'`,
		Args:              exactly(serviceName),
		ValidArgsFunction: l.completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
				s := session.New(client, session.WithPrefix(l.prefix))
				defer giveBack(s)
				v, err := l.view(ctx, s, args[0])
				if err != nil {
					return err
				}
				defer func() { _ = v.Close() }() // there is no file that could be behind
				w := &serviceWatch{services: l, cmd: cmd}
				return follow(ctx, l.program, cmd, v, func(ch *discovery.Change) time.Time { return ch.Snapshot.StaleSince }, w.show)
			})
		},
	}
}

// view reads the list, which is the first that is asked of etcd, and bounded.
func (l *services) view(ctx context.Context, s *session.Session, name string) (*discovery.View, error) {
	bounded, cancel := l.conn.request(ctx)
	defer cancel()
	v, err := discovery.Watch(bounded, s, name)
	return v, because(bounded, err)
}

// serviceWatch prints the steps from one list to the next.
type serviceWatch struct {
	*services
	cmd   *cobra.Command
	known map[string]instance // nil before the first
}

func (w *serviceWatch) show(change *discovery.Change) error {
	now := map[string]instance{}
	for _, i := range instancesOf(change.Snapshot) {
		now[i.ID] = i
	}
	if w.known == nil && len(now) == 0 {
		notef(w.cmd, "service %q: nobody is registered; Ctrl-C ends the watch", w.cmd.Flags().Arg(0))
	}
	ids := maps.Clone(now)
	maps.Copy(ids, w.known)
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if err := w.tell(id, now, change.Snapshot.Revision); err != nil {
			return err
		}
	}
	w.known = now
	return nil
}

// tell prints what has become of one instance.
func (w *serviceWatch) tell(id string, all map[string]instance, revision int64) error {
	before, was := w.known[id]
	now, is := all[id]
	event := "updated"
	switch {
	case !is:
		event, now = "left", before
	case w.known == nil:
		event = now.State
	case !was:
		event = "joined"
	case before.State != now.State:
		event = now.State
	case reflect.DeepEqual(before, now):
		return nil
	}
	result := struct {
		Event    string   `json:"event"`
		Revision int64    `json:"revision"`
		Instance instance `json:"instance"`
	}{event, revision, now}
	return w.print(w.cmd, result, func() error {
		line := fmt.Sprintf("%-9s  %s at %s", event, now.ID, now.Addr)
		if event == "joined" {
			line += ", " + now.State
		}
		return printLines(w.cmd.OutOrStdout(), escape(line))
	})
}
