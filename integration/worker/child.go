package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"etcdkit/integration/history"
)

// A Child is a worker process, seen from its parent.
type Child struct {
	Spec  Spec
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it has exited and all it said was read

	mu     sync.Mutex // protects what follows
	held   *history.Hold
	holds  []history.Hold
	writes []history.Write
	errors []string
	said   chan struct{} // closed and made anew with each line
}

// Start starts a worker: this very program, again.
func Start(spec Spec) (*Child, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{Spec: spec, cmd: exec.Command(path), ended: make(chan struct{}), said: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), variable+"="+string(text))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go c.read(out) // Stop and Kill wait for it
	return c, nil
}

// read takes note of what the worker says.
func (c *Child) read(out io.Reader) {
	defer close(c.ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var l Line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // the last line of one that was killed
		}
		c.mu.Lock()
		switch {
		case l.Held != nil:
			c.held = l.Held
		case l.Over != nil:
			c.held = nil
			c.holds = append(c.holds, *l.Over)
		case l.Wrote != nil:
			c.writes = append(c.writes, *l.Wrote)
		case l.Error != "":
			c.errors = append(c.errors, l.Error)
		}
		close(c.said)
		c.said = make(chan struct{})
		c.mu.Unlock()
	}
	_ = c.cmd.Wait()
}

// Ended tells whether the process is gone.
func (c *Child) Ended() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Holding returns the hold that the worker has, or nil.
func (c *Child) Holding() *history.Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// Await waits until the worker has said something that makes ok true, or patience is over.
func (c *Child) Await(patience time.Duration, ok func(c *Child) bool) error {
	over := time.After(patience)
	for {
		c.mu.Lock()
		said := c.said
		c.mu.Unlock()
		if ok(c) {
			return nil
		}
		select {
		case <-said:
		case <-c.ended:
			return fmt.Errorf("worker %s has ended: %v", c.Spec.Client, c.Errors())
		case <-over:
			return fmt.Errorf("worker %s did not do it within %v: %v", c.Spec.Client, patience, c.Errors())
		}
	}
}

// Freeze stops the process in the middle of whatever it does; Thaw lets it go on.
func (c *Child) Freeze() error { return c.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen worker go on.
func (c *Child) Thaw() error { return c.cmd.Process.Signal(syscall.SIGCONT) }

// Kill ends the worker with SIGKILL. What it held then counts as believed until now.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		last := *c.held
		last.To = last.From // whatever it believed, it believed no longer than it lived
		for _, w := range c.writes {
			if w.Token == last.Token {
				last.To = max(last.To, w.Return)
			}
		}
		c.holds, c.held = append(c.holds, last), nil
	}
}

// Stop lets the worker finish and waits for it.
func (c *Child) Stop() {
	_ = c.stdin.Close()
	<-c.ended
}

// History is what the worker has said so far.
func (c *Child) History() ([]history.Hold, []history.Write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]history.Hold(nil), c.holds...), append([]history.Write(nil), c.writes...)
}

// Errors are those that the worker met.
func (c *Child) Errors() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.errors...)
}
