package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/election"
	"etcdkit/session"
)

func newElectTransfer(l *elections) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "transfer NAME CANDIDATE",
		Short: "Ask the leader to hand over to a candidate",
		Long: `Ask the leader of the election NAME to hand over to CANDIDATE, one of those who wait: its ID, or its value if no other
has that. Those who wait before it stay in line, behind those who came before they do now.

The leader ends its work first, and an "etcdkit elect" its COMMAND, for which it takes up to its --grace: give
--command-timeout more than that. When the time is over the request is taken back, but a leader that has begun goes on.

If nobody leads, the exit status is 3. It is an error if nobody of that name waits, if somebody waits before CANDIDATE
who does not use this kit, and would not queue again, or if the leader is such a one itself.`,
		Example: `  etcdkit elect candidates scheduler
  etcdkit elect transfer scheduler web-2/4711`,
		Args:              exactly(electionName, "the candidate"),
		ValidArgsFunction: l.completeCandidate(&where),
	}
	where.addFlag(cmd, othersElect)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[1] == "" {
			return &statusError{statusUsage, errors.New("the candidate must not be empty")}
		}
		return l.ask(cmd, "transferred to "+args[1], func(ctx context.Context, s *session.Session) error {
			return election.RequestTransfer(ctx, s, args[0], args[1], electAt(where, args[0])...)
		})
	}
	return cmd
}

func newElectResign(l *elections) *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "resign NAME",
		Short: "Ask the leader to resign",
		Long: `Ask the leader of the election NAME to resign, so that the next one leads. It may stand again, behind those who wait:
"etcdkit elect" does.

The leader ends its work first, and an "etcdkit elect" its COMMAND, for which it takes up to its --grace: give
--command-timeout more than that. When the time is over the request is taken back, but a leader that has begun goes on.

If nobody leads, the exit status is 3. It is an error if the leader does not use this kit.`,
		Example: `  etcdkit elect resign scheduler
  etcdkit --command-timeout 1m elect resign scheduler`,
		Args:              exactly(electionName),
		ValidArgsFunction: l.completeName,
	}
	where.addFlag(cmd, othersElect)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return l.ask(cmd, "resigned", func(ctx context.Context, s *session.Session) error {
			return election.RequestResign(ctx, s, args[0], electAt(where, args[0])...)
		})
	}
	return cmd
}

// ask asks the leader for something, and prints what was done if it was.
func (l *elections) ask(cmd *cobra.Command, done string, request func(context.Context, *session.Session) error) error {
	var late error // the leader was asked, and etcd is not to blame
	err := l.look(cmd, func(ctx context.Context, s *session.Session) error {
		err := request(ctx, s)
		switch {
		case errors.Is(err, election.ErrNoLeader):
			return &statusError{statusNobody, err}
		case errors.Is(err, session.ErrUncertain) && errors.Is(ctx.Err(), context.DeadlineExceeded):
			late = fmt.Errorf("election %q: the leader has not done it within --command-timeout %v, and may still", cmd.Flags().Arg(0), l.conn.commandTimeout)
			return nil
		}
		return err
	})
	if err := cmp.Or(err, late); err != nil {
		return err
	}
	result := struct {
		Done string `json:"done"`
	}{done}
	return l.print(cmd, result, func() error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), escape(done))
		return err
	})
}
