package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// crew is the worker processes of the demo. All of them write into one pipe, so that what they say comes in the order in which
// they said it.
type crew struct {
	workers []worker
	events  chan event // closed when the last worker has ended
	err     error      // what was wrong with them, once events is closed
}

type worker struct {
	*child
	name  string
	stdin io.Closer // closed, it ends the worker in order
}

// event is something that a worker did.
type event struct {
	who, what string
	token     int64
}

// startCrew starts a worker for each name. command is the command of ours that they run.
func startCrew(endpoint, command string, names ...string) (*crew, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }() // the workers have theirs
	c := &crew{events: make(chan event)}
	go c.read(r)
	for _, name := range names {
		cmd := exec.Command(self, "--endpoints", endpoint, command, name)
		cmd.Env = withoutVariables(os.Environ()) // those of another etcd do not suit this one
		cmd.Stdout, cmd.Stderr = w, os.Stderr
		if err := c.add(cmd, name); err != nil {
			_ = w.Close() // or read would wait for us
			c.kill()
			return nil, fmt.Errorf("worker %s: %w", name, err)
		}
	}
	return c, nil
}

func (c *crew) add(cmd *exec.Cmd, name string) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	child, err := start(cmd)
	if err != nil {
		return err
	}
	c.workers = append(c.workers, worker{child: child, name: name, stdin: stdin})
	return nil
}

// read ends when the last worker has ended.
func (c *crew) read(r io.ReadCloser) {
	defer close(c.events)
	defer func() { _ = r.Close() }()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e event
		if _, err := fmt.Sscan(lines.Text(), &e.who, &e.what, &e.token); err != nil {
			c.err = fmt.Errorf("a worker said %q: %w", lines.Text(), err)
			return
		}
		c.events <- e
	}
	c.err = lines.Err()
}

var errAllEnded = errors.New("all workers have ended")

// next is the next thing that a worker did.
func (c *crew) next(ctx context.Context) (event, error) {
	select {
	case e, ok := <-c.events:
		if !ok {
			return e, cmp.Or(c.err, errAllEnded)
		}
		return e, nil
	case <-ctx.Done():
		return event{}, context.Cause(ctx)
	}
}

// strike kills one worker.
func (c *crew) strike(name string) {
	for _, w := range c.workers {
		if w.name == name {
			w.kill()
		}
	}
}

// dismiss lets one worker end in order.
func (c *crew) dismiss(name string) {
	for _, w := range c.workers {
		if w.name == name {
			_ = w.stdin.Close() // it may have ended
		}
	}
}

// finish lets the workers end in order, and waits for them.
func (c *crew) finish(ctx context.Context) error {
	for _, w := range c.workers {
		c.dismiss(w.name)
	}
	for {
		_, err := c.next(ctx)
		if errors.Is(err, errAllEnded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// kill ends the workers that are left, and waits for all.
func (c *crew) kill() {
	for _, w := range c.workers {
		w.kill()
	}
	for _, w := range c.workers {
		<-w.done
	}
	for range c.events { // what they said last
	}
}
