package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigRollback(c *configs) *cobra.Command {
	var where spot
	var why remark
	cmd := &cobra.Command{
		Use:   "rollback NAME VERSION",
		Short: "Write again what a version had",
		Long: `Write what VERSION of the value NAME had, as a new version: nothing is taken out of the history, and a rollback can be
undone like any write. If the value was deleted in that version, it is deleted again. It does not ask first:
"etcdkit config diff NAME VERSION" shows what it would undo.

In a tree it undoes what later versions did, key by key. If somebody else writes at the same moment, nothing changes, and the
status is 4. If VERSION is what stands there, nothing is written.`,
		Example: `  etcdkit config history app/api
  etcdkit config diff app/api 3
  etcdkit config rollback app/api 3`,
		Args:              exactly(configName, "the version"),
		ValidArgsFunction: c.completeVersions(&where, 1),
	}
	where.addFlags(cmd)
	why.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		version, err := parseVersion(args[1])
		if err != nil {
			return err
		}
		did := fmt.Sprintf("rolled back to version %d", version)
		var rev int64
		err = c.look(cmd, func(ctx context.Context, s *session.Session) (err error) {
			st := where.store(cmd, s, args[0])
			if rev, err = st.Rollback(ctx, version, why.options(cmd)...); errors.Is(err, config.ErrUnchanged) {
				did = "unchanged"
				var is content
				is, err = where.read(ctx, st)
				rev = is.rev
			}
			return where.became(ctx, st, "rolled back", err)
		})
		if err != nil {
			return tellTheirs(cmd, err)
		}
		return c.printWritten(cmd, did, rev)
	}
	return cmd
}
