package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"etcdkit/election"
	"etcdkit/session"
)

func newElectList(l *elections) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the elections in which somebody leads",
		Long: `List the elections under the prefix in which somebody leads, with the leader's value, its fencing token, and how many
others wait. SESSION SINCE is when the leader's program opened its session, which may be long before it came to lead.

Elections at an exact key are not among them: nothing tells those from other keys.`,
		Example: `  etcdkit elect ls
  etcdkit elect ls --prefix prod -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.look(cmd, func(ctx context.Context, s *session.Session) error {
				list, err := election.List(ctx, s)
				if err != nil {
					return err
				}
				return l.printList(cmd, list)
			})
		},
	}
}

func (l *elections) printList(cmd *cobra.Command, list []election.Info) error {
	type info struct {
		Name    string  `json:"name"`
		Leader  stander `json:"leader"`
		Waiters int     `json:"waiters"`
	}
	result := []info{}
	rows := [][]string{append([]string{"NAME", "WAITERS", "LEADER"}, partyHead...)}
	for _, i := range list {
		leader := describeLeader(&i.Leader)
		result = append(result, info{i.Name, leader, i.Waiters})
		rows = append(rows, append([]string{i.Name, strconv.Itoa(i.Waiters), cmp.Or(i.Leader.Value, i.Leader.ID)}, leader.cells()...))
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}

func newElectCandidates(l *elections) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "candidates NAME",
		Short: "Tell who leads, and who waits",
		Long: `List who leads in the election NAME and who waits, in the order in which they will lead unless priorities or a transfer
say otherwise. ID and VALUE are what "etcdkit elect transfer" takes. A candidate that does not use this kit, such as
"etcdctl elect", shows dashes. The list is empty when nobody stands.

SESSION SINCE is when a program opened its session, which may be long before it came to stand.`,
		Example: `  etcdkit elect candidates scheduler
  etcdkit elect candidates --exact-key /legacy/leader`,
		Args:              exactly(electionName),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd, othersElect)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.look(cmd, func(ctx context.Context, s *session.Session) error {
			list, err := election.New(s, args[0], electAt(where, args[0])...).Candidates(ctx)
			if err != nil {
				return err
			}
			return l.printCandidates(cmd, list)
		})
	}
	return cmd
}

func (l *elections) printCandidates(cmd *cobra.Command, list []election.Candidate) error {
	result := []candidate{}
	rows := [][]string{slices.Concat([]string{"STATE", "ID", "VALUE", "PRIORITY"}, partyHead)}
	for _, c := range list {
		state := "waits"
		if c.Leader {
			state = "leads"
		}
		shown := describeCandidate(c)
		result = append(result, shown)
		rows = append(rows, slices.Concat([]string{state, c.ID, c.Value, strconv.Itoa(c.Priority)}, shown.cells()))
	}
	return l.print(cmd, result, func() error { return table(cmd.OutOrStdout(), rows) })
}
