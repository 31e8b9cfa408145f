package integration

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"etcdkit/integration/cluster"
	"etcdkit/integration/history"
	"etcdkit/integration/nemesis"
	"etcdkit/integration/worker"
)

// Each fault there is happens once to a crew at work, and all invariants are judged. ETCDKIT_SEED repeats what was drawn, ETCDKIT_HISTORIES is
// the folder where bad histories are kept, and -run TestEveryFault/F9 picks.
func TestEveryFault(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes most of a minute")
	}
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("ETCDKIT_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ETCDKIT_SEED=%d", seed)
	const lanes = 3 // most of the time everybody waits, and go test would run no more of them at once than there are processors
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			field := new(nemesis.Field)
			defer field.Close()
			for i, f := range nemesis.Faults {
				if i%lanes == lane {
					t.Run(f.ID+" "+f.Name, func(t *testing.T) { suffer(t, field, f, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
				}
			}
		})
	}
	all.Wait()
}

// round is what each fault of a test gets: a crew with one of the jobs.
func round(name string, job int) nemesis.Round {
	jobs := worker.Jobs()
	return nemesis.Round{Name: name, Job: jobs[job%len(jobs)], Workers: 5, TTL: 2 * time.Second}
}

// suffer runs one round of one fault.
func suffer(t *testing.T, field *nemesis.Field, f nemesis.Fault, i int, random *rand.Rand) {
	ground, err := field.For(f)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r := round("r"+strconv.Itoa(i), random.IntN(len(worker.Jobs())))
	rep, err := r.Run(t.Context(), ground, f, random)
	if err != nil {
		field.Close() // nobody knows what it looks like now
		t.Fatal(err)
	}
	judge(t, &rep.History)
	t.Logf("%s: %v of %v: %d %s; %d holds, %d done meanwhile", r.Job, rep.Lasted.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond),
		rep.Happened, f.Counts, len(rep.History.Holds), rep.Meanwhile)
}

// A fault that did not happen proves nothing.
func TestARoundWithoutAFaultIsVoid(t *testing.T) {
	t.Parallel()
	ground, err := nemesis.Lay(1, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ground.Close)
	nothing := nemesis.Fault{Name: "nothing", Counts: "things", Begin: func(context.Context, *nemesis.Scene) (nemesis.End, error) {
		return func(context.Context) (int64, error) { return 0, nil }, nil
	}}
	_, err = round("void", 0).Run(t.Context(), ground, nothing, rand.New(rand.NewPCG(1, 1)))
	if err == nil || !strings.Contains(err.Error(), "void: 0 things") {
		t.Errorf("Run = %v", err)
	}
}

// The leader is cut off from the other members, with two workers that know no other (F5). They lose what they hold and get nothing, the others
// go on, and after that all do.
func TestWorkersOnACutOffMember(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	old := c.WaitLeader(t)
	alone, rest := c.Endpoints()[old:old+1], slices.Delete(c.Endpoints(), old, old+1)
	crew := hire(t, alone, c.Client(t, func(cfg *clientv3.Config) { cfg.Endpoints = rest }), "p", 2*time.Second)
	pinned := []*worker.Child{crew.start(10 * time.Millisecond), crew.start(150 * time.Millisecond)}
	crew.Spec.Endpoints = rest
	free := []*worker.Child{crew.start(10 * time.Millisecond), crew.start(10 * time.Millisecond)}
	must(t, crew.Progress(patience, 3, "before"))

	window := history.Disturbance{What: "the leader is cut off", From: worker.Now()}
	c.Isolate(old)
	for _, m := range free {
		crew.await(m, "the others go on", more(m, 20))
	}
	for _, m := range pinned { // it says that it has lost only when its last write was given up, which takes a TTL
		crew.await(m, "the pinned ones have nothing", func(m *worker.Child) bool { return m.Holding() == nil })
	}
	stuck := []int{pinned[0].Holds(), pinned[1].Holds()}
	for _, m := range free {
		crew.await(m, "the others go on", more(m, 20))
	}
	for i, m := range pinned {
		if m.Holds() != stuck[i] || m.Holding() != nil {
			t.Errorf("void: %s works on a member that is cut off", m.Spec.Client)
		}
	}
	c.Rejoin(old)
	window.To = worker.Now()
	crew.Disturb(window)
	must(t, crew.Progress(patience, 3, "after"))
	crew.judge(50)
}

// more is true when the worker has held n more times than now.
func more(m *worker.Child, n int) func(*worker.Child) bool {
	n += m.Holds()
	return func(m *worker.Child) bool { return m.Holds() >= n }
}
