package main

import (
	"context"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

func newLockOwners(l *locks) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "owners NAME",
		Short: "Tell who holds a lock, and who waits for it",
		Long: `List who holds the lock NAME and who waits for it, in the order in which they will get it. Each line is a session: a
program counts once, however many of its parts wait. A key that stands in the line without a session of this kit, such
as that of "etcdctl lock", shows dashes. The list is empty when the lock is free.

SESSION SINCE is when a program opened its session, which may be long before it got the lock or came to wait.`,
		Example: `  etcdkit lock owners nightly-report
  etcdkit lock owners --exact-key /legacy/jobs`,
		Args:              exactly("the name of the lock"),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.look(cmd, func(ctx context.Context, s *session.Session) error {
			owners, err := lock.Owners(ctx, s, args[0], where.options(args[0])...)
			if err != nil {
				return err
			}
			return l.printOwners(cmd, owners)
		})
	}
	return cmd
}

func (l *locks) printOwners(cmd *cobra.Command, owners []lock.Owner) error {
	result := []owner{}
	rows := [][]string{append(append([]string{"STATE"}, ownerHead...), "KEY")}
	for _, o := range owners {
		state := "waits"
		if o.Holder {
			state = "holds"
		}
		result = append(result, describeOwner(o))
		rows = append(rows, append(append([]string{state}, ownerCells(o)...), o.Key))
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}
