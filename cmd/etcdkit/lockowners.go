package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

func newLockOwners(l *locks) *cobra.Command {
	var where place
	var size int
	cmd := &cobra.Command{
		Use:   "owners NAME",
		Short: "Tell who holds a lock, and who waits for it",
		Long: `List who holds the lock NAME and who waits for it, in the order in which they will get it. Each line is a session: a
program counts once, however many of its parts wait. A key that stands in the line without a session of this kit, such
as that of "etcdctl lock", shows dashes. The list is empty when the lock is free.

AS tells who is a writer, the only one while it holds, and who is a reader. With --size S, NAME is a semaphore, and AS is
how many permits each takes of how many there are, such as 2/8: all/8, where a key that is not of this kit does not say
it. What there are is S, or what "etcdkit lock resize" or a program has set.

SESSION SINCE is when a program opened its session, which may be long before it got the lock or came to wait.`,
		Example: `  etcdkit lock owners nightly-report
  etcdkit lock owners --exact-key /legacy/jobs
  etcdkit lock owners --size 4 downloads`,
		Args:              exactly(lockName),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd, othersLock)
	addSizeFlag(cmd.Flags(), &size)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.look(cmd, func(ctx context.Context, s *session.Session) error {
			opts := where.options(args[0])
			if !cmd.Flags().Changed(sizeFlag) {
				owners, err := lock.Owners(ctx, s, args[0], opts...)
				return l.printOwners(cmd, owners, 0, err)
			}
			sem := lock.NewSemaphore(s, args[0], size, opts...)
			agreed, err := sem.Size(ctx)
			if err != nil {
				return err
			}
			owners, err := sem.Owners(ctx)
			return l.printOwners(cmd, owners, agreed, err)
		})
	}
	return cmd
}

// printOwners prints them, unless they could not be read. size is that of a semaphore, 0 for a lock.
func (l *locks) printOwners(cmd *cobra.Command, owners []lock.Owner, size int, err error) error {
	if err != nil {
		return err
	}
	result := []owner{}
	rows := [][]string{slices.Concat([]string{"STATE", "AS"}, partyHead, []string{"KEY"})}
	for _, o := range owners {
		state := "waits"
		if o.Holder {
			state = "holds"
		}
		shown := describeOwner(o)
		shown.Size = size
		as := exclusion(o)
		if size > 0 {
			as = share(o, size)
		}
		result = append(result, shown)
		rows = append(rows, slices.Concat([]string{state, as}, shown.cells(), []string{o.Key}))
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}

// exclusion is what an owner of a lock is.
func exclusion(o lock.Owner) string {
	if o.Read {
		return "reader"
	}
	return "writer"
}

// share is what an owner of a semaphore takes of it.
func share(o lock.Owner, size int) string {
	if o.Permits == 0 {
		return fmt.Sprintf("all/%d", size)
	}
	return fmt.Sprintf("%d/%d", o.Permits, size)
}
