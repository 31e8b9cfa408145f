package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/lock"
	"etcdkit/session"
)

// completionTime is how long a shell waits for names at most.
const completionTime = time.Second

// completeName completes NAME with the locks that are held. Whatever is in the way, there is then nothing to complete: the shell has no
// place for an error.
func (l *locks) completeName(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || cmd.Flags().Changed(exactKeyFlag) || l.begin(cmd, args) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	cmd.SetContext(ctx)
	var names []cobra.Completion
	_ = l.look(cmd, func(ctx context.Context, s *session.Session) error {
		list, err := lock.List(ctx, s)
		for _, info := range list {
			// The protocol between cobra and the shell has no way to say what is not printable.
			if strings.HasPrefix(info.Name, begun) && escape(info.Name) == info.Name {
				names = append(names, info.Name)
			}
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCommand completes NAME, and files for what follows.
func (l *locks) completeCommand(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return l.completeName(cmd, args, begun)
	}
	return nil, cobra.ShellCompDirectiveDefault
}
