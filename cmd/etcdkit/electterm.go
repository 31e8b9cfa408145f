package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"etcdkit/election"
	"etcdkit/session"
)

// terms runs the command in each term.
type terms struct {
	*electRun
	name string
	task *task
	post *post

	over   bool  // the command has ended by itself, and is not to be started again
	result error // then: how it ended
}

func (t *terms) options() []election.Option {
	opts := append(electAt(t.where, t.name), election.WithValue(t.value), election.WithRestart(func(error) bool { return !t.over }))
	if t.cmd.Flags().Changed(priorityFlag) {
		opts = append(opts, election.WithPriority(t.priority))
	}
	if t.preempt {
		opts = append(opts, election.WithPreempt())
	}
	return opts
}

// serve stands for the election until the command has ended, or we are asked to end.
func (t *terms) serve(e *election.Election) error {
	err := e.Run(t.post.ctx, t.term)
	switch {
	case !t.over && t.post.ctx.Err() != nil:
		return context.Cause(t.post.ctx)
	case !t.over:
		return err
	case errors.Is(err, session.ErrLost):
		return &statusError{statusLost, err}
	case err != nil:
		notef(t.cmd, "%s; another one leads when the TTL has run out", t.errorLine(err))
	}
	return t.result
}

// term runs the command for one term. What it returns is nothing to Run, which would put it together with the error of the resignation.
func (t *terms) term(ctx context.Context, term *election.Term) error {
	t.post.toCommand()
	defer t.post.toUs()
	if ctx.Err() != nil {
		return nil
	}
	notef(t.cmd, "leading: election %q, token %d", t.name, term.Token())
	end := t.task.supervise(term, []string{"ETCDKIT_ELECTION=" + t.name, fmt.Sprint("ETCDKIT_TOKEN=", term.Token())}, t.post.signals)
	if died := statusOfCommand(end.err); end.asked == nil && died == statusSignal+int(syscall.SIGHUP) {
		end.asked = syscall.SIGHUP // it was meant so
	}
	if end.asked != nil {
		t.post.end(signalled(end.asked))
	}
	switch err := term.Err(); {
	case end.lost: // told
	case err != nil:
		notef(t.cmd, "%s", t.errorLine(err))
	default:
		t.over, t.result = !t.restart || end.asked != nil || !end.ran, end.err
		if !t.over {
			notef(t.cmd, "%s ended with status %d; resigning, to start it again", t.task.argv[0], statusOfCommand(end.err))
			break
		}
		t.post.end(context.Canceled) // there is no next term, also if somebody takes this one away right now
	}
	return nil
}

// statusOfCommand is the exit status in the error of a command that has ended.
func statusOfCommand(err error) int {
	var own *statusError
	if errors.As(err, &own) {
		return own.status
	}
	return statusOK
}
