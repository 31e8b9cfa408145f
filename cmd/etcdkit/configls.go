package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

func newConfigList(c *configs) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List the values that there are",
		Long: `List the values under --prefix, or those whose names begin with PREFIX and a slash, with the revision in which each was
written. The keys of a tree are values of their own here.

Values at a key of their own (--at-key) are not among them: nothing tells those from other keys.`,
		Example: `  etcdkit config ls
  etcdkit config ls app
  etcdkit config ls app -o json`,
		Args:              atLeast(0, "the prefix"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			below := ""
			if len(args) > 0 {
				below = strings.TrimSuffix(args[0], "/")
			}
			return c.look(cmd, func(ctx context.Context, s *session.Session) error {
				list, err := config.List(ctx, s, below)
				if err != nil {
					return err
				}
				return c.printList(cmd, list)
			})
		},
	}
}

func (c *configs) printList(cmd *cobra.Command, list []config.Info) error {
	type info struct {
		Name     string `json:"name"`
		Revision int64  `json:"revision"`
	}
	result := []info{}
	rows := [][]string{{"NAME", "REVISION"}}
	for _, i := range list {
		result = append(result, info(i))
		rows = append(rows, []string{i.Name, strconv.FormatInt(i.Revision, 10)})
	}
	return c.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}
