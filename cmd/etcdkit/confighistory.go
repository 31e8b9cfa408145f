package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigHistory(c *configs) *cobra.Command {
	var where spot
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Tell who wrote a value, when, and why",
		Long: `List the versions of the value NAME that are kept, the newest first: its number, when, by whom and in which revision it was
written, whether that deleted the value, and the comment. Of a tree it tells how many keys were written and deleted.

The history does not depend on etcd's own, which compaction drops. It knows the writes of this command and of config.Store:
what somebody wrote with "etcdkit kv put" or etcdctl is no version of its own, but can be seen in the next one.`,
		Example: `  etcdkit config history app/api
  etcdkit config history app/api -o json | jq '.[0].comment'`,
		Args:              exactly(configName),
		ValidArgsFunction: c.completeName(&where),
	}
	where.addTree(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.look(cmd, func(ctx context.Context, s *session.Session) error {
			versions, err := where.store(cmd, s, args[0]).History(ctx)
			if err != nil {
				return err
			}
			return c.printHistory(cmd, where.tree, versions)
		})
	}
	return cmd
}

func (c *configs) printHistory(cmd *cobra.Command, tree bool, versions []config.Version) error {
	type version struct {
		Version  int64    `json:"version"`
		Time     string   `json:"time"`
		Author   string   `json:"author"`
		Comment  string   `json:"comment,omitempty"`
		Revision int64    `json:"revision"`
		Deleted  bool     `json:"deleted,omitempty"`
		Keys     []string `json:"keys,omitempty"`
		Gone     []string `json:"deleted_keys,omitempty"`
	}
	result := []version{}
	rows := [][]string{{"VERSION", "TIME", "AUTHOR", "REVISION", "CHANGE", "COMMENT"}}
	for _, v := range versions {
		shown := version{Version: v.Number, Time: v.Time.Format(time.RFC3339Nano), Author: v.Author, Comment: v.Comment, Revision: v.Revision}
		written, gone := touched(v)
		change := "written"
		switch {
		case tree:
			shown.Keys, shown.Gone = written, gone
			change = fmt.Sprintf("%d written, %d deleted", len(written), len(gone))
		case len(gone) > 0:
			shown.Deleted, change = true, "deleted"
		}
		result = append(result, shown)
		number, rev := strconv.FormatInt(v.Number, 10), strconv.FormatInt(v.Revision, 10)
		rows = append(rows, []string{number, v.Time.Local().Format(timeFormat), cmp.Or(v.Author, "-"), rev, change, cmp.Or(v.Comment, "-")})
	}
	return c.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}

// touched returns which paths a version wrote, and which it deleted.
func touched(v config.Version) (written, gone []string) {
	for _, e := range v.Edits {
		if e.After == nil {
			gone = append(gone, e.Path)
		} else {
			written = append(written, e.Path)
		}
	}
	return written, gone
}
