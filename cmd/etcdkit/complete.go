package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"etcdkit/election"
	"etcdkit/lock"
	"etcdkit/session"
)

// completionTime is how long a shell waits for names at most.
const completionTime = time.Second

// lister lists what a word can be.
type lister func(ctx context.Context, s *session.Session) ([]string, error)

// complete completes a word that has begun. Whatever is in the way, there is then nothing to complete: the shell has no place for an error.
func (c *scope) complete(cmd *cobra.Command, args []string, begun string, list lister) ([]cobra.Completion, cobra.ShellCompDirective) {
	if c.begin(cmd, args) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	cmd.SetContext(ctx)
	var found []cobra.Completion
	_ = c.look(cmd, func(ctx context.Context, s *session.Session) error {
		words, err := list(ctx, s)
		for _, word := range words {
			// The protocol between cobra and the shell has no way to say what is not printable.
			if strings.HasPrefix(word, begun) && escape(word) == word {
				found = append(found, word)
			}
		}
		return err
	})
	return found, cobra.ShellCompDirectiveNoFileComp
}

// hasNoList tells whether NAME is of a kind that nothing lists.
func hasNoList(cmd *cobra.Command) bool {
	return cmd.Flags().Changed(exactKeyFlag) || cmd.Flags().Changed(sizeFlag)
}

// completeName completes NAME with the locks that are held.
func (l *locks) completeName(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || hasNoList(cmd) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return l.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
		list, err := lock.List(ctx, s)
		var names []string
		for _, info := range list {
			names = append(names, info.Name)
		}
		return names, err
	})
}

// completeName completes NAME with the elections that have candidates.
func (l *elections) completeName(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || hasNoList(cmd) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return l.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
		list, err := election.List(ctx, s)
		var names []string
		for _, info := range list {
			names = append(names, info.Name)
		}
		return names, err
	})
}

// completeCandidate completes NAME, and then CANDIDATE with those who wait.
func (l *elections) completeCandidate(where *place) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return l.completeName(cmd, args, begun)
		case 1:
			return l.complete(cmd, args, begun, func(ctx context.Context, s *session.Session) ([]string, error) {
				list, err := election.New(s, args[0], electAt(*where, args[0])...).Candidates(ctx)
				return namesOf(list), err
			})
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf is how to name those who wait: by their value, where only one has it, or by their ID.
func namesOf(list []election.Candidate) []string {
	count := map[string]int{}
	for _, c := range list {
		if !c.Leader {
			count[c.Value]++
		}
	}
	var names []string
	for _, c := range list {
		switch {
		case c.Leader:
		case c.Value != "" && count[c.Value] == 1:
			names = append(names, c.Value)
		default:
			names = append(names, c.ID)
		}
	}
	return names
}

// thenFiles completes NAME, and files for the command that follows.
func thenFiles(completeName cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return completeName(cmd, args, begun)
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}
