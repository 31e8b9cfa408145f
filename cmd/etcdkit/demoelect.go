package main

import (
	"context"
	"fmt"
	"time"
)

// playElection is the act of the election.
func playElection(ctx context.Context, s *stage, etcd *demoEtcd) error {
	crew, err := startCrew(etcd.endpoint(), electWorker, "dan", "eva", "fox")
	if err != nil {
		return err
	}
	defer crew.kill()
	s.introduce("Three candidates", crew)
	s.sayf("All stand for the election %q: one leads, the others are ready to take over.\n\n", demoElection)
	return (&electAct{stage: s}).play(ctx, crew)
}

// electAct tells what the candidates do, and checks it.
type electAct struct {
	*stage
	leader string // who leads, or was killed as the leader
	token  int64
}

// play kills the first leader, and asks the second to stop.
func (d *electAct) play(ctx context.Context, crew *crew) error {
	if err := d.untilLeader(ctx, crew, 2); err != nil {
		return err
	}
	d.linef(d.leader, "leads, token %d; the others wait", d.token)
	first := d.leader
	crew.strike(first)
	crash := time.Now()
	d.linef(first, "is killed while it leads (kill -9), and cannot resign any more")
	if err := d.untilLeader(ctx, crew, 0); err != nil {
		return err
	}
	crashed := time.Since(crash)
	d.linef(d.leader, "leads, token %d: takes over, %.1f s after the crash (%v is promised)", d.token, crashed.Seconds(), demoBound)
	stop := time.Now()
	crew.dismiss(d.leader)
	d.linef(d.leader, "is asked to stop, and resigns")
	if err := d.untilLeader(ctx, crew, 0); err != nil {
		return err
	}
	stopped := time.Since(stop)
	d.linef(d.leader, "leads, token %d: takes over, %.1f ms after that", d.token, milliseconds(stopped))
	if err := crew.finish(ctx); err != nil {
		return err
	}
	d.sayf(`
The crash of a leader costs what that of a lock's holder does, here %.1f s; a leader that stops in order costs %.1f ms.
There were never two who led, and each new one had a higher token.
`, crashed.Seconds(), milliseconds(stopped))
	return nil
}

// untilLeader waits until somebody leads, and that many others have said that they wait. It is the referee, too.
func (d *electAct) untilLeader(ctx context.Context, crew *crew, others int) error {
	before, wait := d.leader, map[string]bool{}
	for d.leader == before || len(wait) < others {
		e, err := crew.next(ctx)
		switch {
		case err != nil:
			return err
		case e.what == demoWaits:
			wait[e.who] = true
		case e.what == demoResigns:
		case e.what == demoLost:
			return fmt.Errorf("%s has lost the lead: the machine is busy", e.who)
		case d.leader != before, e.who == before:
			return fmt.Errorf("%s leads beside %s", e.who, d.leader)
		case e.token <= d.token:
			return fmt.Errorf("%s has token %d, not above %d", e.who, e.token, d.token)
		default:
			d.leader, d.token = e.who, e.token
			delete(wait, e.who)
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
