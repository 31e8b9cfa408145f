package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

func newLockBreak(l *locks) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "break NAME",
		Short: "Take a lock away from who holds it",
		Long: `Delete the key of who holds the lock NAME, and tell whom that was: the next one in the line gets the lock. It does
not ask first, and takes the lock from nobody else, should it change hands at the same moment. Of several readers it
takes the first.

The holder learns of it some milliseconds later. A program that uses the kit then stops, and "etcdkit lock" ends its
command; until that has happened there are two of them, and only the fencing token keeps the first one's writes out. If
you can reach the holder, end it instead: its lock is then free at once, and in order.

If nobody holds the lock, the exit status is 3.`,
		Example: `  etcdkit lock owners nightly-report
  etcdkit lock break nightly-report`,
		Args:              exactly(lockName),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd, othersLock)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.look(cmd, func(ctx context.Context, s *session.Session) error {
			broken, err := lock.Break(ctx, s, args[0], where.options(args[0])...)
			if errors.Is(err, lock.ErrFree) {
				return &statusError{statusNobody, err}
			}
			if err != nil {
				return err
			}
			return l.print(cmd, describeOwner(broken), func() error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "taken from %s\n", escape(broken.String()))
				return err
			})
		})
	}
	return cmd
}
