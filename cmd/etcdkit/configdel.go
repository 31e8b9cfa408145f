package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

// configDel is one deletion.
type configDel struct {
	*configs
	cmd    *cobra.Command
	where  spot
	remark remark
	rev    int64
}

func newConfigDel(c *configs) *cobra.Command {
	d := &configDel{configs: c}
	cmd := &cobra.Command{
		Use:   "del NAME",
		Short: "Delete a value",
		Long: `Delete the value NAME, or with --tree all keys below it, up to 120 of them, at once. It does not ask first, and can be undone:
the history keeps what was there, and "etcdkit config rollback" brings it back. Programs that follow the value keep the
last one unless they were made to go back to their defaults.

What stands there when the command reads it is deleted, or with --revision only what is still of that revision, as
"etcdkit config get -o json" tells it. If somebody else wrote in between, nothing changes, what stands there is shown on standard
error, and the status is 4.

If there is no value, one line on standard error says so, and the status is 0; with --revision it is 4.`,
		Example: `  etcdkit config del app/api --comment "retired"
  etcdkit config del app/api --revision 42
  etcdkit config del --tree app/api`,
		Args:              exactly(configName),
		ValidArgsFunction: c.completeName(&d.where),
	}
	d.where.addFlags(cmd)
	d.remark.addFlags(cmd)
	cmd.Flags().Int64Var(&d.rev, revisionFlag, 0, "delete only what is of this revision")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d.cmd = cmd
		return d.run(args[0])
	}
	return cmd
}

func (d *configDel) run(name string) error {
	given := d.cmd.Flags().Changed(revisionFlag)
	if given && d.rev < 1 {
		return &statusError{statusUsage, fmt.Errorf("--revision %d: must be a number from 1 on", d.rev)}
	}
	var old content
	rev := int64(0)
	err := d.look(d.cmd, func(ctx context.Context, s *session.Session) (err error) {
		st := d.where.store(d.cmd, s, name)
		if old, err = d.where.read(ctx, st); err != nil {
			return err
		}
		at := old.rev
		if given {
			at = d.rev
		}
		switch {
		case old.there():
			rev, err = st.Delete(ctx, at, d.remark.options(d.cmd)...)
		case given:
			err = &config.ConflictError{Name: name, Rev: at}
		}
		return d.where.became(ctx, st, "deleted", err)
	})
	if err != nil {
		return tellTheirs(d.cmd, err)
	}
	if !old.there() {
		notef(d.cmd, "config %q: there is no value", name)
	}
	return d.printDeleted(len(old.values), rev)
}

func (d *configDel) printDeleted(keys int, rev int64) error {
	result := struct {
		Revision int64 `json:"revision"`
		Deleted  int   `json:"deleted"`
	}{rev, keys}
	return d.print(d.cmd, result, func() error {
		did := "deleted"
		switch {
		case keys == 0:
			return nil
		case d.where.tree:
			did = fmt.Sprintf("%d deleted", keys)
		}
		_, err := fmt.Fprintf(d.cmd.OutOrStdout(), "%s, revision %d\n", did, rev)
		return err
	})
}
