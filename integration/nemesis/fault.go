package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"etcdkit/integration/worker"
)

// A Fault is one way to break something.
type Fault struct {
	ID      string // of the kind of fault
	Name    string
	Counts  string        // what the number counts that proves that it happened
	Lasts   float64       // how long, in TTLs, from its begin to its end
	TTL     time.Duration // of the leases, where that matters; 0: any
	Guarded bool          // it needs a ground with users
	Quiet   bool          // it disturbs nobody: what is owed in calm times is owed all the time

	// Begin makes it happen, until end is called, which returns how much has happened. What it takes from the crew, it notes there (Rob).
	Begin func(ctx context.Context, s *Scene) (end End, err error)
}

// End ends a fault.
type End func(ctx context.Context) (happened int64, err error)

// Scene is where a fault happens.
type Scene struct {
	*Ground
	Crew   *worker.Crew
	Random *rand.Rand // for Begin alone, so that the order of what is drawn can be repeated
}

// Faults are all that there are. Another one is one more entry.
var Faults = slices.Concat(calm, clients, network, members, store, strangers, rights)

// calm is no fault: what is red here is red without any.
var calm = []Fault{{ID: "F0", Name: "none", Counts: "windows", Lasts: 0.3, Quiet: true, Begin: func(context.Context, *Scene) (End, error) {
	return once, nil
}}}

// once is the end of what happened once, at its begin.
func once(context.Context) (int64, error) { return 1, nil }

// victim is a worker, mostly one that holds a lock which others want.
func (s *Scene) victim() (*worker.Child, error) {
	if s.Random.IntN(4) == 0 {
		return s.Crew.Members[s.Random.IntN(len(s.Crew.Members))], nil
	}
	var rivals []*worker.Child
	for _, m := range s.Crew.Members {
		if m.Spec.Name == s.Crew.Members[0].Spec.Name {
			rivals = append(rivals, m)
		}
	}
	m := rivals[s.Random.IntN(len(rivals))]
	return m, m.Await(patience, func(m *worker.Child) bool { return m.Holding() != nil })
}

// every does something at once, and again and again until end is called. What it does counts how often it worked.
func every(d time.Duration, do func(ctx context.Context) (int64, error)) End {
	ctx, cancel := context.WithCancel(context.Background())
	type result struct {
		n   int64
		err error
	}
	done := make(chan result)
	go func() { // its end waits for it
		var sum result
		tick := time.NewTicker(d)
		defer tick.Stop()
		for ctx.Err() == nil && sum.err == nil {
			n, err := do(ctx)
			sum.n += n
			if ctx.Err() == nil {
				sum.err = err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		done <- sum
	}()
	return func(context.Context) (int64, error) {
		cancel()
		sum := <-done
		return sum.n, sum.err
	}
}
