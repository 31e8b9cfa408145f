package discovery

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// owners returns who has each of many keys, where nothing is in flight.
func owners(t *testing.T, r *HashRing, s *Snapshot, keys int) []string {
	t.Helper()
	ids := make([]string, keys)
	for k := range ids {
		id, done := mustPick(t, r.Key(fmt.Sprint("user-", k)), s)
		done(nil)
		ids[k] = id
	}
	return ids
}

func without(s *Snapshot, ids ...string) *Snapshot {
	rest := new(Snapshot)
next:
	for _, inst := range s.Instances {
		for _, id := range ids {
			if inst.ID == id {
				continue next
			}
		}
		rest.Instances = append(rest.Instances, inst)
	}
	return rest
}

func TestConsistentHashMovesFewKeys(t *testing.T) {
	t.Parallel()
	const keys = 20_000
	all := alike(20)
	r := ConsistentHash()
	before := owners(t, r, all, keys)
	fewer := without(all, "i0007")
	after := owners(t, r, fewer, keys)
	fresh := owners(t, ConsistentHash(), fewer, keys) // by a program that never saw the others
	moved := 0
	for k := range keys {
		if before[k] != after[k] {
			moved++
			if before[k] != "i0007" {
				t.Fatalf("a key moved from %s, which is still there", before[k])
			}
		}
		if after[k] != fresh[k] {
			t.Fatalf("a key is %s's by what was known before, and %s's by what is there", after[k], fresh[k])
		}
	}
	if got := float64(moved) / keys; got > 1.4/20 {
		t.Errorf("%.3f of the keys moved, want about 1/20", got)
	}
	back := owners(t, r, alike(20), keys)
	for k := range keys {
		if back[k] != before[k] {
			t.Fatal("a key did not come back with its instance")
		}
	}
}

// TestRingIsTheSameHoweverItCameAbout: by many steps, or at once.
func TestRingIsTheSameHoweverItCameAbout(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	all, r := alike(40), ConsistentHash()
	for round := range 60 {
		s := new(Snapshot)
		for _, inst := range all.Instances {
			if random.IntN(4) > 0 {
				inst.Weight = 1 + random.IntN(1+round/10)
				s.Instances = append(s.Instances, inst)
			}
		}
		grown, made := r.kept.add(s, newRing), newRing(s, nil)
		if len(grown.places) != len(made.places) {
			t.Fatalf("round %d: %d places, want %d", round, len(grown.places), len(made.places))
		}
		for i := range grown.places {
			a, b := grown.places[i], made.places[i]
			if a.hash != b.hash || grown.seats[a.seat].index != made.seats[b.seat].index {
				t.Fatalf("round %d: place %d differs", round, i)
			}
		}
	}
}

func TestConsistentHashSpreadsByWeight(t *testing.T) {
	t.Parallel()
	const keys = 50_000
	weights := []int{1, 2, 3, 4, 10, 1, 2, 3, 4, 10}
	s, counts := fleet(weights...), make(map[string]int)
	for _, id := range owners(t, ConsistentHash(), s, keys) {
		counts[id]++
	}
	for i, weight := range weights {
		want := float64(keys) * float64(weight) / 40
		if got := float64(counts[s.Instances[i].ID]); got < want*0.6 || got > want*1.4 {
			t.Errorf("weight %d got %.0f of %d keys, want about %.0f", weight, got, keys, want)
		}
	}
}

// TestConsistentHashBoundsTheLoad of each instance, though all requests are for the same key.
func TestConsistentHashBoundsTheLoad(t *testing.T) {
	t.Parallel()
	s, r := alike(10), ConsistentHash()
	inFlight, dones := make(map[string]int), make(map[string][]func(error))
	for n := 1; n <= 1000; n++ {
		id, done := mustPick(t, r.Key("popular"), s)
		inFlight[id]++
		dones[id] = append(dones[id], done)
		if limit := int(math.Ceil(1.25 * float64(n) / 10)); inFlight[id] > limit {
			t.Fatalf("%s has %d of %d requests, the limit being %d", id, inFlight[id], n, limit)
		}
	}
	// An instance leaves with what it has in flight, which is none of the others' share: they have their load bounded all the same.
	gone := s.Instances[3].ID
	rest := without(s, gone)
	total := 1000 - inFlight[gone]
	for range 500 {
		id, _ := mustPick(t, r.Key("popular"), rest)
		inFlight[id]++
		total++
		if limit := int(math.Ceil(1.25 * float64(total) / 9)); inFlight[id] > limit {
			t.Fatalf("%s has %d of %d requests, the limit being %d", id, inFlight[id], total, limit)
		}
	}
	for _, done := range dones[gone] {
		done(nil)
	}
	if id, _ := mustPick(t, ConsistentHash(WithLoadFactor(math.Inf(1))).Key("x"), s); id == "" {
		t.Error("nobody")
	}
}

// TestConsistentHashGoesHome: once the load has gone, a key is its own instance's again.
func TestConsistentHashGoesHome(t *testing.T) {
	t.Parallel()
	s, r := alike(5), ConsistentHash()
	home, done := mustPick(t, r.Key("k"), s)
	done(nil)
	var dones []func(error)
	for range 50 {
		_, done := mustPick(t, r.Key("k"), s)
		dones = append(dones, done)
	}
	for _, done := range dones {
		done(nil)
	}
	if id, _ := mustPick(t, r.Key("k"), s); id != home {
		t.Errorf("the key is at %s, not at %s", id, home)
	}
}
