package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/election"
	"etcdkit/session"
)

func newElectWatch(l *elections) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "watch NAME",
		Short: "Print who leads, as it changes",
		Long: `Print who leads in the election NAME, beginning with now, and then each leader that comes, each value that a leader
proclaims, and each time that nobody leads: a line each, until Ctrl-C. With -o json each is one line too, in which
"leader" is null when nobody leads.

The watch survives lost connections and goes on where it was. While etcd cannot be reached, which takes a while to notice,
a line tells since when the last one is not certain any more, and one more when it is again.`,
		Example: `  etcdkit elect watch scheduler
  etcdkit elect watch scheduler -o json | jq -r --unbuffered .leader.value`,
		Args:              exactly(electionName),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd, othersElect)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.with(cmd, func(ctx context.Context, client *clientv3.Client) error {
			s := session.New(client, session.WithPrefix(l.prefix))
			defer giveBack(s)
			e := election.New(s, args[0], electAt(where, args[0])...)
			if _, err := l.first(ctx, e); err != nil {
				return err
			}
			for leader, err := range e.Leaders(ctx) {
				switch {
				case ctx.Err() != nil:
					return nil // which is how it is meant to end
				case err != nil:
					return err
				}
				if err := l.printLeader(cmd, leader); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}

func (l *elections) printLeader(cmd *cobra.Command, leader *election.Leader) error {
	result := struct {
		Leader     *stander `json:"leader"`
		StaleSince string   `json:"stale_since,omitempty"`
		Skipped    int      `json:"skipped,omitempty"`
	}{Skipped: leader.Skipped}
	if !leader.Vacant() {
		who := describeLeader(leader)
		result.Leader = &who
	}
	if !leader.StaleSince.IsZero() {
		result.StaleSince = leader.StaleSince.Format(timeFormat)
	}
	return l.print(cmd, result, func() error { return writeLeader(cmd.OutOrStdout(), leader) })
}

func writeLeader(w io.Writer, leader *election.Leader) error {
	line := "nobody leads"
	if !leader.Vacant() {
		line = "led by " + nameOf(leader)
	}
	if leader.Skipped > 0 {
		line += fmt.Sprintf("; %d changes were skipped", leader.Skipped)
	}
	if !leader.StaleSince.IsZero() {
		line += "; not certain since " + leader.StaleSince.Local().Format(timeFormat)
	}
	_, err := fmt.Fprintln(w, escape(line))
	return err
}
