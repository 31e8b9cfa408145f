package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process that runs for us.
type child struct {
	cmd *exec.Cmd
	// group is set if the process leads a group of its own, with all that it starts.
	group bool
	done  chan struct{}
	err   error // how it ended, once done is closed
}

// start starts a process in a group of its own, so that what it starts can be reached too, except in the foreground of a terminal:
// there it has to stay in the job that the shell knows, or it could neither read from the terminal nor be stopped and
// continued with it.
func start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, group: !inForeground(), done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: c.group}
	dieWithParent(cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		defer close(c.done)
		// The kernel ends the child when the thread that started it ends: this one waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	return c, <-started
}

// pass gives a signal to the child: one that asks to end to all that it started as well, any other to it alone.
func (c *child) pass(sig os.Signal) {
	s, _ := sig.(syscall.Signal)
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT:
		if !c.group && inForeground() {
			return // it was typed, and the terminal sends it to the whole job
		}
		c.send(s)
	case syscall.SIGTERM:
		c.send(s)
	default:
		_ = c.cmd.Process.Signal(s) // it may have ended
	}
}

// terminate asks the child to end, also if it is stopped.
func (c *child) terminate() {
	c.send(syscall.SIGTERM)
	c.send(syscall.SIGCONT)
}

func (c *child) kill() { c.send(syscall.SIGKILL) }

// send gives a signal to the child and to all that it started, as far as they are in its group.
func (c *child) send(sig syscall.Signal) {
	if c.group {
		_ = syscall.Kill(-c.cmd.Process.Pid, sig) // all of them may have ended
		return
	}
	_ = c.cmd.Process.Signal(sig)
}

// sweep waits for what is left of the group after the child has ended, until grace is over, and then kills it.
func (c *child) sweep(grace <-chan time.Time) {
	if !c.group {
		return
	}
	tick := time.NewTicker(20 * time.Millisecond) // no event tells that a group is empty
	defer tick.Stop()
	for syscall.Kill(-c.cmd.Process.Pid, 0) == nil {
		select {
		case <-tick.C:
		case <-grace:
			c.kill()
			return
		}
	}
}

// status is nil if the child ended with 0, else an error with its exit status and no text: it has said what it had to say.
func (c *child) status() error {
	var exit *exec.ExitError
	if !errors.As(c.err, &exit) {
		return c.err
	}
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return signalled(w.Signal())
	}
	return &statusError{status: exit.ExitCode()}
}
