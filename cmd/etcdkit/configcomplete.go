package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"etcdkit/config"
	"etcdkit/session"
)

// completeName completes NAME with the values that there are: those below the part that is typed, so that few have to be read.
func (c *configs) completeName(where *spot) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 || cmd.Flags().Changed(atKeyFlag) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
			below := begun[:max(strings.LastIndexByte(begun, '/'), 0)]
			list, err := config.List(ctx, s, below)
			if where.tree {
				return trees(list, below), err
			}
			var names []string
			for _, info := range list {
				names = append(names, info.Name)
			}
			return names, err
		})
	}
}

// trees returns the names below a name that have keys below them.
func trees(list []config.Info, below string) []string {
	var names []string
	seen := map[string]bool{}
	for _, info := range list {
		for at := len(info.Name); ; {
			at = strings.LastIndexByte(info.Name[:at], '/')
			if at <= len(below) {
				break
			}
			if name := info.Name[:at]; !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// completeVersions completes NAME, and then up to so many of its versions.
func (c *configs) completeVersions(where *spot, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return c.completeName(where)(cmd, args, begun)
		case len(args) > most:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
			versions, err := where.store(cmd, s, args[0]).History(ctx)
			var numbers []string
			for _, v := range versions {
				numbers = append(numbers, strconv.FormatInt(v.Number, 10))
			}
			return numbers, err
		})
	}
}
