package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

func newLockResize(l *locks) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "resize NAME SIZE",
		Short: "Set how many permits a semaphore has",
		Long: `Set how many permits the semaphore NAME has, for all who use it, until the next resize. From then on it counts instead
of what programs and --size say.

With more permits, those who wait are let in as far as there is room. With fewer, nobody loses what is held: there is
room again when enough has been given back. Who waits for more permits than there are then gets an error.

The number stands in a key that stays in etcd when nobody uses the semaphore. With -o json it is told which: without it,
what programs say counts again.`,
		Example: `  etcdkit lock resize downloads 8
  etcdkit lock owners --size 8 downloads`,
		Args:              cobra.MatchAll(exactly("the name of the semaphore", "the number of permits"), checkSize),
		ValidArgsFunction: cobra.NoFileCompletions, // nothing lists semaphores
	}
	where.addFlag(cmd, "what programs gave to lock.WithKey")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		size, _ := strconv.Atoi(args[1]) // was checked
		return l.look(cmd, func(ctx context.Context, s *session.Session) error {
			sem := lock.NewSemaphore(s, args[0], size, where.options(args[0])...)
			if err := sem.Resize(ctx, size); err != nil {
				return err
			}
			result := struct {
				Key  string `json:"key"`
				Size int    `json:"size"`
			}{sem.Key() + ".size", size}
			return l.print(cmd, result, func() error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), size, "permits")
				return err
			})
		})
	}
	return cmd
}

// checkSize refuses what is no number. Which numbers make a size, package lock knows.
func checkSize(_ *cobra.Command, args []string) error {
	if _, err := strconv.Atoi(args[1]); err != nil {
		return fmt.Errorf("%q: must be a number of permits", args[1])
	}
	return nil
}
