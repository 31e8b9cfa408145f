package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigStatus(c *configs) *cobra.Command {
	var where spot
	cmd := &cobra.Command{
		Use:   "status NAME",
		Short: "Tell who runs which revision, and who refused what",
		Long: `List the processes that follow the value NAME and report it (config.WithReport): which revision each runs, and

  current   it runs what stands in etcd now
  behind    it does not yet; reports are up to a second behind themselves
  refused   it refused the newest update, and WHY: it goes on with the last good value, that of REVISION
  deleted   it saw that the value is gone
  stopped   it does not follow the value any more, and WHY

REVISION 0 is the default that the program has where etcd has no value. A process that has ended, or lost touch with etcd for
longer than its TTL, is not in the list.`,
		Example: `  etcdkit config status app/api
  etcdkit config status app/api -o json | jq '.[] | select(.state == "refused")'`,
		Args:              exactly(configName),
		ValidArgsFunction: c.completeName(&where),
	}
	where.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.look(cmd, func(ctx context.Context, s *session.Session) error {
			list, err := where.store(cmd, s, args[0]).Status(ctx)
			if err != nil {
				return err
			}
			return c.printStatus(cmd, list)
		})
	}
	return cmd
}

func (c *configs) printStatus(cmd *cobra.Command, list []config.Instance) error {
	type instance struct {
		Revision        int64  `json:"revision"`
		State           string `json:"state"`
		Why             string `json:"why,omitempty"`
		RefusedRevision int64  `json:"refused_revision,omitempty"`
		party
	}
	result := []instance{}
	rows := [][]string{{"HOST", "PID", "SESSION SINCE", "LABELS", "REVISION", "STATE", "WHY"}}
	for _, i := range list {
		state, why := stateOf(i)
		who := describeParty(0, i.Lease, i.Host, i.PID, i.Since, i.Labels)
		result = append(result, instance{i.Revision, state, why, i.RefusedRevision, who})
		if state == stateRefused {
			why = fmt.Sprintf("revision %d: %s", i.RefusedRevision, why)
		}
		cells := who.cells()
		rows = append(rows, []string{cells[0], cells[1], cells[2], cells[4], strconv.FormatInt(i.Revision, 10), state, cmp.Or(why, "-")})
	}
	return c.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}

const stateRefused = "refused"

// stateOf tells how it stands with an instance, and why. What is worst comes first.
func stateOf(i config.Instance) (state, why string) {
	switch {
	case i.Stopped != "":
		return "stopped", i.Stopped
	case i.Refused != "":
		return stateRefused, i.Refused
	case i.Deleted:
		return "deleted", ""
	case i.Current:
		return "current", ""
	}
	return "behind", ""
}
