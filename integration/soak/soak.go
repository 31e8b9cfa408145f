package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"etcdkit/integration/history"
	"etcdkit/integration/nemesis"
	"etcdkit/integration/worker"
)

// soak is one run.
type soak struct {
	length  time.Duration
	seed    uint64
	workers int
	only    *regexp.Regexp
	sum     summary
}

// run makes rounds until the time is up or ctx ends.
func (s *soak) run(ctx context.Context) error {
	fmt.Printf("seed %d\n", s.seed)
	random := rand.New(rand.NewPCG(s.seed, 0))
	field := new(nemesis.Field)
	defer field.Close()
	begin, bad := time.Now(), error(nil)
	var deck []nemesis.Fault
	for n := 0; time.Since(begin) < s.length && ctx.Err() == nil; n++ {
		if len(deck) == 0 {
			if deck = s.shuffled(random); len(deck) == 0 {
				return fmt.Errorf("no fault has a name that matches %q", s.only)
			}
		}
		f := deck[0]
		deck = deck[1:]
		ground, err := field.For(f)
		if err != nil {
			return errors.Join(bad, err)
		}
		// Each round has its own source, so that what one of them draws does not change the next ones.
		err = s.round(ctx, ground, n, f, rand.New(rand.NewPCG(s.seed, uint64(n)+1)))
		if errors.Is(err, errBroken) {
			field.Close()
		}
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("round %d, %s %s: %w", n, f.ID, f.Name, err)
			bad = errors.Join(bad, err)
			fmt.Println(err)
		}
	}
	s.sum.print(os.Stdout, s.seed, time.Since(begin))
	return bad
}

// shuffled returns all faults, in an order that is drawn.
func (s *soak) shuffled(random *rand.Rand) (deck []nemesis.Fault) {
	for _, i := range random.Perm(len(nemesis.Faults)) {
		if s.only.MatchString(nemesis.Faults[i].Name) {
			deck = append(deck, nemesis.Faults[i])
		}
	}
	return deck
}

// errBroken says that nobody knows what the ground looks like now.
var errBroken = errors.New("no judgement")

// round makes one round of each job with a fault, and judges it.
func (s *soak) round(ctx context.Context, ground *nemesis.Ground, n int, f nemesis.Fault, random *rand.Rand) (bad error) {
	for _, job := range worker.Jobs() {
		begin := time.Now()
		r := nemesis.Round{Name: fmt.Sprintf("%s%d", job, n), Job: job, Workers: s.workers, TTL: 3 * time.Second, Stretch: 1}
		rep, err := r.Run(ctx, ground, f, random)
		if err != nil {
			if ctx.Err() == nil {
				s.sum.failed(f)
			}
			return errors.Join(bad, fmt.Errorf("%s: %w: %w", job, errBroken, err))
		}
		v, err := rep.History.Judge(filepath.Join(os.TempDir(), fmt.Sprintf("etcdkit-soak-%d-%d-%s", s.seed, n, job)))
		s.sum.add(f, &rep, v)
		fmt.Printf("round %d: %s, %s %s for %v: %d %s; %d holds, %d violations; %v\n", n, job, f.ID, f.Name, rep.Lasted.Round(time.Millisecond),
			rep.Happened, f.Counts, len(rep.History.Holds), len(v.Found), time.Since(begin).Round(time.Millisecond))
		bad = errors.Join(bad, err, red(job, v))
	}
	return bad
}

// red is the error of a bad history.
func red(job string, v history.Verdict) error {
	if len(v.Found) == 0 {
		return nil
	}
	var lines []string
	for _, one := range v.Found {
		lines = append(lines, one.String())
	}
	return fmt.Errorf("%s: %s\nthe history is kept in %s", job, strings.Join(lines, "\n"), v.File)
}
