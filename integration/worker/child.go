package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/process"
)

// A Child is a worker process, seen from its parent.
type Child struct {
	Spec  Spec
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it has exited and all it said was read

	mu     sync.Mutex     // protects what follows
	held   []history.Hold // now, by each of the callers
	holds  []history.Hold
	writes []history.Write
	calls  []history.Call
	leases []history.Lease
	stalls []history.Disturbance
	end    *history.End
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
	c.cmd.Stderr, c.cmd.SysProcAttr = os.Stderr, process.Apart()
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
			c.held = append(c.held, *l.Held)
		case l.Over != nil:
			c.held = slices.DeleteFunc(c.held, func(h history.Hold) bool { return h.Asked == l.Over.Asked && h.From == l.Over.From })
			c.holds = append(c.holds, *l.Over)
		case l.Wrote != nil:
			c.writes = append(c.writes, *l.Wrote)
		case l.Failed != nil:
			c.calls = append(c.calls, *l.Failed)
		case l.Lease != nil:
			c.leases = append(c.leases, *l.Lease)
		case l.Stall != nil:
			c.stalls = append(c.stalls, *l.Stall)
		case l.End != nil:
			c.end = l.End
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
			return fmt.Errorf("worker %s has ended: %s", c.Spec.Client, c.lastError())
		case <-over:
			return fmt.Errorf("worker %s did not do it within %v: %s", c.Spec.Client, patience, c.lastError())
		}
	}
}

// freeze stops the process in the middle of whatever it does; thaw lets it go on.
func (c *Child) freeze() error { return c.cmd.Process.Signal(syscall.SIGSTOP) }

func (c *Child) thaw() error { return c.cmd.Process.Signal(syscall.SIGCONT) }

// Kill ends the worker with SIGKILL, unless it has ended. What it held then counts as believed until its last write.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = &history.End{Client: c.Spec.Client, Name: c.Spec.Name, At: Now(), Killed: true}
	}
	for _, last := range c.held {
		last.To, last.Killed = last.From, true // whatever it believed, it believed no longer than it lived
		for _, w := range c.writes {
			if w.Token == last.Token {
				last.To = max(last.To, w.Return)
			}
		}
		c.holds = append(c.holds, last)
	}
	c.held = nil
}

// Stop lets the worker finish and waits for it.
func (c *Child) Stop() {
	_ = c.stdin.Close()
	<-c.ended
}
