// Command soak runs a crew of workers on a lock for a long time, while faults of all kinds happen at random, and judges what happened.
//
//	go run ./integration/soak [-time 60m] [-seed N] [-workers 6]
//
// The etcd is three processes, with a proxy before each. Every round (some seconds) one fault is drawn, happens, ends, and all have to go on;
// then the history of the round is judged like those of the tests. The seed is printed; with the same seed the same faults are
// drawn in the same order. A bad history is kept as a file, and as porcupine's picture. The exit status is 1 if anything was violated.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/process"
	"etcdkit/integration/worker"
)

func main() {
	worker.Main()
	length := flag.Duration("time", time.Hour, "how long to run")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the faults are drawn with")
	workers := flag.Int("workers", 6, "clients of the lock")
	flag.Parse()
	err := soak(*length, *seed, *workers)
	process.Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// tally is what the summary says of one kind of fault.
type tally struct {
	rounds, holds, writes, violations int
	margin                            time.Duration
	lost                              bool // margin counts
}

func soak(length time.Duration, seed uint64, workers int) error {
	fmt.Printf("seed %d\n", seed)
	ground, err := lay()
	if err != nil {
		return err
	}
	defer ground.close()
	random := rand.New(rand.NewPCG(seed, 0))
	tallies := map[string]*tally{}
	var bad error
	for round, until := 0, time.Now().Add(length); time.Now().Before(until); round++ {
		f := faults[random.IntN(len(faults))]
		t := tallies[f.name]
		if t == nil {
			t = new(tally)
			tallies[f.name] = t
		}
		if err := ground.round(round, f, random, workers, t); err != nil {
			bad = errors.Join(bad, fmt.Errorf("round %d, %s: %w", round, f.name, err))
			fmt.Printf("round %d, %s: %v\n", round, f.name, err)
		}
	}
	summary(tallies)
	return bad
}

// round runs a crew through one fault and judges it.
func (g *ground) round(n int, f fault, random *rand.Rand, workers int, t *tally) error {
	crew := worker.Hire(g.endpoints(), g.sight, fmt.Sprintf("r%d", n), 3*time.Second)
	defer crew.Kill()
	for range workers {
		if _, err := crew.Start(time.Duration(1+random.IntN(20)) * time.Millisecond); err != nil {
			return err
		}
	}
	if err := progress(crew, "before the fault"); err != nil {
		return err
	}
	end, err := f.begin(g, crew, random)
	if err != nil {
		return err
	}
	time.Sleep(f.least + time.Duration(random.Int64N(int64(f.least)+1)))
	if err := end(); err != nil {
		return err
	}
	if err := progress(crew, "after the fault"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h, err := crew.Finish(ctx)
	if err != nil {
		return err
	}
	return t.judge(n, f, h)
}

// progress waits until every worker that can has held the lock some more times.
func progress(crew *worker.Crew, what string) error {
	for _, m := range crew.Members {
		holds, _ := m.History()
		n := len(holds)
		err := m.Await(2*time.Minute, func(m *worker.Child) bool {
			holds, _ := m.History()
			return m.Ended() || len(holds) > n+1
		})
		if err != nil {
			return fmt.Errorf("no progress %s: %w", what, err)
		}
	}
	return nil
}

func (t *tally) judge(n int, f fault, h history.History) error {
	t.rounds++
	t.holds += len(h.Holds)
	t.writes += len(h.Writes)
	if m, ok := history.Margin(h.Holds, h.Keys); ok && (!t.lost || time.Duration(m) < t.margin) {
		t.margin, t.lost = time.Duration(m), true
	}
	base := filepath.Join(os.TempDir(), fmt.Sprintf("etcdkit-soak-%d", n))
	found := slices.Concat(history.Rising(h.Holds), history.Real(h.Holds, h.Keys), history.Fenced(h.Writes))
	if !f.robs {
		found = append(h.Check(), history.Linearizable(h.Holds, h.Keys, time.Minute, base+".html")...)
	}
	if len(found) == 0 {
		return nil
	}
	t.violations += len(found)
	text, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(base+".json", text, 0o600)
	}
	var lines []string
	for _, v := range found {
		lines = append(lines, v.String())
	}
	return errors.Join(err, fmt.Errorf("%s (history in %s.json)", strings.Join(lines, "; "), base))
}

func summary(tallies map[string]*tally) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	lines := []string{"fault\trounds\tholds\tguarded writes\tviolations\tsmallest margin\t\n"}
	for _, f := range faults {
		t := tallies[f.name]
		if t == nil {
			continue
		}
		margin := "-"
		if t.lost {
			margin = t.margin.Round(time.Millisecond).String()
		}
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%s\t\n", f.name, t.rounds, t.holds, t.writes, t.violations, margin))
	}
	_, _ = fmt.Fprint(w, strings.Join(lines, ""))
	_ = w.Flush()
}
