package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// task is a command to run as long as something is held.
type task struct {
	*program
	cmd   *cobra.Command // ours, whose input and output it gets
	path  string
	argv  []string
	grace time.Duration // what it has after a loss
}

// newTask finds the command, before anything is done for it.
func newTask(p *program, cmd *cobra.Command, argv []string, grace time.Duration) (*task, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, notRun(argv[0], err)
	}
	return &task{program: p, cmd: cmd, path: path, argv: argv, grace: grace}, nil
}

// holding is what it runs under: a lock or a term.
type holding interface {
	Context() context.Context
	Err() error
}

// ending is how a command ended.
type ending struct {
	err   error     // nil, or its status; or why it could not be started
	ran   bool      // it could be started
	lost  bool      // what was held was lost while it ran, and that has been told
	asked os.Signal // the last signal that asked it to end, or nil
}

// begin starts the command, with these variables in its environment.
func (k *task) begin(variables []string) (*child, error) {
	cmd := exec.Command(k.path, k.argv[1:]...)
	cmd.Args[0] = k.argv[0]
	cmd.Env = append(os.Environ(), variables...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = k.cmd.InOrStdin(), k.cmd.OutOrStdout(), k.cmd.ErrOrStderr()
	c, err := start(cmd)
	if err != nil {
		return nil, notRun(k.argv[0], err)
	}
	return c, nil
}

// supervise runs the command while it is held. It passes the signals on, and ends the command on a loss.
func (k *task) supervise(h holding, variables []string, signals <-chan os.Signal) (end ending) {
	c, err := k.begin(variables)
	if err != nil {
		return ending{err: err}
	}
	end.ran = true
	lost := h.Context().Done()
	var grace <-chan time.Time
	for {
		select {
		case sig := <-signals:
			c.pass(sig)
			if asksToEnd(sig) {
				end.asked = sig
			}
		case <-lost:
			lost, end.lost = nil, true
			notef(k.cmd, "%s; ending %s", k.errorLine(h.Err()), k.argv[0])
			c.terminate()
			grace = time.After(k.grace)
		case <-grace:
			notef(k.cmd, "killing %s, which did not end within %v", k.argv[0], k.grace)
			c.kill()
		case <-c.done:
			if end.lost {
				c.sweep(grace) // what the command has left behind ends too
			}
			end.err = c.status()
			return end
		}
	}
}

// asksToEnd tells the signals with which a user ends a program. A hangup can also mean that it shall read its configuration again.
func asksToEnd(sig os.Signal) bool {
	return sig == syscall.SIGINT || sig == syscall.SIGTERM || sig == syscall.SIGQUIT
}

// notRun tells why a command could not be run, with the status that shells give it.
func notRun(command string, err error) error {
	var failed *exec.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	err = &exec.Error{Name: command, Err: err}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &statusError{statusNotFound, err}
	}
	return &statusError{statusCannot, err}
}
