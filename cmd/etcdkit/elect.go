package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"etcdkit/election"
)

// elections is what the election commands share.
type elections struct {
	scope
}

func newElect(p *program) *cobra.Command {
	l := &elections{scope{program: p}}
	cmd := newElectRun(l)
	cmd.Use = "elect NAME -- COMMAND ARGS..."
	cmd.Short = "Run a command while we lead; show and move leaders"
	cmd.Long = `Run COMMAND whenever this process is the leader of the election NAME. This is "etcdkit elect run", for short: see
"etcdkit help elect run" for all of it. An election whose name is that of a subcommand needs the long form.`
	cmd.Example = `  etcdkit elect scheduler -- ./scheduler
  etcdkit elect ls
  etcdkit elect candidates scheduler
  etcdkit elect transfer scheduler web-2/4711`
	l.addFlags(cmd, "elections")
	cmd.SetFlagErrorFunc(hintDashes)
	cmd.AddCommand(newElectRun(l), newElectList(l), newElectCandidates(l), newElectWatch(l), newElectTransfer(l), newElectResign(l))
	return cmd
}

// electAt are the options with which NAME leads to the election that is meant.
func electAt(where place, name string) []election.Option {
	if where.exact {
		return []election.Option{election.WithKey(name)}
	}
	return nil
}

const electionName = "the name of the election"

// first reads who leads, or that nobody does. It is the first that is asked of etcd, and bounded: one that does not answer is an error.
func (l *elections) first(ctx context.Context, e *election.Election) (*election.Leader, error) {
	bounded, cancel := l.conn.request(ctx)
	defer cancel()
	leader, err := e.Leader(bounded)
	if errors.Is(err, election.ErrNoLeader) {
		return new(election.Leader), nil
	}
	return leader, because(bounded, err)
}

// stander is who leads or waits to, in JSON output.
type stander struct {
	Key string `json:"key"`
	ID  string `json:"id"`
	value
	party
}

// value is what a candidate says, as text or coded.
type value struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
}

func describeLeader(l *election.Leader) stander {
	return stander{l.Key, l.ID, describeValue(l.Value), describeParty(l.Token, l.Lease, l.Host, l.PID, l.Since, l.Labels)}
}

// candidate is a candidate in JSON output.
type candidate struct {
	stander
	Leader   bool `json:"leader"`
	Priority int  `json:"priority"`
}

func describeCandidate(c election.Candidate) candidate {
	who := stander{c.Key, c.ID, describeValue(c.Value), describeParty(c.Token, c.Lease, c.Host, c.PID, c.Since, c.Labels)}
	return candidate{who, c.Leader, c.Priority}
}

func describeValue(s string) (v value) {
	v.Value, v.ValueBase64 = text([]byte(s))
	return v
}

// nameOf is how a line of text names a leader.
func nameOf(l *election.Leader) string {
	return fmt.Sprintf("%s, token %d", cmp.Or(l.Value, l.ID), l.Token)
}
