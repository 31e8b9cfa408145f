package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"time"

	"etcdkit/lock"
)

// supervise runs the command under the lock. It passes signals on, ends the command when the lock is lost, and returns how it ended.
// stop ends what listened to signals so far: no signal falls between the two.
func (r *lockRun) supervise(name string, hold *lock.Hold, path string, argv []string, stop func()) error {
	signals := listen(slices.Concat(enders, messages)...)
	defer signal.Stop(signals)
	stop()

	cmd := exec.Command(path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Env = environment(name, hold)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.cmd.InOrStdin(), r.cmd.OutOrStdout(), r.cmd.ErrOrStderr()
	c, err := start(cmd)
	if err != nil {
		return notRun(argv[0], err)
	}
	lost := hold.Context().Done()
	var grace <-chan time.Time
	for {
		select {
		case sig := <-signals:
			c.pass(sig)
		case <-lost:
			lost = nil
			notef(r.cmd, "%s; ending %s", r.errorLine(hold.Err()), argv[0])
			c.terminate()
			grace = time.After(r.grace)
		case <-grace:
			notef(r.cmd, "killing %s, which did not end within %v", argv[0], r.grace)
			c.kill()
		case <-c.done:
			return r.outcome(hold, c, grace)
		}
	}
}

// outcome tells how the command ended. grace runs if the lock was lost before: then what the command has left behind ends too.
func (r *lockRun) outcome(hold *lock.Hold, c *child, grace <-chan time.Time) error {
	if grace != nil {
		c.sweep(grace)
		return &statusError{status: statusLost} // told when it happened
	}
	if err := hold.Err(); err != nil {
		return &statusError{statusLost, err}
	}
	return c.status()
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

// keyOf is the hold's key: the guard compares it.
func keyOf(hold *lock.Hold) string {
	guard := hold.Guard()
	return string(guard.KeyBytes())
}

// environment tells the command what it holds, in our words and in etcdctl's.
func environment(name string, hold *lock.Hold) []string {
	token := fmt.Sprint(hold.Token())
	return append(os.Environ(), "ETCDKIT_LOCK="+name, "ETCDKIT_TOKEN="+token, "ETCD_LOCK_KEY="+keyOf(hold), "ETCD_LOCK_REV="+token)
}
