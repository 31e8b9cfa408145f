package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

const (
	demoBefore = 6 // turns before the crash
	demoAfter  = 4 // turns after it
	demoBound  = demoTTL + 1500*time.Millisecond
)

// runDemo shows a lock at work: an etcd, three worker processes, and the crash of one that holds the lock.
func runDemo(cmd *cobra.Command) (err error) {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	dir, err := os.MkdirTemp("", "etcdkit-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{out: cmd.OutOrStdout(), began: time.Now()}
	d.sayf("A lock in etcd, three processes that take turns on it, and a crash.\n\n")
	s, err := startServer(dir, false, func(cfg *embed.Config) {
		cfg.TickMs, cfg.ElectionMs = 10, 100 // a single member elects itself: no need to wait a second for that
		cfg.UnsafeNoFsync = true             // nothing is kept
	})
	if err != nil {
		return err
	}
	defer s.close()
	d.sayf("An etcd has started on %s, with its data in a temporary directory.\n", s.endpoint())
	crew, err := startCrew(s.endpoint(), "ada", "bob", "cyd")
	if err != nil {
		return err
	}
	defer crew.kill()
	d.sayf("Three workers have started, each a process of its own:")
	for _, w := range crew.workers {
		d.sayf(" %s (%d)", w.name, w.cmd.Process.Pid)
	}
	d.sayf(`.
Each takes the lock %q, works for %v, and lets go. The token tells one turn from another: it only grows.

`, demoLock, demoWork)
	if err := because(ctx, d.play(ctx, crew)); err != nil {
		return err
	}
	return d.write
}

// demo tells what the workers do, and checks it.
type demo struct {
	out   io.Writer
	write error // the first failure to write
	began time.Time

	holder string // who works now
	token  int64  // the highest so far
	turns  int
	crash  time.Time // when a worker was killed; zero before
	victim string
	waited time.Duration // until somebody took over
}

func (d *demo) sayf(format string, args ...any) {
	if _, err := fmt.Fprintf(d.out, format, args...); err != nil && d.write == nil {
		d.write = err
	}
}

// linef is a line with the time since the start.
func (d *demo) linef(who, format string, args ...any) {
	d.sayf("%6.2f s  %-4s %s\n", time.Since(d.began).Seconds(), who, fmt.Sprintf(format, args...))
}

// play follows the workers until they have shown everything.
func (d *demo) play(ctx context.Context, crew *crew) error {
	for d.turns < demoBefore+demoAfter || d.holder != "" {
		e, err := crew.next(ctx)
		if err != nil {
			return err
		}
		if err := d.check(e); err != nil {
			return err
		}
		d.tell(e)
		if e.what == demoGot && d.turns == demoBefore+1 && d.victim == "" {
			d.strike(crew, e.who)
		}
	}
	if err := crew.finish(ctx); err != nil {
		return err
	}
	d.sayf(`
The crash cost %.1f s: nobody can tell a dead process from a slow one before its lease has run out (%v), and etcd looks
once in a while (at most 1.5 s more). Had %s let go of the lock, or been stopped with Ctrl-C, the next one would have
gone on within milliseconds. There were never two at work, and no token came twice.

Try it yourself: "etcdkit dev" in one terminal, "etcdkit lock printer -- sleep 10" in two others.
`, d.waited.Seconds(), demoTTL, d.victim)
	return nil
}

// check is the referee: one at a time, and every token higher than all before.
func (d *demo) check(e event) error {
	switch {
	case e.what == demoGot && d.holder != "":
		return fmt.Errorf("%s has the lock while %s works", e.who, d.holder)
	case e.what == demoGot && e.token <= d.token:
		return fmt.Errorf("%s has token %d, not above %d", e.who, e.token, d.token)
	case e.what != demoGot && e.who == d.victim:
		return fmt.Errorf("%s was killed too late: the machine is busy", e.who)
	}
	return nil
}

func (d *demo) tell(e event) {
	switch e.what {
	case demoGot:
		d.holder, d.token = e.who, e.token
		d.turns++
		if d.victim != "" && d.waited == 0 {
			d.waited = time.Since(d.crash)
			d.linef(e.who, "works, token %d: takes over, %.1f s after the crash (%v is promised)", e.token, d.waited.Seconds(), demoBound)
			return
		}
		d.linef(e.who, "works, token %d", e.token)
	case demoDone:
		d.holder = ""
		d.linef(e.who, "is done")
	case demoLost:
		d.holder = ""
		d.linef(e.who, "stops: the lock was lost")
	}
}

// strike kills the worker that holds the lock.
func (d *demo) strike(crew *crew, who string) {
	crew.strike(who)
	d.crash, d.victim, d.holder = time.Now(), who, ""
	d.linef(who, "is killed in the middle of its work (kill -9), and cannot let go of the lock any more")
}
