package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

func newLockList(l *locks) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the locks that are held",
		Long: `List the locks under the prefix that somebody holds, with their holder, its fencing token, and how many others wait.
SESSION SINCE is when the holder's program opened its session, which may be long before it got the lock.

Locks at an exact key are not among them: nothing tells those from other keys. Semaphores are not either: ask for one by
its name, with "etcdkit lock owners --size".`,
		Example: `  etcdkit lock ls
  etcdkit lock ls --prefix prod -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.look(cmd, func(ctx context.Context, s *session.Session) error {
				list, err := lock.List(ctx, s)
				if err != nil {
					return err
				}
				return l.printList(cmd, list)
			})
		},
	}
}

func (l *locks) printList(cmd *cobra.Command, list []lock.Info) error {
	type info struct {
		Name    string `json:"name"`
		Holder  owner  `json:"holder"`
		Waiters int    `json:"waiters"`
	}
	result := []info{}
	rows := [][]string{append([]string{"NAME", "WAITERS"}, partyHead...)}
	for _, i := range list {
		holder := describeOwner(i.Holder)
		result = append(result, info{i.Name, holder, i.Waiters})
		rows = append(rows, append([]string{i.Name, strconv.Itoa(i.Waiters)}, holder.cells()...))
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}
