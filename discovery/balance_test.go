package discovery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fleet returns a snapshot of instances with these weights.
func fleet(weights ...int) *Snapshot {
	s := new(Snapshot)
	for i, weight := range weights {
		s.Instances = append(s.Instances, Instance{ID: fmt.Sprintf("i%04d", i), Addr: fmt.Sprintf("10.0.0.1:%d", i+1), Weight: weight})
	}
	return s
}

func alike(n int) *Snapshot { return fleet(make([]int, n)...) }

func mustPick(t testing.TB, p Picker, s *Snapshot) (string, func(error)) {
	t.Helper()
	inst, done, err := p.Pick(s)
	if err != nil {
		t.Fatal(err)
	}
	return inst.ID, done
}

// spread counts who is picked, one request at a time.
func spread(t testing.TB, p Picker, s *Snapshot, n int) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for range n {
		id, done := mustPick(t, p, s)
		counts[id]++
		done(nil)
	}
	return counts
}

func TestRoundRobinVisitsAllInTurn(t *testing.T) {
	t.Parallel()
	first := make(map[string]int)
	for range 200 {
		p, s := RoundRobin(), alike(7)
		for range 3 {
			for id, n := range spread(t, p, s, 7) {
				if n != 1 {
					t.Fatalf("%s was picked %d times in a round", id, n)
				}
			}
		}
		id, _ := mustPick(t, p, s)
		first[id]++
	}
	if len(first) != 7 {
		t.Errorf("of 200 pickers, all began at %d of 7 instances", len(first))
	}
}

func TestWeightedIsExactAndInterleaved(t *testing.T) {
	t.Parallel()
	for _, weights := range [][]int{{1}, {0, 1}, {5, 1, 1}, {100, 50, 50}, {7, 11, 13, 1}, {1000, 1, 1}, {3, -5}, make([]int, 100)} {
		s, p, round := fleet(weights...), Weighted(), 0
		sh := newShares(s.Instances)
		round = int(sh.total)
		counts := spread(t, p, s, 3*round)
		for i := range s.Instances {
			want := weightOf(&s.Instances[i]) * uint64(round) * 3
			sum := uint64(0)
			for j := range s.Instances {
				sum += weightOf(&s.Instances[j])
			}
			if got := uint64(counts[s.Instances[i].ID]); got*sum != want {
				t.Errorf("%v: %s was picked %d times, want %d", weights, s.Instances[i].ID, got, want/sum)
			}
		}
	}
	// One with half of the weight has every second turn or so, and never waits for more than two.
	s, p, gap := fleet(50, 10, 10, 10, 10, 10), Weighted(), 0
	for range 1000 {
		if id, _ := mustPick(t, p, s); id == "i0000" {
			gap = 0
		} else if gap++; gap > 2 {
			t.Fatal("an instance with half of the weight waited for three others")
		}
	}
}

func TestWeightedWithExtremes(t *testing.T) {
	t.Parallel()
	weights := make([]int, 1000)
	for i := range weights {
		weights[i] = 1
	}
	weights[500] = maxWeight
	s := fleet(weights...)
	counts := spread(t, Weighted(), s, 1_000_000)
	share := float64(maxWeight) / float64(maxWeight+999)
	if got := float64(counts["i0500"]) / 1e6; math.Abs(got-share) > 0.0001 {
		t.Errorf("the heavy one got %v, want %v", got, share)
	}
}

// TestSharesFindEveryPosition, whatever the weights.
func TestSharesFindEveryPosition(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		weights := make([]int, 1+random.IntN(20))
		for i := range weights {
			weights[i] = 1 + random.IntN(1<<random.IntN(10))
		}
		s := fleet(weights...)
		sh := newShares(s.Instances)
		owner := 0
		for position := range sh.total {
			for sh.ends[owner] <= position {
				owner++
			}
			if got := sh.at(position); got != owner {
				t.Fatalf("%v: position %d belongs to %d, want %d", weights, position, got, owner)
			}
		}
	}
}

// serve has clients send requests one after the other, in fake time, for as long as it takes, and returns how many each instance got.
func serve(t *testing.T, p Picker, s *Snapshot, clients int, long time.Duration, handle func(id string) (time.Duration, error)) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(long)
	for c := range clients {
		wg.Go(func() {
			time.Sleep(time.Duration(c) * 100 * time.Microsecond)
			for time.Now().Before(end) {
				inst, done, err := p.Pick(s)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				counts[inst.ID]++
				mu.Unlock()
				took, err := handle(inst.ID)
				time.Sleep(took)
				done(err)
			}
		})
	}
	wg.Wait()
	return counts
}

// share is what part of all an instance got.
func share(counts map[string]int, id string) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(counts[id]) / float64(sum)
}

func TestLeastLoadedAvoidsTheSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s, slow := LeastLoaded(), alike(4), true
		handle := func(id string) (time.Duration, error) {
			if id == "i0000" && slow {
				return time.Second, nil
			}
			return time.Duration(9000+rand.IntN(2000)) * time.Microsecond, nil
		}
		if got := share(serve(t, p, s, 20, 10*time.Second, handle), "i0000"); got > 0.02 {
			t.Errorf("the slow one got %.3f of the requests", got)
		}
		slow = false
		serve(t, p, s, 20, 8*time.Second, handle)
		if got := share(serve(t, p, s, 20, 5*time.Second, handle), "i0000"); got < 0.2 || got > 0.3 {
			t.Errorf("8 s after it became fast again, it got %.3f of the requests", got)
		}
	})
}

func TestLeastLoadedAvoidsWhoOnlyFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s, broken := LeastLoaded(), alike(3), true
		handle := func(id string) (time.Duration, error) {
			if id == "i0001" && broken {
				return 10 * time.Microsecond, errors.New("refused")
			}
			return 10 * time.Millisecond, nil
		}
		if got := share(serve(t, p, s, 10, 20*time.Second, handle), "i0001"); got > 0.01 {
			t.Errorf("the one that only fails got %.3f of the requests", got)
		}
		broken = false
		serve(t, p, s, 10, 10*time.Second, handle)
		if got := share(serve(t, p, s, 10, 5*time.Second, handle), "i0001"); got < 0.25 {
			t.Errorf("10 s after it was repaired, it got %.3f of the requests", got)
		}
	})
}

func TestLeastLoadedIsFairToNewcomersAndToStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, old := LeastLoaded(), alike(4)
		handle := func(string) (time.Duration, error) {
			return time.Duration(8000+rand.IntN(4000)) * time.Microsecond, nil
		}
		serve(t, p, old, 20, 3*time.Second, handle)
		grown := alike(5)
		if got := share(serve(t, p, grown, 20, 200*time.Millisecond, handle), "i0004"); got < 0.1 || got > 0.35 {
			t.Errorf("a new instance got %.3f of the first requests, of which 0.2 would be its share", got)
		}

		var streams []func(error) // one on one of them
		for streams == nil {
			if id, done := mustPick(t, p, grown); id == "i0002" {
				streams = append(streams, done)
			} else {
				done(context.Canceled)
			}
		}
		if got := share(serve(t, p, grown, 1, 10*time.Second, handle), "i0002"); got < 0.02 {
			t.Errorf("an instance with one long call got %.4f of the requests", got)
		}
		streams[0](nil)
		serve(t, p, grown, 10, 8*time.Second, handle)
		if got := share(serve(t, p, grown, 10, 3*time.Second, handle), "i0002"); got < 0.15 {
			t.Errorf("8 s after a long call ended, its instance got %.3f of the requests", got)
		}
	})
}

// offer sends requests to a picker at a steady pace, in fake time, whatever becomes of them, and returns how many each instance got.
func offer(t *testing.T, p Picker, s *Snapshot, pace, long time.Duration, handle func(id string) (time.Duration, error)) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	var wg sync.WaitGroup
	defer wg.Wait()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(pace) {
		id, done := mustPick(t, p, s)
		counts[id]++
		took, err := handle(id)
		wg.Go(func() {
			time.Sleep(took)
			done(err)
		})
	}
	return counts
}

// TestLeastLoadedAvoidsWhoHangs, though nobody waits for an answer before sending the next request, and what was measured is forgotten.
func TestLeastLoadedAvoidsWhoHangs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		instances   int
		pace, limit time.Duration // between requests, and that each has
		cold        bool
		most        float64
	}{
		{instances: 2, pace: 10 * time.Millisecond, limit: time.Minute, most: 0.01},
		{instances: 2, pace: 10 * time.Millisecond, limit: time.Minute, cold: true, most: 0.01},
		{instances: 4, pace: 10 * time.Millisecond, limit: 30 * time.Second, most: 0.01},
		{instances: 4, pace: 10 * time.Millisecond, limit: 5 * time.Second, most: 0.01},
		{instances: 10, pace: time.Millisecond, limit: time.Minute, most: 0.005},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, s, hangs := LeastLoaded(), alike(test.instances), test.cold
			handle := func(id string) (time.Duration, error) {
				if id == "i0000" && hangs {
					return test.limit, context.DeadlineExceeded
				}
				return 10 * time.Millisecond, nil
			}
			if !test.cold {
				offer(t, p, s, test.pace, 3*time.Second, handle)
			}
			hangs = true
			if got := share(offer(t, p, s, test.pace, time.Minute, handle), "i0000"); got > test.most {
				t.Errorf("%+v: the one that hangs got %.4f of the requests", test, got)
			}
		})
	}
}

// TestLeastLoadedGoesOnWhereStreamsAre: they look like requests that hang.
func TestLeastLoadedGoesOnWhereStreamsAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := LeastLoaded(), alike(4)
		handle := func(string) (time.Duration, error) { return 10 * time.Millisecond, nil }
		offer(t, p, s, 5*time.Millisecond, 3*time.Second, handle)
		for streams := 0; streams < 2; {
			if id, done := mustPick(t, p, s); id == "i0002" {
				streams++
			} else {
				done(context.Canceled)
			}
		}
		got := offer(t, p, s, 5*time.Millisecond, time.Minute, handle)
		if got["i0002"] < 25 {
			t.Errorf("an instance with two streams got %d of the requests in a minute", got["i0002"])
		}
	})
}

func TestAverage(t *testing.T) {
	t.Parallel()
	at := 80 * time.Hour // the ticks have begun anew
	a := newAverage(1e7, at)
	for now, want := range map[time.Duration]time.Duration{at: 0, at - time.Second: 0, at + time.Second: time.Second, at + 70*time.Hour: 70 * time.Hour} {
		if got := a.age(now); got < want-time.Millisecond || got > want+time.Millisecond || a.latency() != 1e7 {
			t.Errorf("%v later it is %v old", now-at, got)
		}
	}
	for last, age := 1.0, time.Duration(0); age < 40*time.Second; age += time.Millisecond {
		now := fading(age)
		if now > last || now < 0 {
			t.Fatalf("after %v it counts %v, after %v", age, now, last)
		}
		last = now
	}
}

func TestLeastLoadedByWeight(t *testing.T) {
	t.Parallel()
	for clients, bounds := range map[int][2]float64{1: {0.6, 0.85}, 40: {0.65, 0.85}} {
		synctest.Test(t, func(t *testing.T) {
			counts := serve(t, LeastLoaded(), fleet(3, 1), clients, 20*time.Second, func(string) (time.Duration, error) { return 10 * time.Millisecond, nil })
			if got := share(counts, "i0000"); got < bounds[0] || got > bounds[1] {
				t.Errorf("%d clients: 3 of 4 parts of the weight got %.3f of the requests", clients, got)
			}
		})
	}
}

// TestLeastLoadedKeepsLoadsClose: what a random choice does not.
func TestLeastLoadedKeepsLoadsClose(t *testing.T) {
	t.Parallel()
	p, s := LeastLoaded(), alike(100)
	counts := make(map[string]int)
	for range 10_000 { // none of which ends
		id, _ := mustPick(t, p, s)
		counts[id]++
	}
	for id, n := range counts {
		if n < 70 || n > 130 {
			t.Errorf("%s has %d in flight, the mean being 100", id, n)
		}
	}
}

func TestDoneTwiceIsDoneOnce(t *testing.T) {
	t.Parallel()
	s, ring := alike(1), ConsistentHash()
	least := LeastLoaded()
	for _, p := range []Picker{least, ring.Key("a"), Ejection(least), ZoneFirst("z", least)} {
		_, done := mustPick(t, p, s)
		done(nil)
		done(nil)
	}
	if n := least.kept.find(s).nodes[0].inFlight.Load(); n != 0 {
		t.Errorf("least loaded: %d in flight", n)
	}
	if n := ring.kept.find(s).total.inFlight.Load(); n != 0 {
		t.Errorf("consistent hash: %d in flight", n)
	}
}

func TestBadOptionsAreTheErrorOfTheFirstPick(t *testing.T) {
	t.Parallel()
	tests := map[string]Picker{
		"WithLoadFactor":  ConsistentHash(WithLoadFactor(0.9)).Key("a"),
		"comes from Key":  KeyPicker{},
		"WithCapacity":    ZoneFirst("a", RoundRobin(), WithCapacity(math.NaN())),
		"no inner Picker": ZoneFirst("a", nil),
		"Ejection: there": Ejection(nil),
		"WithFailures":    Ejection(RoundRobin(), WithFailures(0)),
		"WithTime":        Ejection(RoundRobin(), WithTime(-1)),
		"WithMaxTime":     Ejection(RoundRobin(), WithTime(time.Minute), WithMaxTime(time.Second)),
	}
	for want, p := range tests {
		if _, _, err := p.Pick(alike(2)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, p := range []Picker{RoundRobin(), Weighted(), LeastLoaded(), ConsistentHash().Key("a"), ZoneFirst("a", RoundRobin()), Ejection(RoundRobin())} {
		if _, _, err := p.Pick(new(Snapshot)); err == nil {
			t.Errorf("%T picks where there is nobody", p)
		}
	}
}
