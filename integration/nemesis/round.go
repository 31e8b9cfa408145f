package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/worker"
)

// A Round is a crew that works through one fault.
type Round struct {
	Name    string // different from those of all other rounds on the ground
	Job     string // of the workers
	Workers int
	TTL     time.Duration
	Stretch float64 // the fault lasts up to so much longer, at random
}

// Report is what a round brought.
type Report struct {
	History   history.History
	Happened  int64         // what the fault counts
	Meanwhile int           // things that workers did, or tried, during the fault
	Lasted    time.Duration // the fault
}

// patience is how long a crew may take to be at work again: far more than it takes.
const patience = time.Minute

// Run runs the round on the ground. A round in which the fault did not happen, or nobody worked meanwhile, is void, which is an error.
func (r Round) Run(ctx context.Context, g *Ground, f Fault, random *rand.Rand) (rep Report, err error) {
	crew, err := r.hire(g, f, random)
	if err != nil {
		return rep, err
	}
	defer crew.Kill()
	if err := crew.Progress(patience, 2, "before the fault"); err != nil {
		return rep, err
	}
	window, err := r.happen(ctx, &Scene{Ground: g, Crew: crew, Random: random}, f, &rep)
	if err != nil {
		return rep, fmt.Errorf("the fault: %w", err)
	}
	if err := crew.Progress(patience, 2, "after the fault"); err != nil {
		return rep, err
	}
	finish, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if rep.History, err = crew.Finish(finish); err != nil {
		return rep, err
	}
	rep.Meanwhile = meanwhile(&rep.History, window)
	if rep.Happened == 0 || rep.Meanwhile == 0 {
		return rep, fmt.Errorf("void: %d %s, and %d things done meanwhile", rep.Happened, f.Counts, rep.Meanwhile)
	}
	return rep, nil
}

// hire starts the crew: most contend for one name, two work on names that are like it. One gives up now and then, and one keeps the lock for
// longer than the others.
func (r Round) hire(g *Ground, f Fault, random *rand.Rand) (*worker.Crew, error) {
	spec := worker.Spec{
		Endpoints: g.endpoints(), User: g.user, Password: g.user,
		Prefix: crews + r.Name, TTL: max(r.TTL, f.TTL), Job: r.Job,
	}
	crew := worker.Hire(g.sight, spec, "x", "x/y", "x%2Fy")
	for i := range r.Workers {
		hold := time.Duration(1+random.IntN(20)) * time.Millisecond
		crew.Spec.Name, crew.Spec.Patience = "x", 0
		switch i % 5 {
		case 1:
			crew.Spec.Patience = 250 * time.Millisecond
		case 2:
			hold = 150 * time.Millisecond
		case 3:
			crew.Spec.Name = "x/y"
		case 4:
			crew.Spec.Name = "x%2Fy"
		}
		if _, err := crew.Start(hold); err != nil {
			crew.Kill()
			return nil, err
		}
	}
	return crew, nil
}

// happen lets the fault happen, and ends it also if ctx ends. It returns the time of it.
func (r Round) happen(ctx context.Context, s *Scene, f Fault, rep *Report) (history.Disturbance, error) {
	lasts := time.Duration(float64(s.Crew.Spec.TTL) * f.Lasts * (1 + s.Random.Float64()*r.Stretch))
	window := history.Disturbance{What: f.Name, From: worker.Now()}
	begin, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	end, err := f.Begin(begin, s)
	if end == nil {
		return window, err
	}
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	if err == nil {
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	happened, ended := end(late)
	window.To = worker.Now()
	if !f.Quiet {
		s.Crew.Disturb(window)
	}
	rep.Happened, rep.Lasted = happened, time.Duration(window.To-window.From)
	return window, errors.Join(err, ended)
}

// meanwhile counts what workers did, or waited for, in a window.
func meanwhile(h *history.History, window history.Disturbance) (n int) {
	for _, hold := range h.Holds {
		if hold.Asked < window.To && hold.To > window.From {
			n++
		}
	}
	for _, c := range h.Calls {
		if c.Asked < window.To && c.Ended > window.From {
			n++
		}
	}
	return n
}
