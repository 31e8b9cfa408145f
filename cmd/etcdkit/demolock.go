package main

import (
	"context"
	"fmt"
	"time"
)

const (
	demoBefore = 6 // turns before the crash
	demoAfter  = 4 // turns after it
	demoBound  = demoTTL + 1500*time.Millisecond
)

// playLock is the act of the lock.
func playLock(ctx context.Context, s *stage, etcd *demoEtcd) error {
	crew, err := startCrew(etcd.endpoint(), lockWorker, "ada", "bob", "cyd")
	if err != nil {
		return err
	}
	defer crew.kill()
	s.introduce("Three workers", crew)
	s.sayf(`Each takes the lock %q, works for %v, and lets go. The token tells one turn from another: it only grows.

`, demoLock, demoWork)
	return (&lockAct{stage: s}).play(ctx, crew)
}

// lockAct tells what the workers do, and checks it.
type lockAct struct {
	*stage

	holder string // who works now
	token  int64  // the highest so far
	turns  int
	crash  time.Time // when a worker was killed; zero before
	victim string
	waited time.Duration // until somebody took over
}

// play follows the workers until they have shown everything.
func (d *lockAct) play(ctx context.Context, crew *crew) error {
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
`, d.waited.Seconds(), demoTTL, d.victim)
	return nil
}

// check is the referee: one at a time, and every token higher than all before.
func (d *lockAct) check(e event) error {
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

func (d *lockAct) tell(e event) {
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
func (d *lockAct) strike(crew *crew, who string) {
	crew.strike(who)
	d.crash, d.victim, d.holder = time.Now(), who, ""
	d.linef(who, "is killed in the middle of its work (kill -9), and cannot let go of the lock any more")
}
